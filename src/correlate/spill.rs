//! Rows and rejects that memory has no room for: they go to a temporary file by conversation, and each part of it is
//! joined by itself later on. What is joined together does not depend on order, so that nothing is different for it.

use std::sync::Arc;

use super::accepted::WideRow;
use super::conversation::RejectedRecord;
use super::encoding::{Encoded, put_rejected, put_row};
use super::hash::{conversation_hash, partition_of};
use super::interface::InterfaceTable;
use super::overflow::{Partitioned, Quota};
use super::reject::{RejectTable, RejectedRow};
use super::waiting::Waiting;
use crate::net::Timestamp;

/// Why rows of a part are not kept that memory has no room for.
const ONE_PART: &str = "one conversation takes more than the memory limit by itself";

/// Records that were counted and then not kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) accepted: u64,
    pub(super) rejected: u64,
    pub(super) rejected_packets: u64,
    /// Requests whose answer is no longer looked for; they are kept as accepted records.
    pub(super) requests: u64,
}

impl Lost {
    pub(super) fn rejected(&mut self, record: &RejectedRecord) {
        self.rejected += 1;
        self.rejected_packets = self.rejected_packets.saturating_add(record.packets.unwrap_or(0));
    }

    /// A row of the table of rejects.
    pub(super) fn row(&mut self, row: &RejectedRow) {
        if row.is_request {
            self.requests += 1;
        } else {
            self.rejected(&row.record);
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.rejected_packets = self.rejected_packets.saturating_add(other.rejected_packets);
    }
}

/// What may be forgotten when a part is joined.
#[derive(Debug, Clone, Copy)]
pub(super) struct Until {
    /// No record that started before this moment is to come; `None` when none is to come at all.
    pub(super) earliest: Option<Timestamp>,
    pub(super) match_window_seconds: i64,
    /// Bytes that the rejects of one part may take.
    pub(super) limit: usize,
}

/// Rows and rejects outside memory.
#[derive(Debug)]
pub(super) struct Spilled {
    rows: Partitioned,
    rejects: Partitioned,
    latest_end: Option<Timestamp>,
    quota: Arc<Quota>,
    pub(super) lost: Lost,
}

impl Spilled {
    /// Nothing; `budget` bytes may wait in memory before they are written.
    pub(super) fn new(budget: usize, quota: &Arc<Quota>) -> Self {
        Self {
            rows: Partitioned::new(budget / 2, quota),
            rejects: Partitioned::new(budget / 2, quota),
            latest_end: None,
            quota: Arc::clone(quota),
            lost: Lost::default(),
        }
    }

    /// Takes all there is.
    pub(super) fn take(&mut self, waiting: &mut Waiting, rejects: &mut RejectTable) {
        for run in waiting.take_all() {
            run.rows.iter().for_each(|row| self.row(&run.widen(&row)));
            run.wide.iter().for_each(|row| self.row(row));
            waiting.reuse(run);
        }
        for entry in rejects.take_entries() {
            entry.rows().for_each(|row| self.rejected(&row));
            // Hits find their way back when they are looked up once more.
            entry.into_hits().for_each(|row| self.row(&row));
        }
    }

    fn note(&mut self, end: Timestamp) {
        self.latest_end = self.latest_end.max(Some(end));
    }

    fn row(&mut self, row: &WideRow) {
        self.note(row.span.end);
        self.rows.push(partition_of(conversation_hash(&row.packet)), |out| put_row(out, row));
        if self.rows.is_due() {
            let lost = &mut self.lost;
            self.rows.write(|_, rows| {
                let mut rows = Encoded(rows);
                while rows.row().is_some() {
                    lost.accepted += 1;
                }
            });
        }
    }

    fn rejected(&mut self, row: &RejectedRow) {
        self.note(row.record.span.end);
        self.rejects.push(partition_of(conversation_hash(&row.packet)), |out| put_rejected(out, row));
        if self.rejects.is_due() {
            let lost = &mut self.lost;
            self.rejects.write(|_, rows| {
                let mut rows = Encoded(rows);
                while let Some(row) = rows.rejected() {
                    lost.row(&row);
                }
            });
        }
    }

    /// Whether everything here ended before a moment.
    pub(super) fn ended_before(&self, moment: Timestamp) -> bool {
        self.latest_end.is_none_or(|end| end < moment)
    }

    /// Joins the rows and rejects of one part as far as nothing to come can change it. Rows that are to wait on go to
    /// `waiting`, `forgotten` is shown the others; the rejects, with what was found for them, are the result, and with them the moment before which
    /// those that are over ended.
    pub(super) fn join(
        &mut self,
        partition: usize,
        until: Until,
        (waiting, interfaces): (&mut Waiting, &InterfaceTable),
        forgotten: &mut dyn FnMut(&WideRow),
    ) -> (RejectTable, Option<Timestamp>) {
        let window = until.match_window_seconds;
        // Their flows may be fewer; a table that grows moves everything again and again.
        let room = usize::try_from(self.rejects.rows(partition)).unwrap_or(usize::MAX);
        let mut table = RejectTable::with_room_for(room.min(until.limit / RejectTable::BYTES_A_FLOW));
        let (mut space, mut hits) = (Vec::new(), Vec::new());
        let (lost, quota) = (&mut self.lost, &self.quota);
        let unread = self.rejects.blocks(partition, &mut space, |block| {
            let mut rows = Encoded(block);
            while let Some(row) = rows.rejected() {
                if table.bytes() > until.limit {
                    quota.refuse(&ONE_PART);
                    lost.row(&row);
                } else {
                    table.insert(&row);
                }
            }
        });
        lost.rejected += unread.err().map_or(0, |unread| unread.rows);
        let kept_from = until.earliest.map(|earliest| earliest.plus_seconds(-window));
        let mut first_kept = until.earliest;
        let unread = self.rows.blocks(partition, &mut space, |block| {
            let mut rows = Encoded(block);
            while let Some(row) = rows.row() {
                if kept_from.is_some_and(|from| row.span.end >= from) {
                    first_kept = first_kept.min(Some(row.span.start));
                    waiting.add_row(row, interfaces.name_hash(row.interface));
                    continue;
                }
                forgotten(&row);
                if table.bytes() > until.limit.saturating_mul(2) {
                    quota.refuse(&ONE_PART);
                    lost.accepted += 1;
                } else {
                    table.probe_row(&row, window, &mut hits);
                    table.take_hits(&mut hits);
                }
            }
        });
        lost.accepted += unread.err().map_or(0, |unread| unread.rows);
        (table, first_kept.map(|first| first.plus_seconds(-window)))
    }

    /// Bytes in the temporary file.
    pub(super) fn stored(&self) -> u64 {
        self.rows.stored() + self.rejects.stored()
    }

    /// Bytes held in memory.
    pub(super) fn bytes(&self) -> usize {
        self.rows.bytes() + self.rejects.bytes()
    }
}
