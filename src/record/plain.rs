//! The ordinary records of IPv4 traffic, read without a branch that depends on the text.
//!
//! Nearly every line of a flow log is one: all fields there, single spaces, an IPv4 flow with status OK. Where each field
//! ends is known from [`Separators`]; every number and word is read and checked by arithmetic, and only at the end one
//! question is asked, whether anything was unusual. What is, the general way reads: a property test holds both to the
//! same records.

use std::net::Ipv4Addr;

use super::field::Field;
use super::format::LogFormat;
use super::scan::octet;
use super::{Action, FlowRecord, LogStatus};
use crate::net::{Direction, Protocol, TcpFlags, Timestamp};

/// Bytes behind a line that may be looked at while it is read.
pub(super) const LOOKAHEAD_BYTES: usize = 32;

/// An ordinary record: IPv4, status OK, nothing missing.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the members are the AWS field names")]
pub struct PlainRecord<'a> {
    pub interface_id: &'a [u8],
    pub subnet_id: Option<&'a [u8]>,
    pub vpc_id: Option<&'a [u8]>,
    pub srcaddr: u32,
    pub dstaddr: u32,
    /// `pkt-srcaddr` and `pkt-dstaddr`, where the format has both.
    pub packet_addresses: Option<(u32, u32)>,
    pub srcport: u16,
    pub dstport: u16,
    pub protocol: Protocol,
    pub packets: u32,
    pub bytes: u32,
    /// Unix seconds.
    pub start: u32,
    /// Unix seconds, not before `start`.
    pub end: u32,
    /// The action is REJECT.
    pub rejected: bool,
    pub tcp_flags: Option<TcpFlags>,
    pub flow_direction: Option<Direction>,
}

impl<'a> PlainRecord<'a> {
    /// The same record as the general way gives it.
    #[must_use]
    pub fn widen(&self) -> FlowRecord<'a> {
        let address = |bits| Some(Ipv4Addr::from_bits(bits).into());
        FlowRecord {
            interface_id: Some(self.interface_id),
            subnet_id: self.subnet_id,
            vpc_id: self.vpc_id,
            resource_id: None,
            srcaddr: address(self.srcaddr),
            dstaddr: address(self.dstaddr),
            pkt_srcaddr: self.packet_addresses.and_then(|(source, _)| address(source)),
            pkt_dstaddr: self.packet_addresses.and_then(|(_, destination)| address(destination)),
            srcport: Some(self.srcport),
            dstport: Some(self.dstport),
            protocol: Some(self.protocol),
            packets: Some(u64::from(self.packets)),
            bytes: Some(u64::from(self.bytes)),
            start: Some(Timestamp(i64::from(self.start))),
            end: Some(Timestamp(i64::from(self.end))),
            action: Some(if self.rejected { Action::Reject } else { Action::Accept }),
            log_status: LogStatus::Ok,
            tcp_flags: self.tcp_flags,
            flow_direction: self.flow_direction,
            reject_reason: None,
        }
    }
}

/// In which column each field of an ordinary record stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub(super) columns: usize,
    /// The text that the version column must have, where it is not known to be a number.
    version: Option<usize>,
    interface_id: usize,
    srcaddr: usize,
    dstaddr: usize,
    srcport: usize,
    dstport: usize,
    protocol: usize,
    packets: usize,
    bytes: usize,
    start: usize,
    end: usize,
    action: usize,
    log_status: usize,
    subnet_id: Option<usize>,
    vpc_id: Option<usize>,
    packet_addresses: Option<(usize, usize)>,
    tcp_flags: Option<usize>,
    flow_direction: Option<usize>,
    reject_reason: Option<usize>,
}

impl Layout {
    /// `None` for a format whose records are never ordinary: a needed column is missing or there twice.
    pub(super) fn new(format: &LogFormat) -> Option<Self> {
        let columns = format.columns();
        let is_read = |field: &&Field| {
            !matches!(field, Field::Carried | Field::Unknown | Field::TransitGateway | Field::ResourceId)
        };
        let mut read: Vec<Field> = columns.iter().filter(is_read).copied().collect();
        let count = read.len();
        read.sort_unstable_by_key(|field| *field as u8);
        read.dedup();
        // Only one of the packet's addresses is for the general way to weigh.
        let optional = |field| columns.iter().position(|column| *column == field);
        let packet_addresses = match (optional(Field::PktSrcaddr), optional(Field::PktDstaddr)) {
            (Some(source), Some(destination)) => Some((source, destination)),
            (None, None) => None,
            _ => return None,
        };
        if read.len() != count || columns.contains(&Field::TransitGateway) {
            return None;
        }
        Some(Self {
            columns: columns.len(),
            version: optional(Field::Version),
            interface_id: optional(Field::InterfaceId)?,
            srcaddr: optional(Field::Srcaddr)?,
            dstaddr: optional(Field::Dstaddr)?,
            srcport: optional(Field::Srcport)?,
            dstport: optional(Field::Dstport)?,
            protocol: optional(Field::Protocol)?,
            packets: optional(Field::Packets)?,
            bytes: optional(Field::Bytes)?,
            start: optional(Field::Start)?,
            end: optional(Field::End)?,
            action: optional(Field::Action)?,
            log_status: optional(Field::LogStatus)?,
            subnet_id: optional(Field::SubnetId),
            vpc_id: optional(Field::VpcId),
            packet_addresses,
            tcp_flags: optional(Field::TcpFlags),
            flow_direction: optional(Field::FlowDirection),
            reject_reason: optional(Field::RejectReason),
        })
    }
}

const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);
const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
/// Added to a byte, carries into its high bit from ten on.
const ABOVE_NINE: u64 = u64::from_le_bytes([0x76; 8]);

/// One line and the ends of its fields: `ends[0]` stands before its first field.
pub(super) struct Fields<'a, 'b> {
    /// The line and what follows it: at least [`LOOKAHEAD_BYTES`] behind the last end.
    pub(super) text: &'a [u8],
    pub(super) ends: &'b [u16],
}

/// A field: where it begins, and how long it is.
#[derive(Clone, Copy)]
struct Place {
    at: usize,
    length: usize,
}

impl<'a> Fields<'a, '_> {
    /// Reads the line; `None` when anything about it is not as in an ordinary record.
    #[expect(clippy::inline_always, reason = "compiled once for each set of instructions")]
    #[inline(always)]
    pub(super) fn read(
        &self,
        layout: &Layout,
        ipv4: impl Fn(&[u8; 16], usize) -> (u32, u64),
    ) -> Option<PlainRecord<'a>> {
        let mut unusual = 0;
        let mut address = |place: Place| {
            let (address, wrong) = ipv4(self.sixteen(place.at), place.length);
            unusual |= wrong | u64::from(place.length > 15);
            address
        };
        let (source, destination) = (self.place(layout.srcaddr), self.place(layout.dstaddr));
        let (srcaddr, dstaddr) = (address(source), address(destination));
        let packet_addresses = layout.packet_addresses.map(|(packet_source, packet_destination)| {
            // Mostly the same text once more.
            let mut other = |column: usize, like: Place, known: u32| {
                let place = self.place(column);
                let differs = self.number(place.at, 16) ^ self.number(like.at, 16);
                let same = place.length == like.length
                    && place.length < 16
                    && differs & ((1 << (8 * place.length)) - 1) == 0;
                if same { known } else { address(place) }
            };
            (other(packet_source, source, srcaddr), other(packet_destination, destination, dstaddr))
        });
        let start = self.moment(layout.start, &mut unusual);
        let end = self.moment(layout.end, &mut unusual);
        unusual |= u64::from(end < start);
        let srcport = self.small(layout.srcport, &mut unusual);
        let dstport = self.small(layout.dstport, &mut unusual);
        let protocol = self.small(layout.protocol, &mut unusual);
        let packets = self.small(layout.packets, &mut unusual);
        let bytes = self.small(layout.bytes, &mut unusual);
        unusual |= u64::from(srcport | dstport) >> 16 | u64::from(protocol) >> 8;
        let action = self.place(layout.action);
        let (accept, reject) = (self.is_word(action, *b"ACCEPT\0\0"), self.is_word(action, *b"REJECT\0\0"));
        unusual |= u64::from(!(accept | reject));
        let status = self.place(layout.log_status);
        unusual |= u64::from(!self.is_word(status, *b"OK\0\0\0\0\0\0"));
        if let Some(column) = layout.version {
            self.small(column, &mut unusual);
        }
        let tcp_flags = layout.tcp_flags.map(|column| {
            let flags = self.small(column, &mut unusual);
            unusual |= u64::from(flags) >> 8;
            TcpFlags(flags.to_le_bytes()[0])
        });
        let flow_direction = layout.flow_direction.map(|column| {
            let place = self.place(column);
            let ingress = self.is_word(place, *b"ingress\0");
            unusual |= u64::from(!(ingress | self.is_word(place, *b"egress\0\0")));
            if ingress { Direction::Ingress } else { Direction::Egress }
        });
        let mut text = |column: usize| {
            let place = self.place(column);
            let text = self.text.get(place.at..place.at + place.length).unwrap_or_default();
            unusual |= u64::from(place.length < 2);
            text
        };
        let interface_id = text(layout.interface_id);
        let (subnet_id, vpc_id) = (layout.subnet_id.map(&mut text), layout.vpc_id.map(&mut text));
        if let Some(column) = layout.reject_reason {
            unusual |= u64::from(!self.is_word(self.place(column), *b"-\0\0\0\0\0\0\0"));
        }
        (unusual == 0).then_some(PlainRecord {
            interface_id,
            subnet_id,
            vpc_id,
            srcaddr,
            dstaddr,
            packet_addresses,
            srcport: low_half(srcport),
            dstport: low_half(dstport),
            protocol: Protocol(protocol.to_le_bytes()[0]),
            packets,
            bytes,
            start,
            end,
            rejected: reject,
            tcp_flags,
            flow_direction,
        })
    }

    #[inline]
    fn place(&self, column: usize) -> Place {
        let at = self.ends[column].wrapping_add(1);
        Place { at: usize::from(at), length: usize::from(self.ends[column + 1].wrapping_sub(at)) }
    }

    #[inline]
    fn sixteen(&self, at: usize) -> &[u8; 16] {
        const NOTHING: [u8; 16] = [0; 16];
        self.text.get(at..).and_then(<[u8]>::first_chunk).unwrap_or(&NOTHING)
    }

    /// The first sixteen bytes of a place as one number.
    #[inline]
    fn number(&self, at: usize, _bytes: usize) -> u128 {
        u128::from_le_bytes(*self.sixteen(at))
    }

    #[inline]
    fn eight(&self, at: usize) -> u64 {
        self.text.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    /// A number of one to eight digits.
    #[inline]
    fn small(&self, column: usize, unusual: &mut u64) -> u32 {
        let Place { at, length } = self.place(column);
        // The digits move to the end, and what is in front of them counts as zeros.
        let shift = 64_usize.wrapping_sub(length * 8);
        let digits = (self.eight(at) ^ ZEROS) << (shift & 63);
        *unusual |= u64::from(length.wrapping_sub(1) > 7) | no_digits(digits);
        value(digits)
    }

    /// A moment of ten digits.
    #[inline]
    fn moment(&self, column: usize, unusual: &mut u64) -> u32 {
        let Place { at, length } = self.place(column);
        let high = self.eight(at) ^ ZEROS;
        let low = (self.eight(at + 2) ^ ZEROS) >> 48;
        let seconds = u64::from(value(high)) * 100 + (low & 0xff) * 10 + (low >> 8);
        *unusual |= u64::from(length != 10) | no_digits(high) | no_digits(low) | seconds >> 32;
        #[expect(clippy::cast_possible_truncation, reason = "else it is unusual")]
        let seconds = seconds as u32;
        seconds
    }

    /// Whether a place holds this word of up to seven letters.
    #[inline]
    fn is_word(&self, place: Place, word: [u8; 8]) -> bool {
        let length = word.iter().take_while(|byte| **byte != 0).count();
        let mask = (1 << (8 * length)) - 1;
        place.length == length && (self.eight(place.at) ^ u64::from_le_bytes(word)) & mask == 0
    }
}

#[inline]
fn low_half(number: u32) -> u16 {
    let [a, b, ..] = number.to_le_bytes();
    u16::from_le_bytes([a, b])
}

/// Not zero when one of the bytes is no digit's value.
#[inline]
fn no_digits(digits: u64) -> u64 {
    (digits.wrapping_add(ABOVE_NINE) | digits) & HIGHS
}

/// The number whose eight digits these are, the first one in the lowest byte.
#[inline]
fn value(digits: u64) -> u32 {
    let pairs = (digits.wrapping_mul(1 + (10 << 8)) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(1 + (100 << 16)) >> 16) & 0x0000_ffff_0000_ffff;
    #[expect(clippy::cast_possible_truncation, reason = "eight digits")]
    let value = (fours.wrapping_mul(1 + (10_000 << 32)) >> 32) as u32;
    value
}

/// Reads the IPv4 address in the first `length` of these bytes on any processor; not zero in the second place when they
/// are none.
#[inline]
pub(super) fn ipv4(bytes: &[u8; 16], length: usize) -> (u32, u64) {
    let (mut at, mut address) = (0, 0);
    for part in 0..4 {
        let four = bytes.get(at..).and_then(<[u8]>::first_chunk);
        let Some((value, digits)) = four.and_then(|four| octet(*four)) else { return (0, 1) };
        address = address << 8 | value;
        at += digits;
        if part < 3 {
            if bytes[at] != b'.' {
                return (0, 1);
            }
            at += 1;
        }
    }
    (address, u64::from(at != length))
}
