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
    /// Inputs of up to this many bytes as stored are read and inflated whole, which is faster …
    pub whole_stored_bytes: usize,
    /// … as long as they inflate to no more than this.
    pub whole_text_bytes: usize,
    /// Text handed on at once of inputs that are inflated at once.
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
    /// known beforehand: a small one is inflated in one go, with the same result.
    pub fn decode(
        &mut self,
        input: impl Read,
        size: Option<u64>,
        limits: &Limits,
        sink: &mut impl LineSink,
    ) -> Decoded {
        let opened = self.open(0, input, size, limits);
        self.hand_on(0, opened, limits, sink)
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
            // A line that has room here has to have some there.
            if said_lengths.len() > 1 && together::room(limits) <= limits.chunk_bytes {
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
        self.together.read(&mut tasks, limits, &mut |index, ended, sink: &mut S| {
            let bytes_read = sizes[index] as u64;
            let decoded = match ended {
                together::Ended::Whole(bytes_decoded) => Decoded { bytes_read, bytes_decoded, error: None },
                together::Ended::Left(handed, next_line) => {
                    stream_whole(&stored[index][..sizes[index]], handed, next_line, limits, sink)
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
            Opened::Large(input) => return stream(input, limits, sink),
            Opened::Larger(input) => return stream(place.stored().chain(input), limits, sink),
            Opened::Failed(error) => {
                let decoded = stream_whole(place.stored(), Handed::default(), 1, limits, sink);
                return Decoded { error: Some(describe(&error)), ..decoded };
            }
            Opened::Whole => {}
        }
        if parquet::is_parquet(place.stored()) {
            let stored = place.take_stored();
            let bytes_read = stored.len() as u64;
            return Decoded { bytes_read, ..parquet::decode(stored, &mut io::empty(), limits, sink) };
        }
        if !place.inflate(limits) {
            // Plain text, or something wrong with it: the streaming way knows what.
            return stream_whole(place.stored(), Handed::default(), 1, limits, sink);
        }
        let text = place.text();
        let mut decoded = Decoded {
            bytes_read: place.stored().len() as u64,
            bytes_decoded: text.len() as u64,
            error: None,
        };
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
/// the damage counts.
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
        if result.is_err() {
            // An error takes what was inflated just before it along: byte by byte that is nothing.
            input = Inflate::new(stored, *limits);
            result = skip(&mut input, decoded.bytes_decoded, &mut io::sink())
                .and_then(|()| pieces(&mut ByteByByte(&mut input), &mut lines, limits, sink, &mut decoded));
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
        let count = fill(input, lines.space(), if is_first { HEAD_BYTES } else { 1 })?;
        if count == 0 {
            return Ok(());
        }
        if is_first && parquet::is_parquet(lines.peek(count)) {
            let head = lines.peek(count).to_vec();
            *decoded = parquet::decode(head, input, limits, sink);
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
    }
}

/// Bytes that tell a Parquet file.
const HEAD_BYTES: usize = 4;

/// Reads until `space` holds `at_least` bytes or the input is over; gives their number.
fn fill(input: &mut impl Read, space: &mut [u8], at_least: usize) -> io::Result<usize> {
    let mut count = 0;
    while count < at_least.min(space.len()) {
        match input.read(&mut space[count..]) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

/// What the first bytes are, if they are clearly not lines of text.
fn not_text(head: &[u8]) -> Option<&'static str> {
    if head.starts_with(b"PARE") {
        Some("is an encrypted Parquet file, which cannot be read without its keys")
    } else if head.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]) {
        Some("is compressed with zstd, which flow logs never are; decompress it first")
    } else if head.starts_with(b"PK\x03\x04") {
        Some("is a zip archive; unpack it first")
    } else if is_binary(&head[..head.len().min(4096)]) {
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
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Default, PartialEq, Eq)]
    struct Collect {
        lines: Vec<(u64, String)>,
        overlong: Vec<u64>,
        columns: Vec<String>,
        cut_off: bool,
    }

    impl LineSink for Collect {
        fn chunk(&mut self, chunk: Chunk<'_>) -> Option<u64> {
            let mut next = chunk.first_line;
            for (number, line) in chunk.lines() {
                self.lines.push((number, String::from_utf8_lossy(line).into_owned()));
                next = number + 1;
            }
            self.cut_off |= chunk.cut_off;
            Some(next)
        }
        fn overlong(&mut self, overlong: Overlong) {
            self.overlong.push(overlong.line);
        }
        fn wants_column(&mut self, _: &str) -> bool {
            true
        }
        fn columns(&mut self, names: &[String]) {
            self.columns = names.to_vec();
        }
    }

    fn read(bytes: &[u8], limits: &Limits) -> (Collect, Decoded) {
        let mut streamed = Collect::default();
        let by_stream = stream(bytes, limits, &mut streamed);
        let mut sink = Collect::default();
        let size = Some(bytes.len() as u64);
        let decoded = Decoder::default().decode(bytes, size, limits, &mut sink);
        if decoded.error.is_none() {
            assert_eq!((&sink, &decoded), (&streamed, &by_stream));
        } else {
            // Where it is damaged, what is there whole may give a little more.
            assert_eq!(decoded.error, by_stream.error);
            assert!(decoded.bytes_decoded >= by_stream.bytes_decoded);
            let (_, whole) = streamed.lines.split_last().unwrap_or((&(0, String::new()), &[]));
            assert!(sink.lines.starts_with(whole));
        }
        (sink, decoded)
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).and_then(|()| encoder.finish()).expect("gzip in memory")
    }

    #[test]
    fn every_member_of_a_gzip_is_read() {
        let bytes = [gzip(b"a\nb"), gzip(b"c\n"), gzip(b""), gzip(b"d")].concat();
        let (sink, decoded) = read(&bytes, &Limits::default());
        assert_eq!(sink.lines.iter().map(|(_, l)| l.as_str()).collect::<Vec<_>>(), ["a", "bc", "d"]);
        assert_eq!((decoded.error, decoded.bytes_read), (None, bytes.len() as u64));
    }

    #[test]
    fn a_truncated_gzip_gives_its_whole_lines_and_says_so() {
        let lines: Vec<_> = (0..20_000).map(|n| format!("line {n} {}\n", n * 7919 % 1000)).collect();
        let text = lines.concat();
        let whole = gzip(text.as_bytes());
        let (sink, decoded) = read(&whole[..whole.len() / 2], &Limits::default());
        assert!(decoded.error.is_some_and(|error| error.contains("truncated")));
        assert!(sink.lines.len() > 5_000 && sink.cut_off);
        for (number, line) in &sink.lines[..sink.lines.len() - 1] {
            assert!(line.starts_with(&format!("line {} ", number - 1)), "{number}: {line}");
        }
    }

    #[test]
    fn padding_after_a_gzip_is_ignored_and_anything_else_is_said() {
        let padded = [gzip(b"a\n"), vec![0; 512]].concat();
        assert_eq!(read(&padded, &Limits::default()).1.error, None);
        let garbage = [gzip(b"a\n"), b"garbage".to_vec()].concat();
        let (sink, decoded) = read(&garbage, &Limits::default());
        assert_eq!(sink.lines.len(), 1);
        assert!(decoded.error.is_some_and(|error| error.contains("after the gzip stream")));
    }

    #[test]
    fn a_bomb_is_given_up() {
        let limits = Limits { ratio_floor_bytes: 1 << 20, max_ratio: 100, ..Limits::default() };
        let (_, decoded) = read(&gzip(&vec![b'\n'; 32 << 20]), &limits);
        assert!(decoded.error.is_some_and(|error| error.contains("decompresses")));
        assert!(decoded.bytes_decoded < 8 << 20);
    }

    #[test]
    fn what_does_not_end_is_given_up_however_it_is_packed() {
        let text: Vec<u8> = (0..200_000_u32)
            .flat_map(|n| format!("{}\n", n.wrapping_mul(2_654_435_761)).into_bytes())
            .collect();
        let limits = Limits { max_text_bytes: 1 << 20, whole_stored_bytes: 0, ..Limits::default() };
        let mut sink = Collect::default();
        let decoded = stream(gzip(&text).as_slice(), &limits, &mut sink);
        assert!(decoded.error.is_some_and(|error| error.contains("1048576 bytes")));
        assert!(decoded.bytes_decoded < 6 << 20 && sink.lines.len() > 1_000, "{}", sink.lines.len());
    }

    #[test]
    fn content_decides_not_the_name() {
        assert_eq!(read(b"plain\n", &Limits::default()).0.lines.len(), 1);
        let parquet = read(b"PAR1....", &Limits::default()).1.error;
        assert!(parquet.is_some_and(|error| error.contains("Parquet")));
        assert!(read(b"\x7fELF\0\0", &Limits::default()).1.error.is_some());
        assert_eq!(read(b"", &Limits::default()).1, Decoded::default());
    }

    #[test]
    fn an_overlong_line_is_dropped_alone() {
        let limits = Limits { chunk_bytes: 1024, json_line_bytes: 8192, ..Limits::default() };
        let text = [b"a\n".to_vec(), vec![b'x'; 5000], b"\nb\n{".to_vec(), vec![b'y'; 5000], b"\nc".to_vec()]
            .concat();
        let (sink, _) = read(&text, &limits);
        assert_eq!(sink.overlong, [2]);
        assert_eq!(
            sink.lines.iter().map(|(n, l)| (*n, l.len())).collect::<Vec<_>>(),
            [(1, 1), (3, 1), (4, 5001), (5, 1)]
        );
    }

    /// Gives a few bytes at a time.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(buffer.len()).min(self.0.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    proptest! {
        /// Whatever the bytes are, the fast way and the streaming way tell the same story.
        #[test]
        fn damage_is_seen_alike(
            members in proptest::collection::vec("[a-z\n]{0,300}", 1..4),
            flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
            tail in proptest::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..4),
            keep in 0.2_f64..1.2,
        ) {
            let mut bytes: Vec<u8> = members.iter().flat_map(|text| gzip(text.as_bytes())).collect();
            for (at, value) in flips {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            bytes.extend(tail);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a share")]
            bytes.truncate((bytes.len() as f64 * keep) as usize);
            read(&bytes, &Limits { chunk_bytes: 128, ..Limits::default() });
        }

        #[test]
        fn chunk_sizes_never_change_the_lines(
            lines in proptest::collection::vec("[a-z]{0,40}", 0..60),
            chunk_bytes in 64_usize..400,
            step in 1_usize..90,
            compress in any::<bool>(),
        ) {
            let text = lines.join("\n");
            let bytes = if compress { gzip(text.as_bytes()) } else { text.clone().into_bytes() };
            let mut sink = Collect::default();
            let limits = Limits { chunk_bytes, ..Limits::default() };
            stream(Trickle(&bytes, step), &limits, &mut sink);
            let mut whole = Collect::default();
            Decoder::default().decode(&bytes[..], Some(bytes.len() as u64), &limits, &mut whole);
            prop_assert_eq!(&whole, &sink);
            let mut expected: Vec<_> = text.split('\n').enumerate().map(|(n, l)| (n as u64 + 1, l.to_owned())).collect();
            if expected.last().is_some_and(|(_, line)| line.is_empty()) {
                expected.pop();
            }
            prop_assert_eq!(sink.lines, expected);
        }
    }
}
