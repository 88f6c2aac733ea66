//! The change that would restore a finding's replies, with its commands in a code block.

use std::io;

use super::super::escape::{markdown, markdown_code, terminal};
use super::super::view::{Finding, Fix};
use super::super::wording::{admitted, blocked, outcome};
use super::Document;

impl Document<'_> {
    /// Nothing where no ACL that is known is to blame.
    pub(super) fn fix(&mut self, finding: &Finding) -> io::Result<()> {
        let Some(fix) = &finding.fix else { return Ok(()) };
        writeln!(self.out, "\n### Fix\n")?;
        self.change(fix, "")?;
        for other in &fix.alternatives {
            self.change(other, "or ")?;
        }
        self.commands(fix)?;
        fix.alternatives.iter().try_for_each(|other| self.commands(other))
    }

    fn change(&mut self, fix: &Fix, or: &str) -> io::Result<()> {
        let Some(first) = fix.entries.first() else {
            return writeln!(
                self.out,
                "- no rule can be added{}",
                fix.quota.as_ref().map_or_else(String::new, |quota| format!(": {}", markdown(quota)))
            );
        };
        let entries = fix.entries.iter().map(|entry| match &entry.replaces {
            Some(before) => format!("{} (was {})", markdown_code(&entry.rule), markdown_code(before)),
            None => markdown_code(&entry.rule),
        });
        let entries = entries.collect::<Vec<_>>().join(" · ");
        writeln!(self.out, "- {or}{entries} ({}): **{}**, {}", first.direction, outcome(fix), admitted(fix))?;
        let denies = fix.blocks.iter().map(blocked);
        for text in denies.chain(fix.quota.clone()).chain(fix.notes.iter().cloned()) {
            writeln!(self.out, "  - {}", markdown(&text))?;
        }
        Ok(())
    }

    /// A code block: lines begin with our own words, so no id can close its fence.
    fn commands(&mut self, fix: &Fix) -> io::Result<()> {
        if fix.aws_cli.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "\n```sh\n# {}", fix.variant)?;
        for command in &fix.aws_cli {
            writeln!(self.out, "{}", terminal(command))?;
        }
        writeln!(self.out, "# undo")?;
        for command in &fix.undo {
            writeln!(self.out, "{}", terminal(command))?;
        }
        writeln!(self.out, "```")
    }
}
