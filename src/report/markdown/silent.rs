//! Requests that got no answer, as a table.

use std::io;

use super::super::escape::{markdown, markdown_code};
use super::super::phrase::{endpoint, grouped};
use super::super::wording::silent_total;
use super::Document;

/// Rows of the table.
const ROWS: usize = 20;

impl Document<'_> {
    pub(super) fn no_reply(&mut self) -> io::Result<()> {
        let Some(silent) = &self.wording.diagnosis.no_reply else { return Ok(()) };
        if silent.groups.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "\n## Requests without a reply\n")?;
        writeln!(self.out, "{}. They are not among the rejected replies.\n", silent_total(silent))?;
        writeln!(self.out, "| conversations | from | to | when | what is left |\n|--:|---|---|---|---|")?;
        for group in silent.groups.iter().take(ROWS) {
            let to = endpoint(&group.dstaddr, group.service.port, group.service.protocol);
            writeln!(
                self.out,
                "| {} | {} | {} | {} | {} |",
                grouped(group.conversations),
                self.named(&group.interface_id),
                markdown_code(&to),
                self.wording.calendar.span(group.first_seen, group.last_seen),
                markdown(&group.detail)
            )?;
        }
        let hidden = silent.groups.len().saturating_sub(ROWS) as u64 + silent.groups_left_out;
        if hidden > 0 { writeln!(self.out, "\n+{} more", grouped(hidden)) } else { Ok(()) }
    }
}
