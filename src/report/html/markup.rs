//! The markup of the page: elements, attributes, and text that can be nothing but text.
//!
//! Owns that nothing foreign becomes markup: what is written as it stands is `&'static str` from our own source, all else
//! is escaped here. Refuses to know what the page is about.

use std::fmt::Write as _;

use super::super::escape;
use super::super::phrase::grouped;

/// A piece of the page, and the rules that the stylesheet needs for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Html {
    markup: String,
    rules: String,
}

/// Names and values; values are escaped.
pub(super) type Attributes<'a> = &'a [(&'static str, &'a str)];

impl Html {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// One element with text inside.
    pub(super) fn of(tag: &'static str, attributes: Attributes<'_>, text: &str) -> Self {
        let mut html = Self::new();
        html.element(tag, attributes, text);
        html
    }

    /// The markup written so far.
    pub(super) fn markup(&self) -> &str {
        &self.markup
    }

    /// What the stylesheet has to hold for it.
    pub(super) fn rules(&self) -> &str {
        &self.rules
    }

    /// Bytes written so far.
    pub(super) fn len(&self) -> usize {
        self.markup.len() + self.rules.len()
    }

    /// Whether nothing was written.
    pub(super) fn is_empty(&self) -> bool {
        self.markup.is_empty()
    }

    /// Markup of our own.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.markup.push_str(markup);
        self
    }

    /// The inside of a picture that the chart library wrote, from numbers and words of our own.
    pub(super) fn picture(&mut self, drawn: &super::chart::Drawn) -> &mut Self {
        self.markup.push_str(drawn.elements());
        self
    }

    /// Text.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.markup.push_str(&escape::html(text));
        self
    }

    /// A sentence, in which neither a number that is written in groups nor a date breaks between lines.
    pub(super) fn prose(&mut self, text: &str) -> &mut Self {
        let text = unbroken(text);
        let mut rest = text.as_str();
        while let Some(at) = rest.find('-').and_then(|hyphen| date_before(rest, hyphen)) {
            let (before, date) = rest.split_at(at);
            let (date, after) = date.split_at(date_length(date));
            self.text(before).element("span", &[("class", "moment")], date);
            rest = after;
        }
        self.text(rest)
    }

    /// The opening tag.
    pub(super) fn open(&mut self, tag: &'static str, attributes: Attributes<'_>) -> &mut Self {
        self.markup.push('<');
        self.markup.push_str(tag);
        for (name, value) in attributes {
            // Writing to a `String` cannot fail.
            let _ = write!(self.markup, " {name}=\"{}\"", escape::html(value));
        }
        self.markup.push('>');
        self
    }

    /// The closing tag.
    pub(super) fn close(&mut self, tag: &'static str) -> &mut Self {
        let _ = write!(self.markup, "</{tag}>");
        self
    }

    /// An element with text inside.
    pub(super) fn element(&mut self, tag: &'static str, attributes: Attributes<'_>, text: &str) -> &mut Self {
        self.open(tag, attributes).text(text).close(tag)
    }

    /// An element with a sentence inside.
    pub(super) fn sentence(
        &mut self,
        tag: &'static str,
        attributes: Attributes<'_>,
        text: &str,
    ) -> &mut Self {
        self.open(tag, attributes).prose(text).close(tag)
    }

    /// An element with other elements inside.
    pub(super) fn within(
        &mut self,
        tag: &'static str,
        attributes: Attributes<'_>,
        inside: impl FnOnce(&mut Self),
    ) -> &mut Self {
        self.open(tag, attributes);
        inside(self);
        self.close(tag)
    }

    /// Another piece, with its rules.
    pub(super) fn put(&mut self, other: &Self) -> &mut Self {
        self.markup.push_str(&other.markup);
        self.rules.push_str(&other.rules);
        self
    }

    /// A rule for the stylesheet, made of our own words and numbers.
    pub(super) fn rule(&mut self, rule: &str) {
        self.rules.push_str(rule);
        self.rules.push('\n');
    }
}

/// `1204331` → `1 204 331`, in one piece.
pub(super) fn number(number: u64) -> String {
    grouped(number).replace(' ', "\u{a0}")
}

/// The length of a list.
pub(super) fn length(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// `4 812 connections` with a space that does not break between the groups of digits.
fn unbroken(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let is_digit = |at: usize| letters.get(at).is_some_and(char::is_ascii_digit);
    let joins = |at: usize| {
        at > 0
            && is_digit(at - 1)
            && (1..=3).all(|after| is_digit(at + after))
            && !letters.get(at + 4).is_some_and(|c| c.is_ascii_alphanumeric() || ".:/-–".contains(*c))
    };
    let joined = letters.iter().enumerate().map(|(at, c)| if *c == ' ' && joins(at) { '\u{a0}' } else { *c });
    joined.collect()
}

/// Where the first date `2026-11-20` from the hyphen on begins.
fn date_before(text: &str, hyphen: usize) -> Option<usize> {
    let is_date = |at: usize| text.get(at..at + 10).is_some_and(|date| fits(date, "0000-00-00"));
    let hyphens = text[hyphen..].match_indices('-').map(|(at, _)| hyphen + at);
    hyphens.filter_map(|hyphen| hyphen.checked_sub(4)).find(|at| is_date(*at))
}

/// Length of a date, and of the time of day behind it.
fn date_length(text: &str) -> usize {
    let shapes = [(19, "0000-00-00 00:00:00"), (16, "0000-00-00 00:00")];
    let found =
        shapes.iter().find(|(length, shape)| text.get(..*length).is_some_and(|text| fits(text, shape)));
    found.map_or(10, |(length, _)| *length)
}

/// Whether it has digits where the shape has zeros, and is the same elsewhere.
fn fits(text: &str, shape: &str) -> bool {
    text.bytes()
        .zip(shape.bytes())
        .all(|(one, other)| if other == b'0' { one.is_ascii_digit() } else { one == other })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_text() {
        let mut html = Html::new();
        html.within("p", &[("title", "a\"><i>")], |html| {
            html.text("<b>\u{202e}").raw("<br>");
        });
        assert_eq!(html.markup(), "<p title=\"a&quot;&gt;&lt;i&gt;\">&lt;b&gt;\\u{202e}<br></p>");
    }

    #[test]
    fn dates_stay_together() {
        let mut html = Html::new();
        html.prose("a-b since 2026-11-18 14:02:14, still – 2026-11-19, é-x");
        let span = |date| format!("<span class=\"moment\">{date}</span>");
        let (one, other) = (span("2026-11-18 14:02:14"), span("2026-11-19"));
        assert_eq!(html.markup(), format!("a-b since {one}, still – {other}, é-x"));
    }

    #[test]
    fn numbers_stay_together() {
        assert_eq!(
            unbroken("of 1 204 331 records, 42 rejected"),
            "of 1\u{a0}204\u{a0}331 records, 42 rejected"
        );
        assert_eq!(unbroken("rule 110 TCP 443 100.64.0.0/10"), "rule 110 TCP 443 100.64.0.0/10");
        assert_eq!(number(4_812), "4\u{a0}812");
    }
}
