//! What accepted rows are held against when they are forgotten: rejects, and what else rejects made worth knowing.
//!
//! One pass over each run. Nearly all rows are of no interest to anyone, which their heads tell by a bit for each of those
//! who ask; only the others are looked at in full.

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

/// More than this is not found at once, beyond one run for each thread: it takes memory until it is taken note of.
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
        self.look(run, found);
        self.take(found);
    }

    /// Shows them the rows of all these runs, on so many threads. What comes of it does not depend on their number.
    pub(super) fn probe_all(&mut self, runs: Vec<Run>, threads: usize) {
        let runs = Mutex::new(runs.into_iter());
        let next = || runs.lock().unwrap_or_else(PoisonError::into_inner).next();
        let mut found: Vec<Found> = std::iter::repeat_with(Found::default).take(threads.max(1)).collect();
        let mut is_over = false;
        while !is_over {
            let this = &*self;
            let look = |found: &mut Found| {
                while found.len() < MOST_FOUND {
                    let Some(run) = next() else { return true };
                    this.look(&run, found);
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

    /// Finds what they want of one run.
    fn look(&self, run: &Run, found: &mut Found) {
        let Found { hits, accepted, of_clients } = found;
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
            self.rejects.probe_row(&run.widen(row), self.match_window_seconds, hits);
        });
        for_each(&of_kind, &run.rows, |row| {
            if told.tells(row) {
                self.onsets.probe_row(&run.widen(row), self.interfaces, accepted);
            }
        });
        for row in &run.wide {
            self.rejects.probe_row(row, self.match_window_seconds, hits);
            self.onsets.probe_row(row, self.interfaces, accepted);
        }
        if self.clients.are_asking() {
            let rows = run.rows.iter().filter(|row| self.clients.may_know(row));
            of_clients.extend(rows.map(|row| run.widen(&row)));
            of_clients.extend(&run.wide);
        }
    }

    /// Takes note of what was found.
    fn take(&mut self, found: &mut Found) {
        self.rejects.take_hits(&mut found.hits);
        self.onsets.take_accepted(&mut found.accepted);
        found.of_clients.drain(..).for_each(|row| self.clients.probe_row(&row));
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
