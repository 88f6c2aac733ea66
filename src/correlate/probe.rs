//! What accepted rows are held against when they are forgotten: rejects, and what else rejects made worth knowing.
//!
//! One pass over each run. Nearly all rows are of no interest to anyone, which their heads tell by a bit for each of those
//! who ask; only the others are looked at in full.

use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};

use super::accepted::{AcceptedRow, WideRow};
use super::clients::Clients;
use super::interface::InterfaceTable;
use super::onset::{Accepted, Turns};
use super::reject::{FlowHit, RejectTable};
use super::rows::Rows;
use super::waiting::Run;

/// Rows whose heads are looked at together: one for each bit of a word.
const HEADS_AT_ONCE: usize = 64;

/// Rows that are read together: the processor waits for all of them at once.
const ROWS_AT_ONCE: usize = 32;

/// Rows of a run that are looked at before what was found is taken note of: until then it takes memory.
const ROWS_A_PORTION: usize = if cfg!(test) { 3 } else { 1 << 16 };

/// More than this is not found at once by any thread, beyond one portion.
const MOST_FOUND: usize = if cfg!(test) { 2 } else { 1 << 16 };

/// Those who ask.
pub(super) struct Askers<'a> {
    pub(super) rejects: &'a mut RejectTable,
    pub(super) clients: &'a mut Clients,
    pub(super) onsets: &'a mut Turns,
    pub(super) interfaces: &'a InterfaceTable,
    pub(super) match_window_seconds: i64,
}

/// What was found for them and not taken note of.
#[derive(Debug, Default)]
pub(super) struct Found {
    hits: Vec<FlowHit>,
    accepted: Vec<Accepted>,
    of_clients: Vec<WideRow>,
}

impl Found {
    fn len(&self) -> usize {
        self.hits.len() + self.accepted.len() + self.of_clients.len()
    }
}

impl Askers<'_> {
    /// Shows them the rows of one run.
    pub(super) fn probe(&mut self, run: &Run, found: &mut Found) {
        for portion in portions(run) {
            self.look(run, portion, found);
            self.take(found);
        }
    }

    /// Shows them the rows of all these runs, on so many threads. What comes of it does not depend on their number.
    pub(super) fn probe_all(&mut self, runs: &[Run], threads: usize) {
        let all = || runs.iter().flat_map(|run| portions(run).map(move |portion| (run, portion)));
        let threads = threads.min(all().take(threads).count()).max(1);
        let left = Mutex::new(all());
        let next = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
        let mut found: Vec<Found> = std::iter::repeat_with(Found::default).take(threads).collect();
        let mut is_over = false;
        while !is_over {
            let this = &*self;
            let look = |found: &mut Found| {
                while found.len() < MOST_FOUND {
                    let Some((run, portion)) = next() else { return true };
                    this.look(run, portion, found);
                }
                false
            };
            is_over = std::thread::scope(|scope| {
                let looking: Vec<_> = found.iter_mut().map(|found| scope.spawn(|| look(found))).collect();
                let ends =
                    looking.into_iter().map(|one| one.join().unwrap_or_else(|panic| resume_unwind(panic)));
                ends.fold(true, |all, is_over| all & is_over)
            });
            for found in &mut found {
                self.take(found);
            }
        }
    }

    /// Finds what they want of a portion of a run.
    fn look(&self, run: &Run, portion: Range<usize>, found: &mut Found) {
        let Found { hits, accepted, of_clients } = found;
        let of = |length: usize| portion.start.min(length)..portion.end.min(length);
        let (rows, wide) = (of(run.rows.len()), &run.wide[of(run.wide.len())]);
        let told = self.onsets.told_of(run.span(), rows.len());
        let (mut of_reject, mut of_kind) = (Vec::new(), Vec::new());
        for (nth, heads) in run.rows.heads()[rows.clone()].chunks(HEADS_AT_ONCE).enumerate() {
            // Who may want which rows is asked first, without a branch for each row.
            let (mut reject_bits, mut kind_bits) = (0_u64, 0_u64);
            for (nth, head) in heads.iter().enumerate() {
                reject_bits |= u64::from(self.rejects.may_contain(head.conversation)) << nth;
                kind_bits |= u64::from(told.has(head.origin)) << nth;
            }
            let first = rows.start + nth * HEADS_AT_ONCE;
            of_reject.extend(places(first, reject_bits));
            of_kind.extend(places(first, kind_bits));
        }
        for_each(&of_reject, &run.rows, |row| {
            self.rejects.probe_row(&run.widen(row), self.match_window_seconds, hits);
        });
        for_each(&of_kind, &run.rows, |row| {
            if told.tells(row) {
                self.onsets.probe_row(&run.widen(row), self.interfaces, accepted);
            }
        });
        for row in wide {
            self.rejects.probe_row(row, self.match_window_seconds, hits);
            self.onsets.probe_row(row, self.interfaces, accepted);
        }
        if self.clients.are_asking() {
            let rows = rows.map(|place| run.rows.at(place)).filter(|row| self.clients.may_know(row));
            let rows = rows.map(|row| run.widen(&row)).chain(wide.iter().copied());
            of_clients.extend(rows.filter(|row| self.clients.know(row)));
        }
    }

    /// Takes note of what was found.
    fn take(&mut self, found: &mut Found) {
        self.rejects.take_hits(&mut found.hits);
        self.onsets.take_accepted(&mut found.accepted);
        found.of_clients.drain(..).for_each(|row| self.clients.take(&row));
    }
}

/// The rows of a run, and its wide ones, by their places.
fn portions(run: &Run) -> impl Iterator<Item = Range<usize>> + use<> {
    let all = run.rows.len().max(run.wide.len());
    (0..all).step_by(ROWS_A_PORTION).map(|first| first..first + ROWS_A_PORTION)
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
