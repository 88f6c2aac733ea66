//! The number, the colour and the short name that a finding has everywhere on the page.

use std::collections::BTreeMap;

use super::super::view::Finding;
use super::super::wording::{Wording, subject};
use super::markup::Html;

/// Findings with a colour of their own; the others share one.
pub(super) const COLOURS: usize = 7;

/// Findings in the order in which they are numbered, and those that are not the network ACL's doing.
#[derive(Debug)]
pub(super) struct Numbering<'a> {
    /// Number 1 is the first of these.
    pub findings: Vec<&'a Finding>,
    /// Without a number.
    pub asides: Vec<&'a Finding>,
    numbers: BTreeMap<&'a str, usize>,
    shown: usize,
}

impl<'a> Numbering<'a> {
    /// As they are ranked.
    pub(super) fn new(wording: &Wording<'a>) -> Self {
        let (findings, asides) = wording.findings();
        let numbers = findings.iter().enumerate().map(|(at, finding)| (finding.id.as_str(), at + 1));
        Self { numbers: numbers.collect(), findings, asides, shown: 0 }
    }

    /// With sections for the first `shown` findings only: others are not linked.
    pub(super) fn with_sections(self, shown: usize) -> Self {
        Self { shown, ..self }
    }

    /// From 1; nothing for those that are not the network ACL's doing and for those of an earlier time.
    pub(super) fn number(&self, finding_id: &str) -> Option<usize> {
        self.numbers.get(finding_id).copied()
    }

    /// `3`, a link to the finding's section if it has one.
    pub(super) fn link(&self, finding_id: &str) -> Html {
        match self.number(finding_id) {
            Some(number) if number <= self.shown => {
                let (target, name) = (format!("#finding-{number}"), format!("Finding {number}"));
                let attributes = [("class", "number"), ("href", target.as_str()), ("aria-label", &name)];
                Html::of("a", &attributes, &number.to_string())
            }
            Some(number) => Html::of("span", &[("class", "number")], &number.to_string()),
            None => Html::of("span", &[("class", "quiet")], "not the network ACL"),
        }
    }

    /// Links to several findings, at most `most`.
    pub(super) fn links(&self, finding_ids: &[String], most: usize) -> Html {
        let mut html = Html::new();
        for (at, id) in finding_ids.iter().take(most).enumerate() {
            if at > 0 {
                html.raw(" ");
            }
            html.put(&self.link(id));
        }
        if finding_ids.len() > most {
            html.text(&format!(" +{} more", finding_ids.len() - most));
        }
        html
    }
}

/// `*` or `90`, and the direction: what tells findings of one ACL apart.
pub(super) fn short_rule(finding: &Finding) -> String {
    let rule = match (finding.cause, finding.rule_number) {
        ("nacl_default", Some(32768)) => "* (IPv6)".to_owned(),
        ("nacl_default", _) => "*".to_owned(),
        ("nacl_rule", Some(number)) => format!("rule {number}"),
        ("vpc_block_public_access" | "encryption_controls", _) => subject(finding).rule,
        ("not_nacl", _) => "not the network ACL".to_owned(),
        _ => return "undetermined".to_owned(),
    };
    match finding.direction {
        Some(direction) => format!("{rule} {direction}"),
        None => rule,
    }
}
