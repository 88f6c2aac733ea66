//! The fields of an ordinary line, read one after another or several at once, without a branch that depends on the text.
//!
//! Where each field ends is known from [`super::separators`]; every number and word is read and checked by arithmetic, and
//! only at the end one question is asked, whether anything was unusual.

use super::plain::{BEFORE_BYTES, Common, INGRESS, Layout, MAX_COLUMNS, PlainLine, REJECTED, View, sixteen};
use super::scan::octet;

/// What is done to several fields at once, on this processor or on any.
pub(super) trait Arithmetic: Copy {
    /// Two IPv4 addresses, each in the first bytes of its text; not zero in the second place when one of them is none.
    fn addresses(self, first: Text<'_>, second: Text<'_>) -> ([u32; 2], u64);

    /// Numbers that end at the last byte of each word, a space before them; not zero in the second place when one of
    /// them is none, lacks the space without being one of [`EIGHT_DIGITS`], or is above its limit.
    fn numbers(self, texts: [u64; 8]) -> ([u32; 8], u64);

    /// Whether two texts of at most 15 bytes are the same.
    fn same(self, a: Text<'_>, b: Text<'_>) -> bool;
}

/// The largest value of each number.
pub(super) const LIMITS: [u32; 8] =
    [65_535, 65_535, 255, 255, 99_999_999, 99_999_999, 99_999_999, 99_999_999];

/// Those that may have eight digits and no space before them in their word.
pub(super) const EIGHT_DIGITS: [bool; 8] = [false, false, false, false, false, true, true, true];

/// Stands for a number that the format does not have.
const NOT_THERE: u64 = u64::from_le_bytes(*b"       0");

/// The ends of the fields of one line: the first one stands before its first field.
pub(super) type Ends = [u16; MAX_COLUMNS + 1];

/// One line.
pub(super) struct Fields<'a, 'b> {
    pub(super) view: &'a View,
    pub(super) ends: &'b Ends,
}

impl<'a> Fields<'a, '_> {
    /// Reads the line; `false` when anything about it is not as in an ordinary record.
    #[expect(clippy::inline_always, reason = "compiled once for each set of instructions")]
    #[inline(always)]
    pub(super) fn read(
        &self,
        layout: &Layout,
        common: &mut Common,
        arithmetic: impl Arithmetic,
        into: &mut PlainLine,
    ) -> bool {
        let unusual = self.numbers(layout, arithmetic, into)
            | self.addresses(layout, arithmetic, into)
            | self.words(layout, into)
            | self.ids(layout, into);
        let centuries = (self.century(layout.start), self.century(layout.end));
        if !common.has_century(centuries) && !common.turns_century(centuries) {
            return false;
        }
        if let Some(column) = layout.version
            && !common.has_version(self.four(column))
        {
            return false;
        }
        let [.., start, end] = &mut into.numbers;
        (*start, *end) = (common.seconds.wrapping_add(*start), common.seconds.wrapping_add(*end));
        unusual == 0 && start <= end
    }

    /// The numbers, the moments without their first two digits. As below, what is given is not zero when one of them is
    /// unusual.
    #[expect(clippy::inline_always, reason = "as for read")]
    #[inline(always)]
    fn numbers(&self, layout: &Layout, arithmetic: impl Arithmetic, into: &mut PlainLine) -> u64 {
        let mut texts = [NOT_THERE; 8];
        for (text, column) in texts.iter_mut().zip(layout.numbers()) {
            if let Some(column) = column {
                *text = self.last_eight(column);
            }
        }
        let unusual;
        (into.numbers, unusual) = arithmetic.numbers(texts);
        let (_, length) = self.place(layout.bytes);
        let (_, start_length) = self.place(layout.start);
        let (_, end_length) = self.place(layout.end);
        unusual | u64::from(length > 8 || start_length != 10 || end_length != 10)
    }

    #[expect(clippy::inline_always, reason = "as for read")]
    #[inline(always)]
    fn addresses(&self, layout: &Layout, arithmetic: impl Arithmetic, into: &mut PlainLine) -> u64 {
        let (source, destination) = (self.text(layout.srcaddr), self.text(layout.dstaddr));
        let ([srcaddr, dstaddr], mut unusual) = arithmetic.addresses(source, destination);
        into.addresses = [srcaddr, dstaddr, srcaddr, dstaddr];
        if let Some((source_column, destination_column)) = layout.packet_addresses {
            let (packet_source, packet_destination) =
                (self.text(source_column), self.text(destination_column));
            // Mostly the same text once more.
            let same =
                arithmetic.same(packet_source, source) & arithmetic.same(packet_destination, destination);
            if !same {
                let ([source, destination], wrong) = arithmetic.addresses(packet_source, packet_destination);
                unusual |= wrong;
                into.addresses[2..].copy_from_slice(&[source, destination]);
            }
        }
        unusual
    }

    #[expect(clippy::inline_always, reason = "as for read")]
    #[inline(always)]
    fn words(&self, layout: &Layout, into: &mut PlainLine) -> u64 {
        let action = self.last_eight(layout.action) >> 8;
        let mut unusual = 0;
        let rejected = action != u64::from_le_bytes(*b" ACCEPT\0");
        into.marks = if rejected { REJECTED } else { 0 };
        if rejected {
            unusual |= action ^ u64::from_le_bytes(*b" REJECT\0");
        }
        unusual |= self.last_eight(layout.log_status) >> 40 ^ u64::from_le_bytes(*b" OK\0\0\0\0\0");
        if let Some(column) = layout.reject_reason {
            unusual |= self.last_eight(column) >> 48 ^ u64::from_le_bytes(*b" -\0\0\0\0\0\0");
        }
        if let Some(column) = layout.flow_direction {
            let word = self.last_eight(column);
            if word >> 8 != u64::from_le_bytes(*b" egress\0") {
                into.marks |= INGRESS;
                unusual |= word ^ u64::from_le_bytes(*b" ingress");
            }
        }
        unusual
    }

    /// The ids, none of which may be a dash.
    #[expect(clippy::inline_always, reason = "as for read")]
    #[inline(always)]
    fn ids(&self, layout: &Layout, into: &mut PlainLine) -> u64 {
        into.interface_id = self.place(layout.interface_id);
        let mut shortest = into.interface_id.1;
        for (column, id) in [(layout.subnet_id, &mut into.subnet_id), (layout.vpc_id, &mut into.vpc_id)] {
            if let Some(column) = column {
                *id = self.place(column);
                shortest = shortest.min(id.1);
            }
        }
        u64::from(shortest < 2)
    }

    /// A separator; the first one stands before the first field.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub(super) fn separator(&self, nth: usize) -> u8 {
        self.view[BEFORE_BYTES + usize::from(self.ends[nth & MAX_COLUMNS])]
    }

    /// The byte before a separator.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub(super) fn last_byte(&self, end: usize) -> u8 {
        self.view[BEFORE_BYTES - 1 + usize::from(self.ends[end & MAX_COLUMNS])]
    }

    /// Where a field begins, and its length.
    #[inline]
    pub(super) fn place(&self, column: usize) -> (u16, u16) {
        let at = self.ends[column & MAX_COLUMNS].wrapping_add(1);
        (at, self.ends[(column + 1) & MAX_COLUMNS].wrapping_sub(at))
    }

    /// The text from the beginning of a field on, and the field's length.
    #[inline]
    fn text(&self, column: usize) -> Text<'a> {
        let (at, length) = self.place(column);
        Text { bytes: sixteen(self.view, at), length: u32::from(length) }
    }

    /// The eight bytes that a field ends with, or others before it.
    #[inline]
    fn last_eight(&self, column: usize) -> u64 {
        eight_before(self.view, self.ends[(column + 1) & MAX_COLUMNS])
    }

    /// The first four bytes of a field and what follows it.
    #[inline]
    pub(super) fn four(&self, column: usize) -> u32 {
        four(self.view, self.ends[column & MAX_COLUMNS].wrapping_add(1))
    }

    /// The byte before a moment of ten digits and the first two of them, above a zero.
    #[inline]
    pub(super) fn century(&self, column: usize) -> u32 {
        four_before(self.view, self.ends[(column + 1) & MAX_COLUMNS]) & 0xffff_ff00
    }
}

/// A text of at most 15 bytes that is looked at together with what follows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8; 16],
    pub(super) length: u32,
}

/// The eight bytes before a position of a window.
#[inline]
fn eight_before(view: &View, at: u16) -> u64 {
    let at = BEFORE_BYTES - 8 + usize::from(at);
    view[at..at + 8].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// The four bytes before those.
#[inline]
fn four_before(view: &View, at: u16) -> u32 {
    let at = BEFORE_BYTES - 12 + usize::from(at);
    view[at..at + 4].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// Four bytes from a position of a window on.
#[inline]
fn four(view: &View, at: u16) -> u32 {
    let at = BEFORE_BYTES + usize::from(at);
    view[at..at + 4].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// One field after another, on any processor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Portable;

impl Arithmetic for Portable {
    #[inline]
    fn addresses(self, first: Text<'_>, second: Text<'_>) -> ([u32; 2], u64) {
        let (first, wrong) = ipv4(first);
        let (second, also_wrong) = ipv4(second);
        ([first, second], wrong | also_wrong)
    }

    #[inline]
    fn numbers(self, texts: [u64; 8]) -> ([u32; 8], u64) {
        let mut wrong = false;
        let mut numbers = [0; 8];
        for (at, text) in texts.into_iter().enumerate() {
            let bytes = text.to_le_bytes();
            let space = bytes.iter().rposition(|byte| *byte == b' ');
            wrong |= space.is_none() && !EIGHT_DIGITS[at];
            for byte in &bytes[space.map_or(0, |space| space + 1)..] {
                let digit = byte.wrapping_sub(b'0');
                wrong |= digit > 9;
                numbers[at] = (numbers[at] * 10 + u32::from(digit)) % 1_000_000_000;
            }
            wrong |= numbers[at] > LIMITS[at];
        }
        (numbers, u64::from(wrong))
    }

    #[inline]
    fn same(self, a: Text<'_>, b: Text<'_>) -> bool {
        let length = a.length as usize;
        a.length == b.length && length < 16 && a.bytes[..length] == b.bytes[..length]
    }
}

/// The IPv4 address that a text is; not zero in the second place when it is none.
fn ipv4(Text { bytes, length }: Text<'_>) -> (u32, u64) {
    let (mut at, mut address) = (0, 0);
    for part in 0..4 {
        let four = bytes.get(at..).and_then(<[u8]>::first_chunk);
        let Some((value, digits)) = four.and_then(|four| octet(*four)) else { return (0, 1) };
        address = address << 8 | value;
        at += digits;
        if part < 3 {
            if bytes[at] != b'.' {
                return (0, 1);
            }
            at += 1;
        }
    }
    (address, u64::from(at != length as usize))
}
