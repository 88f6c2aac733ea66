//! Rows made at once are those made one by one.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::correlate::accepted::Head;
use crate::net::Timestamp;
use crate::record::LineReader;

const V2: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end \
                  action log-status";
const V5: &str = "version vpc-id subnet-id interface-id flow-direction srcaddr srcport dstaddr dstport pkt-srcaddr \
                  pkt-dstaddr protocol tcp-flags bytes packets start end log-status action";
const FLAGS: &str = "interface-id tcp-flags srcaddr dstaddr srcport dstport protocol packets bytes start end action \
                     log-status";
const DIRECTION: &str = "interface-id subnet-id srcaddr dstaddr srcport dstport protocol packets bytes start end \
                         action flow-direction log-status";

/// 2026-11-20T14:00:00Z.
const HOUR: i64 = 1_795_183_200;

/// The fields of one line by name.
#[derive(Debug, Clone)]
struct Line(Vec<(&'static str, String)>);

impl Line {
    fn text(&self, format: &str) -> String {
        let value = |name| self.0.iter().find(|(known, _)| *known == name).map_or("-", |(_, value)| value);
        format.split(' ').map(value).collect::<Vec<_>>().join(" ")
    }
}

fn address() -> impl Strategy<Value = String> {
    prop_oneof![
        (1..4_u8).prop_map(|host| format!("10.0.0.{host}")),
        any::<u32>().prop_map(|bits| Ipv4Addr::from(bits).to_string()),
    ]
}

fn line() -> impl Strategy<Value = Line> {
    let interface = prop_oneof![
        8 => (0..5_u32).prop_map(|nth| format!("eni-{nth:017x}")),
        1 => (0..2000_u32).prop_map(|nth| format!("eni-{:08x}", nth.wrapping_mul(0x9e37_79b1))),
        1 => (0..2000_u32).prop_map(|nth| format!("eni-0{:016x}", u64::from(nth) << 20)),
    ];
    let ports = (select(vec![0, 53, 443, 64_214, 65_535_u16]), any::<u16>());
    let size = prop_oneof![6 => 1..100_u64, 1 => 0..1_u64 << 33];
    let seconds = prop_oneof![6 => 0..61_i64, 1 => 4090..4100_i64, 1 => Just(0)];
    let start = prop_oneof![6 => HOUR - 30..HOUR + 90, 1 => 0..1_i64 << 32];
    (
        (interface, address(), address(), address(), ports, any::<bool>(), select(vec![1, 6, 17])),
        (size, prop_oneof![Just(60), 0..200_u64], start, seconds, select(vec![2, 3, 18, 19])),
        (0..12_u8, any::<bool>(), select(vec!["subnet-0123456789abcdef0", "subnet-0fedcba9876543210", "-"])),
    )
        .prop_map(|(flow, counts, more)| {
            let (interface, source, destination, packet_source, (service, port), swapped, protocol) = flow;
            let (packets, each, start, seconds, flags) = counts;
            let (odd, ingress, subnet) = more;
            let (srcport, dstport) = if swapped { (port, service) } else { (service, port) };
            let packet_source = if odd == 2 { packet_source } else { source.clone() };
            let text = |value: &str| value.to_owned();
            Line(vec![
                ("version", text("2")),
                ("account-id", text("123456789010")),
                ("vpc-id", text("vpc-0123456789abcdef0")),
                ("subnet-id", text(subnet)),
                ("interface-id", interface),
                ("flow-direction", text(if ingress { "ingress" } else { "egress" })),
                ("pkt-srcaddr", packet_source),
                ("pkt-dstaddr", destination.clone()),
                ("srcaddr", source),
                ("dstaddr", destination),
                ("srcport", srcport.to_string()),
                ("dstport", dstport.to_string()),
                ("protocol", protocol.to_string()),
                ("tcp-flags", flags.to_string()),
                ("packets", packets.to_string()),
                ("bytes", (packets * each).to_string()),
                ("start", start.to_string()),
                ("end", (start + seconds).to_string()),
                ("action", text(if odd == 0 { "REJECT" } else { "ACCEPT" })),
                ("log-status", text(if odd == 1 { "NODATA" } else { "OK" })),
            ])
        })
}

/// Everything in the batches, one for each text.
fn gathered(texts: &[String], selection: &Selection, at_once: bool) -> String {
    let mut gatherer = Gatherer::new(selection, 300);
    if !at_once {
        gatherer.at_once_between = None;
    }
    let mut told = String::new();
    let mut reader = LineReader::new(&[]);
    for text in texts {
        reader.lines(text.as_bytes(), 1, &mut gatherer);
        let usual = gatherer.usual;
        // Each gatherer has a numbering of its own.
        let batch = Batch { numbering: Numbering::default(), ..gatherer.take() };
        let rows: Vec<_> = batch.accepted.iter().collect();
        writeln!(told, "{rows:?} {usual:?} {batch:?}").expect("a string");
    }
    told
}

proptest! {
    #[test]
    fn rows_made_at_once_are_those_made_one_by_one(
        lines in proptest::collection::vec(line(), 1..400),
        format in select(vec![V2, V5, FLAGS, DIRECTION]),
        since in proptest::option::of(-20..100_i64), until in proptest::option::of(-20..100_i64),
        by_start in any::<bool>(), repeated in 1..4_usize,
    ) {
        let moment = |seconds: Option<i64>| seconds.map(|seconds| Timestamp(HOUR + seconds));
        let selection = Selection { since: moment(since), until: moment(until), by_start, ..Selection::default() };
        let body: String = lines.iter().map(|line| line.text(format) + "\n").collect();
        let mut texts = vec![format!("{format}\n{body}")];
        // What was learnt of interfaces stays.
        texts.extend(vec![body; repeated]);
        let one_by_one = gathered(&texts, &selection, false);
        let at_once = gathered(&texts, &selection, true);
        prop_assert_eq!(at_once, one_by_one);
    }
}

/// The other test would hold for rows that are never made at once.
#[test]
fn ordinary_lines_become_rows_at_once() {
    if !record::permutes() {
        return;
    }
    let line = |nth: u32| {
        format!(
            "2 123456789010 eni-{:017x} 10.0.0.1 10.9.9.9 443 {nth} 6 1 60 {HOUR} {HOUR} ACCEPT OK\n",
            nth % 3
        )
    };
    let selection = Selection::default();
    let mut gatherer = Gatherer::new(&selection, 300);
    let mut reader = LineReader::new(&[]);
    reader.lines((0..300).map(line).collect::<String>().as_bytes(), 1, &mut gatherer);
    let (heads, _, _) = gatherer.at_once.rows(1);
    assert_ne!(heads, [Head::NONE], "no head was written");
}
