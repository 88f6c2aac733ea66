//! The `text` format: what a tired engineer reads first. Rule, since when and who is affected at one glance.
//!
//! Owns the order of the sections; the words are those of `wording`, shared with Markdown.

mod asides;
mod finding;
mod fix;
mod page;
mod report;
mod silent;
mod sparkline;

use std::io::{self, Write};

use super::phrase::{counted, counted_len, grouped, window};
use super::view::{Diagnosis, Finding};
use super::wording::Wording;
use page::{Flow, Page, Text, Tone};
pub use report::write_report_text;

/// How the text format is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextStyle {
    /// ANSI colours; without them not one escape byte is written.
    pub color: bool,
    /// Columns of the terminal; less than 40 counts as 40.
    pub width: usize,
    /// Examples per finding; 0 for all there are.
    pub top: usize,
    /// Long lists whole, every example with both directions, every entry that was evaluated.
    pub verbose: bool,
}

impl Default for TextStyle {
    fn default() -> Self {
        Self { color: false, width: 100, top: 5, verbose: false }
    }
}

/// Columns before the text of a labelled line.
const LABELLED: usize = 11;

/// Writes the diagnosis for a person at a terminal.
pub fn write_text(diagnosis: &Diagnosis, style: &TextStyle, out: &mut dyn Write) -> io::Result<()> {
    let mut sheet = Sheet {
        wording: Wording::new(diagnosis),
        style: *style,
        page: Page::new(out, style.color, style.width),
    };
    sheet.diagnosis(|_| Ok(()))
}

/// A page and what is written on it.
struct Sheet<'a> {
    wording: Wording<'a>,
    style: TextStyle,
    page: Page<'a>,
}

impl Sheet<'_> {
    /// All of it; `overview` writes what stands above the findings.
    fn diagnosis(&mut self, overview: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        self.headline()?;
        let (findings, asides) = self.wording.findings();
        self.verdict(&findings)?;
        overview(self)?;
        for finding in &findings {
            self.page.gap()?;
            self.finding(finding)?;
        }
        if findings.is_empty() && asides.is_empty() {
            self.page.gap()?;
            self.nothing_found()?;
        }
        self.not_the_acl(&asides)?;
        self.no_reply()?;
        self.other_rejects()?;
        self.notes()?;
        self.caveats()
    }

    fn headline(&mut self) -> io::Result<()> {
        let Diagnosis { window: time, network_config, input, .. } = self.wording.diagnosis;
        let mut line = Flow::new(Text::default(), 2).then("", Text::new(Tone::Strong, "flowcheck"));
        if let Some(window) = window(time) {
            line = line.then(" · ", Text::plain(&window));
        }
        if input.interfaces > 0 {
            line = line.then(" · ", Text::plain(&counted_len(input.interfaces, "interface")));
        }
        line = match network_config.network_acls {
            0 => line.then(" · ", Text::new(Tone::Caution, "no network ACLs known")),
            known => line.then(" · ", Text::plain(&counted_len(known, "network ACL"))),
        };
        line = line.then(" · ", Text::plain(&counted(input.records, "record")));
        let set_apart = format!("({})", self.wording.set_apart());
        self.page.flow(&line.then(" ", Text::new(Tone::Faint, &set_apart)))
    }

    /// One line over several findings, so that the first is not taken for the only one.
    fn verdict(&mut self, findings: &[&Finding]) -> io::Result<()> {
        if findings.len() < 2 {
            return Ok(());
        }
        let conversations = findings.iter().map(|finding| finding.conversations).fold(0, u64::saturating_add);
        let packets = findings.iter().map(|finding| finding.packets).fold(0, u64::saturating_add);
        let causes = format!("{} of rejected return traffic", counted_len(findings.len(), "cause"));
        let line = Flow::new(Text::default(), 2)
            .then("", Text::new(Tone::Strong, &causes))
            .then(" · ", Text::plain(&counted(conversations, "conversation")))
            .then(" · ", Text::plain(&counted(packets, "packet")));
        self.page.flow(&line)
    }

    fn nothing_found(&mut self) -> io::Result<()> {
        let (verdict, limits) = self.wording.nothing_found();
        self.page.flow(&Flow::new(self.all_clear(), 2).words(Tone::Strong, &verdict))?;
        for limit in limits {
            self.page.flow(&Flow::new(Text::blank(2), 2).words(Tone::Plain, &limit))?;
        }
        Ok(())
    }

    /// `✓` only where nothing found means that there was nothing.
    fn all_clear(&self) -> Text {
        if self.wording.can_be_clear() {
            Text::new(Tone::Fine, "✓ ")
        } else {
            Text::new(Tone::Caution, "? ")
        }
    }

    /// `eni-0a (Lambda checkout)`: the id whole, its name cut to what a line can hold.
    fn named(&self, tone: Tone, id: &str) -> Text {
        let text = Text::new(tone, id);
        match self.wording.name(id) {
            Some(name) => {
                let line = self.page.width().saturating_sub(LABELLED + 2);
                let room = line.saturating_sub(text.width() + 16).max(NAME_COLUMNS.min(line));
                text.or_below(Tone::Faint, &format!("({})", page::clipped(name, room)))
            }
            None => text,
        }
    }

    /// A line whose first column says what it is about.
    fn labelled(label: &str) -> Flow {
        Flow::new(Text::new(Tone::Faint, &format!("  {label} ")).padded(LABELLED), LABELLED)
    }

    /// Items after a label, at most `most` of them unless everything is wanted.
    fn list(&mut self, label: &str, items: Vec<Text>, most: usize) -> io::Result<()> {
        if items.is_empty() {
            return Ok(());
        }
        // Saying `+1 more` takes the room of the one.
        let shown = if self.style.verbose || items.len() <= most + 1 { items.len() } else { most };
        let hidden = items.len() - shown;
        let mut line = Self::labelled(label);
        for item in items.into_iter().take(shown) {
            line = line.then(" · ", item);
        }
        if hidden > 0 {
            line = line.then(" · ", Self::more(hidden));
        }
        self.page.flow(&line)
    }

    fn more(hidden: usize) -> Text {
        Text::new(Tone::Faint, &format!("+{} more", grouped(u64::try_from(hidden).unwrap_or(u64::MAX))))
    }
}

/// Names have at least this room, and more where the line has it; longer ones are cut, ids never are.
const NAME_COLUMNS: usize = 36;

#[cfg(test)]
mod tests;
