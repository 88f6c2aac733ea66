//! Flow log fields, formats and records: text in, [`FlowRecord`] out.
//!
//! Owns field names (versions 2 to 11), log formats, and what makes a record malformed. Refuses to do I/O, to know
//! the time of day, or to know what a record is used for.

mod field;
mod fields;
mod format;
mod parse;
mod plain;
mod reader;
mod scan;
mod separators;
mod wrapped;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::fmt;
use std::net::IpAddr;

pub use field::Field;
pub use format::{LogFormat, LogFormatError, MissingField, PACKET_ADDRESSES};
pub use parse::{MAX_LINE_BYTES, parse_record};
pub use plain::{PlainRecord, PlainRecords, Token, halves};
pub use reader::{LineReader, Room, Sink};
#[cfg(target_arch = "x86_64")]
pub(crate) use {
    plain::{INGRESS, REJECTED, numbers},
    x86::{columns, fetch, permutes},
};

use crate::net::{Direction, FiveTuple, Protocol, TcpFlags, Timestamp};

/// What the security groups and the network ACL decided together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Let through.
    Accept,
    /// Dropped; the log does not say by whom.
    Reject,
}

/// The `log-status` field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LogStatus {
    /// An ordinary record.
    #[default]
    Ok,
    /// The interface had no traffic in the window.
    NoData,
    /// AWS dropped an unknown number of records of the window.
    SkipData,
}

/// The `reject-reason` field; absent for security groups and network ACLs alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RejectReason {
    /// VPC Block Public Access (`BPA`).
    BlockPublicAccess,
    /// VPC Encryption Controls (`EC`).
    EncryptionControls,
    /// A reason that this version does not know. Not the network ACL: for that AWS gives no reason.
    Other,
}

impl RejectReason {
    fn from_field(token: &[u8]) -> Self {
        match token {
            b"BPA" => Self::BlockPublicAccess,
            b"EC" => Self::EncryptionControls,
            _ => Self::Other,
        }
    }
}

/// One record. A member is `None` when the format lacks the field or the record has `-` there.
/// Texts are the bytes of the log, not yet known to be UTF-8.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the members are the AWS field names")]
pub struct FlowRecord<'a> {
    pub interface_id: Option<&'a [u8]>,
    pub vpc_id: Option<&'a [u8]>,
    pub subnet_id: Option<&'a [u8]>,
    pub resource_id: Option<&'a [u8]>,
    pub srcaddr: Option<IpAddr>,
    pub dstaddr: Option<IpAddr>,
    pub pkt_srcaddr: Option<IpAddr>,
    pub pkt_dstaddr: Option<IpAddr>,
    pub srcport: Option<u16>,
    pub dstport: Option<u16>,
    pub protocol: Option<Protocol>,
    pub packets: Option<u64>,
    pub bytes: Option<u64>,
    pub start: Option<Timestamp>,
    pub end: Option<Timestamp>,
    pub action: Option<Action>,
    pub log_status: LogStatus,
    pub tcp_flags: Option<TcpFlags>,
    pub flow_direction: Option<Direction>,
    pub reject_reason: Option<RejectReason>,
}

impl FlowRecord<'_> {
    /// The five-tuple as the interface saw it (`srcaddr` … `dstport`), if every part is known.
    #[must_use]
    pub fn flow(&self) -> Option<FiveTuple> {
        Some(FiveTuple {
            srcaddr: self.srcaddr?,
            dstaddr: self.dstaddr?,
            srcport: self.srcport?,
            dstport: self.dstport?,
            protocol: self.protocol?,
        })
    }
}

impl FlowRecord<'_> {
    /// What two readings of one line have in common; `None` when they differ in what pairing or a verdict rests on.
    fn agreed(self, other: Self) -> Option<Self> {
        let (mut this, mut that) = (self, other);
        agree(&mut this.vpc_id, &mut that.vpc_id);
        agree(&mut this.subnet_id, &mut that.subnet_id);
        agree(&mut this.packets, &mut that.packets);
        agree(&mut this.bytes, &mut that.bytes);
        agree(&mut this.tcp_flags, &mut that.tcp_flags);
        agree(&mut this.flow_direction, &mut that.flow_direction);
        (this == that).then_some(this)
    }
}

/// Keeps what both say.
fn agree<T: PartialEq>(a: &mut Option<T>, b: &mut Option<T>) {
    if a != b {
        (*a, *b) = (None, None);
    }
}

/// A line that is no record, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}={value}: {problem}")]
pub struct Malformed {
    /// The field at fault; `line` for the whole line.
    pub field: &'static str,
    /// Its text, cut to 80 characters.
    pub value: String,
    /// What is wrong.
    pub problem: Problem,
}

impl Malformed {
    /// Keeps at most 80 characters of the value; bytes that are not UTF-8 become `U+FFFD`.
    #[must_use]
    pub fn new(field: &'static str, value: &[u8], problem: Problem) -> Self {
        let head = &value[..value.len().min(320)];
        Self { field, value: String::from_utf8_lossy(head).chars().take(80).collect(), problem }
    }
}

/// What can be wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// Not as many fields as the format has.
    FieldCount {
        /// Fields of the format.
        expected: usize,
        /// Fields of the line.
        found: usize,
    },
    /// A number field holds something else.
    NotANumber,
    /// A number too large for its field.
    OutOfRange,
    /// Neither an IPv4 nor an IPv6 address.
    NotAnAddress,
    /// Not one of the field's words.
    NotOneOf(&'static str),
    /// `-` where a record with status OK must have a value.
    Absent,
    /// The format has no action field, so the record is neither accepted nor rejected.
    NoActionField,
    /// `end` lies before `start`.
    EndBeforeStart,
    /// Longer than [`MAX_LINE_BYTES`].
    TooLong,
    /// Cut off where its input breaks off.
    CutOff,
    /// Begins like JSON and is not.
    NotJson,
    /// JSON in which no flow log record is found.
    NoRecordInJson,
    /// Two of the formats that the input may be in have as many fields, and read it as different records.
    Ambiguous,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FieldCount { expected, found } => {
                write!(f, "has {found} fields, the format has {expected}")
            }
            Self::NotANumber => f.write_str("is not a number"),
            Self::OutOfRange => f.write_str("is out of range"),
            Self::NotAnAddress => f.write_str("is not an IP address"),
            Self::NotOneOf(words) => write!(f, "is not one of {words}"),
            Self::Absent => f.write_str("is absent although log-status is OK"),
            Self::NoActionField => f.write_str("the format has no action field"),
            Self::EndBeforeStart => f.write_str("lies before start"),
            Self::TooLong => write!(f, "is longer than {} KiB", MAX_LINE_BYTES / 1024),
            Self::CutOff => f.write_str("is cut off by the end of a damaged input"),
            Self::NotJson => f.write_str("is not valid JSON"),
            Self::NoRecordInJson => f.write_str("holds no flow log record"),
            Self::Ambiguous => f.write_str("fits two of the log formats here, and each reads it differently"),
        }
    }
}
