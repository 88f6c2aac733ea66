//! Lines in a row must give what each line by itself gives, whatever is in them and however they are cut.

use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::record::{FlowRecord, LineReader, LogFormat, Malformed, Sink};

/// Everything a reader says, in order.
#[derive(Debug, Default)]
struct Story {
    told: Vec<String>,
    plain: usize,
}

impl Sink for Story {
    fn record(&mut self, record: &FlowRecord<'_>) {
        // Where there is an interface id nobody asks for the resource.
        let resource_id = record.resource_id.filter(|_| record.interface_id.is_none());
        self.told.push(format!("{:?}", FlowRecord { resource_id, ..*record }));
    }
    fn plain(&mut self, records: crate::record::PlainRecords<'_>) {
        self.plain += records.count();
        records.iter().for_each(|record| self.record(&record.widen()));
    }
    fn malformed(&mut self, line: u64, malformed: Malformed) {
        self.told.push(format!("{line} {malformed}"));
    }
    fn header(&mut self) {
        self.told.push("header".to_owned());
    }
    fn transit_gateway(&mut self) {
        self.told.push("transit gateway".to_owned());
    }
    fn format(&mut self, format: &LogFormat) {
        self.told.push(format.header());
    }
    fn foreign_json(&mut self, line: u64, key: &'static str) {
        self.told.push(format!("{line} {key}"));
    }
}

const V2: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end \
                  action log-status";
const V5: &str = "version vpc-id subnet-id instance-id interface-id type flow-direction traffic-path srcaddr srcport \
                  dstaddr dstport pkt-srcaddr pkt-dstaddr protocol tcp-flags bytes packets start end log-status action";
const V11: &str = "account-id interface-id resource-id reject-reason srcaddr dstaddr srcport dstport protocol packets \
                   bytes start end action version log-status ecs-cluster-name brand-new";
const ODD: &str =
    "srcaddr dstaddr interface-id srcport dstport protocol packets bytes start end action log-status";
const LATE: &str = "version srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status \
                    interface-id vpc-id subnet-id";
const PARTIAL: &str = "interface-id srcaddr dstaddr pkt-srcaddr srcport dstport protocol packets start end action \
                       log-status bytes";

/// With the dots of its addresses more separators than are read at once.
const WIDE: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action \
                    log-status tcp-flags pkt-srcaddr pkt-dstaddr flow-direction reject-reason resource-id instance-id type \
                    region az-id sublocation-type sublocation-id pkt-src-aws-service pkt-dst-aws-service traffic-path \
                    ecs-cluster-arn ecs-cluster-name ecs-container-instance-arn ecs-container-instance-id ecs-container-id \
                    ecs-second-container-id ecs-service-name ecs-task-definition-arn ecs-task-arn ecs-task-id \
                    encryption-status instance-tag instance-tag-2 interface-tag interface-tag-2 asg-tag asg-tag-2 \
                    interface-type next-hop-interface-id next-hop-subnet-id next-hop-az-id next-hop-vpc-id \
                    next-hop-interface-type";

fn ordinary(field: &str) -> BoxedStrategy<String> {
    match field {
        "version" => select(&["2", "5", "11"][..]).prop_map(str::to_owned).boxed(),
        "interface-id" => "eni-0[0-9a-f]{16}".boxed(),
        "vpc-id" => "vpc-0[0-9a-f]{2}".boxed(),
        "srcaddr" | "dstaddr" | "pkt-srcaddr" | "pkt-dstaddr" => {
            any::<[u8; 4]>().prop_map(|octets| std::net::Ipv4Addr::from(octets).to_string()).boxed()
        }
        "srcport" | "dstport" => any::<u16>().prop_map(|port| port.to_string()).boxed(),
        "protocol" | "tcp-flags" => any::<u8>().prop_map(|number| number.to_string()).boxed(),
        "packets" => "[1-9][0-9]{0,6}".boxed(),
        "bytes" => "[1-9][0-9]{0,8}".boxed(),
        "start" => (0..600_u32).prop_map(|seconds| (1_799_999_700 + seconds).to_string()).boxed(),
        "end" => (300..900_u32).prop_map(|seconds| (1_799_999_700 + seconds).to_string()).boxed(),
        "action" => select(&["ACCEPT", "REJECT"][..]).prop_map(str::to_owned).boxed(),
        "log-status" => Just("OK".to_owned()).boxed(),
        "flow-direction" => select(&["ingress", "egress"][..]).prop_map(str::to_owned).boxed(),
        "reject-reason" => Just("-".to_owned()).boxed(),
        _ => "[a-z0-9-]{1,20}".boxed(),
    }
}

fn odd() -> BoxedStrategy<String> {
    prop_oneof![
        "[0-9]{1,18}",
        "[0-9]{1,3}(\\.[0-9]{1,3}){2,4}",
        "[0-9]{1,3}(\\.[0-9]{1,3}){3}[0-9.]{20,34}",
        "[ -~]{0,12}",
        "[0-9]{1,4}\\.[a-z0-9]{1,12}",
        "[a-z]{100,250}",
        "\\PC{1,5}",
        select(
            &[
                "-",
                "",
                "NODATA",
                "SKIPDATA",
                "OK",
                "2001:db8::1",
                "256.1.1.1",
                "010.0.0.1",
                "65536",
                "256",
                "REJECTED",
                "accept",
                "1799999999999",
                "0",
                "4294967296",
                "BPA",
                "ingres",
                "\t",
                "00000443",
            ][..]
        )
        .prop_map(str::to_owned),
    ]
    .boxed()
}

/// A line of a format, perhaps with something odd about it.
fn line(format: &'static str) -> impl Strategy<Value = String> {
    let fields: Vec<_> = format.split_ascii_whitespace().map(ordinary).collect();
    let change = prop_oneof![
        6 => Just(None),
        3 => (any::<Index>(), odd()).prop_map(Some),
    ];
    // Separators that trade places leave a line as many as it has to have.
    let swaps = (any::<Index>(), any::<Index>(), 0..20_u8);
    (fields, change, 0..60_u8, swaps).prop_map(|(mut tokens, change, spacing, (space, dot, swap))| {
        if let Some((at, token)) = change {
            let at = at.index(tokens.len());
            tokens[at] = token;
        }
        let mut line = tokens.join(if spacing == 0 { "  " } else { " " });
        for (bit, at, from, to) in [(1, space, " ", "."), (2, dot, ".", " ")] {
            let places: Vec<_> = line.match_indices(from).map(|(at, _)| at).collect();
            if swap < 4 && swap & bit != 0 && !places.is_empty() {
                let place = at.index(places.len().min(6));
                line.replace_range(places[place]..=places[place], to);
            }
        }
        match spacing {
            1 => format!("{line} "),
            2 => format!(" {line}"),
            3 => format!("{line}\r"),
            4 => line.replacen(' ', "\t", 1),
            8 => format!("{line}\t"),
            9 => line.rsplit_once(' ').map_or(String::new(), |(rest, _)| format!("{rest}\r")),
            5 => format!("{line} more"),
            6 => line.rsplit_once(' ').map_or(String::new(), |(rest, _)| rest.to_owned()),
            7 => String::new(),
            _ => line,
        }
    })
}

fn text() -> impl Strategy<Value = (bool, String)> {
    const FORMATS: [&str; 7] = [V2, V5, V11, ODD, PARTIAL, LATE, WIDE];
    let part = select(&FORMATS[..]).prop_flat_map(|format| {
        (Just(format), any::<bool>(), proptest::collection::vec(line(format), 1..14), 1..40_usize)
    });
    (any::<bool>(), proptest::collection::vec(part, 1..4), any::<bool>()).prop_map(
        |(first_has_header, parts, ends)| {
            let mut text = String::new();
            for (nth, (format, has_header, lines, times)) in parts.into_iter().enumerate() {
                if has_header || nth == 0 && first_has_header {
                    let _ = writeln!(text, "{format}");
                }
                for line in (0..times).flat_map(|_| &lines) {
                    let _ = writeln!(text, "{line}");
                }
            }
            if !ends {
                text.pop();
            }
            (first_has_header, text)
        },
    )
}

/// One that reads as fast as this processor can, and one that does not move bytes.
fn readers() -> [LineReader; 2] {
    [LineReader::new(&[]), LineReader { moves_bytes: false, ..LineReader::new(&[]) }]
}

fn each_by_itself(text: &str) -> Story {
    let (mut reader, mut story) = (LineReader::new(&[]), Story::default());
    let text = text.strip_suffix('\n').unwrap_or(text);
    for (line, number) in text.split('\n').zip(1..) {
        reader.line(number, line.as_bytes(), &mut story);
    }
    reader.end(&mut story);
    story
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn lines_in_a_row_are_what_each_is_by_itself(
        (_, text) in text(),
        cuts in proptest::collection::vec(any::<Index>(), 0..3),
    ) {
        let expected = each_by_itself(&text);
        let mut ends: Vec<_> = text.match_indices('\n').map(|(at, _)| at + 1).collect();
        let mut cuts: Vec<_> = cuts.iter().filter(|_| !ends.is_empty()).map(|cut| ends[cut.index(ends.len())]).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        ends.clear();
        for mut reader in readers() {
            let (mut story, mut number) = (Story::default(), 1);
            for piece in cuts.windows(2) {
                let piece = &text.as_bytes()[piece[0]..piece[1]];
                let next = reader.lines(piece, number, &mut story);
                let unended = usize::from(!piece.is_empty() && !piece.ends_with(b"\n"));
                let count = memchr::memchr_iter(b'\n', piece).count() + unended;
                prop_assert_eq!(next, number + count as u64);
                number = next;
            }
            reader.end(&mut story);
            prop_assert_eq!(&story.told, &expected.told);
        }
    }
}

/// The quick way is taken: a test of it that is never in it tests nothing.
#[test]
fn ordinary_lines_are_read_the_quick_way() {
    for (format, line) in [
        (
            V2,
            "2 123456789010 eni-0123456789abcdef0 10.0.0.1 192.0.2.255 43210 443 6 9 840 1799999990 1800000010 ACCEPT OK",
        ),
        (
            V5,
            "5 vpc-0a subnet-0b - eni-0123456789abcdef0 IPv4 egress - 10.0.0.1 1 10.0.0.2 65535 10.0.0.1 10.0.0.9 17 0 \
             84000000 9 1700000000 1700000059 OK REJECT",
        ),
    ] {
        let text = format!("{format}\n{}", format!("{line}\n").repeat(1000));
        // Moments on both sides of the turn of a century of millions are for the general way.
        let text = text.replace("1800000010", "1799999999");
        for mut reader in readers() {
            let mut story = Story::default();
            let _ = reader.lines(text.as_bytes(), 1, &mut story);
            assert!(story.plain >= 999, "{} of 1000", story.plain);
            assert_eq!(story.told, each_by_itself(&text).told);
        }
    }
}

/// A dot where a space has to be, and one field less: as many separators as the line of a record has.
#[test]
fn a_dot_is_no_space_and_a_space_no_dot() {
    let rest = "43210 443 6 9 840 1700000000 1700000010 ACCEPT OK";
    for (line, is_record) in [
        (format!("2 1234 eni-0123456789abcdef0 10.0.0.1 192.0.2.255 {rest}"), true),
        (format!("2 12.34 10.0.0.1 192.0.2.255 {rest}"), false),
        (format!("2 12.34 eni-0123456789abcdef0 10.0.0.1 192.0.2.255 {rest}"), true),
        (format!("2.1234 eni-0123456789abcdef0 10.0.0.1 192.0.2.255 {rest}"), false),
        (format!("2 1234 eni-0123456789abcdef0.10.0.0.1 192.0.2.255 {rest}"), false),
        (format!("2 1234 eni-0123456789abcdef0 10.0.0.1.192.0.2.255 {rest}"), false),
        (format!("2 1234 eni-0123456789abcdef0 10.0.0 1 192.0.2.255 {rest}"), false),
        (format!("2 1234 eni-0123456789abcdef0 10.0.0.1 192.0.2.255.{rest}"), false),
        (format!("2 1.234 eni-0123456789abcdef0 10.0.0 1 192.0.2.255 {rest}"), false),
    ] {
        let text = format!("{V2}\n{line}\n").repeat(2);
        for mut reader in readers() {
            let mut story = Story::default();
            let _ = reader.lines(text.as_bytes(), 1, &mut story);
            assert_eq!(story.told, each_by_itself(&text).told, "{line}");
            let records = story.told.iter().filter(|told| told.contains("FlowRecord")).count();
            assert_eq!(records, if is_record { 2 } else { 0 }, "{line}");
        }
    }
}

/// What is known of the lines of one format is not that of the next one, which may have too many fields for it.
#[test]
fn a_line_of_the_format_before_is_none_of_the_next_one() {
    let line =
        "2 1234 eni-0123456789abcdef0 10.0.0.1 192.0.2.255 43210 443 6 9 840 1700000000 1700000010 ACCEPT OK";
    let text = format!("{V2}\n{}{WIDE}\n{}", format!("{line}\n").repeat(10), format!("{line}\n").repeat(3));
    for mut reader in readers() {
        let mut story = Story::default();
        let _ = reader.lines(text.as_bytes(), 1, &mut story);
        assert_eq!(story.told, each_by_itself(&text).told);
        assert_eq!(story.told.iter().filter(|told| told.contains("has 14 fields")).count(), 3);
    }
}

/// A last line that lacks its last field and ends where a block of bytes does: what stands behind the positions found is
/// no position.
#[test]
fn a_short_last_line_is_short_wherever_it_ends() {
    let line = "2 10.0.0.1 192.0.2.255 43210 443 6 9 840 1700000000 1700000010 ACCEPT OK eni-0123456789abcdef0 vpc-0a";
    for filler in 0..130 {
        let text = format!("{LATE}\n{line} {}\n{line}\n", "s".repeat(filler + 2));
        let mut story = Story::default();
        let _ = LineReader::new(&[]).lines(text.as_bytes(), 1, &mut story);
        assert_eq!(story.told, each_by_itself(&text).told, "{filler}");
        assert!(story.told.iter().any(|told| told.contains("has 14 fields")), "{filler}");
    }
}
