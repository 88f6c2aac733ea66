//! The ordinary records of IPv4 traffic: what their lines have in common, and what each says.
//!
//! Nearly every line of a flow log is one: all fields there, single spaces, an IPv4 flow with status OK. How they are read is
//! for [`super::fields`] and, where the processor can, `x86::permute`. What is unusual the general way reads: a property
//! test holds all of them to the same records.

use std::net::Ipv4Addr;

use self::numbers::{BYTES, DSTPORT, END, PACKETS, PROTOCOL, SRCPORT, START, TCP_FLAGS};
use super::field::Field;
use super::format::LogFormat;
use super::{Action, FlowRecord, LogStatus};
use crate::net::{Direction, Protocol, TcpFlags, Timestamp};

/// Bytes in front of a window of text that may be looked at while its fields are read.
pub(super) const BEFORE_BYTES: usize = 16;

/// A window of text with bytes around it: so many that no position of 16 bits needs a check.
pub(super) type View = [u8; VIEW_BYTES];

/// Bytes of a view.
pub(super) const VIEW_BYTES: usize = BEFORE_BYTES + 64 * 1024 + 16;

/// The most columns that are read this way; AWS documents 54.
pub(super) const MAX_COLUMNS: usize = 63;

/// An ordinary line, its fields read: IPv4, status OK, nothing missing.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(64))]
pub(super) struct PlainLine {
    pub(super) numbers: [u32; 8],
    /// Source and destination, then those of the packet: the same again where the format does not have both.
    pub(super) addresses: [u32; 4],
    /// Where ids begin in the window, and their lengths.
    pub(super) interface_id: (u16, u16),
    pub(super) subnet_id: (u16, u16),
    pub(super) vpc_id: (u16, u16),
    /// [`REJECTED`] and [`INGRESS`], among bits that mean nothing.
    pub(super) marks: u32,
}

/// The action is REJECT.
pub(crate) const REJECTED: u32 = 1;
/// The direction, where the format has it, is ingress.
pub(crate) const INGRESS: u32 = 1 << 3;

/// Lines that are read before any is handed on.
pub(super) const MOST_LINES: usize = 64;

/// What the ordinary lines of a format say beyond what all of them say.
#[expect(clippy::struct_excessive_bools, reason = "any of them, with any other")]
#[derive(Debug, Clone, Copy)]
pub(super) struct Extras {
    subnet_id: bool,
    vpc_id: bool,
    packet_addresses: bool,
    tcp_flags: bool,
    flow_direction: bool,
}

/// The record of an ordinary line.
#[derive(Debug, Clone, Copy)]
pub struct PlainRecord<'a> {
    line: &'a PlainLine,
    extras: Extras,
    view: &'a View,
}

impl<'a> PlainRecord<'a> {
    /// `interface-id`.
    #[inline]
    #[must_use]
    pub fn interface_id(&self) -> Token<'a> {
        Token::new(self.view, self.line.interface_id)
    }

    /// `subnet-id`, where the format has it.
    #[inline]
    #[must_use]
    pub fn subnet_id(&self) -> Option<Token<'a>> {
        self.extras.subnet_id.then(|| Token::new(self.view, self.line.subnet_id))
    }

    /// `vpc-id`, where the format has it.
    #[inline]
    #[must_use]
    pub fn vpc_id(&self) -> Option<Token<'a>> {
        self.extras.vpc_id.then(|| Token::new(self.view, self.line.vpc_id))
    }

    /// `srcaddr` and `dstaddr`.
    #[inline]
    #[must_use]
    pub fn addresses(&self) -> (u32, u32) {
        (self.line.addresses[0], self.line.addresses[1])
    }

    /// `pkt-srcaddr` and `pkt-dstaddr`, where the format has both; otherwise `srcaddr` and `dstaddr`.
    #[inline]
    #[must_use]
    pub fn packet_addresses(&self) -> (u32, u32) {
        (self.line.addresses[2], self.line.addresses[3])
    }

    /// `srcport`.
    #[inline]
    #[must_use]
    pub fn srcport(&self) -> u16 {
        low_half(self.line.numbers[SRCPORT])
    }

    /// `dstport`.
    #[inline]
    #[must_use]
    pub fn dstport(&self) -> u16 {
        low_half(self.line.numbers[DSTPORT])
    }

    /// `protocol`.
    #[inline]
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        Protocol(self.line.numbers[PROTOCOL].to_le_bytes()[0])
    }

    /// `packets`.
    #[inline]
    #[must_use]
    pub fn packets(&self) -> u32 {
        self.line.numbers[PACKETS]
    }

    /// `bytes`.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> u32 {
        self.line.numbers[BYTES]
    }

    /// `start` in Unix seconds.
    #[inline]
    #[must_use]
    pub fn start(&self) -> u32 {
        self.line.numbers[START]
    }

    /// `end` in Unix seconds, not before `start`.
    #[inline]
    #[must_use]
    pub fn end(&self) -> u32 {
        self.line.numbers[END]
    }

    /// Whether the action is REJECT.
    #[inline]
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        self.line.marks & REJECTED != 0
    }

    /// `tcp-flags`, where the format has it.
    #[inline]
    #[must_use]
    pub fn tcp_flags(&self) -> Option<TcpFlags> {
        self.extras.tcp_flags.then(|| TcpFlags(self.line.numbers[TCP_FLAGS].to_le_bytes()[0]))
    }

    /// `flow-direction`, where the format has it.
    #[inline]
    #[must_use]
    pub fn flow_direction(&self) -> Option<Direction> {
        let direction = if self.line.marks & INGRESS != 0 { Direction::Ingress } else { Direction::Egress };
        self.extras.flow_direction.then_some(direction)
    }

    /// The same record as the general way gives it.
    #[must_use]
    pub fn widen(&self) -> FlowRecord<'a> {
        let address = |bits| Some(Ipv4Addr::from_bits(bits).into());
        let (srcaddr, dstaddr) = self.addresses();
        let packet_addresses = self.extras.packet_addresses.then(|| self.packet_addresses());
        FlowRecord {
            interface_id: Some(self.interface_id().bytes()),
            subnet_id: self.subnet_id().map(Token::bytes),
            vpc_id: self.vpc_id().map(Token::bytes),
            resource_id: None,
            srcaddr: address(srcaddr),
            dstaddr: address(dstaddr),
            pkt_srcaddr: packet_addresses.and_then(|(source, _)| address(source)),
            pkt_dstaddr: packet_addresses.and_then(|(_, destination)| address(destination)),
            srcport: Some(self.srcport()),
            dstport: Some(self.dstport()),
            protocol: Some(self.protocol()),
            packets: Some(u64::from(self.packets())),
            bytes: Some(u64::from(self.bytes())),
            start: Some(Timestamp(i64::from(self.start()))),
            end: Some(Timestamp(i64::from(self.end()))),
            action: Some(if self.is_rejected() { Action::Reject } else { Action::Accept }),
            log_status: LogStatus::Ok,
            tcp_flags: self.tcp_flags(),
            flow_direction: self.flow_direction(),
            reject_reason: None,
        }
    }
}

/// Records of ordinary lines in a row.
#[derive(Debug, Clone, Copy)]
pub struct PlainRecords<'a> {
    pub(super) lines: &'a [PlainLine; MOST_LINES],
    count: usize,
    extras: Extras,
    view: &'a View,
}

impl<'a> PlainRecords<'a> {
    /// Of the first lines of these.
    #[inline]
    pub(super) fn new(
        lines: &'a [PlainLine; MOST_LINES],
        count: usize,
        extras: Extras,
        view: &'a View,
    ) -> Self {
        Self { lines, count: count.min(MOST_LINES), extras, view }
    }

    /// How many there are, 64 at most.
    #[inline]
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// One bit for each, the lowest for the first.
    #[inline]
    #[must_use]
    pub fn all(&self) -> u64 {
        if self.count == 0 { 0 } else { u64::MAX >> (MOST_LINES - self.count) }
    }

    /// The record at a place below 64.
    #[inline]
    #[must_use]
    pub fn at(&self, place: usize) -> PlainRecord<'a> {
        PlainRecord { line: &self.lines[place % MOST_LINES], extras: self.extras, view: self.view }
    }

    /// The interface of the record at a place below 64.
    #[inline]
    #[must_use]
    pub fn interface_id(&self, place: usize) -> Token<'a> {
        Token::new(self.view, self.lines[place % MOST_LINES].interface_id)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = PlainRecord<'a>> {
        let Self { lines, count, extras, view } = *self;
        lines[..count].iter().map(move |line| PlainRecord { line, extras, view })
    }

    /// Whether the format has `tcp-flags`.
    #[inline]
    #[must_use]
    pub fn have_tcp_flags(&self) -> bool {
        self.extras.tcp_flags
    }

    /// Whether the format has `flow-direction`.
    #[inline]
    #[must_use]
    pub fn have_flow_direction(&self) -> bool {
        self.extras.flow_direction
    }

    /// Whether the format has `subnet-id` or `vpc-id`.
    #[inline]
    #[must_use]
    pub fn have_places(&self) -> bool {
        self.extras.subnet_id || self.extras.vpc_id
    }
}

/// A field's text, not copied.
#[derive(Debug, Clone, Copy)]
pub struct Token<'a> {
    pub(super) view: &'a View,
    pub(super) at: u16,
    length: u16,
}

impl<'a> Token<'a> {
    /// A text that begins at this position of a window and is so long.
    #[inline]
    pub(super) fn new(view: &'a View, (at, length): (u16, u16)) -> Self {
        Self { view, at, length }
    }

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

    /// The position after it.
    #[inline]
    pub(super) fn end(self) -> u16 {
        self.at.wrapping_add(self.length)
    }

    /// The last eight bytes of a text that has as many.
    #[inline]
    #[must_use]
    pub fn last_eight(self) -> u64 {
        halves(sixteen_before(self.view, self.end()))[1]
    }

    /// The first and the last sixteen bytes, of a text that has as many, eight and eight.
    #[inline]
    #[must_use]
    pub fn both_ends(self) -> [u64; 4] {
        let [a, b] = halves(sixteen(self.view, self.at));
        let [c, d] = halves(sixteen_before(self.view, self.end()));
        [a, b, c, d]
    }
}

/// In which column each field of an ordinary record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) columns: usize,
    pub(super) version: Option<usize>,
    pub(super) interface_id: usize,
    pub(super) srcaddr: usize,
    pub(super) dstaddr: usize,
    pub(super) srcport: usize,
    pub(super) dstport: usize,
    pub(super) protocol: usize,
    pub(super) packets: usize,
    pub(super) bytes: usize,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) action: usize,
    pub(super) log_status: usize,
    pub(super) subnet_id: Option<usize>,
    pub(super) vpc_id: Option<usize>,
    pub(super) packet_addresses: Option<(usize, usize)>,
    pub(super) tcp_flags: Option<usize>,
    pub(super) flow_direction: Option<usize>,
    pub(super) reject_reason: Option<usize>,
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

impl Layout {
    /// What lines of this layout say beyond what all lines say.
    pub(super) fn extras(&self) -> Extras {
        Extras {
            subnet_id: self.subnet_id.is_some(),
            vpc_id: self.vpc_id.is_some(),
            packet_addresses: self.packet_addresses.is_some(),
            tcp_flags: self.tcp_flags.is_some(),
            flow_direction: self.flow_direction.is_some(),
        }
    }

    /// The columns of addresses: source and destination, then those of the packet.
    pub(super) fn addresses(&self) -> [Option<usize>; 4] {
        let (source, destination) = self.packet_addresses.unzip();
        [Some(self.srcaddr), Some(self.dstaddr), source, destination]
    }

    /// The columns of numbers, in their order.
    pub(super) fn numbers(&self) -> [Option<usize>; 8] {
        let mut columns = [None; 8];
        columns[SRCPORT] = Some(self.srcport);
        columns[DSTPORT] = Some(self.dstport);
        columns[PROTOCOL] = Some(self.protocol);
        columns[TCP_FLAGS] = self.tcp_flags;
        columns[PACKETS] = Some(self.packets);
        columns[BYTES] = Some(self.bytes);
        columns[START] = Some(self.start);
        columns[END] = Some(self.end);
        columns
    }

    /// The columns of words.
    pub(super) fn words(&self) -> [Option<usize>; 4] {
        [Some(self.action), Some(self.log_status), self.reject_reason, self.flow_direction]
    }
}

/// Where each number stands among the eight.
pub(crate) mod numbers {
    pub(crate) const SRCPORT: usize = 0;
    pub(crate) const DSTPORT: usize = 1;
    pub(crate) const PROTOCOL: usize = 2;
    pub(crate) const TCP_FLAGS: usize = 3;
    pub(crate) const PACKETS: usize = 4;
    pub(crate) const BYTES: usize = 5;
    pub(crate) const START: usize = 6;
    pub(crate) const END: usize = 7;
}

/// What records in a row have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Common {
    /// The first two digits of ten that a moment has, with the space before them.
    pub(super) century: u32,
    pub(super) seconds: u32,
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

impl Common {
    /// Whether two moments begin with the digits that are known.
    #[inline]
    pub(super) fn has_century(&self, centuries: (u32, u32)) -> bool {
        centuries == (self.century, self.century)
    }

    /// Whether a line begins with a version.
    #[inline]
    pub(super) fn has_version(&mut self, text: u32) -> bool {
        text & self.version_mask == self.version || self.turns_version(text)
    }

    /// Takes over the first digits of a line's moments where they differ from those before; `false` when they are no two
    /// digits, or two different ones.
    #[cold]
    pub(super) fn turns_century(&mut self, (start, end): (u32, u32)) -> bool {
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

/// Sixteen bytes from a position of a window on.
#[inline]
pub(super) fn sixteen(view: &View, at: u16) -> &[u8; 16] {
    const NOTHING: [u8; 16] = [0; 16];
    let at = BEFORE_BYTES + usize::from(at);
    view[at..at + 16].first_chunk().unwrap_or(&NOTHING)
}

/// The sixteen bytes before a position of a window.
#[inline]
pub(super) fn sixteen_before(view: &View, at: u16) -> &[u8; 16] {
    const NOTHING: [u8; 16] = [0; 16];
    let at = BEFORE_BYTES - 16 + usize::from(at);
    view[at..at + 16].first_chunk().unwrap_or(&NOTHING)
}

/// The lower 16 bits.
#[inline]
fn low_half(number: u32) -> u16 {
    let [a, b, ..] = number.to_le_bytes();
    u16::from_le_bytes([a, b])
}

/// Sixteen bytes as two numbers, the lowest byte first: what [`Token::both_ends`] is made of.
#[inline]
#[must_use]
pub fn halves(bytes: &[u8; 16]) -> [u64; 2] {
    let (halves, _) = bytes.as_chunks();
    [u64::from_le_bytes(halves[0]), u64::from_le_bytes(halves[1])]
}
