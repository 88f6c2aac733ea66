//! What x86-64 does with 16 to 64 bytes at once: finding separators, reading an IPv4 address.
//!
//! The unsafe code of this module: the calls into functions compiled for instructions that a processor may lack, each
//! behind the test for them, and loads and stores through pointers made from arrays and slices of checked length. The
//! portable twins are in [`super::separators`] and [`super::scan`]; property tests hold both to the same results.

#![expect(
    unsafe_code,
    reason = "without these instructions finding the fields costs as much as inflating them"
)]

#[cfg_attr(
    not(test),
    expect(
        clippy::wildcard_imports,
        reason = "forty names, all beginning with _mm or __m; in tests any are allowed"
    )
)]
use std::arch::x86_64::*;
use std::sync::LazyLock;

pub(crate) mod columns;
pub(super) mod permute;

use super::fields::{Arithmetic, EIGHT_DIGITS, LIMITS, Text};
use super::separators::{SLACK, Separators, WINDOW_BYTES};

/// What this processor can do beyond the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// SSE2 only.
    Baseline,
    /// AVX2 and BMI.
    Avx2,
    /// AVX-512 with byte permutation and compression.
    Avx512,
}

/// The level of this machine.
pub(super) fn level() -> Level {
    static LEVEL: LazyLock<Level> = LazyLock::new(|| {
        let avx2 = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt");
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vbmi")
            && is_x86_feature_detected!("avx512vbmi2");
        match (avx2, avx512) {
            (true, true) => Level::Avx512,
            (true, false) => Level::Avx2,
            _ => Level::Baseline,
        }
    });
    *LEVEL
}

/// Has the processor fetch what will be read soon.
#[inline]
pub(crate) fn fetch<T>(soon: &T) {
    let first = std::ptr::from_ref(soon).cast::<i8>();
    for line in (0..size_of::<T>()).step_by(64) {
        // SAFETY: fetching reads nothing that the program sees, and the lines are those of the value.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(first.add(line)) };
    }
}

/// Whether lines are read by moving their bytes, see [`permute`].
pub(crate) fn permutes() -> bool {
    level() == Level::Avx512
}

/// Finds the separators of `text`, dots among them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,avx2,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn find_with_dots(text: &[u8], into: &mut Separators) {
    find_avx512::<true>(text, into);
}

/// Finds the separators of `text` the fastest way there is; `false` when there is none but the portable one.
pub(super) fn find(text: &[u8], into: &mut Separators) -> bool {
    match level() {
        Level::Baseline => return false,
        // SAFETY: the processor has the instructions.
        Level::Avx2 => unsafe { find_avx2(text, into) },
        // SAFETY: the processor has the instructions.
        Level::Avx512 => unsafe { find_avx512::<false>(text, into) },
    }
    true
}

/// The block of 64 bytes at `at`; beyond the end of the text there are zeros.
#[inline]
fn block(text: &[u8], at: usize) -> [u8; 64] {
    let rest = &text[at..];
    rest.first_chunk().copied().unwrap_or_else(|| {
        let mut padded = [0; 64];
        padded[..rest.len()].copy_from_slice(rest);
        padded
    })
}

/// Sets the text after this on its way from memory: what was inflated a moment ago has left the nearer caches.
#[inline]
fn prefetch(text: &[u8], at: usize) {
    const AHEAD: usize = 1024;
    // SAFETY: only a hint, which never faults, whatever the address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(text.as_ptr().wrapping_add(at + AHEAD).cast()) };
}

#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn find_avx2(text: &[u8], into: &mut Separators) {
    let (space, line_feed) = (_mm256_set1_epi8(0x20), _mm256_set1_epi8(0x0a));
    let text = &text[..text.len().min(WINDOW_BYTES)];
    let (mut found, fields_found, lines_found) = into.begin();
    let mut at = 0;
    while at < text.len() {
        let bytes = block(text, at);
        prefetch(text, at);
        // SAFETY: both halves of 64 bytes.
        let (low, high) = unsafe {
            (_mm256_loadu_si256(bytes.as_ptr().cast()), _mm256_loadu_si256(bytes[32..].as_ptr().cast()))
        };
        let mask = |wanted| {
            let low = _mm256_movemask_epi8(_mm256_cmpeq_epi8(low, wanted)).cast_unsigned();
            let high = _mm256_movemask_epi8(_mm256_cmpeq_epi8(high, wanted)).cast_unsigned();
            u64::from(low) | u64::from(high) << 32
        };
        let lines = mask(line_feed);
        found.note_lines(lines_found, at, lines);
        found.note_fields(fields_found, at, mask(space) | lines);
        at += 64;
    }
    into.end(found);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,avx2,bmi1,bmi2,lzcnt,popcnt")]
fn find_avx512<const DOTS: bool>(text: &[u8], into: &mut Separators) {
    const POSITIONS: [u8; 64] = {
        let mut positions = [0; 64];
        let mut at = 0_u8;
        while at < 64 {
            positions[at as usize] = at;
            at += 1;
        }
        positions
    };
    let (space, line_feed, dot) = (_mm512_set1_epi8(0x20), _mm512_set1_epi8(0x0a), _mm512_set1_epi8(0x2e));
    // SAFETY: 64 bytes.
    let positions = unsafe { _mm512_loadu_si512(POSITIONS.as_ptr().cast()) };
    let text = &text[..text.len().min(WINDOW_BYTES)];
    let (mut found, fields_found, lines_found) = into.begin();
    let mut at = 0;
    while at < text.len() {
        let bytes = block(text, at);
        prefetch(text, at);
        // SAFETY: 64 bytes.
        let bytes = unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) };
        let lines = _mm512_cmpeq_epi8_mask(bytes, line_feed);
        let mut fields = _mm512_cmpeq_epi8_mask(bytes, space) | lines;
        if DOTS {
            fields |= _mm512_cmpeq_epi8_mask(bytes, dot);
        }
        found.note_lines(lines_found, at, lines);
        found.note_doubled(fields);
        let within = _mm512_maskz_compress_epi8(fields, positions);
        #[expect(clippy::cast_possible_truncation, reason = "a window is shorter than 64 KiB")]
        let base = _mm512_set1_epi16((at as u16).cast_signed());
        let low = _mm512_add_epi16(_mm512_cvtepu8_epi16(_mm512_castsi512_si256(within)), base);
        let count = fields.count_ones() as usize;
        let room: &mut [u16; SLACK] = found.room(fields_found);
        // SAFETY: `room` is 64 numbers of 16 bits: two stores of 32.
        unsafe { _mm512_storeu_si512(room.as_mut_ptr().cast(), low) };
        if count > 32 {
            let high = _mm512_add_epi16(_mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64::<1>(within)), base);
            // SAFETY: as above.
            unsafe { _mm512_storeu_si512(room.as_mut_ptr().add(32).cast(), high) };
        }
        found.advance(count);
        at += 64;
    }
    into.end(found);
}

/// How the digits of an address of one shape move into place.
#[derive(Clone, Copy)]
#[repr(align(16))]
struct Shape {
    /// Which byte goes where; the high bit makes a zero.
    moves: [u8; 16],
    /// 0xff where a digit must not be zero: the first one of two or three.
    leading: [u8; 16],
    /// The dots and the end, as bits.
    key: u32,
}

const SHAPE_FACTOR: u32 = 0x68d8_e8e1;

const fn shape_place(key: u32) -> usize {
    (key.wrapping_mul(SHAPE_FACTOR) >> 24) as usize
}

/// All 81 shapes at their places; the factor was searched for so that no two share one.
static SHAPES: [Shape; 256] = shapes();

const fn shapes() -> [Shape; 256] {
    let mut shapes = [Shape { moves: [0x80; 16], leading: [0; 16], key: 0 }; 256];
    let mut nth = 0;
    while nth < 81 {
        let lengths = [nth / 27 + 1, nth / 9 % 3 + 1, nth / 3 % 3 + 1, nth % 3 + 1];
        let mut shape = Shape { moves: [0x80; 16], leading: [0; 16], key: 0 };
        let (mut from, mut octet) = (0_u8, 0);
        while octet < 4 {
            let mut digit = 0;
            while digit < lengths[octet] {
                shape.moves[octet * 4 + 4 - lengths[octet] + digit] = from;
                from += 1;
                digit += 1;
            }
            if lengths[octet] > 1 {
                shape.leading[octet * 4 + 4 - lengths[octet]] = 0xff;
            }
            shape.key |= 1 << from;
            from += 1;
            octet += 1;
        }
        assert!(shapes[shape_place(shape.key)].key == 0, "two shapes share a place");
        shapes[shape_place(shape.key)] = shape;
        nth += 1;
    }
    shapes
}

/// Several fields at once, with the instructions of [`Level::Avx2`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx2;

impl Arithmetic for Avx2 {
    #[inline]
    fn addresses(self, first: Text<'_>, second: Text<'_>) -> ([u32; 2], u64) {
        with_avx2!(addresses(first, second))
    }

    #[inline]
    fn numbers(self, texts: [u64; 8]) -> ([u32; 8], u64) {
        with_avx2!(numbers(texts))
    }

    #[inline]
    fn same(self, a: Text<'_>, b: Text<'_>) -> bool {
        with_avx2!(same(a, b))
    }
}

/// Two texts of 16 bytes side by side.
#[inline]
#[target_feature(enable = "avx2")]
fn side_by_side(low: &[u8; 16], high: &[u8; 16]) -> __m256i {
    // SAFETY: 16 bytes each.
    unsafe { _mm256_loadu2_m128i(high.as_ptr().cast(), low.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn addresses(first: Text<'_>, second: Text<'_>) -> ([u32; 2], u64) {
    let text = side_by_side(first.bytes, second.bytes);
    let dots = _mm256_movemask_epi8(_mm256_cmpeq_epi8(text, _mm256_set1_epi8(0x2e))).cast_unsigned();
    let key = |dots: u32, length: u32| {
        let end = 1_u32.wrapping_shl(length);
        dots & end.wrapping_sub(1) | end
    };
    let lengths = (first.length, second.length);
    let (first, second) = (key(dots & 0xffff, lengths.0), key(dots >> 16, lengths.1));
    let shapes = [&SHAPES[shape_place(first)], &SHAPES[shape_place(second)]];
    let moves = side_by_side(&shapes[0].moves, &shapes[1].moves);
    let leading = side_by_side(&shapes[0].leading, &shapes[1].leading);
    let digits = _mm256_shuffle_epi8(_mm256_sub_epi8(text, _mm256_set1_epi8(0x30)), moves);
    let no_digit = _mm256_subs_epu8(digits, _mm256_set1_epi8(9));
    let leading_zero = _mm256_and_si256(_mm256_cmpeq_epi8(digits, _mm256_setzero_si256()), leading);
    let pairs = _mm256_maddubs_epi16(digits, _mm256_set1_epi32(0x010a_6400));
    let octets = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
    let too_large = _mm256_cmpgt_epi32(octets, _mm256_set1_epi32(255));
    let wrong = _mm256_or_si256(_mm256_or_si256(no_digit, leading_zero), too_large);
    let packed = _mm256_shuffle_epi8(octets, _mm256_set1_epi32(0x0004_080c));
    let addresses = [_mm256_extract_epi32::<0>(packed), _mm256_extract_epi32::<4>(packed)];
    let too_long = (lengths.0 | lengths.1) > 15;
    let right = _mm256_testz_si256(wrong, wrong) == 1
        && shapes[0].key == first
        && shapes[1].key == second
        && !too_long;
    (addresses.map(i32::cast_unsigned), u64::from(!right))
}

#[inline]
#[target_feature(enable = "avx2")]
fn numbers(texts: [u64; 8]) -> ([u32; 8], u64) {
    let words = texts.map(u64::cast_signed);
    let early = _mm256_setr_epi64x(words[0], words[1], words[2], words[3]);
    let late = _mm256_setr_epi64x(words[4], words[5], words[6], words[7]);
    // All bytes up to the last space.
    let up_to_space = |text: __m256i| {
        let space = _mm256_cmpeq_epi8(text, _mm256_set1_epi8(0x20));
        let two = _mm256_or_si256(space, _mm256_srli_epi64::<8>(space));
        let four = _mm256_or_si256(two, _mm256_srli_epi64::<16>(two));
        _mm256_or_si256(four, _mm256_srli_epi64::<32>(four))
    };
    let zeros = _mm256_set1_epi8(0x30);
    let (early_cover, late_cover) = (up_to_space(early), up_to_space(late));
    // Where a space is needed, the lowest byte is at or below it.
    let needs = |at: usize| if EIGHT_DIGITS[at] { 0 } else { 0xff };
    let early_needs = _mm256_setr_epi64x(needs(0), needs(1), needs(2), needs(3));
    let late_needs = _mm256_setr_epi64x(needs(4), needs(5), needs(6), needs(7));
    let open = _mm256_or_si256(
        _mm256_andnot_si256(early_cover, early_needs),
        _mm256_andnot_si256(late_cover, late_needs),
    );
    let early = _mm256_andnot_si256(early_cover, _mm256_sub_epi8(early, zeros));
    let late = _mm256_andnot_si256(late_cover, _mm256_sub_epi8(late, zeros));
    let nine = _mm256_set1_epi8(9);
    let no_digit = _mm256_or_si256(_mm256_subs_epu8(early, nine), _mm256_subs_epu8(late, nine));
    let tens = _mm256_set1_epi16(0x010a);
    let hundreds = _mm256_set1_epi32(0x0001_0064);
    let fours = |digits| _mm256_madd_epi16(_mm256_maddubs_epi16(digits, tens), hundreds);
    // Each half of the register holds two of the early numbers and two of the late ones.
    let packed = _mm256_packus_epi32(fours(early), fours(late));
    let values = _mm256_madd_epi16(packed, _mm256_set1_epi32(0x0001_2710));
    let limit = |at: usize| LIMITS[at].cast_signed();
    let limits =
        _mm256_setr_epi32(limit(0), limit(1), limit(4), limit(5), limit(2), limit(3), limit(6), limit(7));
    let too_large = _mm256_cmpgt_epi32(values, limits);
    let wrong = _mm256_or_si256(_mm256_or_si256(no_digit, open), too_large);
    let right = _mm256_testz_si256(wrong, wrong) == 1;
    let mut mixed = [0_u32; 8];
    // SAFETY: 32 bytes.
    unsafe { _mm256_storeu_si256(mixed.as_mut_ptr().cast(), values) };
    // Two early ones, two late ones, two early ones, two late ones.
    let numbers = [0, 1, 4, 5, 2, 3, 6, 7].map(|at: usize| mixed[at]);
    (numbers, u64::from(!right))
}

#[inline]
#[target_feature(enable = "avx2")]
fn same(a: Text<'_>, b: Text<'_>) -> bool {
    // SAFETY: 16 bytes each.
    let (left, right) =
        unsafe { (_mm_loadu_si128(a.bytes.as_ptr().cast()), _mm_loadu_si128(b.bytes.as_ptr().cast())) };
    let equal = _mm_movemask_epi8(_mm_cmpeq_epi8(left, right)).cast_unsigned();
    // As many as the length, from the first on; of a text that is too long there are not as many.
    (equal | u32::MAX.wrapping_shl(a.length)) == u32::MAX && (a.length == b.length) && a.length < 16
}

/// Calls a function that wants the instructions of [`Level::Avx2`]; the caller has asked [`level`].
macro_rules! with_avx2 {
    ($call:expr) => {{
        debug_assert!(crate::record::x86::level() >= crate::record::x86::Level::Avx2);
        #[expect(unsafe_code, reason = "the processor has the instructions: asked just before")]
        // SAFETY: as above.
        unsafe {
            $call
        }
    }};
}
pub(super) use with_avx2;

/// The same for [`Level::Avx512`].
macro_rules! with_avx512 {
    ($call:expr) => {{
        debug_assert!(crate::record::permutes());
        #[expect(unsafe_code, reason = "the processor has the instructions: asked just before")]
        // SAFETY: as above.
        unsafe {
            $call
        }
    }};
}
pub(super) use with_avx512;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    use crate::record::fields::Portable;

    fn sixteen(text: &str) -> [u8; 16] {
        let mut bytes = [b' '; 16];
        let length = text.len().min(16);
        bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
        bytes
    }

    fn read(text: &str) -> Option<Ipv4Addr> {
        let first = Text { bytes: b"10.0.0.1 follows", length: 8 };
        let length = u32::try_from(text.len()).expect("short");
        let ([_, address], wrong) = Avx2.addresses(first, Text { bytes: &sixteen(text), length });
        (wrong == 0).then(|| Ipv4Addr::from(address))
    }

    proptest! {
        #[test]
        fn addresses_are_those_of_the_standard_library(
            text in "[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}([0-9x]{26,33})?|[0-9./:a]{1,15}",
        ) {
            if level() >= Level::Avx2 {
                prop_assert_eq!(read(&text), text.parse().ok(), "{}", text);
            }
        }

        #[test]
        fn every_address_reads_back(bits in any::<u32>()) {
            if level() >= Level::Avx2 {
                let address = Ipv4Addr::from(bits);
                prop_assert_eq!(read(&address.to_string()), Some(address));
            }
        }

        #[test]
        fn numbers_are_the_portable_ones(
            texts in proptest::array::uniform8(
                prop_oneof![6 => " [0-9]{1,7}", 2 => "[0-9]{7,9}", 1 => "[ 0-9a-]{1,8}", 1 => " [0-9]{1,3}", 1 => "\\PC{1,4}"]),
            damage in proptest::option::weighted(0.3, (0..8_usize, 0..8_u32, any::<u8>())),
        ) {
            let mut words = texts.map(|text| {
                let padded = format!("OK 17 eni-{text}");
                padded.as_bytes().last_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
            });
            if let Some((at, byte, value)) = damage {
                words[at] = words[at] & !(0xff << (8 * byte)) | u64::from(value) << (8 * byte);
            }
            if level() >= Level::Avx2 {
                let ((numbers, wrong), (expected, expected_wrong)) = (Avx2.numbers(words), Portable.numbers(words));
                prop_assert_eq!(wrong, expected_wrong);
                if wrong == 0 {
                    prop_assert_eq!(numbers, expected);
                }
            }
        }

        #[test]
        fn texts_are_compared_over_their_length(
            a in "[01.]{16}", b in "[01.]{16}", common in 0..16_usize, length in 0..40_u32, other in 0..3_u32,
        ) {
            let b = format!("{}{}", &a[..common], &b[common..]);
            if level() >= Level::Avx2 {
                let (a, b) = (sixteen(&a), sixteen(&b));
                let a = Text { bytes: &a, length };
                let b = Text { bytes: &b, length: length + other / 2 };
                prop_assert_eq!(Avx2.same(a, b), Portable.same(a, b));
            }
        }
    }
}
