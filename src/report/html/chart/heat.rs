//! A row for each rule, a column for each hour: the darker, the more was rejected.

use std::io;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{
    Area, BAND, BOTTOM, Drawn, LEFT, LINE, MARK, Mark, RIGHT, Slots, TEXT, TOP, Unfinished, label_at, letters,
};

/// Steps of the scale.
const LEVELS: u8 = 5;
/// Height of a row.
const ROW: u32 = 48;

/// What to draw.
#[derive(Debug)]
pub(in super::super) struct Heat<'a> {
    /// The time axis.
    pub slots: &'a Slots,
    /// From the top down: what the row is called, in our own words, and a value for each slot.
    pub rows: &'a [(String, Vec<u64>)],
    /// Changes of network ACLs.
    pub marks: &'a [Mark],
}

/// Draws it.
pub(in super::super) fn heat(what: &Heat<'_>) -> io::Result<Drawn> {
    let rows = u32::try_from(what.rows.len()).unwrap_or(1);
    let size = (LEFT + what.slots.width() + RIGHT, TOP + rows * ROW + BOTTOM);
    Drawn::by(size, |area| draw(what, area))
}

fn draw(what: &Heat<'_>, area: &Area<'_>) -> Result<(), Unfinished> {
    let (slots, count) = (what.slots, what.rows.len());
    let ticks = slots.ticks();
    let mut chart = ChartBuilder::on(area)
        .margin_top(TOP)
        .margin_right(RIGHT)
        .set_label_area_size(LabelAreaPosition::Left, LEFT)
        .set_label_area_size(LabelAreaPosition::Bottom, BOTTOM)
        .build_cartesian_2d(
            (0..slots.count()).with_key_points(ticks.iter().map(|(slot, _)| *slot).collect()),
            0..count,
        )?;
    let label = |slot: &usize| label_at(&ticks, *slot);
    chart
        .configure_mesh()
        .disable_mesh()
        .disable_y_axis()
        .x_labels(ticks.len())
        .x_label_formatter(&label)
        .label_style(letters(TEXT))
        .axis_style(LINE.stroke_width(2))
        .draw()?;
    let highest = what.highest();
    for (at, (name, values)) in what.rows.iter().enumerate() {
        let (floor, ceiling) = (count - at - 1, count - at);
        let mut cells = vec![cell((0, floor), (slots.count(), ceiling), BAND)];
        for (first, after, level) in runs(values, highest) {
            cells.push(cell((first, floor), (after, ceiling), RGBColor(3, 0, level)));
        }
        chart.draw_series(cells)?;
        let (x, y) = chart.backend_coord(&(0, ceiling));
        let style = letters(TEXT).pos(Pos::new(HPos::Right, VPos::Center));
        let middle = y + i32::try_from(ROW / 2).unwrap_or(0) + 2;
        area.draw(&Text::new(name.clone(), (x - 16, middle), style))?;
    }
    for mark in what.marks {
        chart.draw_series([PathElement::new([(mark.slot, 0), (mark.slot, count)], MARK.stroke_width(2))])?;
        let (x, y) = chart.backend_coord(&(mark.slot, count));
        let style = letters(MARK).pos(Pos::new(HPos::Center, VPos::Bottom));
        area.draw(&Text::new(mark.letter.to_string(), (x, y - 8), style))?;
    }
    Ok(())
}

fn cell(low: (usize, usize), high: (usize, usize), colour: RGBColor) -> Rectangle<(usize, usize)> {
    let mut cell = Rectangle::new([low, high], colour.filled());
    cell.set_margin(3, 3, 0, 0);
    cell
}

impl Heat<'_> {
    fn highest(&self) -> u64 {
        self.rows.iter().flat_map(|(_, values)| values).copied().max().unwrap_or(0)
    }
}

/// Neighbours of one level, without those of level 0: first slot, slot after the last one, level.
fn runs(values: &[u64], highest: u64) -> Vec<(usize, usize, u8)> {
    let mut runs: Vec<(usize, usize, u8)> = Vec::new();
    for (slot, value) in values.iter().enumerate() {
        let level = level(*value, highest);
        match runs.last_mut() {
            Some((_, after, last)) if *after == slot && *last == level => *after = slot + 1,
            _ => runs.push((slot, slot + 1, level)),
        }
    }
    runs.retain(|(_, _, level)| *level > 0);
    runs
}

/// Equal factors lie between levels, since rejects differ by orders of magnitude: 0 for nothing, [`LEVELS`] for `highest`.
fn level(value: u64, highest: u64) -> u8 {
    if value == 0 {
        return 0;
    }
    (1..LEVELS).find(|level| value <= bound(*level, highest)).unwrap_or(LEVELS)
}

/// The largest value of a level.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "where a shade of colour ends need not be exact"
)]
fn bound(level: u8, highest: u64) -> u64 {
    if level == LEVELS {
        return highest;
    }
    (highest as f64).powf(f64::from(level) / f64::from(LEVELS)).floor() as u64
}

/// What each level stands for, `1–4`, from the lightest; levels that no whole number falls into have none.
pub(in super::super) fn level_ranges(rows: &[(String, Vec<u64>)]) -> Vec<(u8, u64, u64)> {
    let highest = rows.iter().flat_map(|(_, values)| values).copied().max().unwrap_or(0);
    let mut ranges = Vec::new();
    let mut from = 1;
    for level in 1..=LEVELS {
        let to = bound(level, highest);
        if to >= from {
            ranges.push((level, from, to));
            from = to.saturating_add(1);
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_their_ranges_agree() {
        for highest in [1, 4, 37, 21_934, u64::MAX] {
            let ranges = level_ranges(&[(String::new(), vec![highest])]);
            assert_eq!(ranges.first().map(|(_, from, _)| *from), Some(1));
            assert_eq!(ranges.last().map(|(_, _, to)| *to), Some(highest));
            for (step, from, to) in ranges {
                assert_eq!((level(from, highest), level(to, highest)), (step, step), "of {highest}");
            }
        }
    }

    #[test]
    fn neighbours_of_one_level_are_one_cell() {
        assert_eq!(runs(&[0, 9, 9, 0, 1], 9), [(1, 3, 5), (4, 5, 1)]);
    }
}
