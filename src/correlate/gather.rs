//! Turns the records of one chunk of input into a [`Batch`] of rows: filters, counts, interface numbers.
//!
//! Runs on every core at once, each chunk by itself; what needs the whole picture is left to the correlator.

mod usual;

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;

use super::accepted::{AcceptedRow, WideRow};
#[cfg(target_arch = "x86_64")]
use super::at_once::{AtOnce, Between};
use super::conversation::RejectedRecord;
use super::coverage::Coverage;
use super::familiar::Familiar;
use super::hash::{Identity, addresses};
use super::interface::InterfaceIndex;
use super::numbering::{News, NumberedInterfaces, Numbering};
use super::reject::RejectedRow;
use super::rows::Rows;
use super::selection::Selection;
use super::spare::Reusable;
use super::waiting::RowTimes;
use super::{Span, Timestamp};
use crate::net::FiveTuple;
#[cfg(target_arch = "x86_64")]
use crate::record;
use crate::record::{
    Action, FlowRecord, LogFormat, LogStatus, Malformed, MissingField, PlainRecords, Problem, Sink,
};

/// Malformed lines of one object that are kept as examples: its first ones, so that no batch needs more.
pub const MALFORMED_EXAMPLES: usize = 5;

/// Every line in exactly one place. Accepted, rejected, `NODATA` and `SKIPDATA` rows are counted by the correlator,
/// which knows duplicates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Header lines.
    pub headers: u64,
    /// Lines that are no record.
    pub malformed: u64,
    /// Of these, lines that two log formats read differently.
    pub ambiguous: u64,
    /// Records outside the window or excluded by a filter.
    pub filtered: u64,
    /// Accepted ones among them: they show that accepted traffic is recorded.
    pub filtered_accepted: u64,
    /// Transit gateway records.
    pub transit_gateway: u64,
    /// Accepted records in a format that lacks what pairing needs.
    pub unpairable_accepted: u64,
    /// Rejected records in a format that lacks what pairing needs.
    pub unpairable_rejected: u64,
    /// Packets of those.
    pub unpairable_rejected_packets: u64,
}

impl Counts {
    /// Adds those of another batch.
    pub(super) fn add(&mut self, other: &Self) {
        self.headers += other.headers;
        self.malformed += other.malformed;
        self.ambiguous += other.ambiguous;
        self.filtered += other.filtered;
        self.filtered_accepted += other.filtered_accepted;
        self.transit_gateway += other.transit_gateway;
        self.unpairable_accepted += other.unpairable_accepted;
        self.unpairable_rejected += other.unpairable_rejected;
        let packets = &mut self.unpairable_rejected_packets;
        *packets = packets.saturating_add(other.unpairable_rejected_packets);
    }
}

/// A malformed line and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MalformedLine {
    /// Number of the line in its input, from 1.
    pub line: u64,
    /// What is wrong.
    pub malformed: Malformed,
}

/// A `NODATA` or `SKIPDATA` record.
#[derive(Debug, Clone, Copy)]
pub(super) struct StatusRow {
    pub(super) interface: Option<InterfaceIndex>,
    pub(super) span: Span,
    /// `None` where the format lacks what tells two such records apart: then none is taken for a copy.
    pub(super) identity: Option<u64>,
    pub(super) skip_data: bool,
}

/// The rows of one chunk. Interfaces have the numbers of who collected them; batches of one gatherer are to be taken in in
/// the order in which they were made.
#[derive(Debug, Default)]
pub struct Batch {
    /// Lines that became no row.
    pub counts: Counts,
    /// The first malformed lines.
    pub malformed: Vec<MalformedLine>,
    /// What the formats of these records lack.
    pub missing: Vec<MissingField>,
    /// Top-level keys of JSON documents that are no flow logs.
    pub foreign: Vec<&'static str>,
    /// Whose numbers of interfaces these are.
    pub(super) numbering: Numbering,
    /// What is said of interfaces that no earlier batch of the same numbering said.
    pub(super) news: Vec<News>,
    pub(super) accepted: Rows,
    pub(super) accepted_identities: Vec<u64>,
    pub(super) wide: Vec<(WideRow, u64)>,
    pub(super) rejected: Vec<RejectedRow>,
    /// Those of the accepted records that are requests whose answer is looked for.
    pub(super) requests: Vec<RejectedRow>,
    /// Whether a record or a format says TCP flags.
    pub(super) has_tcp_flags: bool,
    pub(super) status: Vec<StatusRow>,
    /// When the rows in `accepted` were; `None` until it is known.
    pub(super) row_times: Option<RowTimes>,
    /// Earliest `start` of any row.
    pub(super) earliest_start: Option<Timestamp>,
    /// From the earliest `start` to the latest `end` of the accepted and rejected records that count.
    pub(super) span: Option<Span>,
}

impl Batch {
    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        // An identifier takes a piece of memory of its own.
        self.news.capacity() * (size_of::<News>() + 32)
            + self.accepted.capacity() * size_of::<AcceptedRow>()
            + self.accepted_identities.capacity() * size_of::<u64>()
            + self.wide.capacity() * size_of::<(WideRow, u64)>()
            + (self.rejected.capacity() + self.requests.capacity()) * size_of::<RejectedRow>()
            + self.status.capacity() * size_of::<StatusRow>()
    }

    /// Takes note of when these records were; `interfaces` are the join's numbers of this batch's.
    pub(super) fn cover(&self, coverage: &mut Coverage, interfaces: &[InterfaceIndex]) {
        let accepted = self.accepted.iter().filter(|row| !row.is_context());
        let accepted = accepted.map(|row| {
            let span = Span { start: Timestamp(row.start()), end: Timestamp(row.end()) };
            (row.interface(), span)
        });
        let wide = self.wide.iter().map(|(row, _)| row).filter(|row| !row.context);
        let wide = wide.map(|row| (row.interface, row.span));
        let rejected = self.rejected.iter().map(|row| (row.interface, row.record.span));
        let status = self.status.iter().filter_map(|row| Some((row.interface?, row.span)));
        for (local, span) in accepted.chain(wide).chain(rejected).chain(status) {
            // Interfaces that there is no room for have no records here either.
            if let Some(interface) = interfaces.get(local.0 as usize).filter(|index| index.0 != u32::MAX) {
                coverage.record(*interface, span);
            }
        }
    }

    /// Forgets the rows and keeps the memory.
    pub(super) fn clear(&mut self) {
        let Self { counts, malformed, missing, foreign, news, accepted, accepted_identities, .. } = self;
        *counts = Counts::default();
        malformed.clear();
        missing.clear();
        foreign.clear();
        news.clear();
        accepted.clear();
        accepted_identities.clear();
        self.wide.clear();
        self.rejected.clear();
        self.requests.clear();
        self.has_tcp_flags = false;
        self.status.clear();
        self.row_times = None;
        self.earliest_start = None;
        self.span = None;
    }
}

/// Collects the records of one chunk.
#[derive(Debug)]
pub struct Gatherer<'a> {
    selection: &'a Selection,
    match_window_seconds: i64,
    batch: Batch,
    interfaces: NumberedInterfaces,
    hasher: FixedState,
    familiar: Familiar,
    /// When the rows taken as usual were, and the other ones.
    usual: RowTimes,
    others: Option<RowTimes>,
    /// Unix seconds that a record's `end` (or `start`, see [`Selection::by_start`]) and `start` lie between for it to
    /// count; nothing when there are filters.
    counts_between: Option<(i64, i64)>,
    /// The same for ordinary records that are taken at once, where this processor can.
    #[cfg(target_arch = "x86_64")]
    at_once_between: Option<Between>,
    #[cfg(target_arch = "x86_64")]
    at_once: Box<AtOnce>,
}

impl<'a> Gatherer<'a> {
    /// A collector for one input after another.
    #[must_use]
    pub fn new(selection: &'a Selection, match_window_seconds: i64) -> Self {
        let counts_between = (!selection.has_filters()).then(|| {
            let (since, until) = (selection.since, selection.until);
            (since.map_or(i64::MIN, |since| since.0), until.map_or(i64::MAX, |until| until.0))
        });
        Self {
            selection,
            match_window_seconds,
            batch: Batch::default(),
            interfaces: NumberedInterfaces::new(),
            hasher: FixedState::with_seed(0x666c_6f77),
            familiar: Familiar::default(),
            usual: RowTimes::NONE,
            others: None,
            counts_between,
            #[cfg(target_arch = "x86_64")]
            at_once_between: counts_between
                .filter(|_| record::permutes())
                .and_then(|between| Between::new(between, selection.by_start)),
            #[cfg(target_arch = "x86_64")]
            at_once: AtOnce::new(),
        }
    }

    /// Whether nothing was collected since the last batch.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Batch { counts, malformed, missing, foreign, accepted, wide, rejected, status, .. } = &self.batch;
        *counts == Counts::default()
            && malformed.is_empty()
            && missing.is_empty()
            && foreign.is_empty()
            && !self.interfaces.have_news()
            && (accepted.len() == 0 && wide.is_empty() && rejected.is_empty() && status.is_empty())
    }

    /// The rows so far; the next ones go into a new batch.
    pub fn take(&mut self) -> Batch {
        self.exchange(Batch::default())
    }

    /// The rows so far; the next ones go into `empty`, whose memory is used again.
    pub fn exchange(&mut self, empty: Batch) -> Batch {
        let usual = std::mem::replace(&mut self.usual, RowTimes::NONE);
        let mut row_times = self.others.take();
        if usual.earliest_start <= usual.latest_end {
            let span = Span { start: Timestamp(usual.earliest_start), end: Timestamp(usual.latest_end) };
            self.batch.span = Some(self.batch.span.map_or(span, |known| known.union(span)));
            self.note_start(span);
            row_times = Some(row_times.map_or(usual, |others| others.and(usual)));
        }
        self.batch.row_times = row_times;
        let rows = self.batch.accepted.len();
        self.batch.numbering = self.interfaces.tell(&mut self.batch.news);
        if self.interfaces.begin_anew_if_many() {
            self.familiar = Familiar::default();
        }
        let full = std::mem::replace(&mut self.batch, empty);
        // The next batch will have about as many rows; lists that grow are copied, and have room for what never comes.
        let expected = rows + rows / 16;
        if rows > 0 && self.batch.accepted.capacity() < rows {
            self.batch.accepted.reserve_exact(expected);
            self.batch.accepted_identities.reserve_exact(expected);
        }
        full
    }

    /// Whether the place filters let a record through. By what the record itself says: what others say of its
    /// interface would depend on how the input is cut into chunks.
    #[inline]
    fn admits_place(&self, record: &FlowRecord<'_>) -> bool {
        self.selection.places.is_empty()
            || record
                .interface_id
                .or(record.resource_id)
                .is_some_and(|name| self.selection.admits_place(name, record.subnet_id, record.vpc_id))
    }

    fn status_record(&mut self, record: &FlowRecord<'_>) {
        let interface = self.interfaces.of(record);
        let span = match (record.start, record.end) {
            (Some(start), Some(end)) => Span { start, end },
            (Some(at), None) | (None, Some(at)) => Span { start: at, end: at },
            (None, None) => Span { start: Timestamp(0), end: Timestamp(0) },
        };
        if !self.admits_place(record) || !self.selection.admits_time(span) {
            self.batch.counts.filtered += 1;
            return;
        }
        let skip_data = record.log_status == LogStatus::SkipData;
        let distinct = interface.is_some() && (record.start.is_some() || record.end.is_some());
        let identity = distinct.then(|| self.status_identity(interface, skip_data, span));
        self.note_start(span);
        self.batch.status.push(StatusRow { interface, span, identity, skip_data });
    }

    fn flow_record(&mut self, record: &FlowRecord<'_>) {
        let rejected = record.action == Some(Action::Reject);
        let (Some(interface), Some(flow), Some(start), Some(end)) =
            (self.interfaces.of(record), record.flow(), record.start, record.end)
        else {
            self.unpairable(record, rejected);
            return;
        };
        self.batch.has_tcp_flags |= record.tcp_flags.is_some();
        if record.interface_id.is_some() {
            // A regional NAT gateway is no interface: no address is common to its records.
            self.interfaces.observe(interface, &flow, record.flow_direction);
        }
        let packet = packet_level(record, flow);
        let span = Span { start, end };
        let counts = self.selection.admits_time(span);
        let context = !counts && !rejected && self.selection.is_context(span, self.match_window_seconds);
        if !self.admits_place(record) || !(counts || context) || !self.selection.admits_flow(&flow, &packet) {
            self.filter_out(rejected);
            return;
        }
        if context {
            self.filter_out(rejected);
        } else {
            self.batch.span = Some(self.batch.span.map_or(span, |known| known.union(span)));
        }
        self.note_start(span);
        let identity = self.flow_identity(interface, rejected, record, &flow, &packet, span);
        if rejected {
            let row = RejectedRow {
                interface,
                flow,
                packet,
                flow_direction: record.flow_direction,
                record: rejected_record(record, span),
                identity,
                is_request: false,
            };
            self.batch.rejected.push(row);
            return;
        }
        let row = WideRow {
            interface,
            packet,
            span,
            packets: record.packets,
            bytes: record.bytes,
            tcp_flags: record.tcp_flags,
            flow_direction: record.flow_direction,
            context,
        };
        self.request(&row, flow, identity);
        self.accepted(row, identity);
    }

    /// Takes note of a request that goes out, beside the accepted row that it is.
    fn request(&mut self, row: &WideRow, flow: FiveTuple, identity: u64) {
        if !row.is_request_out() {
            return;
        }
        self.batch.requests.push(RejectedRow {
            interface: row.interface,
            flow,
            packet: row.packet,
            flow_direction: row.flow_direction,
            record: RejectedRecord {
                span: row.span,
                packets: row.packets,
                bytes: row.bytes,
                tcp_flags: row.tcp_flags,
                reject_reason: None,
            },
            identity,
            is_request: true,
        });
    }

    #[inline]
    fn accepted(&mut self, row: WideRow, identity: u64) {
        let name = self.interfaces.name_hash(row.interface);
        if let Some(compact) = row.compact(name) {
            let times = RowTimes::of(&compact);
            self.others = Some(self.others.map_or(times, |others| others.and(times)));
            self.batch.accepted.push(compact);
            self.batch.accepted_identities.push(identity);
        } else {
            self.batch.wide.push((row, identity));
        }
    }

    /// A record in a format that lacks a part of the tuple, the interface or the time: counted, never paired.
    fn unpairable(&mut self, record: &FlowRecord<'_>, rejected: bool) {
        let span = match (record.start, record.end) {
            (Some(start), Some(end)) => Some(Span { start, end }),
            _ => None,
        };
        let in_time = span.is_none_or(|span| self.selection.admits_time(span));
        if !in_time || self.selection.has_filters() {
            self.filter_out(rejected);
        } else if rejected {
            self.batch.counts.unpairable_rejected += 1;
            let packets = &mut self.batch.counts.unpairable_rejected_packets;
            *packets = packets.saturating_add(record.packets.unwrap_or(0));
        } else {
            self.batch.counts.unpairable_accepted += 1;
        }
    }

    fn filter_out(&mut self, rejected: bool) {
        self.batch.counts.filtered += 1;
        self.batch.counts.filtered_accepted += u64::from(!rejected);
    }

    fn note_start(&mut self, span: Span) {
        let earliest = self.batch.earliest_start;
        self.batch.earliest_start = Some(earliest.map_or(span.start, |known| known.min(span.start)));
    }

    /// A hash of everything that describes the flow and its window, the same for every format.
    #[inline]
    fn flow_identity(
        &self,
        interface: InterfaceIndex,
        rejected: bool,
        record: &FlowRecord<'_>,
        flow: &FiveTuple,
        packet: &FiveTuple,
        span: Span,
    ) -> u64 {
        let identity = Identity {
            name: self.interfaces.name_hash(interface),
            addresses: addresses(flow.srcaddr, flow.dstaddr),
            packet_addresses: addresses(packet.srcaddr, packet.dstaddr),
            srcport: flow.srcport,
            dstport: flow.dstport,
            protocol: flow.protocol.0,
            rejected,
            start: span.start.0,
            end: span.end.0,
            packets: record.packets.unwrap_or(u64::MAX),
            bytes: record.bytes.unwrap_or(u64::MAX),
        };
        identity.hash()
    }

    /// The same for a record without a flow.
    fn status_identity(&self, interface: Option<InterfaceIndex>, skip_data: bool, span: Span) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u64(interface.map_or(0, |index| self.interfaces.name_hash(index)));
        hasher.write_u64(1 << 16 | u64::from(skip_data));
        hasher.write_i64(span.start.0 << 32 ^ span.end.0);
        hasher.finish()
    }
}

/// The flow with packet-level addresses. With one of the two only, a request and its reply would not mirror each other.
#[inline]
fn packet_level(record: &FlowRecord<'_>, flow: FiveTuple) -> FiveTuple {
    match (record.pkt_srcaddr, record.pkt_dstaddr) {
        (Some(srcaddr), Some(dstaddr)) => FiveTuple { srcaddr, dstaddr, ..flow },
        _ => flow,
    }
}

fn rejected_record(record: &FlowRecord<'_>, span: Span) -> RejectedRecord {
    RejectedRecord {
        span,
        packets: record.packets,
        bytes: record.bytes,
        tcp_flags: record.tcp_flags,
        reject_reason: record.reject_reason,
    }
}

impl Sink for Gatherer<'_> {
    #[inline]
    fn record(&mut self, record: &FlowRecord<'_>) {
        if record.log_status == LogStatus::Ok {
            self.flow_record(record);
        } else {
            self.status_record(record);
        }
    }

    fn plain(&mut self, records: PlainRecords<'_>) {
        self.plain_records(records);
    }

    fn malformed(&mut self, line: u64, malformed: Malformed) {
        self.batch.counts.malformed += 1;
        self.batch.counts.ambiguous += u64::from(malformed.problem == Problem::Ambiguous);
        if self.batch.malformed.len() < MALFORMED_EXAMPLES {
            self.batch.malformed.push(MalformedLine { line, malformed });
        }
    }

    fn header(&mut self) {
        self.batch.counts.headers += 1;
    }

    fn transit_gateway(&mut self) {
        self.batch.counts.transit_gateway += 1;
    }

    fn format(&mut self, format: &LogFormat) {
        if format.is_transit_gateway() {
            return;
        }
        self.batch.has_tcp_flags |= format.has_tcp_flags();
        for missing in format.missing().into_iter().chain(format.missing_packet_addresses()) {
            if !self.batch.missing.contains(&missing) {
                self.batch.missing.push(missing);
            }
        }
    }

    fn foreign_json(&mut self, _line: u64, key: &'static str) {
        if !self.batch.foreign.contains(&key) {
            self.batch.foreign.push(key);
        }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests;
