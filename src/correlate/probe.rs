//! What accepted rows are held against when they are forgotten: rejects, and what else rejects made worth knowing.
//!
//! One pass over each run. Nearly all rows are of no interest to anyone, which a bit for each of those who ask tells;
//! only the others are looked at in full.

use super::accepted::AcceptedRow;
use super::clients::Clients;
use super::interface::InterfaceTable;
use super::onset::Turns;
use super::reject::RejectTable;
use super::waiting::Run;

/// Rows looked at together: one for each bit of a word.
const AT_ONCE: usize = 64;

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
        for rows in run.rows.chunks(AT_ONCE) {
            // Who may want which rows is asked first, without a branch for each row.
            let (mut of_reject, mut of_kind, mut of_client) = (0_u64, 0_u64, 0_u64);
            for (nth, row) in rows.iter().enumerate() {
                of_reject |= u64::from(self.rejects.may_contain(row.conversation_hash())) << nth;
                of_kind |= u64::from(self.onsets.may_know(row, run.interface(row))) << nth;
                of_client |= u64::from(self.clients.may_know(row)) << nth;
            }
            for row in chosen(rows, of_reject) {
                self.rejects.probe_row(&run.widen(row), self.match_window_seconds);
            }
            for row in chosen(rows, of_kind) {
                self.onsets.probe_row(&run.widen(row), self.interfaces);
            }
            for row in chosen(rows, of_client) {
                self.clients.probe_row(&run.widen(row));
            }
        }
        for row in &run.wide {
            self.rejects.probe_row(row, self.match_window_seconds);
            self.onsets.probe_row(row, self.interfaces);
            self.clients.probe_row(row);
        }
    }
}

/// The rows whose bits are set.
fn chosen(rows: &[AcceptedRow], mut bits: u64) -> impl Iterator<Item = &AcceptedRow> {
    std::iter::from_fn(move || {
        let row = rows.get(bits.trailing_zeros() as usize)?;
        bits &= bits - 1;
        Some(row)
    })
}
