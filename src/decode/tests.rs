//! The same lines and the same story whatever the bytes are packed in, and however they come.

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
    let text: Vec<u8> =
        (0..200_000_u32).flat_map(|n| format!("{}\n", n.wrapping_mul(2_654_435_761)).into_bytes()).collect();
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
    let text =
        [b"a\n".to_vec(), vec![b'x'; 5000], b"\nb\n{".to_vec(), vec![b'y'; 5000], b"\nc".to_vec()].concat();
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

#[test]
fn damage_is_told_before_what_the_bytes_in_front_of_it_look_like() {
    let mut bytes = gzip(b"\nh\naaaabaa\naab\n\n\n");
    for at in 10..bytes.len() - 8 {
        for value in 0..=u8::MAX {
            let kept = std::mem::replace(&mut bytes[at], value);
            read(&bytes, &Limits { chunk_bytes: 128, ..Limits::default() });
            bytes[at] = kept;
        }
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
