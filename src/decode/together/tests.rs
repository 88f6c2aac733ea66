//! Inputs inflated at once against each of them read alone.

use std::io::Write;

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use proptest::prelude::*;

use super::*;
use crate::decode::{Decoded, Decoder, Overlong, stream_whole};

/// Keeps all lines; holds back now and then, as long as it must not wait.
#[derive(Debug, Default)]
struct Collect {
    lines: Vec<(u64, Vec<u8>)>,
    overlong: Vec<u64>,
    cut_off: bool,
    /// Chunks after each of which it is held, 0 for never.
    holds_every: usize,
    chunks: usize,
    may_wait: bool,
    /// How often it got lines although it was held.
    pushed: usize,
}

impl LineSink for Collect {
    fn chunk(&mut self, chunk: Chunk<'_>) -> Option<u64> {
        self.pushed += usize::from(self.is_held());
        self.chunks += 1;
        self.lines.extend(chunk.lines().map(|(number, line)| (number, line.to_vec())));
        self.cut_off |= chunk.cut_off;
        Some(chunk.first_line + chunk.lines().count() as u64)
    }
    fn overlong(&mut self, overlong: Overlong) {
        self.overlong.push(overlong.line);
    }
    fn wants_column(&mut self, _: &str) -> bool {
        true
    }
    fn columns(&mut self, _: &[String]) {}
    fn is_held(&self) -> bool {
        !self.may_wait
            && self.holds_every > 0
            && self.chunks > 0
            && self.chunks.is_multiple_of(self.holds_every)
    }
    fn may_wait(&mut self) -> bool {
        self.may_wait = true;
        true
    }
}

/// Small pieces, so that short texts take many.
fn limits() -> Limits {
    Limits { chunk_bytes: 48 * 1024, together_bytes: 2048, ..Limits::default() }
}

fn gzip(text: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(text).and_then(|()| encoder.finish()).expect("gzip in memory")
}

/// By another program, whose blocks and codes look different.
fn gzip_by_libdeflate(text: &[u8], level: i32) -> Vec<u8> {
    let mut compressor =
        libdeflater::Compressor::new(libdeflater::CompressionLvl::new(level).expect("level"));
    let mut bytes = vec![0; compressor.gzip_compress_bound(text.len())];
    let size = compressor.gzip_compress(text, &mut bytes).expect("room");
    bytes.truncate(size);
    bytes
}

/// By one reader for one input.
fn alone(input: &[u8], limits: &Limits) -> (Collect, Decoded) {
    let mut sink = Collect::default();
    let decoded = Decoder::default().decode(input, Some(input.len() as u64), limits, &mut sink);
    (sink, decoded)
}

/// By the streaming inflater.
fn streamed(input: &[u8], limits: &Limits) -> (Collect, Decoded) {
    let mut sink = Collect::default();
    let decoded = stream_whole(input, Handed::NOTHING, 1, limits, &mut sink);
    (sink, decoded)
}

/// Reads all at once, and holds what comes of each to what it gives alone, and that to what the streaming inflater gives.
fn same_as_alone(inputs: &[Vec<u8>], limits: &Limits, holds_every: usize) {
    let mut decoder = Decoder::default();
    // What is left from other inputs must not matter.
    let before = gzip(&records(300), 6);
    let sized = [(&before[..], Some(before.len() as u64)); 3];
    let mut sinks = [(); 3].map(|()| Collect::default());
    decoder.decode_all(sized, limits, &mut sinks, &mut |_, decoded, _| assert_eq!(decoded.error, None));

    let mut sinks: Vec<_> = inputs.iter().map(|_| Collect { holds_every, ..Collect::default() }).collect();
    let mut over = Vec::new();
    let sized = inputs.iter().map(|input| (&input[..], Some(input.len() as u64)));
    decoder.decode_all(sized, limits, &mut sinks, &mut |index, decoded, sink| {
        assert!(sink.may_wait, "told before its turn");
        over.push((index, decoded));
    });
    assert_eq!(over.len(), inputs.len());
    for (index, (told, decoded)) in over.into_iter().enumerate() {
        let (expected, expected_decoded) = alone(&inputs[index], limits);
        assert_eq!((told, &decoded), (index, &expected_decoded));
        let sink = &sinks[index];
        assert_eq!(sink.pushed, 0, "lines for a sink that is held");
        assert_eq!((&sink.overlong, sink.cut_off), (&expected.overlong, expected.cut_off));
        assert!(sink.lines == expected.lines, "{index}: other lines");
        let (by_stream, by_stream_decoded) = streamed(&inputs[index], limits);
        if by_stream_decoded.error.is_none() {
            assert_eq!(decoded, by_stream_decoded);
            assert!(sink.lines == by_stream.lines, "{index}: not what the streaming inflater gives");
        } else if decoded.error.is_some() {
            let (_, whole) = by_stream.lines.split_last().unwrap_or((&(0, Vec::new()), &[]));
            assert!(sink.lines.is_empty() || sink.lines.starts_with(whole), "{index}: lines lost");
        }
    }
}

/// Texts that make matches of all kinds, and few of them.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let record = (0_u32..40, 0_u32..65_536, 0_u32..2_000_000, any::<bool>()).prop_map(|(host, port, bytes, ok)| {
        let action = if ok { "ACCEPT" } else { "REJECT" };
        format!("2 123456789012 eni-0a{host:02} 10.0.{host}.7 10.1.2.3 {port} 443 6 9 {bytes} 17 77 {action} OK\n")
    });
    let repeated = ("[a-z]{1,5}", 1_usize..12_000).prop_map(|(word, times)| word.repeat(times) + "\n");
    let scattered = "[ -~]{0,700}\n";
    let lines = prop_oneof![
        8 => record,
        1 => repeated,
        2 => scattered.prop_map(|line| line),
    ];
    proptest::collection::vec(lines, 0..400).prop_map(|lines| lines.concat().into_bytes())
}

fn input() -> impl Strategy<Value = Vec<u8>> {
    let member = (text(), 0_u32..10, 0_u8..8).prop_map(|(text, level, by)| match by {
        0 => GzBuilder::new()
            .filename("flow.log")
            .comment("a comment")
            .write(Vec::new(), Compression::new(level))
            .finish()
            .and_then(|_| {
                let mut encoder =
                    GzBuilder::new().filename("flow.log").write(Vec::new(), Compression::new(level));
                encoder.write_all(&text).and_then(|()| encoder.finish())
            })
            .expect("gzip in memory"),
        1..4 => gzip_by_libdeflate(&text, level.max(1).cast_signed() + i32::from(by)),
        _ => gzip(&text, level),
    });
    let padding = prop_oneof![6 => Just(0_usize), 1 => 1_usize..600];
    (proptest::collection::vec(member, 1..4), padding).prop_map(|(members, padding)| {
        let mut bytes = members.concat();
        bytes.resize(bytes.len() + padding, 0);
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn several_at_once_are_as_each_alone(
        inputs in proptest::collection::vec(input(), 2..5),
        holds_every in 0_usize..4,
        together_bytes in prop_oneof![Just(300_usize), 1000_usize..8000],
    ) {
        same_as_alone(&inputs, &Limits { together_bytes, ..limits() }, holds_every);
    }

    /// What is damaged gives what it gives alone, and takes nothing from the others.
    #[test]
    fn damage_is_seen_as_alone(
        inputs in proptest::collection::vec(input(), 2..4),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..4),
        keep in prop_oneof![3 => Just(1.0), 1 => 0.0_f64..1.0],
        tail in proptest::collection::vec(any::<u8>(), 0..3),
    ) {
        let mut inputs = inputs;
        let count = inputs.len();
        for (which, at, value) in flips {
            let input = &mut inputs[which.index(count)];
            let at = at.index(input.len());
            input[at] = value;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a share")]
        let kept = (inputs[0].len() as f64 * keep) as usize;
        inputs[0].truncate(kept);
        inputs[0].extend(tail);
        same_as_alone(&inputs, &limits(), 2);
    }
}

/// Lines of records, incompressible enough to take several blocks.
fn records(count: u64) -> Vec<u8> {
    let line = |n: u64| {
        let noise = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
        format!(
            "2 123456789012 eni-0{} 10.0.0.{} 10.1.0.9 {} 443 6 {n} {noise} 0 59 ACCEPT OK\n",
            n % 7,
            n % 251,
            noise % 65_536
        )
    };
    (0..count).map(line).collect::<String>().into_bytes()
}

fn read(stored: &[Vec<u8>], limits: &Limits) -> (Vec<Collect>, Vec<Ended>) {
    let mut sinks: Vec<_> = stored.iter().map(|_| Collect::default()).collect();
    let padded: Vec<_> = stored.iter().map(|stored| [&stored[..], &[0; INPUT_SLACK]].concat()).collect();
    let mut tasks: Vec<_> =
        padded.iter().zip(&mut sinks).map(|(stored, sink)| Task { stored, said_length: 1, sink }).collect();
    let mut ends = Vec::new();
    Together::default().read(&mut tasks, limits, &mut |_, ended, _| ends.push(ended));
    (sinks, ends)
}

/// Were everything left to others, all tests above would pass.
#[test]
fn what_is_usual_is_read_to_its_end_here() {
    if !is_of_use() {
        return;
    }
    let text = records(20_000);
    for level in 1..10 {
        let by_zlib = gzip(&text, level);
        let two_members = [gzip(&text, level), gzip(&text, level)].concat();
        let by_libdeflate = gzip_by_libdeflate(&text, level.cast_signed());
        let (sinks, ends) = read(&[by_zlib, two_members, by_libdeflate], &Limits::default());
        let length = text.len() as u64;
        assert_eq!(ends, [length, 2 * length, length].map(Ended::Whole), "level {level}");
        assert_eq!(sinks[1].lines.len(), 40_000);
    }
}

/// What was handed on before something is found wrong is not handed on again, and not lost.
#[test]
fn a_wrong_checksum_is_found_after_much_was_handed_on() {
    let good = gzip(&records(20_000), 6);
    let mut bad = good.clone();
    let at = bad.len() - 6;
    bad[at] ^= 1;
    if is_of_use() {
        let (sinks, ends) = read(&[bad.clone(), good.clone()], &Limits::default());
        assert!(
            matches!(ends[0], Ended::Left(handed, line) if handed.bytes > 100_000 && line > 1_000),
            "{ends:?}"
        );
        assert!(sinks[0].lines.len() < 20_000);
    }
    same_as_alone(&[bad, good], &Limits::default(), 0);
}

#[test]
fn a_text_that_is_changed_between_two_readings_is_told() {
    let stored = gzip(&records(2_000), 6);
    let handed = Handed { bytes: 1000, checksum: 7, ..Handed::NOTHING };
    let decoded = stream_whole(&stored, handed, 12, &limits(), &mut Collect::default());
    assert!(decoded.error.is_some_and(|error| error.contains("fault of flowcheck")));
}

/// The limits hold as they do for one alone.
#[test]
fn bombs_and_long_lines_are_as_alone() {
    let bomb = gzip(&vec![b'\n'; 32 << 20], 9);
    let long =
        gzip(&[vec![b'x'; 3 << 20], b"\na\n".to_vec(), vec![b'y'; 6 << 20], b"\nb\n".to_vec()].concat(), 6);
    let limits = Limits { ratio_floor_bytes: 1 << 20, max_ratio: 100, ..Limits::default() };
    same_as_alone(&[bomb.clone(), long.clone(), gzip(&records(30_000), 6)], &limits, 0);
    let limits = Limits { max_text_bytes: 1 << 20, whole_text_bytes: 1 << 19, ..Limits::default() };
    same_as_alone(&[long, bomb, gzip(&records(30_000), 6)], &limits, 1);
}

#[test]
fn other_kinds_of_input_among_them_are_read_as_ever() {
    let usual = gzip(&records(500), 6);
    let parquet = gzip(b"PAR1....", 6);
    let binary = gzip(b"\x7fELF\0\0\0\0\0\0", 6);
    let inputs =
        [usual.clone(), b"2 plain text\n".to_vec(), parquet, usual.clone(), binary, Vec::new(), usual];
    same_as_alone(&inputs, &limits(), 1);
}

/// Stored blocks alone have no code: what tables are left from the input before must not be used for them.
#[test]
fn an_input_without_a_code_among_others() {
    let stored = [gzip(b"hello\n", 0), vec![0; 512]].concat();
    let usual = gzip(&records(3_000), 6);
    let inputs = [stored.clone(), stored, usual, gzip(b"", 6)];
    same_as_alone(&inputs, &Limits::default(), 0);
    assert_eq!(alone(&inputs[0], &Limits::default()).0.lines, [(1, b"hello".to_vec())]);
}

/// What an input is, is told by its first 4096 bytes, in whatever members they come.
#[test]
fn what_is_not_text_is_told_alike() {
    let member = |text: &[u8]| gzip(text, 6);
    let binary = [member(b"abcd\n"), member(&[0; 1000])].concat();
    let zip = member(&[b"PK\x03\x04".to_vec(), vec![b'a'; 100_000]].concat());
    let mut damaged = [member(b"a\0b\n"), member(&b"some text\n".repeat(20_000))].concat();
    let at = damaged.len() - 6;
    damaged[at] ^= 1;
    let no_member = [member(b"a\n"), vec![0x1f, 0x8b, 7, 0, 0, 0, 0, 0, 0, 0]].concat();
    same_as_alone(&[binary.clone(), zip, damaged, no_member.clone()], &limits(), 0);
    let (sink, decoded) = alone(&binary, &limits());
    assert!(sink.lines.is_empty() && decoded.error.is_some_and(|error| error.contains("binary")));
    let (sink, decoded) = alone(&no_member, &limits());
    assert!(decoded.error.is_some() && sink.lines == [(1, b"a".to_vec())]);
}
