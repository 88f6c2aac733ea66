//! The first screen: what is broken, since when, who changed it, what to do. And whether that can be trusted.

use super::super::compared::statuses;
use super::super::phrase::{counted, counted_len, duration, window};
use super::super::view::{Comparison, Diagnosis, Finding};
use super::super::wording::{admitted, doubt, effect, impact, outcome, scope};
use super::findings::badge;
use super::markup::{Html, length, number};
use super::{Page, capital, listed};

impl Page<'_> {
    pub(super) fn glance(&self, html: &mut Html) {
        let time = window(&self.report.diagnosis.window).unwrap_or_default();
        html.within("p", &[("class", "eyebrow")], |html| {
            html.raw("Rejected return traffic ").element("span", &[], &time);
        });
        self.incomplete(html);
        match self.numbering.findings.first() {
            Some(first) => self.broken(html, first),
            None => self.nothing(html),
        }
        self.figures(html);
        self.facts(html);
    }

    /// Nobody should take the page for the whole truth when it is not.
    fn incomplete(&self, html: &mut Html) {
        if self.report.diagnosis.summary.complete {
            return;
        }
        let unread = self.report.diagnosis.input.incomplete.len();
        let what = match unread {
            0 => "a limit was reached (see the warnings)".to_owned(),
            _ => format!("{} could not be had whole", counted_len(unread, "input or answer")),
        };
        html.within("p", &[("class", "alert"), ("role", "note")], |html| {
            html.raw("<strong>Incomplete.</strong> ")
                .text(&format!("Not everything was looked at: {what}. "));
            html.raw("Figures may be too low. <a href=\"#data\">What is missing</a>");
        });
    }

    fn broken(&self, html: &mut Html, first: &Finding) {
        html.within("h1", &[], |html| {
            html.put(&self.title(first)).raw(" ").prose(&effect(first)).raw(": ");
            html.sentence("strong", &[], &impact(first)).raw(", ").prose(&self.wording.when(first)).raw(".");
        });
        let others = self.numbering.findings.len() - 1;
        let mut lead = match others {
            0 => String::new(),
            1 => "One more cause below. ".to_owned(),
            _ => format!("{} below. ", counted_len(others, "more cause")),
        };
        if let Some(comparison) = &self.report.comparison {
            lead.push_str(&capital(&compared_in_short(comparison)));
        }
        html.within("p", &[("class", "lead")], |html| {
            html.put(&badge(first.confidence)).raw(" ").prose(lead.trim_end());
        });
        if let Some(doubt) = doubt(first) {
            html.sentence("p", &[("class", "doubt")], &capital(&doubt));
        }
        html.open("dl", &[("class", "answer")]);
        Self::answer(html, "Since when", |html| self.since(html, first));
        Self::answer(html, "Who changed it", |html| self.who(html, first));
        Self::answer(html, "What to do", |html| Self::what_to_do(html, first));
        Self::answer(html, "Who is affected", |html| {
            html.sentence("p", &[], &scope(first));
            let most = &first.interface_ids[..first.interface_ids.len().min(3)];
            html.put(&listed(most.iter().map(|id| self.named(id)), most.len()));
            let hidden = first.interface_ids.len() - most.len();
            if hidden > 0 {
                html.element("p", &[("class", "more")], &format!("+{} more", number(length(hidden))));
            }
        });
        html.close("dl");
    }

    fn answer(html: &mut Html, question: &str, answer: impl FnOnce(&mut Html)) {
        html.open("div", &[]).element("dt", &[], question).within("dd", &[], answer).close("div");
    }

    fn since(&self, html: &mut Html, finding: &Finding) {
        let calendar = self.wording.calendar;
        if let Some(accepted) = finding.onset.last_accepted_reply {
            let rejected = finding.onset.first_rejected_reply;
            html.within("p", &[], |html| {
                html.element("strong", &[("class", "moment")], &calendar.moment(rejected));
                html.raw(" UTC, the first reject");
            });
            let later = rejected.seconds_since(accepted);
            if later > 0 {
                let later = duration(later);
                html.sentence("p", &[], &format!("{later} after the last reply that was accepted"));
            }
        } else {
            html.sentence("p", &[], &capital(&self.wording.when(finding)));
        }
        let end = if finding.ongoing {
            "Still going when the records end".to_owned()
        } else {
            format!("Last reject {}", calendar.moment(finding.last_seen))
        };
        html.sentence("p", &[("class", "quiet")], &end);
    }

    fn who(&self, html: &mut Html, finding: &Finding) {
        if let Some(change) = &finding.change {
            html.put(&Self::change(finding, change));
            return;
        }
        let unknown = match self.report.diagnosis.network_config.history {
            _ if finding.cause == "undetermined" => "Not known: which rule denied is undetermined.",
            _ if !finding.cause.starts_with("nacl_") => "No network ACL is to blame.",
            "none" => "Not known: no history of changes was given (--history).",
            _ => "The history given shows no change that explains it.",
        };
        html.sentence("p", &[], unknown);
    }

    fn what_to_do(html: &mut Html, finding: &Finding) {
        let Some(fix) = &finding.fix else {
            html.sentence("p", &[], "No change of a network ACL is proven to help: see the finding.");
            return;
        };
        if fix.entries.is_empty() {
            let why = fix.quota.as_deref().map(|quota| format!(": {quota}")).unwrap_or_default();
            html.sentence("p", &[], &format!("No rule can be added{why}."));
            return;
        }
        let entries = fix.entries.iter().map(|entry| Html::of("code", &[], &entry.rule));
        let (word, how_many) =
            (if fix.entries.len() == 1 { "rule" } else { "rules" }, fix.entries.len().min(3));
        html.within("p", &[], |html| {
            let is_wider = fix.entries.iter().any(|entry| entry.replaces.is_some());
            let change = if is_wider { "Add or widen" } else { "Add" };
            html.text(&format!(
                "{change} {} {word} in {}:",
                number(length(fix.entries.len())),
                fix.entries[0].direction
            ));
        });
        html.put(&listed(entries.take(how_many), how_many));
        if fix.entries.len() > how_many {
            html.element("p", &[("class", "more")], &format!("+{} more", fix.entries.len() - how_many));
        }
        html.within("p", &[], |html| {
            html.text("It ").sentence("strong", &[], &outcome(fix)).raw(", ").prose(&admitted(fix));
            html.raw(". <a href=\"#finding-1-fix\">Commands and undo</a>");
        });
    }

    fn nothing(&self, html: &mut Html) {
        if !self.numbering.asides.is_empty() {
            html.sentence("h1", &[], "No network ACL rule was found to drop return traffic.");
            html.raw("<p class=\"lead\">Replies were rejected all the same: <a href=\"#not-acl\">not the network ACL</a>.</p>");
            return;
        }
        let (verdict, limits) = self.wording.nothing_found();
        let class = if self.wording.can_be_clear() { "clear" } else { "unclear" };
        html.sentence("h1", &[("class", class)], &verdict);
        for limit in limits {
            html.sentence("p", &[("class", "lead")], &limit);
        }
    }

    /// The size of it, in four numbers.
    fn figures(&self, html: &mut Html) {
        let Diagnosis { summary, .. } = &self.report.diagnosis;
        if self.numbering.findings.is_empty() && self.numbering.asides.is_empty() {
            return;
        }
        let before = self.report.comparison.as_ref().map(|comparison| comparison.total);
        let figures = [
            (
                "conversations without a reply",
                summary.rejected_conversations,
                before.map(|b| b.conversations_before),
            ),
            ("rejected packets", summary.rejected_packets, before.map(|b| b.packets_before)),
            ("causes", length(self.numbering.findings.len()), None),
            ("interfaces affected", length(self.report.interfaces.len()), None),
        ];
        html.open("dl", &[("class", "figures")]);
        for (label, value, earlier) in figures {
            html.raw("<div>").element("dt", &[], label).open("dd", &[]).element("b", &[], &number(value));
            if let Some(earlier) = earlier {
                html.raw(" ").element("small", &[], &format!("before {}", number(earlier)));
            }
            html.raw("</dd></div>");
        }
        html.close("dl");
    }

    /// What was looked at.
    fn facts(&self, html: &mut Html) {
        let Diagnosis { network_config, input, .. } = &self.report.diagnosis;
        let history = match network_config.history {
            "none" => "no history of changes".to_owned(),
            history => format!("changes from {history}"),
        };
        let facts = [
            counted_len(input.interfaces, "interface"),
            counted_len(network_config.network_acls, "network ACL"),
            format!("{} ({})", counted(input.records, "record"), self.wording.set_apart()),
            format!("configuration: {}", network_config.origin),
            history,
        ];
        html.sentence("p", &[("class", "facts")], &facts.join(" · "));
    }
}

/// `compared with the time before: 2 new, 1 worse, 1 resolved`.
pub(super) fn compared_in_short(comparison: &Comparison) -> String {
    let with = if comparison.origin == "baseline" { "the baseline" } else { "the time before" };
    format!("compared with {with}: {}.", statuses(comparison))
}
