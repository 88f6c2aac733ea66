//! Rejected packets over time in one line of block characters. Refuses to know what is counted.

use super::super::view::Timeline;

/// A zero is the lowest block alone: anything seen at all stands higher.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The drawn line and its scale.
#[derive(Debug, PartialEq, Eq)]
pub struct Sparkline {
    /// One block a column.
    pub blocks: String,
    /// Packets in the highest slice, however many slices a column holds.
    pub peak: u64,
}

/// Draws `timeline` in at most `columns` columns, adding neighbouring slices up where there are more.
/// Nothing to draw in fewer than two slices or without packets.
pub fn sparkline(timeline: &Timeline, columns: usize) -> Option<Sparkline> {
    let slices = timeline.packets.len();
    if slices < 2 || columns < 2 {
        return None;
    }
    let merged = slices.div_ceil(columns);
    let sums: Vec<u64> = timeline
        .packets
        .chunks(merged)
        .map(|chunk| chunk.iter().copied().fold(0, u64::saturating_add))
        .collect();
    let highest = sums.iter().copied().max().filter(|highest| *highest > 0)?;
    Some(Sparkline {
        blocks: sums.iter().map(|sum| block(*sum, highest)).collect(),
        peak: timeline.packets.iter().copied().max()?,
    })
}

fn block(sum: u64, highest: u64) -> char {
    let level = (u128::from(sum) * 7).div_ceil(u128::from(highest));
    BLOCKS[usize::try_from(level).map_or(7, |level| level.min(7))]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(packets: &[u64]) -> Timeline {
        Timeline { slice_seconds: 60, packets: packets.to_vec(), ..Timeline::default() }
    }

    #[test]
    fn one_column_a_slice_when_they_fit() {
        let drawn = sparkline(&timeline(&[0, 1, 50, 312, 200]), 40).unwrap();
        assert_eq!(drawn, Sparkline { blocks: "▁▂▃█▆".to_owned(), peak: 312 });
    }

    #[test]
    fn slices_are_added_up_when_they_do_not() {
        let drawn = sparkline(&timeline(&[1, 1, 2, 2, 4]), 3).unwrap();
        assert_eq!(drawn, Sparkline { blocks: "▅██".to_owned(), peak: 4 });
    }

    #[test]
    fn nothing_to_draw() {
        assert_eq!(sparkline(&timeline(&[]), 40), None);
        assert_eq!(sparkline(&timeline(&[7]), 40), None);
        assert_eq!(sparkline(&timeline(&[0, 0]), 40), None);
        assert_eq!(sparkline(&timeline(&[u64::MAX, u64::MAX]), 2).unwrap().blocks, "██");
    }
}
