//! Bytes to lines: gzip with all its members, plain text, Parquet rows, bounded line lengths, positions.
//!
//! Decides by content, never by name. Refuses to know what a line means. Memory is bounded by [`Limits`].

mod inflate;
mod libdeflate;
mod lines;
mod parquet;
mod together;
mod whole;

use std::collections::VecDeque;
use std::io::{self, Read};

use inflate::Inflate;
use lines::Lines;
pub use lines::{Chunk, Overlong};
use together::Handed;
use whole::Whole;

/// Bounds on what one input may make this process hold or do.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Text handed on at once, and the longest line of plain text, in bytes.
    pub chunk_bytes: usize,
    /// The longest line that begins like JSON, in bytes: a whole subscription batch stands on one line.
    pub json_line_bytes: usize,
    /// Decompressed bytes per compressed byte above which an input is given up …
    pub max_ratio: u64,
    /// … once it has given this many bytes.
    pub ratio_floor_bytes: u64,
    /// Decompressed bytes above which an input is given up, whatever its ratio.
    pub max_text_bytes: u64,
    /// Inputs of up to this many bytes as stored are read whole: several are inflated at once, or, on processors that do
    /// not gain by that, each in one go, which is faster than in pieces …
    pub whole_stored_bytes: usize,
    /// … as long as it inflates to no more than this.
    pub whole_text_bytes: usize,
    /// Text handed on at once of inputs of which several are inflated at once.
    pub together_bytes: usize,
    /// Parquet files of up to this many bytes are held in memory; larger ones go to a temporary file.
    pub parquet_stored_bytes: usize,
    /// A Parquet row group whose columns take more than this, stored or decompressed, is given up: it is held at once.
    pub parquet_group_bytes: u64,
    /// Rows of a Parquet file that are turned into text at once.
    pub parquet_rows: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // What is learnt of a chunk's interfaces is learnt once a chunk: larger ones cost less.
            chunk_bytes: 4 * 1024 * 1024,
            json_line_bytes: 32 * 1024 * 1024,
            // Flow logs deflate 5 to 30 times; a run of one repeated line stays under 300; a bomb reaches 1 030.
            max_ratio: 400,
            ratio_floor_bytes: 256 * 1024 * 1024,
            // AWS rolls its objects over at 75 MB; a year of a busy VPC in one file stays below this.
            max_text_bytes: 1 << 40,
            // Five minutes of a busy VPC; larger objects stream.
            whole_stored_bytes: 8 * 1024 * 1024,
            whole_text_bytes: 48 * 1024 * 1024,
            // Three of them stay in the second cache.
            together_bytes: 128 * 1024,
            parquet_stored_bytes: 64 * 1024 * 1024,
            // Writers aim at 128 MiB, the largest in use at 1 GiB.
            parquet_group_bytes: 2 * 1024 * 1024 * 1024,
            // A page that spans several such pieces is decompressed for each; few writers make pages that long.
            parquet_rows: 256 * 1024,
        }
    }
}

/// How reading one input ended.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes read as stored.
    pub bytes_read: u64,
    /// Bytes after decompression; of Parquet, those of the text made of its rows.
    pub bytes_decoded: u64,
    /// Why it was not read to its end, a lowercase fragment.
    pub error: Option<String>,
}

/// What a reader of lines is told.
pub trait LineSink {
    /// Some whole lines, in order. Gives the number of the line that follows them, which whoever has read them knows
    /// without counting; `None` stops the reading.
    fn chunk(&mut self, chunk: Chunk<'_>) -> Option<u64>;
    /// A line longer than the limit; its text was dropped.
    fn overlong(&mut self, overlong: Overlong);
    /// Whether a column of a table (Parquet) is of use, by its name as stored; the others are not read.
    fn wants_column(&mut self, name: &str) -> bool;
    /// The input is a table: the lines that follow are its rows, a token for each of these columns. Its values have
    /// neither blanks nor control characters, and `-` stands for none.
    fn columns(&mut self, names: &[String]);
    /// Something that was made of the lines is held back, because nobody takes it now: no more lines, please.
    fn is_held(&self) -> bool {
        false
    }
    /// All inputs before this one are over: what is held back can be waited for. `false` when nobody wants more.
    fn may_wait(&mut self) -> bool {
        true
    }
}

/// Reads inputs, one after another or a few at once, and keeps its buffers for the next.
#[derive(Default)]
pub struct Decoder {
    places: Vec<Whole>,
    together: together::Together,
}

/// An input on its way through a [`Decoder`].
enum Opened<R> {
    /// To be read in pieces.
    Large(R),
    /// Turned out larger than it said: what was read of it is there, and this is the rest.
    Larger(R),
    /// There whole.
    Whole,
    /// Reading it failed after what is there.
    Failed(io::Error),
}

impl Decoder {
    /// How many inputs gain by being read at once on one thread.
    #[must_use]
    pub fn at_once() -> usize {
        if together::is_of_use() { together::MOST } else { 1 }
    }

    /// Reads one input to its end, its first error, or until the sink has had enough. `size` is its size as stored, if
    /// known beforehand: a small one is read whole, with the same result.
    pub fn decode(
        &mut self,
        input: impl Read,
        size: Option<u64>,
        limits: &Limits,
        sink: &mut impl LineSink,
    ) -> Decoded {
        let mut result = Decoded::default();
        let sinks = std::slice::from_mut(sink);
        self.decode_all([(input, size)], limits, sinks, &mut |_, decoded, _| result = decoded);
        result
    }

    /// Reads several inputs, each with its size if known and its sink, with the same result as one after another. Small
    /// ones in a row are inflated at once. `over` is told of each in order, with its index.
    pub fn decode_all<R: Read, S: LineSink>(
        &mut self,
        inputs: impl IntoIterator<Item = (R, Option<u64>)>,
        limits: &Limits,
        sinks: &mut [S],
        over: &mut impl FnMut(usize, Decoded, &mut S),
    ) {
        let mut opened: VecDeque<_> = inputs
            .into_iter()
            .enumerate()
            .map(|(index, (input, size))| self.open(index, input, size, limits))
            .collect();
        let mut index = 0;
        while let Some(next) = opened.pop_front() {
            let mut said_lengths = Vec::new();
            let others = opened.iter().take(Self::at_once() - 1);
            for (place, opened) in self.places[index..].iter().zip(std::iter::once(&next).chain(others)) {
                let Opened::Whole = opened else { break };
                let Some(length) = place.said_length() else { break };
                said_lengths.push(length);
            }
            // Also one alone: what comes of an input must not depend on its neighbours. A line that has room here has to
            // have some there.
            if !said_lengths.is_empty()
                && together::is_of_use()
                && together::room(limits) < limits.chunk_bytes
            {
                let sinks = &mut sinks[index..];
                self.together(index, &said_lengths, limits, sinks, over);
                index += said_lengths.len();
                opened.drain(..said_lengths.len() - 1);
            } else {
                let sink = &mut sinks[index];
                sink.may_wait();
                let decoded = self.hand_on(index, next, limits, sink);
                over(index, decoded, sink);
                index += 1;
            }
        }
    }

    /// Reads inputs that are there whole, from the one with that index on.
    fn together<S: LineSink>(
        &mut self,
        from: usize,
        said_lengths: &[usize],
        limits: &Limits,
        sinks: &mut [S],
        over: &mut impl FnMut(usize, Decoded, &mut S),
    ) {
        let places = self.places[from..].iter_mut().take(said_lengths.len());
        let mut stored: Vec<_> = places.map(Whole::take_stored).collect();
        let sizes: Vec<_> = stored.iter().map(Vec::len).collect();
        for stored in &mut stored {
            stored.resize(stored.len() + together::INPUT_SLACK, 0);
        }
        let mut tasks: Vec<_> = stored
            .iter()
            .zip(said_lengths)
            .zip(sinks)
            .map(|((stored, &said_length), sink)| together::Task { stored, said_length, sink })
            .collect();
        let places = &mut self.places[from..];
        self.together.read(&mut tasks, limits, &mut |index, ended, sink: &mut S| {
            let stored = &stored[index][..sizes[index]];
            let bytes_read = stored.len() as u64;
            let decoded = match ended {
                together::Ended::Whole(bytes_decoded) => Decoded { bytes_read, bytes_decoded, error: None },
                together::Ended::Left(Handed::NOTHING, _) => {
                    places[index].give_back(stored.to_vec());
                    hand_on_whole(&mut places[index], limits, sink)
                }
                together::Ended::Left(handed, next_line) => {
                    stream_whole(stored, handed, next_line, limits, sink)
                }
            };
            over(from + index, decoded, sink);
        });
        for ((place, mut stored), size) in self.places[from..].iter_mut().zip(stored).zip(sizes) {
            stored.truncate(size);
            place.give_back(stored);
        }
    }

    fn open<R: Read>(&mut self, index: usize, mut input: R, size: Option<u64>, limits: &Limits) -> Opened<R> {
        self.places.resize_with(self.places.len().max(index + 1), Whole::default);
        if size.is_none_or(|size| size > limits.whole_stored_bytes as u64) {
            return Opened::Large(input);
        }
        match self.places[index].load(&mut input, limits) {
            Ok(true) => Opened::Whole,
            Ok(false) => Opened::Larger(input),
            Err(error) => Opened::Failed(error),
        }
    }

    /// Hands the lines of an input on that was opened at that index.
    fn hand_on<R: Read>(
        &mut self,
        index: usize,
        opened: Opened<R>,
        limits: &Limits,
        sink: &mut impl LineSink,
    ) -> Decoded {
        let place = &mut self.places[index];
        match opened {
            Opened::Large(input) => stream(input, limits, sink),
            Opened::Larger(input) => stream(place.stored().chain(input), limits, sink),
            Opened::Failed(error) => {
                let decoded = stream_whole(place.stored(), Handed::NOTHING, 1, limits, sink);
                Decoded { error: Some(describe(&error)), ..decoded }
            }
            Opened::Whole => hand_on_whole(place, limits, sink),
        }
    }
}

/// Hands the lines of an input on that is there whole.
fn hand_on_whole(place: &mut Whole, limits: &Limits, sink: &mut impl LineSink) -> Decoded {
    if parquet::is_parquet(place.stored()) {
        let stored = place.take_stored();
        let bytes_read = stored.len() as u64;
        return Decoded { bytes_read, ..parquet::decode(stored, &mut io::empty(), limits, sink) };
    }
    if !place.inflate(limits) {
        // Plain text, or something wrong with it: the streaming way knows what.
        return stream_whole(place.stored(), Handed::NOTHING, 1, limits, sink);
    }
    let text = place.text();
    let mut decoded =
        Decoded { bytes_read: place.stored().len() as u64, bytes_decoded: text.len() as u64, error: None };
    if parquet::is_parquet(text) {
        let stored = text.to_vec();
        let bytes_read = decoded.bytes_read;
        return Decoded { bytes_read, ..parquet::decode(stored, &mut io::empty(), limits, sink) };
    }
    match not_text(text) {
        Some(kind) => decoded.error = Some(kind.to_owned()),
        None => lines::cut(text, limits, sink),
    }
    decoded
}

/// Reads one input in pieces, whatever its size.
fn stream(input: impl Read, limits: &Limits, sink: &mut impl LineSink) -> Decoded {
    let mut input = Inflate::new(input, *limits);
    let mut decoded = Decoded::default();
    let mut lines = Lines::new(limits, 1);
    let result = pieces(&mut input, &mut lines, limits, sink, &mut decoded);
    ended(result, input, lines, sink, decoded)
}

/// Reads one input that is there whole in pieces, from the line with that number on, after what was handed on before. What
/// comes before it has to be that once more, as far as its checksum says. Where the input is damaged, every byte before
/// the damage counts but perhaps the last one.
fn stream_whole(
    stored: &[u8],
    handed: Handed,
    next_line: u64,
    limits: &Limits,
    sink: &mut impl LineSink,
) -> Decoded {
    let mut input = Inflate::new(stored, *limits);
    let mut decoded = Decoded { bytes_decoded: handed.before + handed.bytes, ..Decoded::default() };
    let mut lines = Lines::new(limits, next_line);
    let mut checksum = Checksum(0);
    let mut result = skip(&mut input, handed.before, &mut io::sink())
        .and_then(|()| skip(&mut input, handed.bytes, &mut checksum));
    if result.is_ok() && checksum.0 != handed.checksum {
        result =
            Err(io::Error::other("was inflated in two ways with different results, a fault of flowcheck"));
    } else if result.is_ok() {
        result = pieces(&mut input, &mut lines, limits, sink, &mut decoded);
        if let Err(damage) = result {
            // An error takes what was inflated just before it along: byte by byte that is at most one.
            input = Inflate::new(stored, *limits);
            result = skip(&mut input, decoded.bytes_decoded, &mut io::sink())
                .and_then(|()| pieces(&mut ByteByByte(&mut input), &mut lines, limits, sink, &mut decoded));
            // The few bytes before the damage are no reason to call all of it something else.
            if decoded.error.take().is_some() {
                result = Err(damage);
            }
        }
    }
    ended(result, input, lines, sink, decoded)
}

fn skip(input: &mut impl Read, bytes: u64, to: &mut impl io::Write) -> io::Result<()> {
    io::copy(&mut input.take(bytes), to).map(|_| ())
}

/// The checksum of what is written.
struct Checksum(u32);

impl io::Write for Checksum {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = libdeflate::crc32(self.0, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct ByteByByte<'a, R>(&'a mut R);

impl<R: Read> Read for ByteByByte<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(1);
        self.0.read(&mut buffer[..most])
    }
}

/// What is known when an input is over.
fn ended<R: Read>(
    result: io::Result<()>,
    mut input: Inflate<R>,
    mut lines: Lines,
    sink: &mut impl LineSink,
    mut decoded: Decoded,
) -> Decoded {
    lines.end(result.is_ok(), sink);
    decoded.bytes_read = input.bytes_read();
    if let Err(error) = result {
        decoded.error = Some(describe(&error));
    }
    decoded.error = decoded.error.or_else(|| input.trailing_garbage());
    decoded
}

/// Hands on the lines of what is left of an input but for the last ones, which stay in `lines`.
fn pieces(
    input: &mut impl Read,
    lines: &mut Lines,
    limits: &Limits,
    sink: &mut impl LineSink,
    decoded: &mut Decoded,
) -> io::Result<()> {
    loop {
        // The first bytes tell what it is: a slow pipe must not hand them over one by one.
        let is_first = decoded.bytes_decoded == 0;
        let (count, result) = fill(input, lines.space(), if is_first { HEAD_BYTES } else { 1 });
        if count == 0 {
            return result;
        }
        if is_first && parquet::is_parquet(lines.peek(count)) {
            let head = lines.peek(count).to_vec();
            *decoded = parquet::decode(head, input, limits, sink);
            // A table that is there whole may stand in front of the damage.
            decoded.error = decoded.error.take().or_else(|| result.err().map(|error| describe(&error)));
            return Ok(());
        }
        decoded.bytes_decoded += count as u64;
        if is_first && let Some(kind) = not_text(lines.peek(count)) {
            decoded.error = Some(kind.to_owned());
            return Ok(());
        }
        if !lines.filled(count, sink) {
            lines.forget();
            return Ok(());
        }
        result?;
    }
}

/// Bytes that tell what an input is.
const HEAD_BYTES: usize = 4096;

/// Reads until `space` holds `at_least` bytes or the input is over; gives their number, and why it went no further.
fn fill(input: &mut impl Read, space: &mut [u8], at_least: usize) -> (usize, io::Result<()>) {
    let mut count = 0;
    while count < at_least.min(space.len()) {
        match input.read(&mut space[count..]) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (count, Err(error)),
        }
    }
    (count, Ok(()))
}

/// What the first bytes are, if they are clearly not lines of text.
fn not_text(head: &[u8]) -> Option<&'static str> {
    if head.starts_with(b"PARE") {
        Some("is an encrypted Parquet file, which cannot be read without its keys")
    } else if head.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]) {
        Some("is compressed with zstd, which flow logs never are; decompress it first")
    } else if head.starts_with(b"PK\x03\x04") {
        Some("is a zip archive; unpack it first")
    } else if is_binary(&head[..head.len().min(HEAD_BYTES)]) {
        Some("is binary, not a flow log")
    } else {
        None
    }
}

/// More than a stray zero byte or two: text has none, binary formats are full of them.
fn is_binary(head: &[u8]) -> bool {
    let zeros = memchr::memchr_iter(0, head).count();
    zeros * 32 > head.len()
}

fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "is truncated: the gzip stream breaks off".to_owned(),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => format!("is damaged: {error}"),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
