//! The block of one finding: which rule, since when, who is affected, then the evidence.

use std::io;

use crate::net::TcpFlags;

use super::super::phrase::{counted, grouped, per_slice, service};
use super::super::view::{Example, Finding};
use super::super::wording::{FlowWords, RuleRow, doubt, effect, flow, impact, rules, scope, subject};
use super::page::{Flow, Text, Tone};
use super::sparkline::sparkline;
use super::{LABELLED, Sheet};

/// Items of a list before `+n more`.
const LISTED: usize = 4;
/// Services and rules before `+n more`.
const ROWS: usize = 8;
/// Marks the entry that decided.
const MATCHED: &str = "← matched";
/// A sparkline gets no clearer by being longer.
const SPARKLINE_COLUMNS: usize = 72;

impl Sheet<'_> {
    /// Writes the whole block.
    pub(super) fn finding(&mut self, finding: &Finding) -> io::Result<()> {
        self.title(finding)?;
        self.counts(finding)?;
        for change in self.wording.changes(finding) {
            // In one piece: it is what people search for and pass on.
            self.page.flow(&Flow::new(Text::blank(2), 2).then("", Text::new(Tone::Strong, &change)))?;
        }
        self.doubts(finding)?;
        let interfaces = finding.interface_ids.iter().map(|id| self.named(Tone::Plain, id)).collect();
        self.list("affects", interfaces, LISTED)?;
        let clients = self.wording.clients(finding).into_iter();
        self.list("clients", clients.map(|client| Text::plain(&client)).collect(), LISTED)?;
        let subnets = finding.subnet_ids.iter().map(|id| self.named(Tone::Plain, id)).collect();
        self.list("subnets", subnets, LISTED)?;
        self.examples(finding)?;
        self.rules(finding)?;
        self.candidates(finding)?;
        let services = finding.services.iter().map(|one| {
            Text::plain(&service(one)).and(Tone::Faint, &format!(" {}", grouped(one.conversations)))
        });
        self.list("services", services.collect(), ROWS)?;
        self.timeline(finding)?;
        if let Some(onset) = self.wording.onset(finding) {
            self.page.flow(&Self::labelled("onset").words(Tone::Plain, &onset))?;
        }
        self.lost_records(finding)?;
        self.fix(finding)
    }

    fn title(&mut self, finding: &Finding) -> io::Result<()> {
        let subject = subject(finding);
        let (mark, tone) = match finding.cause {
            "undetermined" => ("? ", Tone::Caution),
            _ => ("✗ ", Tone::Alarm),
        };
        let mut line = Flow::new(Text::new(tone, mark), 2);
        if let Some(id) = subject.network_acl_id {
            line = line.then(" ", self.named(Tone::Strong, id));
        }
        let rule = Text::new(Tone::Strong, &subject.rule);
        line = match subject.direction {
            Some(direction) if finding.cause.starts_with("nacl_") => {
                line.then(" ", Text::new(Tone::Strong, direction).and(Tone::Plain, " ")).then("", rule)
            }
            Some(direction) => line.then(" ", Text::plain(direction)).then("  ", rule),
            None => line.then("  ", rule),
        };
        if let Some(note) = subject.note {
            line = line.then("  ", Text::plain(note));
        }
        self.page.flow(&line.then("  ", Text::new(tone, &effect(finding))))
    }

    fn counts(&mut self, finding: &Finding) -> io::Result<()> {
        let line = Flow::new(Text::blank(2), 2)
            .then(" · ", Text::new(Tone::Strong, &impact(finding)))
            .then(" · ", Text::plain(&scope(finding)))
            .then(" · ", Text::new(Tone::Strong, &self.wording.when(finding)));
        self.page.flow(&line)
    }

    fn doubts(&mut self, finding: &Finding) -> io::Result<()> {
        for text in [doubt(finding), finding.detail.clone()].into_iter().flatten() {
            self.page.flow(&Flow::new(Text::blank(2), 2).words(Tone::Caution, &text))?;
        }
        Ok(())
    }

    fn examples(&mut self, finding: &Finding) -> io::Result<()> {
        let most = if self.style.top == 0 { finding.examples.len() } else { self.style.top };
        let mut examples = finding.examples.iter().take(most);
        let whole = if self.style.verbose { most } else { 1 };
        for example in examples.by_ref().take(whole) {
            self.conversation(example)?;
        }
        let others = examples.map(|example| {
            let words = flow(&example.reply);
            Text::plain(&format!("{} → {}", words.source, words.destination))
                .and(Tone::Faint, &format!("  {}", words.packets))
        });
        let mut label = "also";
        for other in others {
            self.page.flow(&Self::labelled(label).then("", other))?;
            label = "";
        }
        Ok(())
    }

    /// The request and its reply, column under column where they fit.
    fn conversation(&mut self, example: &Example) -> io::Result<()> {
        let reply = flow(&example.reply);
        let request = example.request.as_ref().map(flow);
        let both = || request.iter().chain([&reply]);
        let tuple = both().map(|words| tuple(words).width()).max().unwrap_or(0);
        let verdict = both().map(|words| Text::plain(&words.verdict).width()).max().unwrap_or(0);
        let packets = both().map(|words| Text::plain(&words.packets).width()).max().unwrap_or(0);
        let aligned = LABELLED + tuple + 3 + verdict + 2 + packets <= self.page.width();
        let (tuple, verdict) = if aligned { (tuple, verdict) } else { (0, 0) };
        if let Some(request) = &request {
            self.flow_line("request", request, (tuple, verdict), Tone::Plain)?;
        } else {
            let implied = example.reply.tcp_flags.is_some_and(|flags| TcpFlags(flags).has_syn_ack());
            let missing = if implied {
                "not in these logs; the SYN-ACK shows that there was one"
            } else {
                "not in these logs"
            };
            self.page.flow(&Self::labelled("request").words(Tone::Faint, missing))?;
        }
        self.flow_line("reply", &reply, (tuple, verdict), Tone::Alarm)
    }

    fn flow_line(
        &mut self,
        label: &str,
        words: &FlowWords,
        columns: (usize, usize),
        tone: Tone,
    ) -> io::Result<()> {
        let mut line = Self::labelled(label);
        if LABELLED + tuple(words).width() <= self.page.width() {
            line = line.then("", tuple(words).padded(columns.0));
        } else {
            line = line
                .then("", Text::plain(&words.source))
                .then(" ", Text::plain(&format!("→ {}", words.destination)));
        }
        let line = line
            .then("   ", Text::new(tone, &words.verdict).padded(columns.1))
            .then("  ", Text::new(Tone::Faint, &words.packets));
        self.page.flow(&line)
    }

    /// The entries that came close and the one that decided, numbers under one another.
    fn rules(&mut self, finding: &Finding) -> io::Result<()> {
        let rows = rules(finding, self.style.verbose);
        let numbers = rows.iter().map(|row| number_width(row.rule)).max().unwrap_or(0);
        let column = self.rule_column(&rows, numbers);
        let mut hidden = if self.style.verbose { 0 } else { rows.len().saturating_sub(ROWS + 2) };
        let mut label = "rules";
        if hidden > 0 {
            let note = Self::more(hidden).and(Tone::Faint, " that did not match either");
            self.page.flow(&Self::labelled(label).then("", note))?;
            label = "";
        }
        for row in &rows {
            let indent = Text::blank(numbers - number_width(row.rule));
            let (rule, outcome) = match row.mismatch {
                Some(_) if hidden > 0 => {
                    hidden -= 1;
                    continue;
                }
                Some(mismatch) => (indent.and(Tone::Plain, row.rule), Text::new(Tone::Faint, mismatch)),
                None => (indent.and(Tone::Strong, row.rule), Text::new(Tone::Alarm, MATCHED)),
            };
            self.page.flow(&Self::labelled(label).then("", rule.padded(column)).then("   ", outcome))?;
            label = "";
        }
        Ok(())
    }

    /// Width of the column of rules; 0, which is no column, where the outcomes would not fit beside it.
    fn rule_column(&self, rows: &[RuleRow<'_>], numbers: usize) -> usize {
        let rules = rows.iter().map(|row| numbers - number_width(row.rule) + Text::plain(row.rule).width());
        let outcomes = rows.iter().map(|row| Text::plain(row.mismatch.unwrap_or(MATCHED)).width());
        let (rules, outcomes) = (rules.max().unwrap_or(0), outcomes.max().unwrap_or(0));
        if LABELLED + rules + 3 + outcomes <= self.page.width() { rules } else { 0 }
    }

    fn candidates(&mut self, finding: &Finding) -> io::Result<()> {
        let shown = if self.style.verbose { finding.candidates.len() } else { ROWS };
        let mut label = "could be";
        for candidate in finding.candidates.iter().take(shown) {
            let place = self.named(Tone::Plain, &candidate.network_acl_id);
            let line = Self::labelled(label)
                .then("", place)
                .then(" ", Text::plain(candidate.direction.as_str()))
                .then("  ", Text::new(Tone::Strong, &candidate.rule));
            self.page.flow(&line)?;
            label = "";
        }
        match finding.candidates.len().saturating_sub(shown) {
            0 => Ok(()),
            hidden => self.page.flow(&Self::labelled("").then("", Self::more(hidden))),
        }
    }

    fn timeline(&mut self, finding: &Finding) -> io::Result<()> {
        let timeline = &finding.timeline;
        let length = i64::from(timeline.slice_seconds)
            .saturating_mul(i64::try_from(timeline.packets.len()).unwrap_or(0));
        let first = self.wording.calendar.tick(timeline.start);
        let last = self.wording.calendar.tick(timeline.start.plus_seconds(length));
        let total = counted(finding.packets, "packet");
        // Label, ticks, and ` peak 9 999/min · 9 999 packets` stand beside it where there is room.
        let around = LABELLED + first.len() + last.len() + 2;
        let beside = if self.page.width() >= 80 { 20 + total.len() } else { 0 };
        let columns = self.page.width().saturating_sub(around + beside).min(SPARKLINE_COLUMNS);
        let Some(drawn) = sparkline(timeline, columns) else {
            return self.page.flow(&Self::labelled("rejects").then("", Text::plain(&total)));
        };
        let graph = Text::new(Tone::Faint, &first)
            .and(Tone::Plain, " ")
            .and(Tone::Alarm, &drawn.blocks)
            .and(Tone::Faint, &format!(" {last}"));
        let peak = format!("peak {}{}", grouped(drawn.peak), per_slice(u64::from(timeline.slice_seconds)));
        let line = Self::labelled("rejects").then("", graph).then("  ", Text::plain(&peak));
        self.page.flow(&line.then(" · ", Text::plain(&total)))
    }

    fn lost_records(&mut self, finding: &Finding) -> io::Result<()> {
        if finding.skip_data.is_empty() {
            return Ok(());
        }
        let intervals = finding.skip_data.iter().map(|skip| {
            Text::plain(&skip.interface_id)
                .and(Tone::Plain, &format!(" {}", self.wording.calendar.span(skip.start, skip.end)))
        });
        let intervals = intervals.collect();
        self.list("SKIPDATA", intervals, LISTED)?;
        let meaning = "AWS lost records there: the counts above are a lower bound";
        self.page.flow(&Flow::new(Text::blank(LABELLED), LABELLED).words(Tone::Caution, meaning))
    }
}

/// Width of a rule's number, or of its `*`.
fn number_width(rule: &str) -> usize {
    Text::plain(rule.split(' ').next().unwrap_or_default()).width()
}

fn tuple(words: &FlowWords) -> Text {
    Text::plain(&format!("{} → {}", words.source, words.destination))
}
