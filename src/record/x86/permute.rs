//! One ordinary line at a time with AVX-512: its fields are moved into their places by permuting bytes.
//!
//! Where every separator of a line is, dots among them, says where every digit of its numbers and addresses goes: a
//! handful of instructions move all of them, and the same ones check lengths, digits and separators. What the places are
//! depends on the format alone and is worked out once, in [`Moves`].
//!
//! The unsafe code: loads and stores through pointers made from values of checked size.

#[cfg_attr(
    not(test),
    expect(clippy::wildcard_imports, reason = "forty names, all beginning with _mm or __m")
)]
use std::arch::x86_64::*;
use std::ops::Range;

use crate::record::fields::{Fields, LIMITS};
use crate::record::plain::numbers::{END, START};
use crate::record::plain::{BEFORE_BYTES, Common, INGRESS, Layout, PlainLine, REJECTED, View};
use crate::record::separators::{SLACK, Separators};

/// Bytes kept in front of the first separator: no field that is looked at reaches further back.
const ROOM: u16 = 8;

/// Separators that one register holds, with the one in front.
const MOST_SEPARATORS: usize = 64;

/// Separators that are looked at one by one.
const FEW_SEPARATORS: usize = 4;

/// As many as one register holds by their positions in the text, which take two bytes each.
const NARROW_SEPARATORS: usize = 32;

/// Bytes of a line from there on that permutations reach.
const MOST_BYTES: usize = 256;

/// Words that are compared whole, by their place among the eight.
const ACTION: usize = 0;
const LOG_STATUS: usize = 1;
const REJECT_REASON: usize = 2;
const FLOW_DIRECTION: usize = 3;
/// The first two of the ten digits of `start` and `end`, with the space before them.
const START_CENTURY: usize = 4;
const END_CENTURY: usize = 5;

// Which of the two words it is says what a line is marked with.
const _: () = assert!(REJECTED == 1 << ACTION && INGRESS == 1 << FLOW_DIRECTION);

/// The version of the default format, and what follows it.
const VERSION_2: u32 = u16::from_le_bytes(*b"2 ") as u32;

/// Where the bytes of one register come from: for each, the separators at the end of its field and in front of it.
#[derive(Debug, Clone)]
struct Picks {
    ends: Bytes,
    befores: Bytes,
}

/// How the fields of an ordinary line of one format move into place.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub(in crate::record) struct Moves {
    numbers: Picks,
    octets: Picks,
    words: Picks,
    /// The byte that each separator has to be.
    separators: Bytes,
    /// How far each separator has to be from the one before, and by how much it may be further.
    least_steps: Bytes,
    more_steps: Bytes,
    /// What the words are, one of two each, and which of their bytes count.
    first_words: [u64; 8],
    first_bytes: [u64; 8],
    second_words: [u64; 8],
    second_bytes: [u64; 8],
    /// Separators that are looked at, with the one in front.
    count: usize,
    /// The one in front, among all those of a line.
    front: usize,
    /// Separators of a line, its line feed among them.
    of_line: usize,
    /// By column: its separator among all those of a line.
    ends: [u8; MOST_SEPARATORS],
    only_version_2: bool,
}

/// What lines in a row have in common, in registers.
struct Known {
    /// [`Moves::first_words`] with the first digits of moments.
    first_words: __m512i,
    /// What is added to each number.
    seconds: __m256i,
}

impl Moves {
    /// `None` where a line has more separators than a register holds.
    pub(in crate::record) fn new(layout: &Layout, only_version_2: bool) -> Option<Self> {
        let addresses = layout.addresses();
        // By column: the separator at its end, dots counted.
        let mut ends = [0; MOST_SEPARATORS];
        let mut of_line = 0;
        for column in 0..layout.columns {
            of_line += if addresses.contains(&Some(column)) { 4 } else { 1 };
            *ends.get_mut(column)? = u8::try_from(of_line - 1).ok()?;
        }
        let moved = layout.numbers().into_iter().chain(addresses).chain(layout.words());
        let first = moved.flatten().min()?;
        let front = usize::from(ends[first.checked_sub(1)?]);
        let count = of_line - front;
        if count > MOST_SEPARATORS || of_line >= SLACK {
            return None;
        }
        let nothing = Picks { ends: Bytes([0; 64]), befores: Bytes([0; 64]) };
        let mut moves = Self {
            numbers: nothing.clone(),
            octets: nothing.clone(),
            words: nothing,
            separators: Bytes([b' '; 64]),
            least_steps: Bytes([0; 64]),
            more_steps: Bytes([u8::MAX; 64]),
            first_words: [0; 8],
            first_bytes: [0; 8],
            second_words: [0; 8],
            second_bytes: [0; 8],
            count,
            front,
            of_line,
            ends,
            only_version_2,
        };
        moves.separators.0[count - 1] = b'\n';
        for at in 1..count {
            // Any length but none.
            (moves.least_steps.0[at], moves.more_steps.0[at]) = (2, u8::MAX - 2);
        }
        moves.take_numbers(layout);
        moves.take_addresses(layout);
        moves.take_words(layout);
        Some(moves)
    }

    /// A column's separator among those that are looked at.
    fn place(&self, column: usize) -> u8 {
        u8::try_from(usize::from(self.ends[column]) - self.front).unwrap_or(0)
    }

    fn take_numbers(&mut self, layout: &Layout) {
        for (nth, column) in layout.numbers().into_iter().enumerate() {
            // A number that the format lacks is read from another's place, and nobody asks for it.
            let end = self.place(column.unwrap_or(layout.protocol));
            self.numbers.fill(nth * 8..nth * 8 + 8, end, end - 1);
            self.has_length(end, 1, 8);
        }
        for column in [layout.start, layout.end] {
            self.has_length(self.place(column), 10, 10);
        }
    }

    fn take_addresses(&mut self, layout: &Layout) {
        for (nth, column) in layout.addresses().into_iter().enumerate() {
            // Without addresses of the packet they are those of the flow.
            let last = self.place(column.unwrap_or([layout.srcaddr, layout.dstaddr][nth % 2]));
            for octet in 0..4 {
                let end = last + octet - 3;
                let from = nth * 16 + usize::from(octet) * 4;
                self.octets.fill(from..from + 4, end, end - 1);
                self.has_length(end, 1, 3);
                if octet < 3 {
                    self.separators.0[usize::from(end)] = b'.';
                }
            }
        }
    }

    fn take_words(&mut self, layout: &Layout) {
        self.word(ACTION, layout.action, b" ACCEPT", b" REJECT");
        self.word(LOG_STATUS, layout.log_status, b" OK", b" OK");
        if let Some(column) = layout.reject_reason {
            self.word(REJECT_REASON, column, b" -", b" -");
        }
        if let Some(column) = layout.flow_direction {
            self.word(FLOW_DIRECTION, column, b" egress", b" ingress");
        }
        for (nth, column) in [(START_CENTURY, layout.start), (END_CENTURY, layout.end)] {
            let end = self.place(column);
            self.words.fill(nth * 8..nth * 8 + 8, end, end - 1);
            let bytes = u64::from_le_bytes([0, 0, 0, 0, 0, 0xff, 0xff, 0xff]);
            (self.first_bytes[nth], self.second_bytes[nth]) = (bytes, bytes);
        }
    }

    fn has_length(&mut self, end: u8, least: u8, most: u8) {
        self.least_steps.0[usize::from(end)] = least + 1;
        self.more_steps.0[usize::from(end)] = most - least;
    }

    /// A field that is one of two words, each given with the separator before it.
    fn word(&mut self, nth: usize, column: usize, first: &[u8], second: &[u8]) {
        let end = self.place(column);
        self.words.fill(nth * 8..nth * 8 + 8, end, end - 1);
        let last_eight = |word: &[u8]| {
            let (mut text, mut counts) = ([0; 8], [0; 8]);
            text[8 - word.len()..].copy_from_slice(word);
            counts[8 - word.len()..].fill(0xff);
            (u64::from_le_bytes(text), u64::from_le_bytes(counts))
        };
        (self.first_words[nth], self.first_bytes[nth]) = last_eight(first);
        (self.second_words[nth], self.second_bytes[nth]) = last_eight(second);
    }

    /// Separators of a line, its line feed among them.
    #[inline]
    pub(in crate::record) fn of_line(&self) -> usize {
        self.of_line
    }

    #[inline]
    fn end_of(&self, column: usize) -> usize {
        usize::from(self.ends[column % MOST_SEPARATORS])
    }

    /// Reads ordinary lines in a row, from the `line`th of a window on, whose fields begin at `field` of the separators
    /// found. Gives how many there were until one that is not ordinary, or `into` is full.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,lzcnt,popcnt")]
    pub(in crate::record) fn read(
        &self,
        layout: &Layout,
        view: &View,
        found: &Separators,
        (line, field): (usize, usize),
        common: &mut Common,
        into: &mut [PlainLine],
    ) -> usize {
        if self.count > NARROW_SEPARATORS {
            self.read_run::<true>(layout, view, found, (line, field), common, into)
        } else {
            self.read_run::<false>(layout, view, found, (line, field), common, into)
        }
    }

    /// `WIDE` where the separators of a line take more than one register.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn read_run<const WIDE: bool>(
        &self,
        layout: &Layout,
        view: &View,
        found: &Separators,
        (line, field): (usize, usize),
        common: &mut Common,
        into: &mut [PlainLine],
    ) -> usize {
        let fields = found.fields().len();
        let line_ends = found.lines().get(line..).unwrap_or_default();
        let mut at = field;
        let mut count = 0;
        let mut known = self.known(common);
        for (line_end, into) in line_ends.iter().zip(into) {
            let ends = found.fields_from(at);
            // Beyond the positions found there may be others from before.
            if at + self.of_line >= fields || ends[self.of_line % SLACK] != *line_end {
                break;
            }
            let fields = Fields { view, ends };
            let looked_at = found.fields_from(at + 1 + self.front);
            if !self.read_line::<WIDE>(layout, &fields, looked_at, (common, &known), into) {
                if !self.read_unusual(layout, &fields, looked_at, common, into) {
                    break;
                }
                known = self.known(common);
            }
            at += self.of_line;
            count += 1;
        }
        count
    }

    /// Reads one line, of which `ends` are the separators looked at; `false` when anything about it is not as in an
    /// ordinary record.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,lzcnt,popcnt")]
    #[expect(clippy::needless_bitwise_bool, reason = "all of it is so nearly always: one branch, not six")]
    fn read_line<const WIDE: bool>(
        &self,
        layout: &Layout,
        fields: &Fields<'_, '_>,
        ends: &[u16; SLACK],
        (common, known): (&mut Common, &Known),
        into: &mut PlainLine,
    ) -> bool {
        let length = ends[(self.count - 1) % SLACK].wrapping_sub(ends[0]);
        let at = BEFORE_BYTES - usize::from(ROOM) + usize::from(ends[0]);
        let Some(text) = fields.view.get(at..).and_then(<[u8]>::first_chunk) else { return false };
        let is_usual =
            length < if WIDE { 256 } else { 128 } - ROOM && self.moved::<WIDE>(text, ends, known, into);
        let has_version = layout.version.is_none_or(|column| {
            let text = fields.four(self.end_of(column));
            if self.only_version_2 { text & 0xffff == VERSION_2 } else { common.has_version(text) }
        });
        into.interface_id = fields.place(self.end_of(layout.interface_id));
        let mut shortest = into.interface_id.1;
        if let Some(column) = layout.subnet_id {
            into.subnet_id = fields.place(self.end_of(column));
            shortest = shortest.min(into.subnet_id.1);
        }
        if let Some(column) = layout.vpc_id {
            into.vpc_id = fields.place(self.end_of(column));
            shortest = shortest.min(into.vpc_id.1);
        }
        // A carriage return or a tab would be taken for a part of the last field.
        let ends_plainly = fields.last_byte(self.of_line) > b' ';
        let lasts = into.numbers[START] <= into.numbers[END];
        // A dot among the first separators makes one field look like two.
        let has_dots = if self.front <= FEW_SEPARATORS {
            (1..=self.front).any(|separator| fields.separator(separator) == b'.')
        } else {
            dots_between(fields.view, fields.ends[0].wrapping_add(1), ends[0]) != 0
        };
        is_usual & has_version & (shortest >= 2) & !has_dots & ends_plainly & lasts
    }

    /// What the lines to come have in common.
    #[inline]
    #[target_feature(enable = "avx512f,avx512vl,avx2")]
    fn known(&self, common: &Common) -> Known {
        let century = _mm512_set1_epi64((u64::from(common.century) << 32).cast_signed());
        let centuries = 1 << START_CENTURY | 1 << END_CENTURY;
        Known {
            first_words: _mm512_mask_mov_epi64(load(&self.first_words), centuries, century),
            seconds: _mm256_maskz_set1_epi32(1 << START | 1 << END, common.seconds.cast_signed()),
        }
    }

    /// Once more, when the line is only longer, or what lines have in common has changed.
    #[cold]
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn read_unusual(
        &self,
        layout: &Layout,
        fields: &Fields<'_, '_>,
        ends: &[u16; SLACK],
        common: &mut Common,
        into: &mut PlainLine,
    ) -> bool {
        let centuries = (fields.century(self.end_of(layout.start)), fields.century(self.end_of(layout.end)));
        if !common.has_century(centuries) && !common.turns_century(centuries) {
            return false;
        }
        let known = self.known(common);
        self.read_line::<true>(layout, fields, ends, (common, &known), into)
    }

    /// Moves everything into place. `WIDE` where the text or the separators take more than two registers.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn moved<const WIDE: bool>(
        &self,
        text: &[u8; MOST_BYTES],
        ends: &[u16; SLACK],
        known: &Known,
        into: &mut PlainLine,
    ) -> bool {
        let text = Text::<WIDE>::load(text);
        let looked_at = u64::MAX >> (MOST_SEPARATORS - self.count);
        let places = places::<WIDE>(ends);

        // One comparison after another for all of these bytes: each goes on with the places where all before were right.
        let steps = _mm512_sub_epi8(places, _mm512_permutexvar_epi8(load(&ONE_BEFORE), places));
        let more = _mm512_sub_epi8(steps, load(&self.least_steps));
        let right = _mm512_cmple_epu8_mask(more, load(&self.more_steps));
        let separators = load(&self.separators);
        let found = _mm512_mask_mov_epi8(separators, looked_at, text.pick(places));
        let right = _mm512_mask_cmpeq_epi8_mask(right, found, separators);

        let (zeros, nine) = (_mm512_set1_epi8(0x30), _mm512_set1_epi8(9));
        let (tens, ones) = (_mm512_set1_epi16(0x010a), _mm512_set1_epi16(1));
        let (at, valid) = self.numbers.at(places, load(&EIGHT_BEFORE));
        let digits = _mm512_maskz_sub_epi8(valid, text.pick(at), zeros);
        let fours = _mm512_madd_epi16(_mm512_maddubs_epi16(digits, tens), _mm512_set1_epi32(0x0001_0064));
        // The upper four digits of a number and its lower four, side by side.
        let both = _mm512_or_si512(fours, _mm512_srli_epi64::<16>(fours));
        let values = _mm512_cvtepi64_epi32(_mm512_madd_epi16(both, _mm512_set1_epi64(0x0001_2710)));
        // SAFETY: 32 bytes.
        let limits = unsafe { _mm256_loadu_si256(LIMITS.as_ptr().cast()) };
        let words_right = _mm256_cmple_epu32_mask(values, limits);
        let largest = digits;

        let (at, valid) = self.octets.at(places, load(&FOUR_BEFORE));
        let digits = _mm512_maskz_sub_epi8(valid, text.pick(at), zeros);
        let right = _mm512_mask_cmple_epu8_mask(right, _mm512_max_epu8(digits, largest), nine);
        // The first digit of several is no zero.
        let befores = _mm512_permutexvar_epi8(load(&self.octets.befores), places);
        let is_first = _mm512_cmpeq_epi8_mask(at, _mm512_add_epi8(befores, load(&FIRST_OF_SEVERAL)));
        let leading_zeros = _mm512_mask_testn_epi8_mask(is_first, digits, digits);
        let pairs = _mm512_maddubs_epi16(digits, _mm512_set1_epi32(0x010a_6400));
        let octets = _mm512_madd_epi16(pairs, ones);
        let octets_right = _mm512_cmple_epu32_mask(octets, _mm512_set1_epi32(255));
        let packed = _mm512_castsi512_si128(_mm512_permutexvar_epi8(load(&LAST_OCTET_FIRST), octets));

        let (at, _) = self.words.at(places, load(&WORDS_BEFORE));
        let words = text.pick(at);
        let first = _mm512_and_si512(words, load(&self.first_bytes));
        let is_first = _mm512_mask_cmpeq_epi64_mask(words_right, first, known.first_words);
        let second = _mm512_and_si512(words, load(&self.second_bytes));
        let is_second = _mm512_mask_cmpeq_epi64_mask(words_right, second, load(&self.second_words));
        let values = _mm256_add_epi32(values, known.seconds);
        into.marks = u32::from(is_second);
        // SAFETY: 32 and 16 bytes.
        unsafe {
            _mm256_storeu_si256(into.numbers.as_mut_ptr().cast(), values);
            _mm_storeu_si128(into.addresses.as_mut_ptr().cast(), packed);
        }
        !right | leading_zeros | u64::from(!octets_right) | u64::from(!(is_first | is_second)) == 0
    }
}

/// For each byte the place before its own.
static ONE_BEFORE: Bytes = Bytes({
    let mut places = [0; 64];
    let (mut at, mut before) = (1, 0_u8);
    while at < 64 {
        places[at] = before;
        (at, before) = (at + 1, before + 1);
    }
    places
});

/// How far before the end of its field each byte stands: in words of eight, of four, and eight further in two of them.
static EIGHT_BEFORE: Bytes = Bytes(before(8, 0));
static FOUR_BEFORE: Bytes = Bytes(before(4, 0));
static WORDS_BEFORE: Bytes = Bytes(before(8, 1 << START_CENTURY | 1 << END_CENTURY));

const fn before(length: u8, further: u8) -> [u8; 64] {
    let mut places = [0; 64];
    let mut at = 0_u8;
    while at < 64 {
        let is_further = length == 8 && further >> (at / 8) & 1 == 1;
        let distance = length - at % length + if is_further { 8 } else { 0 };
        places[at as usize] = 0_u8.wrapping_sub(distance);
        at += 1;
    }
    places
}

/// How far the first of an octet's digits stands behind the separator before it; nothing is so far behind it as the last digit
/// has it here, which may be a zero.
static FIRST_OF_SEVERAL: Bytes = Bytes({
    let mut places = [1; 64];
    let mut at = 3;
    while at < 64 {
        places[at] = 100;
        at += 4;
    }
    places
});

/// The lowest bytes of sixteen words, the last of four first.
static LAST_OCTET_FIRST: Bytes = Bytes({
    let mut places = [0; 64];
    let mut at = 0_u8;
    while at < 16 {
        places[at as usize] = at / 4 * 16 + (3 - at % 4) * 4;
        at += 1;
    }
    places
});

/// The bytes of a register.
#[derive(Debug, Clone)]
#[repr(align(64))]
struct Bytes([u8; 64]);

/// The 64 bytes of a value.
#[inline]
#[target_feature(enable = "avx512f")]
fn load<T>(from: &T) -> __m512i {
    const { assert!(size_of::<T>() == 64) };
    // SAFETY: 64 bytes.
    unsafe { _mm512_loadu_si512(std::ptr::from_ref(from).cast()) }
}

/// Not zero when there is a dot between two positions.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,bmi2")]
fn dots_between(view: &View, from: u16, to: u16) -> u64 {
    let (mut at, to) = (usize::from(from), usize::from(to));
    let mut dots = 0;
    while at < to {
        let text = view.get(BEFORE_BYTES + at..).and_then(<[u8]>::first_chunk::<64>);
        let Some(text) = text else { return u64::MAX };
        let found = _mm512_cmpeq_epi8_mask(load(text), _mm512_set1_epi8(0x2e));
        dots |= if to - at < 64 { found & ((1 << (to - at)) - 1) } else { found };
        at += 64;
    }
    dots
}

/// Where the separators are in the text, each in a byte; those that are further away than a byte says are not asked for.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn places<const WIDE: bool>(ends: &[u16; SLACK]) -> __m512i {
    let (halves, _) = ends.as_chunks::<32>();
    let base = _mm512_set1_epi16(ends[0].wrapping_sub(ROOM).cast_signed());
    let low = _mm512_cvtepi16_epi8(_mm512_sub_epi16(load(&halves[0]), base));
    if !WIDE {
        return _mm512_zextsi256_si512(low);
    }
    let high = _mm512_cvtepi16_epi8(_mm512_sub_epi16(load(&halves[1]), base));
    _mm512_inserti64x4::<1>(_mm512_zextsi256_si512(low), high)
}

/// A stretch of text in two registers, or in four.
struct Text<const WIDE: bool> {
    near: [__m512i; 2],
    far: [__m512i; 2],
}

impl<const WIDE: bool> Text<WIDE> {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load(text: &[u8; MOST_BYTES]) -> Self {
        let (blocks, _) = text.as_chunks::<64>();
        let near = [load(&blocks[0]), load(&blocks[1])];
        let far = if WIDE { [load(&blocks[2]), load(&blocks[3])] } else { near };
        Self { near, far }
    }

    /// The bytes at these places.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn pick(&self, at: __m512i) -> __m512i {
        let near = _mm512_permutex2var_epi8(self.near[0], at, self.near[1]);
        if !WIDE {
            return near;
        }
        let far = _mm512_permutex2var_epi8(self.far[0], at, self.far[1]);
        _mm512_mask_mov_epi8(near, _mm512_movepi8_mask(at), far)
    }
}

impl Picks {
    fn fill(&mut self, bytes: Range<usize>, end: u8, before: u8) {
        self.ends.0[bytes.clone()].fill(end);
        self.befores.0[bytes].fill(before);
    }

    /// Where each byte comes from, which is so far before the end of its field, and whether it is of that field.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn at(&self, places: __m512i, offsets: __m512i) -> (__m512i, u64) {
        let at = _mm512_add_epi8(_mm512_permutexvar_epi8(load(&self.ends), places), offsets);
        (at, _mm512_cmpgt_epu8_mask(at, _mm512_permutexvar_epi8(load(&self.befores), places)))
    }
}
