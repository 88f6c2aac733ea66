//! The symbols of up to three streams in turn, for processors with AVX-512.
//!
//! A step reads up to two literals and a match without a branch on what there is: both are always copied, and how far the
//! text goes on says what remains of them. 64 bytes are copied at once, which is all of most matches.
//!
//! The unsafe code: reads and writes through pointers whose bounds are looked at once for a few steps of each stream, and the
//! call into a function compiled for instructions that a processor may lack, behind the test for them. The bounds:
//! before [`TURNS`] steps a stream's next bit lies within its input, which goes on for [`INPUT_SLACK`] bytes; a step takes
//! at most [`STEP_BITS`], and reading looks at 64. Its next byte of text has [`ROOM`] bytes behind it, more than these steps
//! write. A match begins within the member's text, or is left to [`odd_step`], which looks at everything.

#![expect(clippy::cast_possible_truncation, reason = "numbers of a few bits, taken from words of many")]
#![expect(unsafe_code, reason = "bounds that are looked at for every symbol cost as much as decoding it")]

use std::arch::x86_64::{_mm512_loadu_si512, _mm512_storeu_si512, _pext_u32};
use std::hint::select_unpredictable;
use std::sync::LazyLock;

use super::Pause;
use super::codes::{
    DISTANCE_BITS, Distance, LONGEST_MATCH, SYMBOL_BITS, Step, Symbol, Tables, distance, symbol,
};
use super::stream::{INPUT_SLACK, Stream, TEXT_SLACK};

/// Bytes copied at once.
const COPIED: usize = 64;
/// Steps of each stream between two looks at its bounds.
const TURNS: usize = 4;
/// Bits that a step takes at most: two words of 15 bits, 5 bits for a length and 13 for a distance.
const STEP_BITS: usize = 48;
/// What these steps may write: literals, longest matches, and what copying whole pieces writes beyond the last one.
const ROOM: usize = TURNS * (2 + LONGEST_MATCH) + COPIED;

const _: () = assert!(ROOM <= TEXT_SLACK && INPUT_SLACK >= TURNS * STEP_BITS / 8 + 8);

/// Whether this processor has the instructions.
pub(super) fn is_there() -> bool {
    static IS_THERE: LazyLock<bool> = LazyLock::new(|| {
        is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
    });
    *IS_THERE
}

/// See [`super::blocks`]; for a processor that [`is_there`].
pub(super) fn blocks(streams: &mut [&mut Stream<'_>]) -> (usize, Pause) {
    assert!(is_there(), "asked for without the instructions");
    // SAFETY: the processor has the instructions that the function is compiled for.
    unsafe {
        match streams {
            [a, b, c, ..] => turns([a, b, c]),
            [a, b] => turns([a, b]),
            [a] => turns([a]),
            [] => (0, Pause::Fault),
        }
    }
}

/// What changes with every step of a stream.
#[derive(Clone, Copy)]
struct Place {
    /// The next bit of the input.
    bit: usize,
    /// Where the next byte of text goes.
    at: *mut u8,
}

impl Place {
    fn of(stream: &mut Stream<'_>) -> Self {
        Self { bit: stream.bit, at: stream.text.as_mut_ptr().wrapping_add(stream.at) }
    }
}

/// What stays during a block.
#[derive(Clone, Copy)]
struct Bounds {
    input: *const u8,
    /// The last bit before which steps may be made.
    last_bit: usize,
    /// The beginning of the member's text.
    start: *mut u8,
    /// The last byte of text before which steps may be made.
    last_at: *mut u8,
    tables: *const Tables,
}

impl Bounds {
    /// Of a stream whose text has [`ROOM`].
    fn of(stream: &mut Stream<'_>) -> Self {
        let text = stream.text.as_mut_ptr();
        Self {
            input: stream.input.as_ptr(),
            last_bit: stream.end,
            start: text.wrapping_add(stream.start),
            last_at: text.wrapping_add(stream.text.len() - ROOM),
            tables: &raw const *stream.tables,
        }
    }
}

/// How an odd step ended.
enum Odd {
    Done,
    EndOfBlock,
    Fault,
}

/// One step of one stream, within a function for these instructions, after a look at the bounds. A macro, because each stream's
/// numbers have to be in registers: a loop over streams, or a call, would keep them in memory.
macro_rules! step {
    ($places:ident, $bounds:ident, $index:literal, $all:lifetime) => {
        if $index < N {
            let Bounds { input, start, tables, .. } = $bounds[$index];
            let place = &mut $places[$index];
            // SAFETY: the bounds, see above; both indices are masked to the length of their table.
            unsafe {
                let word = input.add(place.bit >> 3).cast::<u64>().read_unaligned() >> (place.bit & 7);
                let step =
                    (&raw const (*tables).steps).cast::<Step>().add(word as usize & ((1 << SYMBOL_BITS) - 1));
                let rest = word >> ((*step).bits & 63);
                let first = usize::from((*step).length);
                let length = first + _pext_u32(word as u32, u32::from((*step).added)) as usize;
                let index = rest as usize & ((1 << DISTANCE_BITS) - 1);
                let index = select_unpredictable(first == 0, 1 << DISTANCE_BITS, index);
                let far = (&raw const (*tables).distances).cast::<Distance>().add(index);
                let distance = usize::from((*far).first) + _pext_u32(rest as u32, (*far).added) as usize;
                place.at.cast::<[u8; 2]>().write_unaligned((*step).bytes);
                let at = place.at.add(usize::from((*step).literals));
                let from = at.wrapping_sub(distance);
                let bit = place.bit + usize::from((*step).bits) + usize::from((*far).bits);
                if length > COPIED || distance < length || from < start {
                    if length <= LONGEST_MATCH && distance >= COPIED && from >= start {
                        let mut done = 0;
                        while done < length {
                            let piece = _mm512_loadu_si512(from.add(done).cast());
                            _mm512_storeu_si512(at.add(done).cast(), piece);
                            done += COPIED;
                        }
                        *place = Place { bit, at: at.add(length) };
                    } else {
                        match odd_step(&$bounds[$index], place) {
                            Odd::Done => {}
                            Odd::EndOfBlock => break $all($index, Pause::EndOfBlock),
                            Odd::Fault => break $all($index, Pause::Fault),
                        }
                    }
                } else {
                    _mm512_storeu_si512(at.cast(), _mm512_loadu_si512(from.cast()));
                    *place = Place { bit, at: at.add(length) };
                }
            }
        }
    };
}

/// Steps of all streams in turn; see [`super::blocks`].
#[target_feature(enable = "bmi1,bmi2,avx512f,avx512bw,avx512vl")]
fn turns<const N: usize>(mut streams: [&mut Stream<'_>; N]) -> (usize, Pause) {
    if let Some(index) = streams.iter().position(|stream| stream.text.len() < ROOM) {
        return (index, Pause::Full);
    }
    let bounds: [_; N] = std::array::from_fn(|index| Bounds::of(streams[index]));
    let mut places: [_; N] = std::array::from_fn(|index| Place::of(streams[index]));
    let ended = 'all: loop {
        for index in 0..N {
            if places[index].bit > bounds[index].last_bit {
                break 'all (index, Pause::Fault);
            }
            if places[index].at > bounds[index].last_at {
                break 'all (index, Pause::Full);
            }
        }
        for _ in 0..TURNS {
            step!(places, bounds, 0, 'all);
            step!(places, bounds, 1, 'all);
            step!(places, bounds, 2, 'all);
        }
    };
    for (stream, place) in streams.iter_mut().zip(places) {
        stream.bit = place.bit;
        stream.at = place.at as usize - stream.text.as_ptr() as usize;
    }
    ended
}

/// One symbol of any kind, with a match if it is a length.
///
/// # Safety
/// As for a step: 64 bits can be read, [`ROOM`] bytes can be written but for what the steps before have, and `start` is the
/// beginning of text that goes on to where the next byte is written.
#[cold]
#[inline(never)]
unsafe fn odd_step(bounds: &Bounds, place: &mut Place) -> Odd {
    // SAFETY: the caller's; the tables are borrowed by the stream all the while.
    let (word, tables) = unsafe {
        (bounds.input.add(place.bit >> 3).cast::<u64>().read_unaligned() >> (place.bit & 7), &*bounds.tables)
    };
    let mut bits = Bits { left: word, taken: 0 };
    let Some((number, length)) = tables.symbol_words.read(bits.left) else { return Odd::Fault };
    bits.take(length);
    let length = match symbol(number) {
        Symbol::Literal(byte) => {
            // SAFETY: the caller's.
            unsafe { place.at.write(byte) };
            *place = Place { bit: place.bit + bits.taken, at: place.at.wrapping_add(1) };
            return Odd::Done;
        }
        Symbol::EndOfBlock => {
            place.bit += bits.taken;
            return Odd::EndOfBlock;
        }
        Symbol::Invalid => return Odd::Fault,
        Symbol::From(first, added) => usize::from(first) + bits.take(added.into()),
    };
    let Some((number, word)) = tables.distance_words.read(bits.left) else { return Odd::Fault };
    bits.take(word);
    let Symbol::From(first, added) = distance(number) else { return Odd::Fault };
    let distance = usize::from(first) + bits.take(added.into());
    if distance > place.at as usize - bounds.start as usize {
        return Odd::Fault;
    }
    // A match may overlap what it makes: byte after byte.
    for done in 0..length {
        // SAFETY: reads text of the member, as the distance was looked at; writes at most a longest match.
        unsafe { place.at.add(done).write(place.at.add(done).sub(distance).read()) };
    }
    *place = Place { bit: place.bit + bits.taken, at: place.at.wrapping_add(length) };
    Odd::Done
}

/// Bits that are taken from a word, from the lowest on.
struct Bits {
    left: u64,
    taken: usize,
}

impl Bits {
    fn take(&mut self, count: u32) -> usize {
        let taken = self.left & ((1 << count) - 1);
        self.left >>= count;
        self.taken += count as usize;
        taken as usize
    }
}
