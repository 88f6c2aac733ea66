//! How much the figures are worth: what was read, what was lost, what could not be read.

use super::super::compared;
use super::super::phrase::{counted, duration};
use super::super::view::{InputSummary, InterfaceCoverage, TimeSpan};
use super::card::frame;
use super::markup::{Html, length, number};
use super::table::{Cell, Row, Table, figures, unsorted, words};
use super::{Page, Section, capital};

/// Gaps in one cell.
const GAPS: usize = 5;

impl Page<'_> {
    pub(super) fn quality(&self) -> Section {
        let mut content = Html::new();
        self.warnings(&mut content);
        self.unread(&mut content);
        counters(&mut content, &self.report.diagnosis.input);
        self.coverage(&mut content);
        self.malformed(&mut content);
        self.notes(&mut content);
        Section { id: "data", title: "Data quality".to_owned(), title_in_short: "Data quality", content }
    }

    fn warnings(&self, html: &mut Html) {
        let warnings = &self.report.diagnosis.warnings;
        if !warnings.is_empty() {
            html.element("h3", &[], "Warnings");
            self.list(html, warnings.iter().map(String::as_str), warnings.len());
        }
    }

    fn unread(&self, html: &mut Html) {
        let incomplete = &self.report.diagnosis.input.incomplete;
        if incomplete.is_empty() {
            return;
        }
        html.element("h3", &[], "Inputs that could not be read to the end");
        frame(html, "Incomplete inputs", &["Input", "What went wrong"], |html| {
            for one in incomplete.iter().take(self.room.rows) {
                html.raw("<tr><td>").element("code", &[], &one.source).raw("</td>");
                html.element("td", &[], &one.error).raw("</tr>");
            }
        });
        if incomplete.len() > self.room.rows {
            html.element(
                "p",
                &[("class", "more")],
                &format!("+{} more", number(length(incomplete.len() - self.room.rows))),
            );
        }
    }

    fn coverage(&self, html: &mut Html) {
        let coverage = &self.report.coverage;
        html.element("h3", &[], "Gaps in the records of interfaces");
        let known =
            coverage.interfaces.len() as u64 + coverage.interfaces_left_out + coverage.interfaces_covered;
        if known == 0 || coverage.unknown.is_some() {
            html.sentence("p", &[("class", "about")], &capital(&compared::coverage(coverage)));
            return;
        }
        let looked_at =
            compared::gap(&TimeSpan { start: coverage.start, end: coverage.end.plus_seconds(-1) });
        let about = format!(
            "{} have records all the time, and none lost; {} have gaps or lost records, from {looked_at}. A gap is a time without any record, NODATA included; one shorter than {} is not seen.",
            counted(coverage.interfaces_covered, "interface"),
            number(known - coverage.interfaces_covered),
            duration(i64::from(coverage.resolution_seconds)),
        );
        html.sentence("p", &[("class", "about")], &about);
        if !coverage.interfaces.is_empty() {
            html.put(&self.gaps(&coverage.interfaces));
        }
    }

    fn gaps(&self, interfaces: &[InterfaceCoverage]) -> Html {
        let columns = [
            words("Interface"),
            figures("Seconds without records"),
            unsorted("Longest gaps"),
            figures("SKIPDATA"),
            figures("Seconds lost"),
        ];
        let row = |interface: &InterfaceCoverage| {
            let mut gaps = Html::new();
            for gap in interface.gaps.iter().take(GAPS) {
                // Both ends belong to it.
                let length = duration(gap.end.seconds_since(gap.start) + 1);
                let span = compared::gap(gap);
                gaps.element("div", &[], &format!("{span} ({length})"));
            }
            let hidden = length(interface.gaps.len().saturating_sub(GAPS)) + interface.gaps_left_out;
            if hidden > 0 {
                gaps.element("div", &[("class", "more")], &format!("+{} more", number(hidden)));
            }
            Row::from(vec![
                Cell::html(self.named(&interface.interface_id), &self.sort_key(&interface.interface_id)),
                Cell::figure(interface.gap_seconds),
                Cell::html(gaps, ""),
                Cell::figure(interface.skip_data),
                Cell::figure(interface.skip_data_seconds),
            ])
        };
        Table {
            id: "coverage-table",
            caption: "Interfaces with gaps or lost records, the longest gaps first",
            columns: &columns,
            filters: vec![],
            rows: interfaces.iter().take(self.room.rows).map(row).collect(),
            left_out: self.report.coverage.interfaces_left_out
                + length(interfaces.len().saturating_sub(self.room.rows)),
            left_out_note: ", with shorter gaps each",
        }
        .html()
    }

    fn malformed(&self, html: &mut Html) {
        let input = &self.report.diagnosis.input;
        if input.malformed_examples.is_empty() {
            return;
        }
        html.element("h3", &[], "Lines that are no record");
        frame(html, "Examples of malformed lines", &["Where", "Field", "Value", "What is wrong"], |html| {
            for example in input.malformed_examples.iter().take(self.room.rows) {
                html.raw("<tr><td>").element("code", &[], &format!("{}:{}", example.source, example.line));
                html.raw("</td><td>").element("code", &[], &example.field);
                html.raw("</td>").put(&Html::of("td", &[], &format!("“{}”", example.value)));
                html.element("td", &[], &example.error).raw("</tr>");
            }
        });
        let hidden =
            input.malformed.saturating_sub(length(input.malformed_examples.len().min(self.room.rows)));
        if hidden > 0 {
            html.element("p", &[("class", "more")], &format!("+{} more", number(hidden)));
        }
    }

    fn notes(&self, html: &mut Html) {
        let requests = self.wording.requests();
        let notes: Vec<&str> =
            self.report.diagnosis.notes.iter().map(String::as_str).chain(requests.as_deref()).collect();
        if !notes.is_empty() {
            html.element("h3", &[], "How it was read");
            self.list(html, notes.iter().copied(), notes.len());
        }
    }

    fn list<'b>(&self, html: &mut Html, items: impl Iterator<Item = &'b str>, count: usize) {
        html.raw("<ul>");
        for item in items.take(self.room.rows) {
            html.sentence("li", &[], item);
        }
        if count > self.room.rows {
            html.element("li", &[("class", "more")], &format!("+{} more", count - self.room.rows));
        }
        html.raw("</ul>");
    }
}

/// Every line accounted for.
fn counters(html: &mut Html, input: &InputSummary) {
    let rows = [
        ("Objects read", input.objects),
        ("Bytes read", input.bytes_read),
        ("Bytes after decompression", input.bytes_decoded),
        ("Lines", input.lines),
        ("ACCEPT and REJECT records", input.records),
        ("ACCEPT records", input.accepted),
        ("REJECT records", input.rejected),
        ("NODATA records", input.no_data),
        ("SKIPDATA records (AWS lost traffic)", input.skip_data),
        ("Malformed lines", input.malformed),
        ("Outside the window or filtered out", input.filtered),
        ("Header lines", input.headers),
        ("Transit gateway records", input.transit_gateway),
        ("Delivered twice", input.duplicates),
        ("Interfaces", length(input.interfaces)),
        ("Requests to AWS", input.requests.sent),
        ("Requests repeated", input.requests.repeated),
        ("Objects continued where they broke off", input.requests.resumed),
    ];
    html.element("h3", &[], "What was read");
    html.within("div", &[("class", "counters")], |html| {
        frame(html, "Input", &["", "Count"], |html| {
            for (label, count) in rows {
                html.raw("<tr>").element("th", &[("scope", "row")], label);
                html.element("td", &[("class", "n")], &number(count)).raw("</tr>");
            }
        });
    });
    let unread = [
        (
            input.accepted_unread,
            "Sources hold accepted records that were not read, since no rejected reply could be an answer to them.",
        ),
        (
            input.rejects_unrecorded,
            "A flow log records ACCEPT only, and no other one records what is rejected there.",
        ),
        (input.losses_unread, "Sources hold SKIPDATA records that were not read."),
    ];
    for (_, sentence) in unread.into_iter().filter(|(is_so, _)| *is_so) {
        html.element("p", &[("class", "doubt")], sentence);
    }
}
