//! Requests without an answer, against a plain reading of the rules.

use super::*;

/// Interface, flow, packet, direction, span, packets, and what other interfaces recorded.
pub(super) type Silent = (String, FiveTuple, FiveTuple, Option<Direction>, Span, u64, Vec<Seen>);

type Seen = (SightingKind, String, FiveTuple, Option<Direction>, Option<RejectReason>);

pub(super) fn said(correlated: &Correlated) -> Vec<Silent> {
    let name = |index: InterfaceIndex| {
        String::from_utf8_lossy(correlated.interfaces.get(index).interface_id).into_owned()
    };
    let mut all: Vec<_> = correlated
        .silent
        .iter()
        .map(|one| {
            let seen = one.sightings.iter().map(|seen| {
                (seen.kind, name(seen.interface), seen.flow, seen.flow_direction, seen.reject_reason)
            });
            let packets = one.packets.unwrap_or(0);
            let interface = name(one.interface);
            (interface, one.flow, one.packet, one.flow_direction, one.span, packets, seen.collect())
        })
        .collect();
    all.sort();
    all
}

pub(super) fn oracle(input: &[Rec], selection: &Selection) -> Vec<Silent> {
    let (mut records, _) = merged(input, selection);
    records.retain(|one| one.action == Action::Accept || selection.admits_time(one.span));
    let mut places: BTreeMap<_, Vec<&Rec>> = BTreeMap::new();
    for one in records.iter().filter(|one| is_request(one, selection)) {
        places.entry((one.interface, one.packet(), one.flow)).or_default().push(one);
    }
    let mut all = Vec::new();
    for mut requests in places.into_values() {
        requests.sort_by_key(|one| one.span);
        let mut group: Vec<&Rec> = Vec::new();
        for one in requests {
            if !group.is_empty() && group.iter().all(|other| other.span.gap(one.span) > WINDOW) {
                all.extend(silence(&std::mem::take(&mut group), &records));
            }
            group.push(one);
        }
        all.extend(silence(&group, &records));
    }
    all.sort();
    all
}

fn is_syn_alone(one: &Rec) -> bool {
    one.action == Action::Accept
        && one.flow.protocol == Protocol::TCP
        && one.flags == Some(2)
        && (40..=80).any(|size| one.bytes == one.packets * size)
}

fn is_request(one: &Rec, selection: &Selection) -> bool {
    is_syn_alone(one) && one.direction != Some(Direction::Ingress) && selection.admits_time(one.span)
}

fn silence(group: &[&Rec], records: &[Rec]) -> Option<Silent> {
    let first = group[0];
    let near = records.iter().filter(|one| group.iter().any(|sent| sent.span.gap(one.span) <= WINDOW));
    let mut seen: BTreeMap<_, Vec<&Rec>> = BTreeMap::new();
    for one in near {
        let here = one.interface == first.interface;
        let rejected = one.action == Action::Reject;
        let same = one.packet() == first.packet();
        let kind = if same && here {
            if rejected || !is_syn_alone(one) {
                return None;
            }
            continue;
        } else if same {
            if rejected { SightingKind::Rejected } else { SightingKind::Accepted }
        } else if one.packet() != first.packet().reversed() {
            continue;
        } else if here || rejected || one.direction != Some(Direction::Egress) {
            return None;
        } else {
            SightingKind::Answered
        };
        seen.entry((kind, one.interface)).or_default().push(one);
    }
    let seen = seen.into_iter().map(|((kind, interface), all)| {
        let flow = |one: &&Rec| if one.action == Action::Reject { one.flow } else { one.packet() };
        (
            kind,
            interface.to_owned(),
            all.iter().map(flow).min().expect("not empty"),
            all.iter().filter_map(|one| one.direction).min(),
            all.iter().filter_map(|one| one.reason.filter(|_| one.action == Action::Reject)).min(),
        )
    });
    Some((
        first.interface.to_owned(),
        first.flow,
        first.packet(),
        group.iter().filter_map(|one| one.direction).min(),
        group.iter().map(|one| one.span).reduce(Span::union).expect("not empty"),
        group.iter().map(|one| one.packets).sum(),
        seen.collect(),
    ))
}

fn syn(flow: FiveTuple, start: i64) -> Rec {
    Rec { flags: Some(2), direction: Some(Direction::Egress), ..Rec::accept(flow, start, start + 50) }
}

/// The same few connections over and over, so that most requests have something around them.
fn a_request_and_what_is_around() -> impl Strategy<Value = Vec<Rec>> {
    let one = (0..3_usize, any::<bool>(), 0..6_u8, 0..600_i64, 0..3_usize, 0..4_u8, 1..3_u64);
    let record = one.prop_map(|(interface, forth, flags, start, direction, action, packets)| {
        let request = tcp("10.0.0.1", 64214, "192.0.2.9", 443);
        let flow = if forth { request } else { request.reversed() };
        Rec {
            interface: ["eni-a", "eni-b", "eni-c"][interface],
            action: if action == 0 { Action::Reject } else { Action::Accept },
            flags: [Some(2), Some(2), Some(2), Some(0), Some(18), None][usize::from(flags)],
            // Of one tuple on one interface all records have one direction, or none.
            direction: [None, Some(Direction::Egress), None][direction]
                .map(|out: Direction| if forth == (interface != 1) { out } else { out.opposite() }),
            packets,
            bytes: packets * if start % 5 == 0 { 700 } else { 60 },
            ..Rec::accept(flow, start, start + 20)
        }
    });
    vec(record, 1..7)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn silence_is_what_looking_at_every_pair_gives(
        (world, shuffled) in a_request_and_what_is_around()
            .prop_flat_map(|world| (Just(world.clone()), Just(world).prop_shuffle())),
        cuts in vec(any::<Index>(), 0..4), selection in a_selection(), copies in vec((any::<Index>(), any::<bool>()), 0..3),
    ) {
        let mut shuffled = shuffled;
        for (which, plain) in copies {
            let mut copy = which.get(&world).clone();
            if plain {
                (copy.flags, copy.direction) = (None, None);
            }
            shuffled.push(copy);
        }
        let selection = Selection {
            since: selection.since.map(|at| at.plus_seconds(-100_000)),
            until: selection.until.map(|at| at.plus_seconds(-100_000)),
            ..selection
        };
        let joined = join(&cut(&shuffled, &cuts), &selection, &[]).expect("nothing is forgotten");
        prop_assert_eq!(said(&joined), oracle(&shuffled, &selection));
    }
}

#[test]
fn a_request_without_anything_is_silent_and_an_answer_a_minute_later_is_one() {
    let request = tcp("10.0.0.1", 64214, "192.0.2.9", 443);
    let joined = join_all(&[syn(request, 0), syn(request, 60)]);
    assert_eq!((joined.silent.len(), joined.silent[0].packets), (1, Some(2)));
    assert_eq!(joined.silent[0].span, span(0, 110));
    let answer = Rec { flags: Some(18), ..Rec::accept(request.reversed(), 110, 170) };
    assert!(join_all(&[syn(request, 0), answer.clone()]).silent.is_empty());
    let late = Rec { span: span(51 + WINDOW, 60 + WINDOW), ..answer };
    assert_eq!(join_all(&[syn(request, 0), late]).silent.len(), 1, "of another connection of this tuple");
}

#[test]
fn what_is_rejected_and_forgotten_early_still_tells_of_a_request() {
    let request = tcp("10.0.0.1", 64214, "192.0.2.9", 443);
    let rejected = Rec { flags: Some(18), ..Rec::reject(request.reversed(), 0, 10) };
    // When nothing before 430 can come any more, the reject is over, and the requests are not.
    let starts = [100, 260, 370, 430, 1500];
    let batches: Vec<_> =
        std::iter::once(vec![rejected]).chain(starts.map(|start| vec![syn(request, start)])).collect();
    let promises: Vec<_> = std::iter::once(None).chain(starts.map(Some)).collect();
    let joined = join(&batches, &Selection::default(), &promises).expect("the promises are kept");
    assert_eq!(joined.silent.iter().map(|one| one.span.start.0).collect::<Vec<_>>(), [1500]);
}

#[test]
fn of_too_many_silent_requests_the_same_ones_stay_in_any_order() {
    let options = Options { match_window_seconds: WINDOW, memory_limit_bytes: usize::MAX };
    let joined = |records: &[Rec]| {
        let bounds = super::super::correlator::Bounds { silent: 20_000, ..super::overflow::UNBOUNDED };
        let mut correlator = Correlator::bounded(options, bounds);
        let selection = Selection::default();
        let mut gatherer = Gatherer::new(&selection, WINDOW);
        for record in records {
            gatherer.record(&record.record());
        }
        correlator.absorb(&mut gatherer.take()).expect("first batch");
        correlator.finish(2)
    };
    let mut records: Vec<_> =
        (0..1000).map(|port| syn(tcp("10.0.0.1", 1024 + port, "192.0.2.9", 443), 0)).collect();
    let forward = joined(&records);
    records.reverse();
    assert_eq!(format!("{:?}", forward.silent), format!("{:?}", joined(&records).silent));
    assert!((10..200).contains(&forward.silent.len()), "{}", forward.silent.len());
    assert_eq!(forward.silent.len() as u64 + forward.cut_silent, 1000);
}
