//! Lines of a terminal: spans with a tone, laid out by display width.
//!
//! Everything that reaches the output goes through [`Text::and`], which escapes it. Nothing else here knows
//! what is printed.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::super::escape;

/// What a piece of text is to the reader; becomes a colour where colours are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// The text itself.
    Plain,
    /// What the eye must find first.
    Strong,
    /// Secondary.
    Faint,
    /// Something drops traffic.
    Alarm,
    /// Something limits the result.
    Caution,
    /// All is well.
    Fine,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Strong => Style::new().bold(),
            Self::Faint => Style::new().dimmed(),
            Self::Alarm => AnsiColor::Red.on_default().bold(),
            Self::Caution => AnsiColor::Yellow.on_default(),
            Self::Fine => AnsiColor::Green.on_default(),
        }
    }
}

/// Text that is never broken: an id, a flow, a word. What was added by [`Text::or_below`] may part from it
/// where both together are wider than a line.
#[derive(Debug, Clone, Default)]
pub struct Text {
    spans: Vec<(Tone, String)>,
    width: usize,
    below: Option<Box<Text>>,
}

impl Text {
    /// Of one tone.
    pub fn new(tone: Tone, text: &str) -> Self {
        Self::default().and(tone, text)
    }

    /// Plain.
    pub fn plain(text: &str) -> Self {
        Self::new(Tone::Plain, text)
    }

    /// Blanks.
    pub fn blank(width: usize) -> Self {
        Self::plain(&" ".repeat(width))
    }

    /// More of it, with a tone of its own.
    pub fn and(mut self, tone: Tone, text: &str) -> Self {
        let shown = escape::terminal(text).into_owned();
        self.width += shown.width();
        self.spans.push((tone, shown));
        self
    }

    /// Stands after a blank, or on the next line where one line cannot hold both.
    pub fn or_below(mut self, tone: Tone, text: &str) -> Self {
        self.below = Some(Box::new(Self::new(tone, text)));
        self
    }

    /// Whole where `room` can hold it, else what comes first and what goes below.
    fn parted(mut self, room: usize) -> (Self, Option<Self>) {
        let Some(below) = self.below.take() else {
            return (self, None);
        };
        if self.width + 1 + below.width > room {
            return (self, Some(*below));
        }
        self.width += 1 + below.width;
        self.spans.push((Tone::Plain, " ".to_owned()));
        self.spans.extend(below.spans);
        (self, None)
    }

    /// Blanks up to a display width.
    pub fn padded(self, width: usize) -> Self {
        let missing = width.saturating_sub(self.width);
        self.and(Tone::Plain, &" ".repeat(missing))
    }

    /// Columns on a terminal.
    pub fn width(&self) -> usize {
        self.width
    }
}

/// Pieces that follow one another and may be broken between.
#[derive(Debug, Clone)]
pub struct Flow {
    lead: Text,
    hang: usize,
    pieces: Vec<(&'static str, Text)>,
}

impl Flow {
    /// Starts with `lead`; further lines are indented by `hang`.
    pub fn new(lead: Text, hang: usize) -> Self {
        Self { lead, hang, pieces: Vec::new() }
    }

    /// Adds a piece; `gap` stands before it unless a new line begins there.
    pub fn then(mut self, gap: &'static str, piece: Text) -> Self {
        self.pieces.push((gap, piece));
        self
    }

    /// Adds the words of `text`, which may be broken at its blanks.
    pub fn words(mut self, tone: Tone, text: &str) -> Self {
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            self.pieces.push((" ", Text::new(tone, word)));
        }
        self
    }
}

/// Where the lines go.
pub struct Page<'a> {
    out: &'a mut dyn Write,
    color: bool,
    width: usize,
}

impl<'a> Page<'a> {
    /// A page of `width` columns; less than 40 would leave no room for an id.
    pub fn new(out: &'a mut dyn Write, color: bool, width: usize) -> Self {
        Self { out, color, width: width.max(40) }
    }

    /// Columns of a line.
    pub fn width(&self) -> usize {
        self.width
    }

    /// An empty line.
    pub fn gap(&mut self) -> io::Result<()> {
        writeln!(self.out)
    }

    /// One line as it is.
    pub fn line(&mut self, text: &Text) -> io::Result<()> {
        self.put(&text.spans)
    }

    /// As many lines as the pieces need. A piece wider than the page has a line of its own.
    pub fn flow(&mut self, flow: &Flow) -> io::Result<()> {
        let mut line = flow.lead.spans.clone();
        let mut used = flow.lead.width();
        let mut empty = true;
        let room = self.width.saturating_sub(flow.hang);
        let pieces = flow.pieces.iter().flat_map(|(gap, piece)| {
            let (piece, below) = piece.clone().parted(room);
            std::iter::once((*gap, piece)).chain(below.map(|below| (" ", below)))
        });
        for (gap, piece) in pieces {
            if !empty && used + gap.width() + piece.width() > self.width {
                self.put(&line)?;
                line = vec![(Tone::Plain, " ".repeat(flow.hang))];
                used = flow.hang;
                empty = true;
            }
            if !empty {
                line.push((Tone::Faint, gap.to_owned()));
                used += gap.width();
            }
            used += piece.width();
            line.extend(piece.spans);
            empty = false;
        }
        self.put(&line)
    }

    fn put(&mut self, spans: &[(Tone, String)]) -> io::Result<()> {
        let last = spans.iter().rposition(|(_, text)| !text.trim_end().is_empty());
        let spans = last.map_or(&[][..], |last| &spans[..=last]);
        for (at, (tone, text)) in spans.iter().enumerate() {
            let text = if Some(at) == last { text.trim_end() } else { text };
            let style = tone.style();
            if self.color && *tone != Tone::Plain && !text.trim().is_empty() {
                write!(self.out, "{style}{text}{style:#}")?;
            } else {
                self.out.write_all(text.as_bytes())?;
            }
        }
        self.out.write_all(b"\n")
    }
}

/// At most `width` columns of `text`, escaped; the rest becomes `…`. For names and values, never for ids.
pub fn clipped(text: &str, width: usize) -> String {
    let shown = escape::terminal(text);
    if shown.width() <= width {
        return shown.into_owned();
    }
    let mut kept = String::new();
    let mut used = 1;
    for c in shown.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        kept.push(c);
    }
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid_out(width: usize, color: bool, flow: &Flow) -> String {
        let mut out = Vec::new();
        Page::new(&mut out, color, width).flow(flow).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn breaks_between_pieces_and_hangs() {
        let flow = Flow::new(Text::plain("services "), 9)
            .then(" · ", Text::plain("443/tcp 4 101"))
            .then(" · ", Text::plain("5432/tcp 655"))
            .then(" · ", Text::plain("6379/tcp 56"));
        assert_eq!(
            laid_out(40, false, &flow),
            "services 443/tcp 4 101 · 5432/tcp 655\n         6379/tcp 56\n"
        );
    }

    #[test]
    fn a_long_piece_stays_whole() {
        let id = "x".repeat(60);
        let flow = Flow::new(Text::plain("a "), 2).then(" ", Text::plain("b")).then(" ", Text::plain(&id));
        assert_eq!(laid_out(40, false, &flow), format!("a b\n  {id}\n"));
    }

    #[test]
    fn a_name_goes_below_its_id_only_where_one_line_cannot_hold_both() {
        let flow = |name: &str| {
            let item = Text::plain("eni-0a1b2c3d4e5f60718").or_below(Tone::Faint, name);
            Flow::new(Text::plain("in "), 3).then("", Text::plain("eni-0b")).then(" · ", item)
        };
        assert_eq!(laid_out(40, false, &flow("(api)")), "in eni-0b · eni-0a1b2c3d4e5f60718 (api)\n");
        assert_eq!(
            laid_out(40, false, &flow("(checkout)")),
            "in eni-0b\n   eni-0a1b2c3d4e5f60718 (checkout)\n"
        );
        let long = "(NAT gateway of the shared VPC)";
        assert_eq!(
            laid_out(40, false, &flow(long)),
            format!("in eni-0b · eni-0a1b2c3d4e5f60718\n   {long}\n")
        );
    }

    #[test]
    fn colours_only_when_asked_for() {
        let flow = Flow::new(Text::new(Tone::Alarm, "✗ "), 2).words(Tone::Plain, "a\x1b[0m b");
        assert_eq!(laid_out(40, false, &flow), "✗ a\\x1b[0m b\n");
        assert!(laid_out(40, true, &flow).starts_with("\x1b["));
    }

    #[test]
    fn clips_by_columns() {
        assert_eq!(clipped("東京東京", 5), "東京…");
        assert_eq!(clipped("checkout", 8), "checkout");
    }
}
