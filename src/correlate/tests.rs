//! The join against a plain reading of the rules, which looks at every pair of records.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::net::{Direction, FiveTuple, Protocol, TcpFlags};
use crate::record::{Action, FlowRecord, LogStatus, RejectReason, Sink};

mod many;
mod overflow;
mod silent;

const WINDOW: i64 = 120;
const ROUTER: &str = "10.0.0.200";

/// A record as a test writes it down.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rec {
    interface: &'static str,
    action: Action,
    status: LogStatus,
    flow: FiveTuple,
    packet: Option<(IpAddr, IpAddr)>,
    span: Span,
    packets: u64,
    bytes: u64,
    flags: Option<u8>,
    direction: Option<Direction>,
    reason: Option<RejectReason>,
    subnet: Option<&'static str>,
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("address")
}

fn span(start: i64, end: i64) -> Span {
    Span { start: Timestamp(start), end: Timestamp(end) }
}

fn tcp(srcaddr: &str, srcport: u16, dstaddr: &str, dstport: u16) -> FiveTuple {
    FiveTuple { srcaddr: ip(srcaddr), dstaddr: ip(dstaddr), srcport, dstport, protocol: Protocol::TCP }
}

impl Rec {
    fn new(action: Action, flow: FiveTuple, start: i64, end: i64) -> Self {
        Self {
            interface: "eni-a",
            action,
            status: LogStatus::Ok,
            flow,
            packet: None,
            span: span(start, end),
            packets: 1,
            bytes: 60,
            flags: None,
            direction: None,
            reason: None,
            subnet: None,
        }
    }

    fn accept(flow: FiveTuple, start: i64, end: i64) -> Self {
        Self::new(Action::Accept, flow, start, end)
    }

    fn reject(flow: FiveTuple, start: i64, end: i64) -> Self {
        Self::new(Action::Reject, flow, start, end)
    }

    fn record(&self) -> FlowRecord<'_> {
        let ok = self.status == LogStatus::Ok;
        FlowRecord {
            interface_id: Some(self.interface.as_bytes()),
            srcaddr: ok.then_some(self.flow.srcaddr),
            dstaddr: ok.then_some(self.flow.dstaddr),
            pkt_srcaddr: self.packet.map(|packet| packet.0),
            pkt_dstaddr: self.packet.map(|packet| packet.1),
            srcport: ok.then_some(self.flow.srcport),
            dstport: ok.then_some(self.flow.dstport),
            protocol: ok.then_some(self.flow.protocol),
            packets: ok.then_some(self.packets),
            bytes: ok.then_some(self.bytes),
            start: Some(self.span.start),
            end: Some(self.span.end),
            action: ok.then_some(self.action),
            log_status: self.status,
            tcp_flags: self.flags.map(TcpFlags),
            flow_direction: self.direction,
            reject_reason: self.reason,
            subnet_id: self.subnet.map(str::as_bytes),
            ..FlowRecord::default()
        }
    }

    fn packet(&self) -> FiveTuple {
        self.packet.map_or(self.flow, |(srcaddr, dstaddr)| FiveTuple { srcaddr, dstaddr, ..self.flow })
    }

    /// What makes two records one.
    fn identity(&self) -> impl Ord + use<> {
        let ok = self.status == LogStatus::Ok;
        let flow = ok.then(|| (self.action == Action::Reject, self.flow, self.packet()));
        let size = ok.then_some((self.packets, self.bytes));
        (self.interface, self.status == LogStatus::SkipData, flow, self.span, size)
    }
}

fn join(
    batches: &[Vec<Rec>],
    selection: &Selection,
    retire: &[Option<i64>],
) -> Result<Correlated, LateRecord> {
    let options = Options { match_window_seconds: WINDOW, memory_limit_bytes: usize::MAX };
    let mut correlator = Correlator::new(options);
    let mut gatherer = Gatherer::new(selection, WINDOW);
    for (at, batch) in batches.iter().enumerate() {
        if let Some(Some(earliest)) = retire.get(at) {
            correlator.retire(Timestamp(*earliest));
        }
        for record in batch {
            gatherer.record(&record.record());
        }
        correlator.absorb(&mut gatherer.take())?;
    }
    Ok(correlator.finish(2))
}

fn join_all(records: &[Rec]) -> Correlated {
    join(&[records.to_vec()], &Selection::default(), &[]).expect("nothing is forgotten")
}

/// The result in words that both sides can say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Said {
    interface: String,
    flow: FiveTuple,
    packet: FiveTuple,
    direction: Option<Direction>,
    rejected: Vec<RejectedRecord>,
    kind: Option<UnpairedKind>,
    request: Option<Evidence>,
    accepted_reply: Option<Evidence>,
    closing_since: Option<Timestamp>,
    idle_seconds: Option<i64>,
}

/// Span, packets, bytes, flags, other interface.
type Evidence = (Span, u64, u64, Option<u8>, Option<String>);

fn said(correlated: &Correlated) -> Vec<Said> {
    let name = |index: InterfaceIndex| {
        String::from_utf8_lossy(correlated.interfaces.get(index).interface_id).into_owned()
    };
    let evidence = |one: RequestEvidence| {
        (
            one.span,
            one.packets.unwrap_or(0),
            one.bytes.unwrap_or(0),
            one.tcp_flags.map(|f| f.0),
            one.other_interface.map(name),
        )
    };
    let paired = correlated.conversations.iter().map(|one| Said {
        interface: name(one.interface),
        flow: one.reply,
        packet: one.packet,
        direction: one.flow_direction,
        rejected: one.rejected.clone(),
        kind: None,
        request: one.request.map(evidence),
        accepted_reply: one.accepted_reply.map(evidence),
        closing_since: one.closing_since,
        idle_seconds: one.idle_seconds,
    });
    let unpaired = correlated.unpaired.all();
    let unpaired = unpaired.iter().map(|one| Said {
        interface: name(one.interface),
        flow: one.flow,
        packet: one.packet,
        direction: one.flow_direction,
        rejected: one.rejected.clone(),
        kind: Some(one.kind),
        request: None,
        accepted_reply: None,
        closing_since: None,
        idle_seconds: None,
    });
    let mut all: Vec<_> = paired.chain(unpaired).collect();
    all.sort();
    all
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    accepted: u64,
    rejected: u64,
    no_data: u64,
    skip_data: u64,
    filtered: u64,
    duplicates: u64,
}

fn tally(correlated: &Correlated) -> Tally {
    Tally {
        accepted: correlated.accepted,
        rejected: correlated.rejected,
        no_data: correlated.no_data,
        skip_data: correlated.skip_data_records,
        filtered: correlated.counts.filtered,
        duplicates: correlated.duplicates,
    }
}

/// Each record once, with all that its copies say, and what was counted.
fn merged(input: &[Rec], selection: &Selection) -> (Vec<Rec>, Tally) {
    let mut tally = Tally::default();
    let mut known: BTreeMap<_, usize> = BTreeMap::new();
    let mut records: Vec<Rec> = Vec::new();
    for record in input {
        let counts = selection.admits_time(record.span);
        tally.filtered += u64::from(!counts);
        if let Some(&at) = known.get(&record.identity()) {
            tally.duplicates += u64::from(counts);
            let first = &mut records[at];
            first.flags = match (first.flags, record.flags) {
                (Some(a), Some(b)) => Some(a | b),
                (a, b) => a.or(b),
            };
            first.direction = first.direction.or(record.direction);
            first.reason = match (first.reason, record.reason) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            continue;
        }
        known.insert(record.identity(), records.len());
        records.push(record.clone());
        if counts {
            match (record.status, record.action) {
                (LogStatus::NoData, _) => tally.no_data += 1,
                (LogStatus::SkipData, _) => tally.skip_data += 1,
                (LogStatus::Ok, Action::Accept) => tally.accepted += 1,
                (LogStatus::Ok, Action::Reject) => tally.rejected += 1,
            }
        }
    }
    records.retain(|record| record.status == LogStatus::Ok);
    (records, tally)
}

/// The rules, said as plainly as possible.
fn oracle(input: &[Rec], selection: &Selection) -> (Vec<Said>, Tally) {
    let (records, tally) = merged(input, selection);
    let accepted: Vec<&Rec> = records.iter().filter(|r| r.action == Action::Accept).collect();
    let rejected: Vec<&Rec> =
        records.iter().filter(|r| r.action == Action::Reject && selection.admits_time(r.span)).collect();
    let mut paired: BTreeMap<_, Vec<&Rec>> = BTreeMap::new();
    let mut unpaired: BTreeMap<_, Vec<&Rec>> = BTreeMap::new();
    for &reject in &rejected {
        let place = (reject.interface, reject.packet(), reject.flow);
        match kind(reject, &accepted) {
            None => paired.entry(place).or_default().push(reject),
            Some(kind) => unpaired.entry((place, kind)).or_default().push(reject),
        }
    }
    let mut all = Vec::new();
    for ((place, kind), rejects) in unpaired {
        all.push(Said { kind: Some(kind), ..bare(place, &rejects) });
    }
    for (place, mut rejects) in paired {
        rejects.sort_by_key(|reject| reject.span);
        let mut group: Vec<&Rec> = Vec::new();
        for reject in rejects {
            if !group.is_empty() && group.iter().all(|one| one.span.gap(reject.span) > WINDOW) {
                all.push(conversation(place, &std::mem::take(&mut group), &accepted));
            }
            group.push(reject);
        }
        all.push(conversation(place, &group, &accepted));
    }
    all.sort();
    (all, tally)
}

fn kind(reject: &Rec, accepted: &[&Rec]) -> Option<UnpairedKind> {
    let is_tcp = reject.flow.protocol == Protocol::TCP;
    let flags = if is_tcp { TcpFlags(reject.flags.unwrap_or(0)) } else { TcpFlags(0) };
    if flags.has_syn_ack() {
        return None;
    }
    if flags.is_pure_syn() {
        return Some(UnpairedKind::Request);
    }
    let near = || accepted.iter().filter(|one| one.span.gap(reject.span) <= WINDOW);
    if !near().any(|one| is_request(one, reject) || is_request_elsewhere(one, reject.direction, reject)) {
        return Some(UnpairedKind::Unsolicited);
    }
    let flags = |one: &&&Rec| one.flags.map(TcpFlags);
    let syn = |one: &&&Rec| flags(one).is_some_and(TcpFlags::is_pure_syn);
    let syn_ack = |one: &&&Rec| flags(one).is_some_and(TcpFlags::has_syn_ack);
    let this =
        near().any(|one| (is_same(one, reject) && syn(&one)) || (is_request(one, reject) && syn_ack(&one)));
    let other =
        near().any(|one| (is_same(one, reject) && syn_ack(&one)) || (is_request(one, reject) && syn(&one)));
    (is_tcp && this && !other).then_some(UnpairedKind::RequestSide)
}

fn is_request(one: &Rec, reject: &Rec) -> bool {
    one.interface == reject.interface
        && one.packet() == reject.packet().reversed()
        && one.packet() != reject.packet()
}

fn is_request_elsewhere(one: &Rec, direction: Option<Direction>, reject: &Rec) -> bool {
    one.interface != reject.interface
        && one.packet() == reject.packet().reversed()
        && one.packet() != reject.packet()
        && direction.is_some()
        && one.direction == direction.map(Direction::opposite)
}

fn is_same(one: &Rec, reject: &Rec) -> bool {
    one.interface == reject.interface && one.packet() == reject.packet()
}

fn bare(place: (&str, FiveTuple, FiveTuple), rejects: &[&Rec]) -> Said {
    let mut rejected: Vec<_> = rejects
        .iter()
        .map(|one| RejectedRecord {
            span: one.span,
            packets: Some(one.packets),
            bytes: Some(one.bytes),
            tcp_flags: one.flags.map(TcpFlags),
            reject_reason: one.reason,
        })
        .collect();
    rejected.sort();
    Said {
        interface: place.0.to_owned(),
        flow: place.2,
        packet: place.1,
        direction: rejects.iter().filter_map(|one| one.direction).min(),
        rejected,
        kind: None,
        request: None,
        accepted_reply: None,
        closing_since: None,
        idle_seconds: None,
    }
}

fn conversation(place: (&str, FiveTuple, FiveTuple), rejects: &[&Rec], accepted: &[&Rec]) -> Said {
    let bare = bare(place, rejects);
    let first = rejects.iter().map(|one| one.span.start).min().expect("not empty");
    let near: Vec<&Rec> = accepted
        .iter()
        .copied()
        .filter(|one| rejects.iter().any(|reject| reject.span.gap(one.span) <= WINDOW))
        .collect();
    let of = |test: &dyn Fn(&Rec) -> bool| near.iter().copied().filter(|one| test(one)).collect::<Vec<_>>();
    let requests = of(&|one| is_request(one, rejects[0]));
    let elsewhere = of(&|one| is_request_elsewhere(one, bare.direction, rejects[0]));
    let same = of(&|one| is_same(one, rejects[0]));
    let both_ways: Vec<&Rec> = [requests.as_slice(), &elsewhere, &same].concat();
    let last = both_ways.iter().filter(|one| one.span.start <= first).map(|one| one.span.end).max();
    let closing = both_ways.iter().filter(|one| one.flags.is_some_and(|flags| TcpFlags(flags).is_closing()));
    Said {
        request: sum(&requests, false).or_else(|| sum(&elsewhere, true)),
        accepted_reply: sum(&same, false),
        closing_since: closing.map(|one| one.span.start).min(),
        idle_seconds: last.map(|end| first.seconds_since(end).max(0)),
        ..bare
    }
}

fn sum(records: &[&Rec], elsewhere: bool) -> Option<Evidence> {
    let span = records.iter().map(|one| one.span).reduce(Span::union)?;
    let flags = records.iter().filter_map(|one| one.flags).reduce(|a, b| a | b);
    let other = records.iter().map(|one| one.interface.to_owned()).min();
    Some((
        span,
        records.iter().map(|one| one.packets).sum(),
        records.iter().map(|one| one.bytes).sum(),
        flags,
        other.filter(|_| elsewhere),
    ))
}

/// Few addresses, ports and times, so that records meet.
fn a_record() -> impl Strategy<Value = Rec> {
    let v4 = ["10.0.0.1", "10.0.0.2", "192.0.2.9"].map(ip);
    let v6 = ["2001:db8::1", "2001:db8::2", "2001:db8::9"].map(ip);
    let who = (0..3_usize, 0..2_usize, 0..3_usize, 0..3_usize, 0..2_usize, 0..2_usize, 0..6_u8);
    let when = (0..1500_i64, prop_oneof![4 => 0..60_i64, 1 => 60..700_i64]);
    let what = (0..5_u8, 0..8_usize, any::<bool>(), 0..9_usize, 1..3_u64, 0..12_u8, 0..4_usize);
    (who, when, what).prop_map(move |(who, when, what)| {
        let (interface, family, source, target, srcport, dstport, protocol) = who;
        let (action, flags, has_direction, reason, packets, status, subnet) = what;
        let addresses = if family == 0 || protocol == 5 { v4 } else { v6 };
        let protocol = [6, 6, 6, 17, 1, 6][usize::from(protocol)];
        let ports = if protocol == 1 { [0, 0] } else { [443, 64214] };
        let packet = FiveTuple {
            srcaddr: addresses[source],
            dstaddr: addresses[target],
            srcport: ports[srcport],
            dstport: ports[dstport],
            protocol: Protocol(protocol),
        };
        // One interface passes packets on and logs its own address for one of the sources.
        let rewrites = interface == 2 && packet.srcaddr == v4[2];
        let flow = if rewrites { FiveTuple { srcaddr: ip(ROUTER), ..packet } } else { packet };
        let outward = source <= target;
        Rec {
            interface: ["eni-a", "eni-b", "eni-c"][interface],
            action: if action < 2 { Action::Reject } else { Action::Accept },
            status: match status {
                0 => LogStatus::NoData,
                1 => LogStatus::SkipData,
                _ => LogStatus::Ok,
            },
            flow,
            packet: rewrites.then_some((packet.srcaddr, packet.dstaddr)),
            span: span(100_000 + when.0, 100_000 + when.0 + when.1),
            packets,
            bytes: packets * 60,
            flags: [None, None, Some(0), Some(2), Some(18), Some(1), Some(19), Some(4)][flags],
            direction: has_direction.then_some(if (interface == 1) ^ outward {
                Direction::Egress
            } else {
                Direction::Ingress
            }),
            reason: [Some(RejectReason::BlockPublicAccess), Some(RejectReason::Other)]
                .get(reason)
                .copied()
                .flatten(),
            subnet: [None, None, Some("subnet-1"), Some("subnet-2")][subnet],
        }
    })
}

/// Some records twice, the second time perhaps in a format that says less or more.
fn a_world() -> impl Strategy<Value = Vec<Rec>> {
    let copies = vec((any::<Index>(), any::<bool>()), 0..8);
    (vec(a_record(), 1..60), copies).prop_map(|(mut records, copies)| {
        for (which, plain) in copies {
            let mut copy = which.get(&records).clone();
            if plain {
                (copy.flags, copy.direction, copy.reason) = (None, None, None);
            }
            records.push(copy);
        }
        records
    })
}

fn a_selection() -> impl Strategy<Value = Selection> {
    let time = || proptest::option::weighted(0.3, (0..1500_i64).prop_map(|at| Timestamp(100_000 + at)));
    (time(), time()).prop_map(|(since, until)| Selection { since, until, ..Selection::default() })
}

fn cut(records: &[Rec], cuts: &[Index]) -> Vec<Vec<Rec>> {
    let cuts: BTreeSet<usize> = cuts.iter().map(|cut| cut.index(records.len() + 1)).collect();
    let mut batches = Vec::new();
    let mut from = 0;
    for to in cuts.into_iter().chain([records.len()]) {
        batches.push(records[from..to].to_vec());
        from = to;
    }
    batches
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn the_join_is_what_looking_at_every_pair_gives(world in a_world(), selection in a_selection()) {
        let correlated = join(std::slice::from_ref(&world), &selection, &[]).expect("nothing is forgotten");
        let (expected, counts) = oracle(&world, &selection);
        prop_assert_eq!(tally(&correlated), counts);
        prop_assert_eq!(said(&correlated), expected);
        prop_assert_eq!(silent::said(&correlated), silent::oracle(&world, &selection));
    }

    #[test]
    fn replies_of_a_kind_were_accepted_last_when_looking_at_every_record_says_so(world in a_world(), cuts in vec(any::<Index>(), 0..4)) {
        let correlated = join(&cut(&world, &cuts), &Selection::default(), &[]).expect("nothing is forgotten");
        let ok = || world.iter().filter(|record| record.status == LogStatus::Ok);
        let rejected = || ok().filter(|record| record.action == Action::Reject);
        for (reject, direction) in rejected().flat_map(|one| [(one, Direction::Ingress), (one, Direction::Egress)]) {
            let kind = |record: &Rec| {
                let packet = record.packet();
                let own = if direction == Direction::Ingress { packet.dstaddr } else { packet.srcaddr };
                (record.interface, own, packet.srcport, packet.protocol)
            };
            let is_like = |record: &&Rec| kind(record) == kind(reject);
            let first = rejected().filter(is_like).map(|record| record.span.start).min().expect("itself");
            let ends = ok().filter(|record| record.action == Action::Accept).filter(is_like).map(|record| record.span.end);
            let last = ends.filter(|end| *end <= first && first.seconds_since(*end) <= WINDOW).max();
            let said = correlated.onsets.last_accepted(reject.interface.as_bytes(), &reject.packet(), direction, first);
            prop_assert_eq!(said, last, "{:?} {:?}", reject, direction);
        }
    }

    #[test]
    fn neither_order_nor_cuts_change_anything(
        (world, shuffled) in a_world().prop_flat_map(|world| (Just(world.clone()), Just(world).prop_shuffle())),
        cuts in vec(any::<Index>(), 0..6),
        selection in a_selection(),
    ) {
        let whole = join(&[world], &selection, &[]).expect("nothing is forgotten");
        let parts = join(&cut(&shuffled, &cuts), &selection, &[]).expect("nothing is forgotten");
        prop_assert_eq!(format!("{whole:?}"), format!("{parts:?}"));
    }

    #[test]
    fn every_record_is_counted_once(world in a_world(), selection in a_selection(), cuts in vec(any::<Index>(), 0..4)) {
        let counts = tally(&join(&cut(&world, &cuts), &selection, &[]).expect("nothing is forgotten"));
        let sum = counts.accepted + counts.rejected + counts.no_data + counts.skip_data + counts.filtered
            + counts.duplicates;
        prop_assert_eq!(sum, world.len() as u64);
    }

    #[test]
    fn forgetting_what_is_past_changes_nothing(
        world in a_world(), cuts in vec(any::<Index>(), 0..12), selection in a_selection(), spread in 0..900_i64,
    ) {
        let mut world = world;
        world.sort_by_key(|record| record.span.start.0 + record.span.end.0 % (spread + 1));
        let batches = cut(&world, &cuts);
        // An honest name promises no more than the rest of the input keeps.
        let promise = |at: usize| batches[at..].iter().flatten().map(|record| record.span.start.0).min();
        let promises: Vec<_> = (0..batches.len()).map(promise).collect();
        let whole = join(&batches, &selection, &[]).expect("nothing is forgotten");
        let forgetful = join(&batches, &selection, &promises);
        prop_assert!(forgetful.is_ok(), "no name lied");
        prop_assert_eq!(format!("{whole:?}"), format!("{:?}", forgetful.expect("just seen")));
    }

    #[test]
    fn asking_in_between_changes_nothing_and_says_at_the_end_what_the_end_says(
        world in a_world(), cuts in vec(any::<Index>(), 0..8), selection in a_selection(), forgets in any::<bool>(),
    ) {
        let mut world = world;
        world.sort_by_key(|record| record.span.start);
        let batches = cut(&world, &cuts);
        let starts = |at: usize| batches[at..].iter().flatten().map(|record| record.span.start).min();
        let options = Options { match_window_seconds: WINDOW, memory_limit_bytes: usize::MAX };
        let [mut asked, mut left_alone] = [Correlator::new(options), Correlator::new(options)];
        for (at, batch) in batches.iter().enumerate() {
            for correlator in [&mut asked, &mut left_alone] {
                if let Some(earliest) = starts(at).filter(|_| forgets) {
                    correlator.retire(earliest);
                }
                let mut gatherer = Gatherer::new(&selection, WINDOW);
                for record in batch {
                    gatherer.record(&record.record());
                }
                prop_assert!(correlator.absorb(&mut gatherer.take()).is_ok());
            }
            // What is known so far is what a reading that ends here knows.
            let here = join(&batches[..=at], &selection, &[]).expect("nothing is forgotten");
            prop_assert_eq!(format!("{:?}", asked.so_far()), format!("{here:?}"));
        }
        let last = format!("{:?}", asked.so_far());
        prop_assert_eq!(&last, &format!("{:?}", asked.finish(1)));
        prop_assert_eq!(&last, &format!("{:?}", left_alone.finish(3)));
    }

    #[test]
    fn a_name_that_lies_is_found_out_or_does_no_harm(
        world in a_world(), cuts in vec(any::<Index>(), 0..12), lies in vec(proptest::option::of(0..3000_i64), 0..12),
    ) {
        let batches = cut(&world, &cuts);
        let lies: Vec<_> = lies.into_iter().map(|lie| lie.map(|at| 99_500 + at)).collect();
        let selection = Selection::default();
        let whole = join(&batches, &selection, &[]).expect("nothing is forgotten");
        if let Ok(forgetful) = join(&batches, &selection, &lies) {
            prop_assert_eq!(format!("{whole:?}"), format!("{forgetful:?}"));
        }
    }
}

#[test]
fn an_accept_and_a_reject_alike_in_all_else_are_two_records() {
    let echo = FiveTuple { protocol: Protocol::ICMP, ..tcp("10.0.0.1", 0, "10.0.0.2", 0) };
    let correlated = join_all(&[
        Rec::accept(echo, 0, 60),
        Rec::accept(echo.reversed(), 0, 60),
        Rec::reject(echo.reversed(), 0, 60),
    ]);
    assert_eq!((correlated.accepted, correlated.rejected, correlated.duplicates), (2, 1, 0));
    assert_eq!(correlated.conversations.len(), 1);
}

#[test]
fn a_long_capture_window_still_meets_its_reply_after_others_were_forgotten() {
    let request = tcp("10.0.0.1", 64214, "192.0.2.9", 443);
    let reply = Rec::reject(request.reversed(), 10_000, 10_010);
    let elsewhere = Rec::accept(tcp("10.0.0.1", 1, "192.0.2.9", 2), 9_000, 9_100);
    let long = Rec::accept(request, 9_900, 10_900);
    let batches = [vec![elsewhere, reply, long], vec![]];
    let correlated = join(&batches, &Selection::default(), &[None, Some(10_700)]).expect("nobody came late");
    assert_eq!((correlated.conversations.len(), correlated.unpaired.all().len()), (1, 0));
}

#[test]
fn a_reply_at_the_edge_of_the_window_finds_the_request_before_it() {
    let request = tcp("10.0.0.1", 64214, "192.0.2.9", 443);
    let selection = Selection { since: Some(Timestamp(1000)), ..Selection::default() };
    let records = vec![Rec::accept(request, 700, 700), Rec::reject(request.reversed(), 800, 1100)];
    let correlated = join(&[records], &selection, &[]).expect("nothing is forgotten");
    assert_eq!((correlated.counts.filtered, correlated.rejected), (1, 1));
    assert_eq!(correlated.conversations.len(), 1);
}

#[test]
fn the_copy_that_says_more_is_heard_in_any_order() {
    let request = tcp("192.0.2.9", 443, "10.0.0.1", 64214);
    let plain = Rec::reject(request, 0, 60);
    let syn = Rec { flags: Some(2), ..plain.clone() };
    let back = Rec::accept(request.reversed(), 0, 60);
    for records in [[plain.clone(), syn.clone(), back.clone()], [syn, plain, back]] {
        let correlated = join_all(&records);
        assert_eq!(correlated.conversations.len(), 0, "a SYN is no reply");
        assert_eq!(correlated.unpaired.all()[0].kind, UnpairedKind::Request);
        assert_eq!(correlated.unpaired.all()[0].rejected.len(), 1);
        assert_eq!((correlated.rejected, correlated.duplicates), (1, 1));
    }
}

#[test]
fn what_passes_an_appliance_twice_stays_two_flows() {
    let appliance = ip("10.0.9.9");
    let (client, server) = (ip("10.0.0.1"), ip("10.8.0.1"));
    let reply = tcp("10.8.0.1", 443, "10.0.0.1", 64214);
    let through = |flow: FiveTuple, direction, record: fn(FiveTuple, i64, i64) -> Rec| Rec {
        packet: Some((flow.srcaddr, flow.dstaddr)),
        direction: Some(direction),
        ..match direction {
            Direction::Ingress => record(FiveTuple { dstaddr: appliance, ..flow }, 0, 60),
            Direction::Egress => record(FiveTuple { srcaddr: appliance, ..flow }, 0, 60),
        }
    };
    let correlated = join_all(&[
        through(reply.reversed(), Direction::Ingress, Rec::accept),
        through(reply.reversed(), Direction::Egress, Rec::accept),
        through(reply, Direction::Ingress, Rec::reject),
        through(reply, Direction::Egress, Rec::reject),
    ]);
    let directions: BTreeSet<_> = correlated.conversations.iter().map(|one| one.flow_direction).collect();
    assert_eq!(directions, BTreeSet::from([Some(Direction::Ingress), Some(Direction::Egress)]));
    assert!(
        correlated
            .conversations
            .iter()
            .all(|one| (one.packet.srcaddr, one.packet.dstaddr) == (server, client))
    );
}

#[test]
fn pods_behind_one_interface_stay_apart() {
    let node = ip("10.0.0.1");
    let pod = |pod: &str, action| {
        let reply = tcp("192.0.2.9", 443, pod, 40_000);
        let packet = if action == Action::Accept { reply.reversed() } else { reply };
        let flow = match action {
            Action::Accept => FiveTuple { srcaddr: node, ..packet },
            Action::Reject => FiveTuple { dstaddr: node, ..packet },
        };
        Rec { packet: Some((packet.srcaddr, packet.dstaddr)), ..Rec::new(action, flow, 0, 60) }
    };
    let correlated = join_all(&[pod("10.0.0.11", Action::Accept), pod("10.0.0.12", Action::Reject)]);
    assert_eq!(correlated.conversations.len(), 0, "the other pod's request is none");
    assert_eq!(correlated.unpaired.all()[0].kind, UnpairedKind::Unsolicited);
}

#[test]
fn one_packet_level_address_alone_does_not_break_the_pair() {
    // At a NAT gateway, in a format with pkt-srcaddr and without pkt-dstaddr.
    let request = tcp("10.0.1.5", 64214, "10.0.0.220", 443);
    let selection = Selection::default();
    let mut gatherer = Gatherer::new(&selection, WINDOW);
    let accept = Rec::accept(request, 0, 60);
    let reject = Rec::reject(request.reversed(), 0, 60);
    gatherer.record(&FlowRecord { pkt_srcaddr: Some(ip("10.0.1.5")), ..accept.record() });
    gatherer.record(&FlowRecord { pkt_srcaddr: Some(ip("203.0.113.5")), ..reject.record() });
    let mut correlator =
        Correlator::new(Options { match_window_seconds: WINDOW, memory_limit_bytes: usize::MAX });
    correlator.absorb(&mut gatherer.take()).expect("first batch");
    assert_eq!(correlator.finish(2).conversations.len(), 1);
}

#[test]
fn idle_intervals_without_times_or_interfaces_are_no_copies() {
    let selection = Selection::default();
    let mut gatherer = Gatherer::new(&selection, WINDOW);
    let idle = FlowRecord { log_status: LogStatus::NoData, ..FlowRecord::default() };
    let at = Some(Timestamp(60));
    for _ in 0..3 {
        gatherer.record(&FlowRecord { interface_id: Some(b"eni-a"), ..idle });
        gatherer.record(&FlowRecord { start: at, end: at, ..idle });
    }
    let mut correlator =
        Correlator::new(Options { match_window_seconds: WINDOW, memory_limit_bytes: usize::MAX });
    correlator.absorb(&mut gatherer.take()).expect("first batch");
    let correlated = correlator.finish(2);
    assert_eq!((correlated.no_data, correlated.duplicates), (6, 0));
}

#[test]
fn a_filter_by_subnet_does_not_depend_on_the_records_around() {
    let places = vec![PlaceFilter { subnet_ids: [b"subnet-1".to_vec()].into(), ..PlaceFilter::default() }];
    let selection = Selection { places, ..Selection::default() };
    let plain = Rec::accept(tcp("10.0.0.1", 1, "10.0.0.2", 2), 0, 60);
    let told = FlowRecord { subnet_id: Some(b"subnet-1"), packets: Some(9), ..plain.record() };
    for take_between in [false, true] {
        let mut correlator =
            Correlator::new(Options { match_window_seconds: WINDOW, memory_limit_bytes: usize::MAX });
        let mut gatherer = Gatherer::new(&selection, WINDOW);
        gatherer.record(&told);
        if take_between {
            correlator.absorb(&mut gatherer.take()).expect("a batch");
        }
        gatherer.record(&plain.record());
        correlator.absorb(&mut gatherer.take()).expect("a batch");
        let correlated = correlator.finish(2);
        assert_eq!((correlated.accepted, correlated.counts.filtered), (1, 1));
    }
}

#[test]
fn one_busy_flow_is_joined_in_near_linear_time() {
    let ntp = FiveTuple { protocol: Protocol::UDP, ..tcp("10.0.0.1", 123, "192.0.2.9", 123) };
    let mut records = Vec::new();
    for n in 0..100_000_i64 {
        records.push(Rec::accept(ntp, n * 60, n * 60 + 59));
        records.push(Rec::reject(ntp.reversed(), n * 60, n * 60 + 59));
        // Each reject a conversation of its own.
        let lonely = FiveTuple { srcport: 124, ..ntp };
        records.push(Rec::accept(lonely, n * 600, n * 600));
        records.push(Rec::reject(lonely.reversed(), n * 600, n * 600));
    }
    let begun = std::time::Instant::now();
    let correlated = join_all(&records);
    assert_eq!(correlated.conversations.len(), 1 + 100_000);
    assert!(begun.elapsed().as_secs() < 60, "quadratic: {:?}", begun.elapsed());
}

#[test]
fn numbers_beyond_all_measure_stay_at_the_top() {
    let request = tcp("10.0.0.1", 64214, "192.0.2.9", 443);
    let huge = |record: Rec| Rec { packets: 9_999_999_999_999_999_999, bytes: u64::MAX, ..record };
    let correlated = join_all(&[
        huge(Rec::accept(request, 0, 1)),
        huge(Rec::accept(request, 1, i64::from(u32::MAX))),
        huge(Rec::reject(request.reversed(), 0, 1)),
    ]);
    assert_eq!(correlated.conversations[0].request.and_then(|request| request.packets), Some(u64::MAX));
}

#[test]
fn a_quiet_year_takes_little_memory() {
    let mut correlator =
        Correlator::new(Options { match_window_seconds: WINDOW, memory_limit_bytes: 32 << 20 });
    let selection = Selection::default();
    let mut gatherer = Gatherer::new(&selection, WINDOW);
    let request = tcp("10.0.0.1", 64214, "192.0.2.9", 443);
    for quarter in 0..8_760_i64 * 4 {
        gatherer.record(&Rec::accept(request, quarter * 900, quarter * 900 + 59).record());
    }
    correlator.absorb(&mut gatherer.take()).expect("nothing is forgotten");
    gatherer.record(&Rec::accept(request, 0, 1).record());
    correlator.absorb(&mut gatherer.take()).expect("nothing is forgotten");
    assert_eq!(correlator.finish(2).dropped_accepted, 0, "the limit was reached");
}
