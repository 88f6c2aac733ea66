//! The change that would restore a finding's replies: what it does, its commands, the way back, Terraform.

use super::super::escape::terminal;
use super::super::view::{Finding, Fix};
use super::super::wording::{admitted, blocked, outcome};
use super::markup::{Html, length, number};
use super::{Page, capital};

/// Bytes of commands of one change; a part of them would be worse than none.
const COMMAND_BYTES: usize = 24_000;
/// Entries that are named.
const ENTRIES: usize = 20;

impl Page<'_> {
    /// Nothing where no ACL that is known is to blame.
    pub(super) fn fix(html: &mut Html, at: usize, finding: &Finding) {
        let Some(fix) = &finding.fix else { return };
        html.within("div", &[("class", "fix"), ("id", &format!("finding-{at}-fix"))], |html| {
            html.element("h4", &[], "Fix");
            Self::one_fix(html, fix);
            for other in &fix.alternatives {
                html.sentence("h5", &[], &format!("Or: {}", other.summary));
                Self::one_fix(html, other);
            }
        });
    }

    fn one_fix(html: &mut Html, fix: &Fix) {
        let Some(first) = fix.entries.first() else {
            let why = fix.quota.as_deref().map(|quota| format!(": {quota}")).unwrap_or_default();
            html.sentence("p", &[], &format!("No rule can be added{why}."));
            return;
        };
        html.within("p", &[], |html| {
            html.text(&capital(fix.variant)).text(&format!(" ({}): ", first.direction));
            html.sentence("strong", &[], &outcome(fix))
                .raw(" by evaluation, ")
                .prose(&admitted(fix))
                .raw(".");
        });
        html.raw("<ul class=\"entries\">");
        for entry in fix.entries.iter().take(ENTRIES) {
            html.raw("<li>").element("code", &[], &entry.rule);
            if let Some(before) = &entry.replaces {
                html.raw(" in place of ").element("code", &[], before);
            }
            html.raw("</li>");
        }
        if fix.entries.len() > ENTRIES {
            let more =
                format!("+{} more, all of them in the commands", number(length(fix.entries.len() - ENTRIES)));
            html.element("li", &[("class", "more")], &more);
        }
        html.raw("</ul>");
        let remarks =
            fix.blocks.iter().map(blocked).chain(fix.quota.clone()).chain(fix.notes.iter().cloned());
        let remarks: Vec<String> = remarks.collect();
        if !remarks.is_empty() {
            html.raw("<ul class=\"remarks\">");
            for remark in &remarks {
                html.sentence("li", &[], &capital(remark));
            }
            html.raw("</ul>");
        }
        Self::commands(html, fix);
    }

    fn commands(html: &mut Html, fix: &Fix) {
        let blocks = [
            ("Apply", lines(&fix.aws_cli)),
            ("Undo", lines(&fix.undo)),
            ("Terraform", fix.terraform.lines().map(terminal).collect::<Vec<_>>().join("\n")),
        ];
        let blocks: Vec<_> = blocks.into_iter().filter(|(_, text)| !text.is_empty()).collect();
        if blocks.is_empty() {
            return;
        }
        html.raw("<details class=\"commands\"><summary>Commands, undo, Terraform</summary>");
        if blocks.iter().map(|(_, text)| text.len()).sum::<usize>() > COMMAND_BYTES {
            html.raw(
                "<p>The commands are too long for this page: --format json holds all of them.</p></details>",
            );
            return;
        }
        for (label, text) in blocks {
            let attributes = [("class", "copy"), ("role", "group"), ("aria-label", label)];
            html.within("div", &attributes, |html| {
                html.element("p", &[("class", "label")], label);
                html.raw("<pre tabindex=\"0\">");
                html.raw("<code>");
                for (at, line) in text.lines().enumerate() {
                    if at > 0 {
                        html.raw("\n");
                    }
                    html.text(line);
                }
                html.raw("</code></pre>");
            });
        }
        html.raw("</details>");
    }
}

fn lines(commands: &[String]) -> String {
    commands.iter().map(|command| terminal(command)).collect::<Vec<_>>().join("\n")
}
