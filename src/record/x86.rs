//! What x86-64 does with 16 to 64 bytes at once: finding separators, reading an IPv4 address.
//!
//! The unsafe code of this module: the calls into functions compiled for instructions that a processor may lack, each
//! behind the test for them, and loads and stores through pointers made from arrays and slices of checked length. The
//! portable twins are in [`super::separators`] and [`super::scan`]; property tests hold both to the same results.

#![expect(
    unsafe_code,
    reason = "without these instructions finding the fields costs as much as inflating them"
)]

use std::arch::x86_64::*;
use std::sync::LazyLock;

use super::separators::{SLACK, Separators, WINDOW_BYTES};

/// What this processor can do beyond the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// SSE2 only.
    Baseline,
    /// AVX2 and BMI.
    Avx2,
    /// AVX-512 with byte compression.
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
            && is_x86_feature_detected!("avx512vbmi2");
        match (avx2, avx512) {
            (true, true) => Level::Avx512,
            (true, false) => Level::Avx2,
            _ => Level::Baseline,
        }
    });
    *LEVEL
}

/// Finds the separators of `text` the fastest way there is; `false` when there is none but the portable one.
pub(super) fn find(text: &[u8], into: &mut Separators) -> bool {
    match level() {
        Level::Baseline => return false,
        // SAFETY: the processor has the instructions.
        Level::Avx2 => unsafe { find_avx2(text, into) },
        // SAFETY: the processor has the instructions.
        Level::Avx512 => unsafe { find_avx512(text, into) },
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

#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn find_avx2(text: &[u8], into: &mut Separators) {
    let (space, line_feed) = (_mm256_set1_epi8(0x20), _mm256_set1_epi8(0x0a));
    let text = &text[..text.len().min(WINDOW_BYTES)];
    into.begin();
    let mut at = 0;
    while at < text.len() {
        let bytes = block(text, at);
        // SAFETY: both halves of 64 bytes.
        let (low, high) = unsafe {
            let halves = bytes.as_ptr().cast::<__m256i>();
            (_mm256_loadu_si256(halves), _mm256_loadu_si256(halves.add(1)))
        };
        let mask = |wanted| {
            let low = _mm256_movemask_epi8(_mm256_cmpeq_epi8(low, wanted)).cast_unsigned();
            let high = _mm256_movemask_epi8(_mm256_cmpeq_epi8(high, wanted)).cast_unsigned();
            u64::from(low) | u64::from(high) << 32
        };
        let lines = mask(line_feed);
        into.note_lines(at, lines);
        into.note_fields(at, mask(space) | lines);
        at += 64;
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,avx2,bmi1,bmi2,lzcnt,popcnt")]
fn find_avx512(text: &[u8], into: &mut Separators) {
    const POSITIONS: [u8; 64] = {
        let mut positions = [0; 64];
        let mut at = 0_u8;
        while at < 64 {
            positions[at as usize] = at;
            at += 1;
        }
        positions
    };
    let (space, line_feed) = (_mm512_set1_epi8(0x20), _mm512_set1_epi8(0x0a));
    // SAFETY: 64 bytes.
    let positions = unsafe { _mm512_loadu_si512(POSITIONS.as_ptr().cast()) };
    let text = &text[..text.len().min(WINDOW_BYTES)];
    into.begin();
    let mut at = 0;
    while at < text.len() {
        let bytes = block(text, at);
        // SAFETY: 64 bytes.
        let bytes = unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) };
        let lines = _mm512_cmpeq_epi8_mask(bytes, line_feed);
        let fields = _mm512_cmpeq_epi8_mask(bytes, space) | lines;
        into.note_lines(at, lines);
        let found = _mm512_maskz_compress_epi8(fields, positions);
        #[expect(clippy::cast_possible_truncation, reason = "a window is shorter than 64 KiB")]
        let base = _mm512_set1_epi16((at as u16).cast_signed());
        let low = _mm512_add_epi16(_mm512_cvtepu8_epi16(_mm512_castsi512_si256(found)), base);
        let count = fields.count_ones() as usize;
        let room: &mut [u16; SLACK] = into.room();
        // SAFETY: `room` is 64 numbers of 16 bits: two stores of 32.
        unsafe { _mm512_storeu_si512(room.as_mut_ptr().cast(), low) };
        if count > 32 {
            let high = _mm512_add_epi16(_mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64::<1>(found)), base);
            // SAFETY: as above.
            unsafe { _mm512_storeu_si512(room.as_mut_ptr().add(32).cast(), high) };
        }
        into.advance(count);
        at += 64;
    }
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

/// Reads the IPv4 address in the first `length` of these bytes; not zero in the second place when they are none.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn ipv4(bytes: &[u8; 16], length: usize) -> (u32, u64) {
    // SAFETY: 16 bytes.
    let text = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
    let dots = _mm_movemask_epi8(_mm_cmpeq_epi8(text, _mm_set1_epi8(0x2e))).cast_unsigned();
    let end = 1_u32 << (length & 31);
    let key = dots & end.wrapping_sub(1) | end;
    let shape = &SHAPES[shape_place(key)];
    // SAFETY: 16 bytes each.
    let (moves, leading) = unsafe {
        (_mm_load_si128(shape.moves.as_ptr().cast()), _mm_load_si128(shape.leading.as_ptr().cast()))
    };
    let digits = _mm_shuffle_epi8(_mm_sub_epi8(text, _mm_set1_epi8(0x30)), moves);
    let no_digit = _mm_subs_epu8(digits, _mm_set1_epi8(9));
    let leading_zero = _mm_and_si128(_mm_cmpeq_epi8(digits, _mm_setzero_si128()), leading);
    let pairs = _mm_maddubs_epi16(digits, _mm_set1_epi32(0x010a_6400));
    let octets = _mm_madd_epi16(pairs, _mm_set1_epi16(1));
    let too_large = _mm_cmpgt_epi32(octets, _mm_set1_epi32(255));
    let wrong = _mm_or_si128(_mm_or_si128(no_digit, leading_zero), too_large);
    let packed = _mm_shuffle_epi8(octets, _mm_set1_epi32(0x0004_080c));
    let address = _mm_cvtsi128_si32(packed).cast_unsigned();
    let right = _mm_testz_si128(wrong, wrong) == 1 && shape.key == key;
    (address, u64::from(!right))
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<Ipv4Addr> {
        let mut bytes = [b' '; 16];
        let length = text.len().min(16);
        bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
        let (address, wrong) = with_avx2!(ipv4(&bytes, text.len()));
        (wrong == 0 && text.len() < 16).then(|| Ipv4Addr::from(address))
    }

    proptest! {
        #[test]
        fn addresses_are_those_of_the_standard_library(
            text in "[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}|[0-9./:a]{1,15}",
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
    }
}
