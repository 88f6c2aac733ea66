//! What accepted rows are held against when they are forgotten: rejects, and what else rejects made worth knowing.
//!
//! One pass over each run. Nearly all rows are of no interest to anyone, which their heads tell by a bit for each of those
//! who ask; only the others are looked at in full.

use super::accepted::AcceptedRow;
use super::clients::Clients;
use super::interface::InterfaceTable;
use super::onset::Turns;
use super::reject::RejectTable;
use super::rows::Rows;
use super::waiting::Run;

/// Rows whose heads are looked at together: one for each bit of a word.
const HEADS_AT_ONCE: usize = 64;

/// Rows that are read together: the processor waits for all of them at once.
const ROWS_AT_ONCE: usize = 32;

/// Those who ask.
pub(super) struct Askers<'a> {
    pub(super) rejects: &'a mut RejectTable,
    pub(super) clients: &'a mut Clients,
    pub(super) onsets: &'a mut Turns,
    pub(super) interfaces: &'a InterfaceTable,
    pub(super) match_window_seconds: i64,
}

impl Askers<'_> {
    /// Shows them the rows of one run.
    pub(super) fn probe(&mut self, run: &Run) {
        let told = self.onsets.told_of(run.span());
        let (mut of_reject, mut of_kind) = (Vec::new(), Vec::new());
        for (nth, heads) in run.rows.heads().chunks(HEADS_AT_ONCE).enumerate() {
            // Who may want which rows is asked first, without a branch for each row.
            let (mut reject_bits, mut kind_bits) = (0_u64, 0_u64);
            for (nth, head) in heads.iter().enumerate() {
                reject_bits |= u64::from(self.rejects.may_contain(head.conversation)) << nth;
                kind_bits |= u64::from(told.has(head.origin)) << nth;
            }
            of_reject.extend(places(nth * HEADS_AT_ONCE, reject_bits));
            of_kind.extend(places(nth * HEADS_AT_ONCE, kind_bits));
        }
        for_each(&of_reject, &run.rows, |row| {
            self.rejects.probe_row(&run.widen(row), self.match_window_seconds);
        });
        for_each(&of_kind, &run.rows, |row| {
            if told.tells(row) {
                self.onsets.probe_row(&run.widen(row), self.interfaces);
            }
        });
        if self.clients.are_asking() {
            for row in run.rows.iter() {
                if self.clients.may_know(&row) {
                    self.clients.probe_row(&run.widen(&row));
                }
            }
        }
        for row in &run.wide {
            self.rejects.probe_row(row, self.match_window_seconds);
            self.onsets.probe_row(row, self.interfaces);
            self.clients.probe_row(row);
        }
    }
}

/// The rows at these places, some read at once.
fn for_each(places: &[usize], rows: &Rows, mut look: impl FnMut(&AcceptedRow)) {
    let mut read = Vec::with_capacity(ROWS_AT_ONCE);
    for places in places.chunks(ROWS_AT_ONCE) {
        read.clear();
        read.extend(places.iter().map(|place| rows.at(*place)));
        read.iter().for_each(&mut look);
    }
}

/// The places from the `first` one on whose bits are set.
fn places(first: usize, mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let nth = bits.trailing_zeros() as usize;
        (nth < HEADS_AT_ONCE).then(|| {
            bits &= bits - 1;
            first + nth
        })
    })
}
