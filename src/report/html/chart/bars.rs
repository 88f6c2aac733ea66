//! Bars that stand on one another: how much of every hour belongs to which finding.

use std::io;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::super::super::phrase::grouped;
use super::{
    Area, BOTTOM, Drawn, LEFT, LINE, MARK, Mark, RIGHT, Slots, TEXT, TOP, Unfinished, label_at, letters,
};

/// Height of the plot.
const HEIGHT: u32 = 480;

/// What to draw.
#[derive(Debug)]
pub(in super::super) struct Bars<'a> {
    /// The time axis.
    pub slots: &'a Slots,
    /// From the bottom up: the number of its colour, and a value for each slot.
    pub series: &'a [(u8, Vec<u64>)],
    /// What the values count.
    pub unit: &'a str,
    /// Changes of network ACLs.
    pub marks: &'a [Mark],
}

/// Draws them.
pub(in super::super) fn bars(what: &Bars<'_>) -> io::Result<Drawn> {
    let size = (LEFT + what.slots.width() + RIGHT, TOP + HEIGHT + BOTTOM);
    Drawn::by(size, |area| draw(what, area))
}

fn draw(what: &Bars<'_>, area: &Area<'_>) -> Result<(), Unfinished> {
    let slots = what.slots;
    let lines = lines(what.highest());
    let top = lines.last().copied().unwrap_or(1);
    let ticks = slots.ticks();
    let mut chart = ChartBuilder::on(area)
        .margin_top(TOP)
        .margin_right(RIGHT)
        .set_label_area_size(LabelAreaPosition::Left, LEFT)
        .set_label_area_size(LabelAreaPosition::Bottom, BOTTOM)
        .build_cartesian_2d(
            (0..slots.count()).with_key_points(ticks.iter().map(|(slot, _)| *slot).collect()),
            (0..top).with_key_points(lines),
        )?;
    let label = |slot: &usize| label_at(&ticks, *slot);
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(ticks.len())
        .x_label_formatter(&label)
        .y_label_formatter(&|value| grouped(*value))
        .y_desc(what.unit)
        .axis_desc_style(letters(TEXT))
        .label_style(letters(TEXT))
        .axis_style(LINE.stroke_width(2))
        .bold_line_style(LINE.stroke_width(1))
        .light_line_style(TRANSPARENT)
        .draw()?;
    let mut floor = vec![0_u64; slots.count()];
    let gap = u32::from(slots.slot_width() > 5);
    for (colour, values) in what.series {
        let style = RGBColor(1, 0, *colour).filled();
        let mut bars = Vec::new();
        for (slot, value) in values.iter().enumerate().filter(|(_, value)| **value > 0) {
            let mut bar =
                Rectangle::new([(slot, floor[slot]), (slot + 1, floor[slot].saturating_add(*value))], style);
            bar.set_margin(0, 0, gap, gap);
            bars.push(bar);
            floor[slot] = floor[slot].saturating_add(*value);
        }
        chart.draw_series(bars)?;
    }
    for mark in what.marks {
        let ((left, floor), (_, y)) =
            (chart.backend_coord(&(mark.slot, 0)), chart.backend_coord(&(mark.slot, top)));
        let x = left + i32::try_from(slots.slot_width() * mark.thousandths / 1000).unwrap_or(0);
        area.draw(&PathElement::new([(x, floor), (x, y)], MARK.stroke_width(2)))?;
        let style = letters(MARK).pos(Pos::new(HPos::Center, VPos::Bottom));
        area.draw(&Text::new(mark.letter.to_string(), (x, y - 8), style))?;
    }
    Ok(())
}

impl Bars<'_> {
    fn highest(&self) -> u64 {
        let sum = |slot| {
            self.series
                .iter()
                .filter_map(|(_, values)| values.get(slot))
                .fold(0, |sum, value| u64::saturating_add(sum, *value))
        };
        (0..self.slots.count()).map(sum).max().unwrap_or(0)
    }
}

/// Round numbers from zero to at least `highest`: 0, 200, 400 …
fn lines(highest: u64) -> Vec<u64> {
    let highest = highest.max(1);
    let powers = std::iter::successors(Some(1_u64), |power| power.checked_mul(10));
    let mut steps = powers.flat_map(|power| [1, 2, 5].map(|factor| power.saturating_mul(factor)));
    let step = steps.find(|step| highest.div_ceil(*step) <= 5).unwrap_or(highest);
    (0..=highest.div_ceil(step)).map(|line| line.saturating_mul(step)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_round_and_reach_the_highest_bar() {
        assert_eq!(lines(0), [0, 1]);
        assert_eq!(lines(7), [0, 2, 4, 6, 8]);
        assert_eq!(lines(312), [0, 100, 200, 300, 400]);
        assert_eq!(lines(1_001), [0, 500, 1_000, 1_500]);
        assert!(lines(u64::MAX).len() >= 2);
    }
}
