//! A table that can be sorted and filtered, with a script and without one.
//!
//! Owns the caption, the scrolling frame, the fields above a table and the stylesheet's rules behind them. Without a
//! script, radio buttons choose the order: each row has its rank in every column as a custom property, and the checked
//! button says which of them is the row's `order`. Refuses to know what the rows are about.

use std::cmp::Ordering;
use std::fmt::Write as _;

use super::markup::{Html, number};

/// A column's head and what is in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    head: &'static str,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Text,
    Unsorted,
}

/// Numbers: the largest first.
pub(super) const fn figures(head: &'static str) -> Column {
    Column { head, kind: Kind::Number }
}

/// Words: in order of the alphabet.
pub(super) const fn words(head: &'static str) -> Column {
    Column { head, kind: Kind::Text }
}

/// Something that has no order.
pub(super) const fn unsorted(head: &'static str) -> Column {
    Column { head, kind: Kind::Unsorted }
}

/// What is in a cell.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    html: Html,
    key: Key,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Number(u64),
    Text(String),
}

impl Cell {
    /// A number.
    pub(super) fn figure(value: u64) -> Self {
        let mut html = Html::new();
        html.text(&number(value));
        Self { html, key: Key::Number(value) }
    }

    /// Plain text.
    pub(super) fn text(value: &str) -> Self {
        let mut html = Html::new();
        html.text(&uncomputed(value));
        Self { html, key: Key::Text(value.to_lowercase()) }
    }

    /// A moment, in one line.
    pub(super) fn moment(said: &str) -> Self {
        Self::html(Html::of("span", &[("class", "moment")], said), said)
    }

    /// Markup, sorted by `key`.
    pub(super) fn html(html: Html, key: &str) -> Self {
        Self { html, key: Key::Text(key.to_lowercase()) }
    }

    /// Markup, sorted by a number.
    pub(super) fn ranked(html: Html, key: u64) -> Self {
        Self { html, key: Key::Number(key) }
    }
}

/// A row, and for each filter of its table which option it belongs to.
#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    /// As many as there are columns.
    pub cells: Vec<Cell>,
    /// As many as there are filters.
    pub options: Vec<usize>,
}

impl From<Vec<Cell>> for Row {
    fn from(cells: Vec<Cell>) -> Self {
        Self { cells, options: Vec::new() }
    }
}

/// Buttons of which one is chosen: rows of other options are not shown.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    /// `cause`: for ids.
    pub name: &'static str,
    /// What people read.
    pub legend: &'static str,
    /// In the order in which they are offered.
    pub options: Vec<String>,
}

/// A table with its frame.
#[derive(Debug)]
pub(super) struct Table<'a> {
    /// Unique on the page.
    pub id: &'a str,
    /// Says what the rows are.
    pub caption: &'a str,
    /// Left to right.
    pub columns: &'a [Column],
    /// Above the table.
    pub filters: Vec<Filter>,
    /// Most important first.
    pub rows: Vec<Row>,
    /// Rows that there was no room for.
    pub left_out: u64,
    /// Said of those, behind `+n more`.
    pub left_out_note: &'a str,
}

/// Rows from which on sorting and filtering are worth their fields.
const WORTH_SORTING: usize = 4;

impl Table<'_> {
    /// The whole of it.
    pub(super) fn html(&self) -> Html {
        let mut html = Html::new();
        let frame = format!("{}-box", self.id);
        let sortable = self.rows.len() >= WORTH_SORTING;
        let class = if sortable { "table sortable" } else { "table" };
        html.within("div", &[("class", class), ("id", &frame)], |html| {
            if sortable {
                self.fields(html);
            }
            let label = format!("{}, scrollable", self.caption);
            let attributes =
                [("class", "scroll"), ("role", "group"), ("aria-label", label.as_str()), ("tabindex", "0")];
            html.within("div", &attributes, |html| self.table(html, sortable));
            if self.left_out > 0 {
                let more = format!("+{} more{}", number(self.left_out), self.left_out_note);
                html.element("p", &[("class", "more")], &more);
            }
        });
        html
    }

    fn table(&self, html: &mut Html, sortable: bool) {
        // Laid out as a grid to be sorted without a script, a table is one for a screen reader by its roles only.
        let role = |role: &'static str| if sortable { vec![("role", role)] } else { vec![] };
        let mut attributes = vec![("id", self.id)];
        attributes.extend(role("table"));
        html.open("table", &attributes).sentence("caption", &[], self.caption);
        html.open("thead", &role("rowgroup")).open("tr", &role("row"));
        for column in self.columns {
            let mut attributes = vec![("scope", "col")];
            attributes.extend(role("columnheader"));
            attributes.extend(match column.kind {
                Kind::Number => Some(("class", "n")),
                Kind::Text => None,
                Kind::Unsorted => Some(("class", "unsorted")),
            });
            html.element("th", &attributes, column.head);
        }
        html.close("tr").close("thead").open("tbody", &role("rowgroup"));
        for row in &self.rows {
            self.row(html, row, sortable);
        }
        html.close("tbody").close("table");
    }

    fn row(&self, html: &mut Html, row: &Row, sortable: bool) {
        let classes = self.filters.iter().zip(&row.options);
        let classes: Vec<_> = classes.map(|(filter, option)| format!("{}{option}", filter.name)).collect();
        let class = classes.join(" ");
        let mut attributes = Vec::new();
        if sortable {
            attributes.push(("role", "row"));
        }
        if !class.is_empty() {
            attributes.push(("class", class.as_str()));
        }
        html.open("tr", &attributes);
        for (column, cell) in self.columns.iter().zip(&row.cells) {
            let mut attributes = Vec::new();
            if sortable {
                attributes.push(("role", "cell"));
            }
            if column.kind == Kind::Number {
                attributes.push(("class", "n"));
            }
            html.open("td", &attributes).put(&cell.html).close("td");
        }
        html.close("tr");
    }

    fn fields(&self, html: &mut Html) {
        html.open("div", &[("class", "fields")]);
        for filter in self.filters.iter().filter(|filter| filter.options.len() > 1) {
            self.filter(html, filter);
        }
        self.order(html);
        html.close("div");
        let count = self.columns.len();
        let id = self.id;
        html.rule(&format!("#{id}-box:has(.order input:not(.ranked):checked) table{{grid-template-columns:repeat({count},auto)}}"));
    }

    fn filter(&self, html: &mut Html, filter: &Filter) {
        let (id, name) = (self.id, filter.name);
        let group = format!("{id}-{name}");
        html.open("fieldset", &[("class", "filter")]).element("legend", &[], filter.legend);
        radio(html, &group, "all", "all", true);
        for (at, option) in filter.options.iter().enumerate() {
            radio(html, &group, &at.to_string(), option, false);
            html.rule(&format!(
                "#{id}-box:has(#{group}-{at}:checked) tbody tr:not(.{name}{at}){{display:none}}"
            ));
        }
        html.close("fieldset");
    }

    /// The way to sort without a script.
    fn order(&self, html: &mut Html) {
        let group = format!("{}-by", self.id);
        html.open("fieldset", &[("class", "order")]).element("legend", &[], "Sort by");
        radio(html, &group, "ranked", "as ranked", true);
        let mut ranks: Vec<String> = vec![String::new(); self.rows.len()];
        let sorted = self.columns.iter().enumerate().filter(|(_, column)| column.kind != Kind::Unsorted);
        for (at, column) in sorted {
            radio(html, &group, &at.to_string(), column.head, false);
            let id = self.id;
            html.rule(&format!("#{id}-box:has(#{group}-{at}:checked) tbody tr{{order:var(--by{at})}}"));
            for (rank, row) in self.ranked_by(at).into_iter().enumerate() {
                // Writing to a `String` cannot fail.
                let _ = write!(ranks[row], "--by{at}:{rank};");
            }
        }
        html.close("fieldset");
        for (at, ranks) in ranks.iter().enumerate() {
            html.rule(&format!("#{} tbody tr:nth-child({}){{{ranks}}}", self.id, at + 1));
        }
    }

    /// Rows in the order of a column.
    fn ranked_by(&self, column: usize) -> Vec<usize> {
        let key =
            |row: &usize| self.rows.get(*row).and_then(|row| row.cells.get(column)).map(|cell| &cell.key);
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        order.sort_by(|one, other| match (key(one), key(other)) {
            (Some(Key::Number(one)), Some(Key::Number(other))) => other.cmp(one),
            (Some(Key::Text(one)), Some(Key::Text(other))) => one.cmp(other),
            _ => Ordering::Equal,
        });
        order
    }
}

fn radio(html: &mut Html, group: &str, value: &str, label: &str, checked: bool) {
    let id = format!("{group}-{value}");
    let mut attributes = vec![("type", "radio"), ("name", group), ("id", id.as_str())];
    if value == "ranked" {
        attributes.push(("class", "ranked"));
    }
    if checked {
        attributes.push(("checked", ""));
    }
    html.open("input", &attributes).element("label", &[("for", &id)], label);
}

/// Copied into a spreadsheet, a cell that begins like a formula would be one.
fn uncomputed(text: &str) -> String {
    let formula = text.len() > 1 && text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if formula { format!("'{text}") } else { text.to_owned() }
}
