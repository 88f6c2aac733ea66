//! Ordinary records, nearly all of which say nothing new about their interfaces: rows without looking anything up at
//! leisure.

use std::net::Ipv4Addr;
use std::ops::BitOr;

use super::Gatherer;
use crate::correlate::accepted::AcceptedRow;
#[cfg(target_arch = "x86_64")]
use crate::correlate::at_once::{Between, Times};
use crate::correlate::hash::Identity;
use crate::correlate::numbering::Numbered;
use crate::net::{FiveTuple, TcpFlags};
use crate::record::{PlainRecord, PlainRecords};

impl Gatherer<'_> {
    /// Takes ordinary records: first those that say nothing new, then the others.
    pub(super) fn plain_records(&mut self, records: PlainRecords<'_>) {
        let taken = self.accepted_as_usual(records);
        let mut others = records.all() & !taken;
        while others != 0 {
            // What is unfamiliar is so no longer when it comes again.
            let record = records.at(others.trailing_zeros() as usize);
            if !self.accepted_by_itself(&record) {
                self.unfamiliar(&record);
            }
            others &= others - 1;
        }
    }

    /// Takes the accepted records that count, of interfaces about which they say nothing new; one bit for each that was
    /// taken.
    fn accepted_as_usual(&mut self, records: PlainRecords<'_>) -> u64 {
        #[cfg(target_arch = "x86_64")]
        if let Some(between) = self.at_once_between {
            return self.accepted_at_once(records, between);
        }
        for record in records.iter() {
            self.familiar.expect(record.interface_id(), records.have_places());
        }
        let taken = |(nth, record)| u64::from(self.accepted_by_itself(&record)) << nth;
        (0..).zip(records.iter()).map(taken).fold(0, BitOr::bitor)
    }

    #[cfg(target_arch = "x86_64")]
    fn accepted_at_once(&mut self, records: PlainRecords<'_>, between: Between) -> u64 {
        let taken = self.at_once.take(records, &self.familiar, between);
        let before = self.batch.accepted.len();
        let (heads, bodies, identities) = self.at_once.rows(taken.records.count_ones() as usize);
        self.batch.accepted.extend(heads, bodies);
        self.batch.accepted_identities.extend_from_slice(identities);
        let mut syns = taken.syns;
        while syns != 0 {
            let nth = syns.trailing_zeros();
            let rows_before = (taken.records & ((1 << nth) - 1)).count_ones() as usize;
            let (srcaddr, dstaddr) = records.at(nth as usize).addresses();
            self.may_be_request(before + rows_before, srcaddr, dstaddr);
            syns &= syns - 1;
        }
        if taken.records != 0 {
            let Times { earliest_start, latest_start, latest_end } = taken.times;
            self.took_as_usual(earliest_start.into(), latest_start.into(), latest_end.into());
        }
        taken.records
    }

    /// Rows were taken that began and ended then.
    #[inline]
    fn took_as_usual(&mut self, earliest_start: i64, latest_start: i64, latest_end: i64) {
        self.usual.earliest_start = self.usual.earliest_start.min(earliest_start);
        self.usual.latest_start = self.usual.latest_start.max(latest_start);
        self.usual.latest_end = self.usual.latest_end.max(latest_end);
    }

    /// Takes an accepted record that counts, of an interface about which it says nothing new; `false` for any other.
    #[expect(clippy::inline_always, reason = "as a call, the record is copied")]
    #[inline(always)]
    fn accepted_by_itself(&mut self, record: &PlainRecord<'_>) -> bool {
        let (start, end) = (i64::from(record.start()), i64::from(record.end()));
        let from = if self.selection.by_start { start } else { end };
        let counts = self.counts_between.is_some_and(|(since, until)| since <= from && start < until);
        if record.is_rejected() || !counts {
            return false;
        }
        let Some((interface, name)) = self.familiar.find(record) else { return false };
        let Some(row) = AcceptedRow::of_plain(record, interface, name) else { return false };
        self.batch.accepted.push(row);
        self.batch.accepted_identities.push(Identity::of_plain(record, name).hash());
        if record.tcp_flags() == Some(TcpFlags::SYN_ALONE) {
            let (srcaddr, dstaddr) = record.addresses();
            self.may_be_request(self.batch.accepted.len() - 1, srcaddr, dstaddr);
        }
        self.took_as_usual(start, start, end);
        true
    }

    /// Takes any other ordinary record, and remembers what it says of its interface.
    #[inline(never)]
    fn unfamiliar(&mut self, record: &PlainRecord<'_>) {
        self.flow_record(&record.widen());
        if let Some((index, Numbered { interface, name, .. })) = self.interfaces.last() {
            self.familiar.learn(record, index, *name, interface);
        }
    }

    /// Takes note of a request that goes out, beside the compact row that it is; its record has these addresses.
    #[cold]
    #[inline(never)]
    fn may_be_request(&mut self, place: usize, srcaddr: u32, dstaddr: u32) {
        let row = self.batch.accepted.at(place).widen();
        let identity = self.batch.accepted_identities[place];
        let (srcaddr, dstaddr) = (Ipv4Addr::from(srcaddr).into(), Ipv4Addr::from(dstaddr).into());
        let flow = FiveTuple { srcaddr, dstaddr, ..row.packet };
        self.request(&row, flow, identity);
    }
}
