//! The `html` format of the report: one page that needs nothing else and may load nothing else.
//!
//! Owns the order of the sections and how much of everything there is room for: a page stays under one megabyte, and what
//! is left out is counted. Every foreign text goes through `markup`, which escapes it. Charts are drawn by `plotters`.

mod affected;
mod card;
mod changes;
mod chart;
mod comparison;
mod findings;
mod fix;
mod glance;
mod hours;
mod markup;
mod numbering;
mod others;
mod policy;
mod quality;
mod table;

use std::io::{self, Write};

use super::phrase::window;
use super::view::Report;
use super::wording::Wording;
use markup::Html;
use numbering::Numbering;

const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");

/// A page is no larger: it is sent by mail, and opened on a telephone.
const PAGE_BYTES: usize = 1_000_000;
/// Findings with a section of their own.
const SECTIONS: usize = 100;
/// Items of a list before `+n more`.
const LISTED: usize = 10;

/// How much there is room for; what is beyond is counted.
#[derive(Debug, Clone, Copy)]
struct Room {
    /// Rows of a table, lines of a list.
    rows: usize,
    /// Bytes of the findings' own sections together.
    section_bytes: usize,
}

/// Writes the report as a page for a browser.
pub fn write_html(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut room = Room { rows: 100, section_bytes: 400_000 };
    let mut page = written(report, room)?;
    // Names as long as tags may be, hundreds of warnings: with less of everything it fits.
    while page.len() >= PAGE_BYTES && room.rows > 5 {
        room = Room { rows: room.rows / 2, section_bytes: room.section_bytes / 2 };
        page = written(report, room)?;
    }
    out.write_all(page.as_bytes())
}

fn written(report: &Report, room: Room) -> io::Result<String> {
    let wording = Wording::new(&report.diagnosis);
    let mut page = Page { report, wording, room, numbering: Numbering::new(&wording) };
    let (cards, shown) = page.cards();
    page.numbering = page.numbering.with_sections(shown);
    let body = page.body(&cards, shown)?;
    let style = format!("{STYLE}{}", body.rules());
    let mut head = Html::new();
    page.head(&mut head, &policy::policy(&style, SCRIPT));
    Ok(format!(
        "{}<style>{style}</style>\n</head>\n<body>\n{}\n<script>{SCRIPT}</script>\n</body>\n</html>\n",
        head.markup(),
        body.markup()
    ))
}

/// What is talked about on the page.
struct Page<'a> {
    report: &'a Report,
    wording: Wording<'a>,
    room: Room,
    numbering: Numbering<'a>,
}

impl Page<'_> {
    fn head(&self, html: &mut Html, policy: &str) {
        let time = window(&self.report.diagnosis.window).unwrap_or_default();
        html.raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
        html.open("meta", &[("http-equiv", "Content-Security-Policy"), ("content", policy)]);
        html.raw("\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
        html.raw("<meta name=\"color-scheme\" content=\"light dark\">\n");
        html.raw("<meta name=\"referrer\" content=\"no-referrer\">\n");
        html.element("title", &[], format!("Rejected return traffic {time}").trim_end()).raw("\n");
    }

    fn body(&self, cards: &Html, shown: usize) -> io::Result<Html> {
        let sections = [
            self.hours()?,
            self.comparison(),
            self.findings(cards, shown),
            self.heat()?,
            self.changes(),
            self.interfaces(),
            self.talkers(),
            self.groups(),
            self.no_reply(),
            self.not_the_acl(),
            self.other_rejects(),
            Some(self.quality()),
        ];
        let sections: Vec<Section> = sections.into_iter().flatten().collect();
        let mut html = Html::new();
        html.raw("<a class=\"skip\" href=\"#main\">Skip to the report</a>\n");
        html.within("header", &[], |html| self.glance(html));
        html.raw("\n<nav aria-label=\"Sections\"><ul>");
        for section in &sections {
            html.open("li", &[]).element(
                "a",
                &[("href", &format!("#{}", section.id))],
                section.title_in_short,
            );
            html.close("li");
        }
        html.raw("</ul></nav>\n<main id=\"main\" tabindex=\"-1\">\n");
        for section in &sections {
            let title = format!("{}-title", section.id);
            let attributes = [("id", section.id), ("aria-labelledby", title.as_str())];
            html.within("section", &attributes, |html| {
                html.sentence("h2", &[("id", &title)], &section.title).put(&section.content);
            });
            html.raw("\n");
        }
        html.raw("</main>\n");
        self.footer(&mut html);
        Ok(html)
    }

    fn footer(&self, html: &mut Html) {
        let generator = &self.report.diagnosis.generator;
        let text = format!(
            "Written by {} {}. Times are UTC. The page loads nothing and sends nothing.",
            generator.name, generator.version
        );
        html.within("footer", &[], |html| {
            html.element("p", &[], &text);
        });
    }

    /// What people call it, then its id.
    fn named(&self, id: &str) -> Html {
        let mut html = Html::new();
        if let Some(name) = self.wording.name(id) {
            html.element("bdi", &[("class", "name")], name).raw(" ");
        }
        html.element("code", &[], id);
        html
    }

    /// Several of them in one line, at most [`LISTED`].
    fn all_named(&self, ids: &[String]) -> Html {
        listed(ids.iter().map(|id| self.named(id)), ids.len())
    }

    /// How an id is sorted: by its name, where it has one.
    fn sort_key(&self, id: &str) -> String {
        self.wording.name(id).unwrap_or(id).to_owned()
    }
}

/// A part of the page with a heading.
struct Section {
    id: &'static str,
    title: String,
    /// For the list of sections.
    title_in_short: &'static str,
    content: Html,
}

/// `<ul>` in one line: at most [`LISTED`] items, then `+n more`.
fn listed(items: impl Iterator<Item = Html>, count: usize) -> Html {
    let mut html = Html::new();
    let most = if count > LISTED + 1 { LISTED } else { count };
    html.raw("<ul class=\"inline\">");
    for item in items.take(most) {
        html.open("li", &[]).put(&item).close("li");
    }
    if count > most {
        html.element(
            "li",
            &[("class", "more")],
            &format!("+{} more", markup::number(markup::length(count - most))),
        );
    }
    html.raw("</ul>");
    html
}

/// With a capital in front.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}", letters.as_str())
}

#[cfg(test)]
mod tests;
