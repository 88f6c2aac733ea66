//! Requests that got no answer: a short block below the findings, since they are none.

use std::io;

use super::super::phrase::{counted, endpoint, grouped};
use super::super::view::NoReplyGroup;
use super::super::wording::silent_total;
use super::Sheet;
use super::page::{Flow, Text, Tone};

/// Groups before `+n more`.
const GROUPS: usize = 5;

impl Sheet<'_> {
    /// Where requests went that nothing came back from, and what that can mean.
    pub(super) fn no_reply(&mut self) -> io::Result<()> {
        let diagnosis = self.wording.diagnosis;
        let Some(silent) = &diagnosis.no_reply else {
            return match &diagnosis.no_reply_unknown {
                Some(reason) if self.style.verbose => {
                    self.page.gap()?;
                    self.page.flow(&Flow::new(Text::default(), 2).words(Tone::Faint, reason))
                }
                _ => Ok(()),
            };
        };
        if silent.groups.is_empty() {
            return Ok(());
        }
        self.page.gap()?;
        let line = Flow::new(Text::default(), 2)
            .then("", Text::new(Tone::Strong, "no reply"))
            .then(" ", Text::blank(0))
            .words(Tone::Plain, &silent_total(silent));
        self.page.flow(&line)?;
        let shown = if self.style.verbose { silent.groups.len() } else { GROUPS };
        let groups = silent.groups.iter().take(shown);
        let column = groups.clone().map(|group| grouped(group.conversations).len()).max().unwrap_or(0);
        for group in groups {
            self.silence(group, column)?;
        }
        let hidden = silent.groups.len().saturating_sub(shown) as u64 + silent.groups_left_out;
        if hidden > 0 {
            let more = format!("+{} more", grouped(hidden));
            self.page.line(&Text::blank(column + 4).and(Tone::Faint, &more))?;
        }
        if silent.not_known_yet > 0 && self.style.verbose {
            let late = format!("{} too late to know yet", counted(silent.not_known_yet, "request"));
            self.page.line(&Text::blank(column + 4).and(Tone::Faint, &late))?;
        }
        Ok(())
    }

    fn silence(&mut self, group: &NoReplyGroup, column: usize) -> io::Result<()> {
        let number = grouped(group.conversations);
        let lead = Text::blank(2 + column - number.len()).and(Tone::Plain, &number).and(Tone::Plain, "  ");
        let to = endpoint(&group.dstaddr, group.service.port, group.service.protocol);
        let line = Flow::new(lead, column + 4)
            .then("", self.named(Tone::Plain, &group.interface_id))
            .then(" ", Text::plain("→"))
            .then(" ", Text::plain(&to))
            .then("  ", Text::plain(&self.wording.calendar.span(group.first_seen, group.last_seen)))
            .then(" ", Text::blank(0))
            .words(Tone::Faint, &group.detail);
        self.page.flow(&line)
    }
}
