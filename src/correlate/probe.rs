//! What accepted rows are held against when they are forgotten: rejects, and what else rejects made worth knowing.
//!
//! One pass over each run. Nearly all rows are of no interest to anyone, which a bit for each of those who ask tells;
//! only the others are looked at in full.

use super::accepted::WideRow;
use super::clients::Clients;
use super::interface::InterfaceTable;
use super::onset::Turns;
use super::reject::RejectTable;
use super::waiting::Run;

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
        for row in &run.rows {
            let interface = match &run.interfaces {
                Some(interfaces) => interfaces[row.interface().0 as usize],
                None => row.interface(),
            };
            if self.rejects.may_contain(row.conversation_hash()) {
                let row = WideRow { interface, ..row.widen() };
                self.rejects.probe_row(&row, self.match_window_seconds);
            }
            if self.onsets.may_know(row, interface) {
                self.onsets.probe_row(&WideRow { interface, ..row.widen() }, self.interfaces);
            }
            if self.clients.may_know(row) {
                self.clients.probe_row(&WideRow { interface, ..row.widen() });
            }
        }
        for row in &run.wide {
            self.rejects.probe_row(row, self.match_window_seconds);
            self.onsets.probe_row(row, self.interfaces);
            self.clients.probe_row(row);
        }
    }
}
