//! What stands below the findings: replies the ACL let through, other rejects, and what limits the result.

use std::io;

use super::super::phrase::{counted, grouped};
use super::super::view::{Finding, OtherReject};
use super::super::wording::{other_cause, other_kind};
use super::Sheet;
use super::page::{Flow, Text, Tone, clipped};

/// Kinds of other rejects before `+n more`.
const KINDS: usize = 8;
/// Columns of a malformed field's value.
const VALUE_COLUMNS: usize = 40;

impl Sheet<'_> {
    /// Rejected replies that no ACL entry explains, one dim line or two for each.
    pub(super) fn not_the_acl(&mut self, findings: &[&Finding]) -> io::Result<()> {
        if findings.is_empty() {
            return Ok(());
        }
        self.page.gap()?;
        if findings.len() == self.wording.diagnosis.findings.len() {
            let text = "No network ACL rule was found to drop return traffic.";
            self.page.flow(&Flow::new(self.all_clear(), 2).words(Tone::Strong, text))?;
        }
        self.page.line(&Text::new(Tone::Faint, "not the network ACL"))?;
        for finding in findings {
            let counts = format!(
                "{}, {}:",
                counted(finding.conversations, "conversation"),
                counted(finding.packets, "reply packet")
            );
            let detail = finding.detail.as_deref().unwrap_or("the network ACL allows these replies");
            let doubt = if finding.confidence == "proven" { "" } else { finding.confidence };
            let mut line = Flow::new(Text::blank(2), 4)
                .then("", Text::new(Tone::Faint, &counts))
                .words(Tone::Faint, doubt)
                .words(Tone::Faint, detail);
            // Saying `+1 more` takes the room of the one.
            let interfaces = finding.interface_ids.len();
            let shown = if self.style.verbose || interfaces <= 3 { interfaces } else { 2 };
            for id in finding.interface_ids.iter().take(shown) {
                line = line.then(" · ", self.named(Tone::Faint, id));
            }
            if interfaces > shown {
                line = line.then(" · ", Self::more(interfaces - shown));
            }
            let when = self.wording.when(finding);
            self.page.flow(&line.then(" · ", Text::new(Tone::Faint, &when)))?;
        }
        Ok(())
    }

    /// Rejected requests and scans, by what the ACL says about them.
    pub(super) fn other_rejects(&mut self) -> io::Result<()> {
        let others = &self.wording.diagnosis.other_rejects;
        if others.records == 0 {
            return Ok(());
        }
        self.page.gap()?;
        let total = format!("{}, {}", counted(others.records, "record"), counted(others.packets, "packet"));
        let line = Flow::new(Text::default(), 2)
            .then("", Text::new(Tone::Strong, "other rejects"))
            .then("  ", Text::plain(&total))
            .then("  ", Text::new(Tone::Faint, "requests and scans, not return traffic"));
        self.page.flow(&line)?;
        let shown = if self.style.verbose { others.by_cause.len() } else { KINDS };
        let kinds = others.by_cause.iter().take(shown);
        let column = kinds.clone().map(|other| grouped(other.records).len()).max().unwrap_or(0);
        for other in kinds {
            self.other_reject(other, column)?;
        }
        match others.by_cause.len().saturating_sub(shown) {
            0 => Ok(()),
            hidden => self.page.line(&Text::blank(column + 4).and(Tone::Faint, &format!("+{hidden} more"))),
        }
    }

    fn other_reject(&mut self, other: &OtherReject, column: usize) -> io::Result<()> {
        let number = grouped(other.records);
        let lead = Text::blank(2 + column - number.len()).and(Tone::Plain, &number).and(Tone::Plain, "  ");
        let hang = column + 4;
        let mut line = Flow::new(lead, hang);
        if let Some(id) = &other.network_acl_id {
            line = line.then("", self.named(Tone::Plain, id));
        }
        if let Some(direction) = other.direction {
            line = line.then(" ", Text::plain(direction.as_str()));
        }
        line = match (&other.rule, &other.reason) {
            (Some(rule), _) => line.then("  ", Text::plain(rule)),
            (None, Some(reason)) => line.then(" ", Text::blank(0)).words(Tone::Plain, reason),
            (None, None) => line.then("  ", Text::plain(other_cause(other))),
        };
        self.page.flow(&line.then("  ", Text::new(Tone::Faint, other_kind(other))))
    }

    /// What was read of sources that are larger than that, and how.
    pub(super) fn notes(&mut self) -> io::Result<()> {
        let requests = self.wording.requests().filter(|_| self.style.verbose || self.has_repeated());
        let notes: Vec<_> = self.wording.diagnosis.notes.iter().cloned().chain(requests).collect();
        if notes.is_empty() {
            return Ok(());
        }
        self.page.gap()?;
        for note in notes {
            let lead = Text::new(Tone::Faint, "read  ");
            self.page.flow(&Flow::new(lead, 6).words(Tone::Faint, &note))?;
        }
        Ok(())
    }

    fn has_repeated(&self) -> bool {
        let requests = self.wording.diagnosis.input.requests;
        requests.repeated + requests.resumed > 0
    }

    /// Warnings, inputs not read to their end, and lines that are no record.
    pub(super) fn caveats(&mut self) -> io::Result<()> {
        let diagnosis = self.wording.diagnosis;
        let input = &diagnosis.input;
        if diagnosis.warnings.is_empty() && input.incomplete.is_empty() && input.malformed_examples.is_empty()
        {
            return Ok(());
        }
        self.page.gap()?;
        for warning in &diagnosis.warnings {
            self.page.flow(&Self::caution().words(Tone::Caution, warning))?;
        }
        for incomplete in &input.incomplete {
            let line = Self::caution()
                .then("", Text::new(Tone::Caution, "incomplete"))
                .then("  ", Text::plain(&format!("{}:", incomplete.source)));
            self.page.flow(&line.words(Tone::Caution, &incomplete.error))?;
        }
        for example in &input.malformed_examples {
            let value = format!("{}={}", example.field, clipped(&example.value, VALUE_COLUMNS));
            let line = Self::caution()
                .then("", Text::new(Tone::Caution, "malformed"))
                .then("  ", Text::plain(&format!("{}:{}", example.source, example.line)))
                .then("  ", Text::plain(&value));
            self.page.flow(&line.words(Tone::Faint, &example.error))?;
        }
        let shown = u64::try_from(input.malformed_examples.len()).unwrap_or(u64::MAX);
        match input.malformed.saturating_sub(shown) {
            0 => Ok(()),
            _ if shown == 0 => Ok(()),
            hidden => self
                .page
                .line(&Text::blank(2).and(Tone::Faint, &format!("+{} more malformed", grouped(hidden)))),
        }
    }

    fn caution() -> Flow {
        Flow::new(Text::new(Tone::Caution, "! "), 2)
    }
}
