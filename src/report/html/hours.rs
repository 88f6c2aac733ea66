//! Rejected replies over time: the bars, the heat map, and both as tables.

use std::io;

use super::super::view::HourlyFinding;
use super::chart::{self, Bars, Heat, Mark, Slots};
use super::markup::{Html, number};
use super::numbering::{COLOURS, short_rule};
use super::{Page, Section};

/// Rows of the heat map.
const HEAT_ROWS: usize = 12;
/// Letters of a rule that there is room for beside its row.
const NAME: usize = 16;
/// The colour of findings beyond those that have their own.
const OTHERS: u8 = 8;
/// The colour of what is not the network ACL's doing.
const ASIDES: u8 = 9;

/// A name of our own, in colour, and what it counts in each slot.
struct Series {
    colour: u8,
    name: Html,
    short: String,
    values: Vec<u64>,
}

impl Page<'_> {
    /// How the time is divided.
    pub(super) fn slots(&self) -> Option<Slots> {
        Slots::new(&self.report.hourly)
    }

    /// The letters on the time axis.
    pub(super) fn marks(&self, slots: &Slots) -> Vec<Mark> {
        chart::marks(slots, &self.report.nacl_changes)
    }

    pub(super) fn hours(&self) -> io::Result<Option<Section>> {
        let Some(slots) = self.slots() else { return Ok(None) };
        let series = self.series(&slots);
        if series.is_empty() {
            return Ok(None);
        }
        let marks = self.marks(&slots);
        let unit = format!("conversations per {}", slots.unit());
        let values: Vec<_> = series.iter().map(|one| (one.colour, one.values.clone())).collect();
        let drawn = chart::bars(&Bars { slots: &slots, series: &values, unit: &unit, marks: &marks })?;
        let title = format!("Conversations without a reply per {}, by finding", slots.unit());
        let mut content = Html::new();
        let about = format!(
            "Each conversation counts in the {} in which its reply was first rejected.",
            slots.unit()
        );
        content.sentence("p", &[("class", "about")], &about);
        content.put(&drawn.html("bars-picture", &title, &description(&slots, &series)));
        content.put(&legend(&series, !marks.is_empty()));
        content.put(&figures("bars-figures", &title, &slots, &series));
        Ok(Some(Section {
            id: "over-time",
            title: "Rejected replies over time".to_owned(),
            title_in_short: "Over time",
            content,
        }))
    }

    /// The first findings by their colour, the rest of them, and what is not the network ACL's doing.
    fn series(&self, slots: &Slots) -> Vec<Series> {
        let of = |finding: &HourlyFinding| slots.fold(&finding.conversations);
        let mut series: Vec<Series> = Vec::new();
        let mut others = vec![0; slots.count()];
        let mut asides = vec![0; slots.count()];
        for finding in &self.report.hourly.findings {
            let number = self.numbering.number(&finding.finding_id);
            let Some(number) = number.filter(|number| *number <= COLOURS) else {
                let sum = if number.is_some() { &mut others } else { &mut asides };
                sum.iter_mut()
                    .zip(of(finding))
                    .for_each(|(sum, value)| *sum = u64::saturating_add(*sum, value));
                continue;
            };
            series.push(Series {
                colour: u8::try_from(number).unwrap_or(OTHERS),
                name: self.name_of(number),
                short: format!("finding {number}"),
                values: of(finding),
            });
        }
        let hidden = self.numbering.findings.len().saturating_sub(COLOURS);
        for (colour, name, values) in [
            (OTHERS, format!("{hidden} more findings"), others),
            (ASIDES, "not the network ACL".to_owned(), asides),
        ] {
            let short = name.clone();
            series.push(Series { colour, name: Html::of("span", &[], &name), short, values });
        }
        series.retain(|one| one.values.iter().any(|value| *value > 0));
        series
    }

    /// `3 private * ingress`
    fn name_of(&self, number: usize) -> Html {
        let mut name = Html::new();
        if let Some(finding) = self.numbering.findings.get(number - 1) {
            name.put(&self.numbering.link(&finding.id)).raw(" ");
            if let Some(acl) = &finding.network_acl_id {
                match self.wording.name(acl) {
                    Some(called) => name.element("bdi", &[], called).raw(" "),
                    None => name.element("code", &[], acl).raw(" "),
                };
            }
            name.text(&short_rule(finding));
        }
        name
    }

    pub(super) fn heat(&self) -> io::Result<Option<Section>> {
        let Some(slots) = self.slots() else { return Ok(None) };
        let series = self.heat_rows(&slots);
        if series.is_empty() {
            return Ok(None);
        }
        let rows: Vec<_> = series.iter().map(|one| (one.short.clone(), one.values.clone())).collect();
        let drawn = chart::heat(&Heat { slots: &slots, rows: &rows, marks: &self.marks(&slots) })?;
        let title = format!("Rejected packets per {}, by rule", slots.unit());
        let mut content = Html::new();
        content.sentence(
            "p",
            &[("class", "about")],
            "The stronger the colour, the more packets a rule rejected.",
        );
        content.put(&drawn.html("heat-picture", &title, &description(&slots, &series)));
        content.put(&scale(&rows, &slots.unit()));
        let hidden = self.numbering.findings.len().saturating_sub(HEAT_ROWS);
        if hidden > 0 {
            content.element(
                "p",
                &[("class", "more")],
                &format!("+{hidden} more findings, in the table above"),
            );
        }
        content.put(&figures("heat-figures", &title, &slots, &series));
        Ok(Some(Section {
            id: "heat",
            title: format!("Which rule rejected in which {}", slots.unit()),
            title_in_short: "Hour by rule",
            content,
        }))
    }

    fn heat_rows(&self, slots: &Slots) -> Vec<Series> {
        let row = |finding: &HourlyFinding| {
            let number = self.numbering.number(&finding.finding_id).filter(|number| *number <= HEAT_ROWS)?;
            let rule = short_rule(self.numbering.findings.get(number - 1)?);
            let rule = if rule.chars().count() > NAME { format!("{rule:.0$}…", NAME - 1) } else { rule };
            let (name, values) = (self.name_of(number), slots.fold(&finding.packets));
            Some(Series { colour: 0, name, short: format!("{number} · {rule}"), values })
        };
        let mut rows: Vec<_> = self.report.hourly.findings.iter().filter_map(row).collect();
        rows.retain(|one| one.values.iter().any(|value| *value > 0));
        rows
    }
}

/// What there is to see, for those who do not.
fn description(slots: &Slots, series: &[Series]) -> String {
    let parts = series.iter().map(|one| {
        let most = one.values.iter().max().copied().unwrap_or(0);
        let at = one.values.iter().position(|value| *value == most).unwrap_or(0);
        format!(
            "{}: {} in all, most ({}) at {}",
            one.short,
            number(one.values.iter().fold(0, |sum, value| u64::saturating_add(sum, *value))),
            number(most),
            slots.begin(at).strftime("%F %H:%M")
        )
    });
    format!("{}. All figures are in the table that follows.", parts.collect::<Vec<_>>().join("; "))
}

fn legend(series: &[Series], marked: bool) -> Html {
    let mut html = Html::new();
    html.raw("<ul class=\"legend\">");
    for one in series {
        let class = format!("swatch f1-{}", one.colour);
        html.raw("<li>").element("span", &[("class", &class), ("aria-hidden", "true")], "");
        html.put(&one.name).raw("</li>");
    }
    if marked {
        html.raw("<li><span class=\"swatch mark\" aria-hidden=\"true\"></span><a href=\"#changes\">A, B … network ACLs changed</a></li>");
    }
    html.raw("</ul>");
    html
}

fn scale(rows: &[(String, Vec<u64>)], unit: &str) -> Html {
    let mut html = Html::new();
    html.raw("<ul class=\"legend\">");
    for (level, from, to) in chart::level_ranges(rows) {
        let range = if from == to { number(from) } else { format!("{}–{}", number(from), number(to)) };
        let class = format!("swatch f3-{level}");
        html.raw("<li>")
            .element("span", &[("class", &class), ("aria-hidden", "true")], "")
            .text(&range)
            .raw("</li>");
    }
    html.element("li", &[("class", "quiet")], &format!("packets per {unit}")).raw("</ul>");
    html
}

/// The same as a table, without the slots in which there was nothing.
fn figures(id: &str, title: &str, slots: &Slots, series: &[Series]) -> Html {
    let mut html = Html::new();
    let frame =
        [("class", "scroll"), ("role", "group"), ("aria-label", "Figures, scrollable"), ("tabindex", "0")];
    html.raw("<details class=\"figures-table\"><summary>The same in figures</summary>").open("div", &frame);
    html.open("table", &[("id", id)]).sentence("caption", &[], title).raw("<thead><tr>");
    html.element("th", &[("scope", "col")], &format!("{} beginning at", super::capital(&slots.unit())));
    for one in series {
        html.element("th", &[("scope", "col"), ("class", "n")], &super::capital(&one.short));
    }
    html.raw("</tr></thead><tbody>");
    for slot in 0..slots.count() {
        if series.iter().all(|one| one.values[slot] == 0) {
            continue;
        }
        html.raw("<tr>").element("th", &[("scope", "row")], &slots.begin(slot).strftime("%a %F %H:%M"));
        for one in series {
            html.raw("<td class=\"n\">").text(&number(one.values[slot])).raw("</td>");
        }
        html.raw("</tr>");
    }
    html.raw(
        "</tbody></table></div><p class=\"more\">Where nothing was rejected there is no row.</p></details>",
    );
    html
}
