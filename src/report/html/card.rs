//! One finding with everything that is known about it.

use super::super::phrase::{counted, port_span, service};
use super::super::view::{Candidate, Change, Example, Finding, FlowSummary};
use super::super::wording::{doubt, effect, flow, impact, rules, scope, subject};
use super::findings::badge;
use super::markup::{Html, number};
use super::{Page, SECTIONS, capital, listed};

/// Rules in a finding's table.
const RULES: usize = 40;
/// Conversations shown of a finding.
const EXAMPLES: usize = 5;

impl Page<'_> {
    /// The sections of the first findings, and how many there was room for.
    pub(super) fn cards(&self) -> (Html, usize) {
        let mut html = Html::new();
        for (at, finding) in self.numbering.findings.iter().enumerate() {
            let card = self.card(at + 1, finding);
            if at >= SECTIONS || html.len() + card.len() > self.room.section_bytes {
                return (html, at);
            }
            html.put(&card);
        }
        (html, self.numbering.findings.len())
    }

    fn card(&self, at: usize, finding: &Finding) -> Html {
        let (id, title) = (format!("finding-{at}"), format!("finding-{at}-title"));
        let mut html = Html::new();
        let attributes = [("class", "finding"), ("id", id.as_str()), ("aria-labelledby", title.as_str())];
        html.within("article", &attributes, |html| {
            html.within("h3", &[("id", &title)], |html| {
                let colour = format!("number f1-{}", at.min(super::numbering::COLOURS + 1));
                html.element("span", &[("class", &colour)], &at.to_string())
                    .raw(" ")
                    .put(&self.title(finding));
            });
            html.within("p", &[("class", "badges")], |html| {
                html.put(&badge(finding.confidence)).raw(" ");
                html.put(&badge(if finding.ongoing { "ongoing" } else { "over" })).raw(" ");
                html.put(&badge(self.status(&finding.id).unwrap_or_default()));
            });
            self.summary(html, finding);
            self.particulars(html, finding);
            Self::rules(html, at, finding);
            self.candidates(html, finding);
            Self::fix(html, at, finding);
            self.examples(html, finding);
        });
        html.raw("\n");
        html
    }

    /// `private acl-0a… ingress * (default deny)`
    pub(super) fn title(&self, finding: &Finding) -> Html {
        let subject = subject(finding);
        let mut html = Html::new();
        if let Some(id) = subject.network_acl_id {
            html.put(&self.named(id)).raw(" ");
        }
        if let Some(direction) = subject.direction {
            html.text(direction).raw(" ");
        }
        match finding.cause {
            "nacl_default" | "nacl_rule" => html.element("code", &[], &subject.rule),
            _ => html.text(&subject.rule),
        };
        if let Some(note) = subject.note {
            html.raw(" ").element("span", &[("class", "quiet")], note);
        }
        html
    }

    fn summary(&self, html: &mut Html, finding: &Finding) {
        html.within("p", &[("class", "summary")], |html| {
            html.prose(&capital(&effect(finding))).raw(". ");
            html.sentence("strong", &[], &impact(finding));
            let rest = format!(
                " ({}), {}, {}.",
                counted(finding.packets, "packet"),
                scope(finding),
                self.wording.when(finding)
            );
            html.prose(&rest);
        });
        for remark in doubt(finding).into_iter().chain(finding.detail.clone()) {
            html.sentence("p", &[("class", "doubt")], &capital(&remark));
        }
    }

    fn particulars(&self, html: &mut Html, finding: &Finding) {
        html.open("dl", &[("class", "particulars")]);
        let mut item = |label: &str, value: Html| {
            if !value.is_empty() {
                html.raw("<div>").element("dt", &[], label).open("dd", &[]).put(&value).raw("</dd></div>");
            }
        };
        let said = |text: &str| {
            let mut html = Html::new();
            html.prose(text);
            html
        };
        if let Some(change) = &finding.change {
            item("Changed by", Self::change(finding, change));
        } else if finding.cause.starts_with("nacl_") {
            let none = self.report.diagnosis.network_config.history == "none";
            item(
                "Changed by",
                said(if none {
                    "not known: no history given"
                } else {
                    "no change seen in the history given"
                }),
            );
        }
        if let Some(change) = &finding.restored {
            item("Restored by", Self::change(finding, change));
        }
        item("Onset", said(&self.wording.onset(finding).unwrap_or_default()));
        let seen = self.wording.calendar;
        let (first, last) = (seen.moment(finding.first_seen), seen.moment(finding.last_seen));
        item("Rejected", said(&format!("first {first}, last {last}")));
        if !finding.interface_ids.is_empty() {
            item("Interfaces", self.all_named(&finding.interface_ids));
        }
        if !finding.subnet_ids.is_empty() {
            item("Subnets", self.all_named(&finding.subnet_ids));
        }
        if let Some(vpc) = &finding.vpc_id {
            item("VPC", self.named(vpc));
        }
        let clients = self.wording.clients(finding);
        if !clients.is_empty() {
            item("Behind the NAT gateway", listed(clients.iter().map(|client| said(client)), clients.len()));
        }
        let services = finding.services.iter().map(|one| {
            let mut html = Html::of("code", &[], &service(one));
            html.raw(" ").text(&number(one.conversations));
            html
        });
        if !finding.services.is_empty() {
            item("Services", listed(services, finding.services.len()));
        }
        if finding.requester_ports.max > 0 {
            item("Requester ports", said(&port_span(finding.requester_ports)));
        }
        let skipped = finding.skip_data.iter().map(|skip| {
            let mut html = self.named(&skip.interface_id);
            html.raw(" ").text(&seen.span(skip.start, skip.end));
            html
        });
        if !finding.skip_data.is_empty() {
            let mut html = said("AWS lost records (SKIPDATA), so the counts are a lower bound:");
            html.put(&listed(skipped, finding.skip_data.len()));
            item("Records lost", html);
        }
        html.close("dl");
    }

    /// Who, from where, when; the call; what was there before and afterwards.
    pub(super) fn change(finding: &Finding, change: &Change) -> Html {
        let mut html = Html::new();
        Self::call(&mut html, finding, change);
        html
    }

    fn call(html: &mut Html, finding: &Finding, change: &Change) {
        html.within("p", &[], |html| {
            html.element("strong", &[], change.actor.as_deref().unwrap_or("somebody unknown"));
            if let Some(source) = &change.source_ip {
                html.raw(" from ").element("code", &[], source);
            }
            html.raw(", ").text(&format!("{} UTC", change.time.strftime("%F %T")));
            let before = finding.first_seen.seconds_since(change.time);
            if before > 0 {
                let earlier = super::super::phrase::duration(before);
                html.raw(", ").element(
                    "span",
                    &[("class", "quiet")],
                    &format!("{earlier} before the first reject"),
                );
            }
        });
        html.within("p", &[], |html| {
            html.element("code", &[], &change.event);
            if let Some(number) = change.rule_number {
                html.text(&format!(" {number}"));
            }
        });
        html.raw("<ul class=\"diff\">");
        match &change.before {
            _ if change.before_is_unknown => html.raw("<li><span>before</span> not known</li>"),
            Some(rule) => side(html, "gone", "before", rule),
            None => html.raw("<li><span>before</span> nothing</li>"),
        };
        match &change.after {
            Some(rule) => side(html, "now", "after", rule),
            None => html.raw("<li><span>after</span> nothing</li>"),
        };
        html.raw("</ul>");
    }

    fn rules(html: &mut Html, at: usize, finding: &Finding) {
        let rows = rules(finding, false);
        if rows.is_empty() {
            return;
        }
        let caption = format!("Rules that came close, and the one that decided, of finding {at}");
        frame(html, &caption, &["Rule", "Why it did not match"], |html| {
            // The entry that decided is among them even where there are very many.
            let decided = rows.iter().position(|row| row.mismatch.is_none());
            for row in rows.iter().take(RULES).chain(decided.filter(|at| *at >= RULES).map(|at| &rows[at])) {
                let class = if row.mismatch.is_none() { "decided" } else { "" };
                html.open("tr", &[("class", class)])
                    .raw("<td>")
                    .element("code", &[], row.rule)
                    .raw("</td><td>");
                match row.mismatch {
                    Some(mismatch) => html.text(mismatch),
                    None => html.raw("<strong>matched: rejected here</strong>"),
                };
                html.raw("</td></tr>");
            }
        });
        if rows.len() > RULES {
            html.element("p", &[("class", "more")], &format!("+{} more", rows.len() - RULES));
        }
    }

    fn candidates(&self, html: &mut Html, finding: &Finding) {
        if finding.candidates.is_empty() {
            return;
        }
        frame(html, "Rules that it could be", &["Network ACL", "Direction", "Rule"], |html| {
            for Candidate { network_acl_id, direction, rule, .. } in finding.candidates.iter().take(RULES) {
                html.raw("<tr><td>")
                    .put(&self.named(network_acl_id))
                    .raw("</td><td>")
                    .text(direction.as_str());
                html.raw("</td><td>").element("code", &[], rule).raw("</td></tr>");
            }
        });
        if finding.candidates.len() > RULES {
            html.element("p", &[("class", "more")], &format!("+{} more", finding.candidates.len() - RULES));
        }
    }

    fn examples(&self, html: &mut Html, finding: &Finding) {
        if finding.examples.is_empty() {
            return;
        }
        html.raw("<details><summary>Examples of conversations</summary>");
        frame(
            html,
            "Requests and their rejected replies",
            &["", "From", "To", "Verdict", "Packets", "When"],
            |html| {
                for Example { request, reply, .. } in finding.examples.iter().take(EXAMPLES) {
                    match request {
                        Some(request) => self.flow(html, "request", request),
                        None => drop(html.raw(
                            "<tr><th scope=\"row\">request</th><td colspan=\"5\">not in these logs</td></tr>",
                        )),
                    }
                    self.flow(html, "reply", reply);
                }
            },
        );
        if finding.examples.len() > EXAMPLES {
            html.element("p", &[("class", "more")], &format!("+{} more", finding.examples.len() - EXAMPLES));
        }
        html.raw("</details>");
    }

    fn flow(&self, html: &mut Html, label: &str, summary: &FlowSummary) {
        let words = flow(summary);
        html.raw("<tr>").element("th", &[("scope", "row")], label);
        for address in [&words.source, &words.destination] {
            html.raw("<td>").element("code", &[], address).raw("</td>");
        }
        html.element("td", &[], &words.verdict).element("td", &[], &words.packets);
        let when = match (summary.first, summary.last) {
            (Some(first), Some(last)) => self.wording.calendar.span(first, last),
            (Some(one), None) | (None, Some(one)) => self.wording.calendar.moment(one),
            (None, None) => String::new(),
        };
        html.element("td", &[], &when).raw("</tr>");
    }
}

fn side<'a>(html: &'a mut Html, class: &str, word: &str, rule: &str) -> &'a mut Html {
    html.open("li", &[("class", class)]).element("span", &[], word).raw(" ");
    html.element("code", &[], rule).raw("</li>")
}

/// A small table in a frame of its own.
pub(super) fn frame(html: &mut Html, caption: &str, heads: &[&str], rows: impl FnOnce(&mut Html)) {
    let label = format!("{caption}, scrollable");
    let attributes =
        [("class", "scroll"), ("role", "group"), ("aria-label", label.as_str()), ("tabindex", "0")];
    html.within("div", &attributes, |html| {
        html.raw("<table>").sentence("caption", &[], caption).raw("<thead><tr>");
        for head in heads {
            match *head {
                "" => html.raw("<td></td>"),
                head => html.element("th", &[("scope", "col")], head),
            };
        }
        html.raw("</tr></thead><tbody>");
        rows(html);
        html.raw("</tbody></table>");
    });
}
