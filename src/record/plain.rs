//! The ordinary records of IPv4 traffic, read without a branch that depends on the text.
//!
//! Nearly every line of a flow log is one: all fields there, single spaces, an IPv4 flow with status OK. Where each field
//! ends is known from [`super::separators`]; every number and word is read and checked by arithmetic, and only at the end
//! one question is asked, whether anything was unusual. What is, the general way reads: a property test holds both to the
//! same records.

use std::net::Ipv4Addr;

use super::field::Field;
use super::format::LogFormat;
use super::scan::octet;
use super::{Action, FlowRecord, LogStatus};
use crate::net::{Direction, Protocol, TcpFlags, Timestamp};

/// Bytes in front of a window of text that may be looked at while its fields are read.
pub(super) const BEFORE_BYTES: usize = 16;

/// A window of text with bytes around it: so many that no position of 16 bits needs a check.
pub(super) type View = [u8; VIEW_BYTES];

/// Bytes of a view.
pub(super) const VIEW_BYTES: usize = BEFORE_BYTES + 64 * 1024 + 16;

/// The most columns that are read this way; AWS documents 54.
const MAX_COLUMNS: usize = 63;

/// An ordinary record: IPv4, status OK, nothing missing.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the members are the AWS field names")]
pub struct PlainRecord<'a> {
    pub interface_id: Token<'a>,
    pub subnet_id: Option<Token<'a>>,
    pub vpc_id: Option<Token<'a>>,
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
            interface_id: Some(self.interface_id.bytes()),
            subnet_id: self.subnet_id.map(Token::bytes),
            vpc_id: self.vpc_id.map(Token::bytes),
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

/// A field's text, not copied.
#[derive(Debug, Clone, Copy)]
pub struct Token<'a> {
    view: &'a View,
    at: u16,
    length: u16,
}

impl<'a> Token<'a> {
    /// The text.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        let from = BEFORE_BYTES + usize::from(self.at);
        self.view.get(from..from + usize::from(self.length)).unwrap_or_default()
    }

    /// Its length in bytes.
    #[inline]
    #[must_use]
    pub fn length(self) -> usize {
        usize::from(self.length)
    }

    /// The first and the last sixteen bytes, of a text that has as many.
    #[inline]
    #[must_use]
    pub fn both_ends(self) -> (u128, u128) {
        let end = self.at.wrapping_add(self.length);
        (
            u128::from_le_bytes(*sixteen(self.view, self.at)),
            u128::from_le_bytes(*sixteen_before(self.view, end)),
        )
    }
}

/// In which column each field of an ordinary record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) columns: usize,
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

/// The layout of the default format: what is known beforehand need not be looked up for every field.
pub(super) const DEFAULT_LAYOUT: Layout = Layout {
    columns: 14,
    version: Some(0),
    interface_id: 2,
    srcaddr: 3,
    dstaddr: 4,
    srcport: 5,
    dstport: 6,
    protocol: 7,
    packets: 8,
    bytes: 9,
    start: 10,
    end: 11,
    action: 12,
    log_status: 13,
    subnet_id: None,
    vpc_id: None,
    packet_addresses: None,
    tcp_flags: None,
    flow_direction: None,
    reject_reason: None,
};

impl Layout {
    /// `None` for a format whose records are never ordinary: a needed column is missing or there twice, or begins the
    /// line, where no space stands before it.
    pub(super) fn new(format: &LogFormat) -> Option<Self> {
        let columns = format.columns();
        let is_read = |field: &&Field| {
            !matches!(field, Field::Carried | Field::Unknown | Field::TransitGateway | Field::ResourceId)
        };
        let mut read: Vec<Field> = columns.iter().filter(is_read).copied().collect();
        let count = read.len();
        read.sort_unstable_by_key(|field| *field as u8);
        read.dedup();
        let begins_well = columns.first().is_some_and(|first| {
            matches!(first, Field::Version | Field::InterfaceId | Field::Carried | Field::Unknown)
        });
        if read.len() != count
            || !begins_well
            || columns.len() > MAX_COLUMNS
            || columns.contains(&Field::TransitGateway)
        {
            return None;
        }
        let optional = |field| columns.iter().position(|column| *column == field);
        // Only one of the packet's addresses is for the general way to weigh.
        let packet_addresses = match (optional(Field::PktSrcaddr), optional(Field::PktDstaddr)) {
            (Some(source), Some(destination)) => Some((source, destination)),
            (None, None) => None,
            _ => return None,
        };
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

/// What is done to several fields at once, on this processor or on any.
pub(super) trait Arithmetic: Copy {
    /// Two IPv4 addresses, each in the first bytes of its text; not zero in the second place when one of them is none.
    fn addresses(self, first: Text<'_>, second: Text<'_>) -> ([u32; 2], u64);

    /// Numbers that end at the last byte of each word, a space before them; not zero in the second place when one of
    /// them is none, lacks the space without being one of [`EIGHT_DIGITS`], or is above its limit.
    fn numbers(self, texts: [u64; 8]) -> ([u32; 8], u64);

    /// Whether two texts of at most 15 bytes are the same.
    fn same(self, a: Text<'_>, b: Text<'_>) -> bool;
}

/// Where each number stands among the eight.
const SRCPORT: usize = 0;
const DSTPORT: usize = 1;
const PROTOCOL: usize = 2;
const TCP_FLAGS: usize = 3;
const PACKETS: usize = 4;
const BYTES: usize = 5;
const START: usize = 6;
const END: usize = 7;

/// The largest value of each number.
pub(super) const LIMITS: [u32; 8] =
    [65_535, 65_535, 255, 255, 99_999_999, 99_999_999, 99_999_999, 99_999_999];

/// Those that may have eight digits and no space before them in their word.
pub(super) const EIGHT_DIGITS: [bool; 8] = [false, false, false, false, false, true, true, true];

/// Stands for a number that the format does not have.
const NOT_THERE: u64 = u64::from_le_bytes(*b"       0");

/// What records in a row have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Common {
    /// The first two digits of ten that a moment has, with the space before them.
    century: u32,
    seconds: u32,
    /// The version and the space behind it, and which bytes that are.
    version: u32,
    version_mask: u32,
}

impl Default for Common {
    fn default() -> Self {
        Self {
            // 1.7 · 10⁹ seconds: November 2023 to January 2027.
            century: u32::from_le_bytes(*b"\0 17"),
            seconds: 1_700_000_000,
            version: u32::from_le_bytes(*b"2 \0\0"),
            version_mask: 0xffff,
        }
    }
}

/// The ends of the fields of one line: the first one stands before its first field.
pub(super) type Ends = [u16; MAX_COLUMNS + 1];

/// One line.
pub(super) struct Fields<'a, 'b> {
    pub(super) view: &'a View,
    pub(super) ends: &'b Ends,
}

impl<'a> Fields<'a, '_> {
    /// Reads the line; `None` when anything about it is not as in an ordinary record.
    #[expect(clippy::inline_always, reason = "compiled once for each set of instructions")]
    #[inline(always)]
    pub(super) fn read(
        &self,
        layout: &Layout,
        common: &mut Common,
        arithmetic: impl Arithmetic,
    ) -> Option<PlainRecord<'a>> {
        let texts = [
            self.last_eight(layout.srcport),
            self.last_eight(layout.dstport),
            self.last_eight(layout.protocol),
            layout.tcp_flags.map_or(NOT_THERE, |column| self.last_eight(column)),
            self.last_eight(layout.packets),
            self.last_eight(layout.bytes),
            self.last_eight(layout.start),
            self.last_eight(layout.end),
        ];
        let (numbers, mut unusual) = arithmetic.numbers(texts);
        let (_, length) = self.place(layout.bytes);
        unusual |= u64::from(length > 8);

        let (source, destination) = (self.text(layout.srcaddr), self.text(layout.dstaddr));
        let ([srcaddr, dstaddr], wrong) = arithmetic.addresses(source, destination);
        unusual |= wrong;
        let mut packet_addresses = None;
        if let Some((source_column, destination_column)) = layout.packet_addresses {
            let (packet_source, packet_destination) =
                (self.text(source_column), self.text(destination_column));
            // Mostly the same text once more.
            let same =
                arithmetic.same(packet_source, source) & arithmetic.same(packet_destination, destination);
            packet_addresses = Some((srcaddr, dstaddr));
            if !same {
                let ([source, destination], wrong) = arithmetic.addresses(packet_source, packet_destination);
                unusual |= wrong;
                packet_addresses = Some((source, destination));
            }
        }

        let (_, start_length) = self.place(layout.start);
        let (_, end_length) = self.place(layout.end);
        unusual |= u64::from(start_length != 10 || end_length != 10);
        let centuries = (self.century(layout.start), self.century(layout.end));
        if centuries != (common.century, common.century) && !common.turns_century(centuries) {
            return None;
        }
        let (start, end) =
            (common.seconds.wrapping_add(numbers[START]), common.seconds.wrapping_add(numbers[END]));
        unusual |= u64::from(end < start);

        let action = self.last_eight(layout.action) >> 8;
        let mut rejected = false;
        if action != u64::from_le_bytes(*b" ACCEPT\0") {
            rejected = true;
            unusual |= action ^ u64::from_le_bytes(*b" REJECT\0");
        }
        unusual |= self.last_eight(layout.log_status) >> 40 ^ u64::from_le_bytes(*b" OK\0\0\0\0\0");
        if let Some(column) = layout.version {
            let version = four(self.view, self.ends[column & MAX_COLUMNS].wrapping_add(1));
            if version & common.version_mask != common.version && !common.turns_version(version) {
                return None;
            }
        }
        if let Some(column) = layout.reject_reason {
            unusual |= self.last_eight(column) >> 48 ^ u64::from_le_bytes(*b" -\0\0\0\0\0\0");
        }
        let mut flow_direction = None;
        if let Some(column) = layout.flow_direction {
            let word = self.last_eight(column);
            flow_direction = Some(Direction::Egress);
            if word >> 8 != u64::from_le_bytes(*b" egress\0") {
                flow_direction = Some(Direction::Ingress);
                unusual |= word ^ u64::from_le_bytes(*b" ingress");
            }
        }
        let interface_id = self.token(layout.interface_id);
        unusual |= u64::from(interface_id.length < 2);
        let (mut subnet_id, mut vpc_id) = (None, None);
        if let Some(column) = layout.subnet_id {
            let token = self.token(column);
            unusual |= u64::from(token.length < 2);
            subnet_id = Some(token);
        }
        if let Some(column) = layout.vpc_id {
            let token = self.token(column);
            unusual |= u64::from(token.length < 2);
            vpc_id = Some(token);
        }
        (unusual == 0).then_some(PlainRecord {
            interface_id,
            subnet_id,
            vpc_id,
            srcaddr,
            dstaddr,
            packet_addresses,
            srcport: low_half(numbers[SRCPORT]),
            dstport: low_half(numbers[DSTPORT]),
            protocol: Protocol(numbers[PROTOCOL].to_le_bytes()[0]),
            packets: numbers[PACKETS],
            bytes: numbers[BYTES],
            start,
            end,
            rejected,
            tcp_flags: layout.tcp_flags.map(|_| TcpFlags(numbers[TCP_FLAGS].to_le_bytes()[0])),
            flow_direction,
        })
    }

    /// Where a field begins, and its length.
    #[inline]
    fn place(&self, column: usize) -> (u16, u16) {
        let at = self.ends[column & MAX_COLUMNS].wrapping_add(1);
        (at, self.ends[(column + 1) & MAX_COLUMNS].wrapping_sub(at))
    }

    #[inline]
    fn token(&self, column: usize) -> Token<'a> {
        let (at, length) = self.place(column);
        Token { view: self.view, at, length }
    }

    /// The text from the beginning of a field on, and the field's length.
    #[inline]
    fn text(&self, column: usize) -> Text<'a> {
        let (at, length) = self.place(column);
        Text { bytes: sixteen(self.view, at), length: u32::from(length) }
    }

    /// The eight bytes that a field ends with, or others before it.
    #[inline]
    fn last_eight(&self, column: usize) -> u64 {
        eight_before(self.view, self.ends[(column + 1) & MAX_COLUMNS])
    }

    /// The byte before a moment of ten digits and the first two of them, above a zero.
    #[inline]
    fn century(&self, column: usize) -> u32 {
        four_before(self.view, self.ends[(column + 1) & MAX_COLUMNS]) & 0xffff_ff00
    }
}

impl Common {
    /// Takes over the first digits of a line's moments where they differ from those before; `false` when they are no two
    /// digits, or two different ones.
    #[cold]
    fn turns_century(&mut self, (start, end): (u32, u32)) -> bool {
        let [_, space, tens, ones] = start.to_le_bytes();
        if start != end || space != b' ' || !tens.is_ascii_digit() || !ones.is_ascii_digit() {
            return false;
        }
        let number = u32::from(tens - b'0') * 10 + u32::from(ones - b'0');
        // Of 42 · 10⁸ seconds not all fit.
        let Some(seconds) = number.checked_mul(100_000_000).filter(|_| number < 42) else { return false };
        (self.century, self.seconds) = (start, seconds);
        true
    }

    /// The same for the version: a number of one or two digits.
    #[cold]
    fn turns_version(&mut self, text: u32) -> bool {
        let [first, second, third, _] = text.to_le_bytes();
        let mask = match (first.is_ascii_digit(), second, third) {
            (true, b' ' | b'\n', _) => 0xffff,
            (true, b'0'..=b'9', b' ' | b'\n') => 0x00ff_ffff,
            _ => return false,
        };
        (self.version, self.version_mask) = (text & mask, mask);
        true
    }
}

/// A text of at most 15 bytes that is looked at together with what follows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8; 16],
    pub(super) length: u32,
}

/// Sixteen bytes from a position of a window on.
#[inline]
fn sixteen(view: &View, at: u16) -> &[u8; 16] {
    const NOTHING: [u8; 16] = [0; 16];
    let at = BEFORE_BYTES + usize::from(at);
    view[at..at + 16].first_chunk().unwrap_or(&NOTHING)
}

/// The sixteen bytes before a position of a window.
#[inline]
fn sixteen_before(view: &View, at: u16) -> &[u8; 16] {
    const NOTHING: [u8; 16] = [0; 16];
    let at = BEFORE_BYTES - 16 + usize::from(at);
    view[at..at + 16].first_chunk().unwrap_or(&NOTHING)
}

/// The eight bytes before a position of a window.
#[inline]
fn eight_before(view: &View, at: u16) -> u64 {
    let at = BEFORE_BYTES - 8 + usize::from(at);
    view[at..at + 8].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// The four bytes before those.
#[inline]
fn four_before(view: &View, at: u16) -> u32 {
    let at = BEFORE_BYTES - 12 + usize::from(at);
    view[at..at + 4].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// Four bytes from a position of a window on.
#[inline]
fn four(view: &View, at: u16) -> u32 {
    let at = BEFORE_BYTES + usize::from(at);
    view[at..at + 4].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

#[inline]
fn low_half(number: u32) -> u16 {
    let [a, b, ..] = number.to_le_bytes();
    u16::from_le_bytes([a, b])
}

/// One field after another, on any processor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Portable;

impl Arithmetic for Portable {
    #[inline]
    fn addresses(self, first: Text<'_>, second: Text<'_>) -> ([u32; 2], u64) {
        let (first, wrong) = ipv4(first);
        let (second, also_wrong) = ipv4(second);
        ([first, second], wrong | also_wrong)
    }

    #[inline]
    fn numbers(self, texts: [u64; 8]) -> ([u32; 8], u64) {
        let mut wrong = false;
        let mut numbers = [0; 8];
        for (at, text) in texts.into_iter().enumerate() {
            let bytes = text.to_le_bytes();
            let space = bytes.iter().rposition(|byte| *byte == b' ');
            wrong |= space.is_none() && !EIGHT_DIGITS[at];
            for byte in &bytes[space.map_or(0, |space| space + 1)..] {
                let digit = byte.wrapping_sub(b'0');
                wrong |= digit > 9;
                numbers[at] = (numbers[at] * 10 + u32::from(digit)) % 1_000_000_000;
            }
            wrong |= numbers[at] > LIMITS[at];
        }
        (numbers, u64::from(wrong))
    }

    #[inline]
    fn same(self, a: Text<'_>, b: Text<'_>) -> bool {
        let length = a.length as usize;
        a.length == b.length && length < 16 && a.bytes[..length] == b.bytes[..length]
    }
}

/// The IPv4 address that a text is; not zero in the second place when it is none.
fn ipv4(Text { bytes, length }: Text<'_>) -> (u32, u64) {
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
    (address, u64::from(at != length as usize))
}
