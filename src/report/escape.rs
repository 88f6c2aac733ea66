//! Makes foreign text harmless: what a log or a snapshot says may be shown, but never run or rendered.
//!
//! Owns which characters are dangerous on a terminal, in Markdown, in HTML, in JSON on a terminal and in a spreadsheet.
//! Refuses to know where a text comes from.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;

use serde_json::ser::Formatter;

/// Text for a terminal: every character that would move the cursor, change colours, reorder or hide
/// its neighbours becomes visible (`\n`, `\x1b`, `\u{202e}`). Applying it twice changes nothing more.
#[must_use]
pub fn terminal(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unprintable(c) {
            push_visible(&mut shown, c);
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Text inside Markdown, table cells included: neither markup, nor HTML, nor a link, nor a mention.
#[must_use]
pub fn markdown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len() + 8);
    let text = terminal(text);
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            // A mention would page people; a scheme or `www.` would become a link.
            '@' => shown.push_str("&#64;"),
            ':' if text[at..].starts_with("://") => shown.push_str("&#58;"),
            '\\' | '`' | '|' | '*' | '[' | ']' | '~' | '#' | '!' | '$' => {
                shown.push('\\');
                shown.push(c);
            }
            '_' => shown.push_str("\\_"),
            '.' if before.eq_ignore_ascii_case(&'w') => shown.push_str("&#46;"),
            _ => shown.push(c),
        }
        before = c;
    }
    shown
}

/// A Markdown code span, which keeps ids and rules easy to copy; plain escaped text where a code span
/// could be broken out of.
#[must_use]
pub fn markdown_code(text: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "-_.:/*,()+= ".contains(c) || c == '→' || c == '–';
    if !text.is_empty() && text.trim() == text && text.chars().all(harmless) {
        format!("`{text}`")
    } else {
        markdown(text)
    }
}

/// Text inside an HTML element or a quoted attribute: neither markup nor a reference, and what would hide or reorder
/// its neighbours is visible.
#[must_use]
pub fn html(text: &str) -> String {
    let mut shown = String::with_capacity(text.len() + 8);
    for c in terminal(text).chars() {
        match c {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '"' => shown.push_str("&quot;"),
            '\'' => shown.push_str("&#39;"),
            _ => shown.push(c),
        }
    }
    shown
}

/// A text cell for CSV: a leading apostrophe keeps a spreadsheet from running it as a formula (OWASP, "CSV
/// Injection"), and what would act on a terminal is made visible. Line breaks and tabs stay; CSV quotes them.
#[must_use]
pub fn csv_cell(text: &str) -> Cow<'_, str> {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let unprintable = |c: char| is_unprintable(c) && !matches!(c, '\t' | '\r' | '\n');
    if !formula && !text.contains(unprintable) {
        return Cow::Borrowed(text);
    }
    let mut cell = String::with_capacity(text.len() + 8);
    if formula {
        cell.push('\'');
    }
    for c in text.chars() {
        if unprintable(c) {
            push_visible(&mut cell, c);
        } else {
            cell.push(c);
        }
    }
    Cow::Owned(cell)
}

/// A JSON layout that also writes DEL, C1, bidi controls and the like as `\u…`: the same document to a parser,
/// harmless on a terminal.
#[derive(Debug)]
pub struct VisibleJson<F>(pub F);

impl<F: Formatter> Formatter for VisibleJson<F> {
    fn begin_array<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_array(out)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array(out)
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(out, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array_value(out)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object(out)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object(out)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(out, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object_value(out)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object_value(out)
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_unprintable(*c)) {
            out.write_all(&rest.as_bytes()[..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            rest = &rest[at + c.len_utf8()..];
        }
        out.write_all(rest.as_bytes())
    }
}

fn push_visible(shown: &mut String, c: char) {
    match c {
        '\n' => shown.push_str("\\n"),
        '\r' => shown.push_str("\\r"),
        '\t' => shown.push_str("\\t"),
        // Writing to a `String` cannot fail.
        c if c.is_ascii() => drop(write!(shown, "\\x{:02x}", u32::from(c))),
        c => drop(write!(shown, "\\u{{{:x}}}", u32::from(c))),
    }
}

/// C0, DEL and C1 controls, bidi controls, invisible and line-separating characters, and tag characters.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_text_cannot_act() {
        assert_eq!(terminal("nat-0a (egress)"), "nat-0a (egress)");
        assert_eq!(terminal("a\x1b[31mred\x07\x7f"), "a\\x1b[31mred\\x07\\x7f");
        assert_eq!(terminal("one\ntwo\r\tthree"), "one\\ntwo\\r\\tthree");
        assert_eq!(
            terminal("\u{9b}2J \u{202e}gpj\u{2066}\u{200f}"),
            "\\u{9b}2J \\u{202e}gpj\\u{2066}\\u{200f}"
        );
        assert_eq!(terminal("pay\u{200b}pal\u{feff}"), "pay\\u{200b}pal\\u{feff}");
        assert_eq!(terminal("Zürich 東京 · →"), "Zürich 東京 · →");
        let once = terminal("\x1b\u{202e}").into_owned();
        assert_eq!(terminal(&once), once);
    }

    #[test]
    fn markdown_text_is_not_markup() {
        assert_eq!(markdown("<script>alert(1)</script>"), "&lt;script&gt;alert(1)&lt;/script&gt;");
        assert_eq!(markdown("a|b `c` *d* _e_ [f](g)"), "a\\|b \\`c\\` \\*d\\* \\_e\\_ \\[f\\](g)");
        assert_eq!(markdown("x\n# y"), "x\\\\n\\# y");
        assert_eq!(markdown("@ops https://evil"), "&#64;ops https&#58;//evil");
        assert_eq!(markdown("www.evil.example likely: so"), "www&#46;evil.example likely: so");
    }

    #[test]
    fn a_code_span_cannot_be_left() {
        assert_eq!(markdown_code("* ALL ALL 0.0.0.0/0 DENY"), "`* ALL ALL 0.0.0.0/0 DENY`");
        assert_eq!(markdown_code("acl`|<b>"), "acl\\`\\|&lt;b&gt;");
    }

    #[test]
    fn html_text_is_neither_markup_nor_the_end_of_an_attribute() {
        assert_eq!(html("<b>\"a\" & 'b'</b>"), "&lt;b&gt;&quot;a&quot; &amp; &#39;b&#39;&lt;/b&gt;");
        assert_eq!(html("x -->\u{202e}]]>\n"), "x --&gt;\\u{202e}]]&gt;\\n");
        assert_eq!(html("Zürich 東京 · →"), "Zürich 東京 · →");
    }

    #[test]
    fn csv_cells_do_not_compute() {
        for formula in ["=cmd()", "+1", "-1", "@x", "\tx", "\rx"] {
            assert_eq!(csv_cell(formula), format!("'{formula}"));
        }
        assert_eq!(csv_cell("eni-0a"), "eni-0a");
        assert_eq!(csv_cell("a\x1b[2J"), "a\\x1b[2J");
    }
}
