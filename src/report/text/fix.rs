//! The change that would restore the replies, in a finding's block: entries, what they do, and commands to copy.

use std::io;

use super::super::view::{Finding, Fix};
use super::super::wording::{admitted, blocked, outcome};
use super::page::{Flow, Text, Tone};
use super::{LABELLED, Sheet};

/// Entries before `+n more`; the commands show them all.
const ENTRIES: usize = 8;

impl Sheet<'_> {
    /// Nothing where no ACL that is known is to blame.
    pub(super) fn fix(&mut self, finding: &Finding) -> io::Result<()> {
        let Some(fix) = &finding.fix else { return Ok(()) };
        self.change("fix", fix)?;
        self.remarks(fix)?;
        // First what there is to choose from, then what to type.
        for other in &fix.alternatives {
            self.change("or", other)?;
            if self.style.verbose {
                self.remarks(other)?;
                self.commands("run", &other.aws_cli)?;
                self.commands("undo", &other.undo)?;
            } else {
                // Only what would surprise.
                for deny in other.blocks.iter().filter(|deny| deny.cancelled) {
                    self.remark(&blocked(deny))?;
                }
            }
        }
        let label = if self.style.verbose && !fix.alternatives.is_empty() { "run fix" } else { "run" };
        self.commands(label, &fix.aws_cli)?;
        match &fix.undo_in_one_line {
            Some(line) => self.commands("undo", std::slice::from_ref(line)),
            None => self.commands("undo", &fix.undo),
        }
    }

    /// The entries and what they do.
    fn change(&mut self, label: &str, fix: &Fix) -> io::Result<()> {
        if fix.entries.is_empty() {
            let none = Text::new(Tone::Caution, "no rule can be added");
            return self.page.flow(&Self::labelled(label).then("", none));
        }
        let tone = if label == "fix" { Tone::Strong } else { Tone::Plain };
        let entries = fix.entries.iter().map(|entry| {
            let text = Text::new(tone, &entry.rule);
            match &entry.replaces {
                Some(before) => text.or_below(Tone::Faint, &format!("(was {before})")),
                None => text,
            }
        });
        self.list(label, entries.collect(), ENTRIES)?;
        let tone = if fix.also_admits.flows == 0 { Tone::Plain } else { Tone::Caution };
        let mut line = Flow::new(Text::blank(LABELLED), LABELLED)
            .then("", Text::plain(&outcome(fix)))
            .then(", ", Text::new(tone, &admitted(fix)));
        if label != "fix" && !self.style.verbose {
            let commands =
                format!("({} with -v)", if fix.aws_cli.len() == 1 { "command" } else { "commands" });
            line = line.then(" ", Text::new(Tone::Faint, &commands));
        }
        self.page.flow(&line)
    }

    /// What must be known before it is carried out.
    fn remarks(&mut self, fix: &Fix) -> io::Result<()> {
        let denies = fix.blocks.iter().map(blocked);
        for text in denies.chain(fix.quota.clone()).chain(fix.notes.iter().cloned()) {
            self.remark(&text)?;
        }
        Ok(())
    }

    fn remark(&mut self, text: &str) -> io::Result<()> {
        self.page.flow(&Flow::new(Text::blank(LABELLED), LABELLED).words(Tone::Caution, text))
    }

    /// One line each, however long: to be copied whole.
    fn commands(&mut self, label: &str, commands: &[String]) -> io::Result<()> {
        let mut label = label;
        for command in commands {
            let lead = Text::new(Tone::Faint, &format!("  {label} ")).padded(LABELLED);
            self.page.line(&lead.and(Tone::Plain, command))?;
            label = "";
        }
        Ok(())
    }
}
