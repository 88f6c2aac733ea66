//! Pictures of hours: how they are laid out, and how their colours become the stylesheet's.
//!
//! Owns the time axis, the marks on it and what the chart library's output is turned into. Nothing from a log is handed
//! to the library: it draws numbers, clock times and words of our own.

mod bars;
mod heat;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;

use plotters::prelude::{
    DrawingArea, DrawingAreaErrorKind, DrawingBackend, IntoDrawingArea, IntoFont, RGBColor, SVGBackend,
    TextStyle,
};

use super::super::view::{Hourly, NaclChange};
use super::markup::Html;
use crate::net::Timestamp;

pub(super) use bars::{Bars, bars};
pub(super) use heat::{Heat, heat, level_ranges};

/// Width of the plot, in units of half a pixel, unless there are very few slots.
const PLOT_WIDTH: u32 = 1_920;
/// A slot is no wider than this.
const WIDEST_SLOT: u32 = 240;
/// Slots beyond which hours are put together.
const MOST_SLOTS: usize = 240;
/// Room on the left, for what the rows or the lines stand for.
const LEFT: u32 = 280;
/// Room on the right, for half of a label.
const RIGHT: u32 = 50;
/// Room at the bottom, for the times.
const BOTTOM: u32 = 60;
/// Room at the top, for the marks.
const TOP: u32 = 64;
/// Pictures that are narrower keep their size.
const SMALL: u32 = 1_700;
const LETTER: f64 = 24.0 * 1.24;

/// What a colour of a picture stands for. The library is handed numbers in its place, which become classes afterwards.
const TEXT: RGBColor = RGBColor(2, 0, 0);
const LINE: RGBColor = RGBColor(2, 0, 1);
const MARK: RGBColor = RGBColor(2, 0, 2);
const BAND: RGBColor = RGBColor(2, 0, 3);

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// How drawing can fail.
type Unfinished = DrawingAreaErrorKind<<SVGBackend<'static> as DrawingBackend>::ErrorType>;

/// The elements of a picture, without the `svg` around them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Drawn {
    elements: String,
    size: (u32, u32),
}

impl Drawn {
    /// Shapes and text.
    pub(super) fn elements(&self) -> &str {
        &self.elements
    }

    /// The whole picture, with what it is called and what there is to see.
    pub(super) fn html(&self, id: &str, title: &str, description: &str) -> Html {
        let mut html = Html::new();
        let (title_id, description_id) = (format!("{id}-title"), format!("{id}-desc"));
        let frame = format!("0 0 {} {}", self.size.0, self.size.1);
        let label = format!("{title}, scrollable");
        let scroll = [
            ("class", "scroll picture"),
            ("role", "group"),
            ("aria-label", label.as_str()),
            ("tabindex", "0"),
        ];
        html.within("div", &scroll, |html| {
            let labels = format!("{title_id} {description_id}");
            let attributes = [("viewBox", frame.as_str()), ("role", "img"), ("aria-labelledby", &labels)];
            // A few hours keep their size; days take the width there is.
            let width = (self.size.0 / 2).to_string();
            let small = [("class", "small"), ("width", width.as_str())];
            let few = if self.size.0 < SMALL { &small[..] } else { &[] };
            let attributes: Vec<_> = attributes.iter().chain(few).copied().collect();
            html.within("svg", &attributes, |html| {
                html.element("title", &[("id", &title_id)], title);
                html.element("desc", &[("id", &description_id)], description);
                html.picture(self);
            });
        });
        html
    }

    /// A picture of this size, as `draw` draws it. The library writes into memory: what it reports can only be a mistake in
    /// a picture.
    fn by(size: (u32, u32), draw: impl FnOnce(&Area<'_>) -> Result<(), Unfinished>) -> io::Result<Self> {
        let failed = |error: Unfinished| io::Error::other(format!("a picture cannot be drawn: {error}"));
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            draw(&area).map_err(failed)?;
            area.present().map_err(failed)?;
        }
        Ok(Self::from_svg(&svg, size))
    }

    /// Takes the library's document apart: its own frame, fonts and fixed colours go.
    fn from_svg(svg: &str, size: (u32, u32)) -> Self {
        let inside = svg.split_once('>').map_or(svg, |(_, inside)| inside);
        let inside = inside.rsplit_once("</svg>").map_or(inside, |(inside, _)| inside);
        let mut elements = inside
            .replace(" opacity=\"1\"", "")
            .replace(" stroke=\"none\"", "")
            .replace(" font-family=\"sans-serif\"", "");
        for (attribute, prefix) in [("fill=\"#", 'f'), ("stroke=\"#", 'k')] {
            elements = classes(&elements, attribute, prefix);
        }
        Self { elements, size }
    }
}

/// `fill="#010003"` → `class="f1-3"`.
fn classes(svg: &str, attribute: &str, prefix: char) -> String {
    let mut parts = svg.split(attribute);
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (colour, rest) = part.split_at_checked(6).unwrap_or((part, ""));
        let byte = |at: usize| colour.get(at..at + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let (family, member) = (byte(0).unwrap_or_default(), byte(4).unwrap_or_default());
        // Writing to a `String` cannot fail.
        let _ = write!(shown, "class=\"{prefix}{family}-{member}{rest}");
    }
    shown
}

/// Equal parts of the time: hours, or several hours each where there are very many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slots {
    start: Timestamp,
    seconds: u32,
    hours: usize,
    count: usize,
}

impl Slots {
    /// For a time of so many hours; nothing where there is none.
    pub(super) fn new(hourly: &Hourly) -> Option<Self> {
        let hours = hourly.findings.iter().map(|finding| finding.packets.len()).max()?;
        let lengths = [1, 2, 3, 4, 6, 12, 24];
        let fitting = lengths.into_iter().find(|length| hours.div_ceil(*length) <= MOST_SLOTS);
        let together = fitting.unwrap_or_else(|| hours.div_ceil(MOST_SLOTS).next_multiple_of(24));
        let count = hours.div_ceil(together);
        let seconds = hourly.slice_seconds.saturating_mul(u32::try_from(together).unwrap_or(u32::MAX));
        (count > 0 && seconds > 0).then_some(Self { start: hourly.start, seconds, hours: together, count })
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// `hour`, `6 hours`.
    pub(super) fn unit(&self) -> String {
        if self.hours == 1 { "hour".to_owned() } else { format!("{} hours", self.hours) }
    }

    /// When a slot begins.
    pub(super) fn begin(&self, slot: usize) -> Timestamp {
        self.start.plus_seconds(i64::try_from(slot).unwrap_or(0) * i64::from(self.seconds))
    }

    /// Hours put together.
    pub(super) fn fold(&self, hours: &[u64]) -> Vec<u64> {
        let mut slots: Vec<u64> = hours
            .chunks(self.hours)
            .map(|hours| hours.iter().fold(0, |sum, value| u64::saturating_add(sum, *value)))
            .collect();
        slots.resize(self.count, 0);
        slots
    }

    /// The slot of a moment.
    pub(super) fn slot(&self, moment: Timestamp) -> Option<usize> {
        let slot = usize::try_from(moment.seconds_since(self.start) / i64::from(self.seconds)).ok()?;
        (moment >= self.start && slot < self.count).then_some(slot)
    }

    fn width(&self) -> u32 {
        u32::try_from(self.count).unwrap_or(1) * self.slot_width()
    }

    /// How wide one is drawn.
    fn slot_width(&self) -> u32 {
        (PLOT_WIDTH / u32::try_from(self.count).unwrap_or(1).max(1)).clamp(1, WIDEST_SLOT)
    }

    /// Where the axis has a label, and which: about one for every 150 units.
    fn ticks(&self) -> Vec<(usize, String)> {
        let most = usize::try_from(self.width() / 190).unwrap_or(1).max(2);
        let days = self.hours * self.count > 48;
        let lengths = [1, 2, 3, 6, 12, 24, 48, 72, 168, 336, 720];
        let is_multiple = |length: &usize| length.is_multiple_of(self.hours);
        let fits =
            |length: &usize| (self.hours * self.count).div_ceil(*length) <= most && (!days || *length >= 24);
        let step = lengths.into_iter().filter(is_multiple).find(fits).unwrap_or(720);
        let hour = i64::from(self.seconds) / i64::try_from(self.hours).unwrap_or(1);
        let is_tick = |slot: &usize| {
            let hours = self.begin(*slot).0.div_euclid(hour.max(1));
            hours.rem_euclid(i64::try_from(step).unwrap_or(1)) < i64::try_from(self.hours).unwrap_or(1)
        };
        let label = |slot: usize| self.begin(slot).strftime(if step >= 24 { "%a %-d %b" } else { "%H:%M" });
        (0..self.count).filter(is_tick).map(|slot| (slot, label(slot))).collect()
    }
}

/// A moment at which network ACLs were changed, with the letter that stands for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    slot: usize,
    /// Where in its slot the first of its changes lies.
    thousandths: u32,
    letter: char,
}

/// One mark for each slot with changes, those first that a finding began or ended with: at most 26.
pub(super) fn marks(slots: &Slots, changes: &[NaclChange]) -> Vec<Mark> {
    let matters = |change: &&NaclChange| !change.began.is_empty() || !change.ended.is_empty();
    let (first, then): (Vec<_>, Vec<_>) = changes.iter().partition(matters);
    let mut marked: BTreeMap<usize, Timestamp> = BTreeMap::new();
    for change in first.into_iter().chain(then) {
        if let Some(slot) = slots.slot(change.time)
            && (marked.contains_key(&slot) || marked.len() < 26)
        {
            let earliest = marked.entry(slot).or_insert(change.time);
            *earliest = change.time.min(*earliest);
        }
    }
    let mark = |((slot, at), letter): ((usize, Timestamp), char)| {
        let within = at.seconds_since(slots.begin(slot)) * 1000 / i64::from(slots.seconds);
        Mark { slot, thousandths: u32::try_from(within).unwrap_or(0), letter }
    };
    marked.into_iter().zip('A'..='Z').map(mark).collect()
}

/// The letter of a moment.
pub(super) fn letter(slots: &Slots, marks: &[Mark], moment: Timestamp) -> Option<char> {
    let slot = slots.slot(moment)?;
    marks.iter().find(|mark| mark.slot == slot).map(|mark| mark.letter)
}

fn letters(colour: RGBColor) -> TextStyle<'static> {
    ("sans-serif", LETTER).into_font().color(&colour)
}

/// What the axis says at a slot.
fn label_at(ticks: &[(usize, String)], slot: usize) -> String {
    ticks.iter().find(|(tick, _)| *tick == slot).map_or_else(String::new, |(_, label)| label.clone())
}

#[cfg(test)]
mod tests {
    use super::super::super::view::HourlyFinding;
    use super::*;

    fn slots(hours: usize) -> Slots {
        let finding = HourlyFinding {
            finding_id: String::new(),
            conversations: vec![1; hours],
            packets: vec![1; hours],
        };
        // 2026-11-16 00:00 UTC, a Monday.
        let start = Timestamp(1_794_787_200);
        Slots::new(&Hourly { start, slice_seconds: 3_600, findings: vec![finding] }).expect("slots")
    }

    #[test]
    fn hours_are_put_together_where_there_are_very_many() {
        assert_eq!((slots(1).count(), slots(168).count(), slots(240).count()), (1, 168, 240));
        assert_eq!((slots(241).count(), slots(241).unit().as_str()), (121, "2 hours"));
        for hours in [241, 720, 8_760] {
            let slots = slots(hours);
            assert!(slots.count() <= MOST_SLOTS);
            let sum: u64 = slots.fold(&vec![1; hours]).iter().sum();
            assert_eq!(sum, hours as u64, "no hour is lost");
        }
    }

    #[test]
    fn labels_stand_at_round_times_and_not_on_one_another() {
        let labels = |hours| slots(hours).ticks().into_iter().map(|(_, label)| label).collect::<Vec<_>>();
        assert_eq!(labels(2), ["00:00", "01:00"]);
        assert_eq!(labels(24), ["00:00", "03:00", "06:00", "09:00", "12:00", "15:00", "18:00", "21:00"]);
        assert_eq!(labels(168)[..2], ["Mon 16 Nov", "Tue 17 Nov"]);
        assert_eq!(labels(168).len(), 7);
        assert!((4..=14).contains(&labels(8_760).len()), "{:?}", labels(8_760));
    }

    #[test]
    fn a_time_of_any_length_can_be_drawn() {
        for hours in [1, 2, 30, 720, 8_760] {
            let slots = slots(hours);
            let values = slots.fold(&vec![3; hours]);
            let series = [(1, values.clone()), (2, values.clone())];
            let marks = [Mark { slot: slots.count() - 1, thousandths: 999, letter: 'A' }];
            let drawn =
                bars(&Bars { slots: &slots, series: &series, unit: "conversations per hour", marks: &marks });
            let drawn = drawn.expect("bars").html("bars", "title", "description");
            assert!(drawn.markup().contains("class=\"f1-2\"") && !drawn.markup().contains("fill=\"#"));
            let rows = [("1 · *".to_owned(), values)];
            let drawn = heat(&Heat { slots: &slots, rows: &rows, marks: &marks }).expect("heat");
            assert!(drawn.elements().contains("class=\"f3-5\""), "{}", drawn.elements());
        }
    }
}
