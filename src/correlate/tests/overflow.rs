//! Rows outside memory: the result is that of a memory without bounds, and what has no room anywhere is counted.

use super::correlator::Bounds;
use super::*;

pub(super) const UNBOUNDED: Bounds = Bounds {
    memory: usize::MAX,
    part: usize::MAX,
    conversations: usize::MAX,
    interfaces: usize::MAX,
    unpaired: usize::MAX,
    silent: usize::MAX,
    coverage: usize::MAX,
    spare: usize::MAX,
    buffers: 0,
    disk: u64::MAX,
};

/// Joins batches, each after what `retire` promises for it.
fn join_within(
    bounds: Bounds,
    batches: &[Vec<Rec>],
    selection: &Selection,
    retire: &[Option<i64>],
    asks: bool,
) -> Correlated {
    let options = Options { match_window_seconds: WINDOW, memory_limit_bytes: usize::MAX };
    let mut correlator = Correlator::bounded(options, bounds);
    let mut gatherer = Gatherer::new(selection, WINDOW);
    for (at, batch) in batches.iter().enumerate() {
        if let Some(Some(earliest)) = retire.get(at) {
            correlator.retire(Timestamp(*earliest));
        }
        for record in batch {
            gatherer.record(&record.record());
        }
        correlator.absorb(&mut gatherer.take()).expect("the promises are kept");
        if asks {
            let so_far = correlator.so_far();
            assert!(so_far.conversations.iter().all(|one| !one.rejected.is_empty()));
        }
    }
    correlator.finish(2)
}

fn a_bound() -> impl Strategy<Value = Bounds> {
    let sizes = (prop_oneof![Just(0_usize), 1000..40_000_usize], 0..2000_usize, 0..600_usize);
    sizes.prop_map(|(memory, buffers, unpaired)| Bounds { memory, unpaired, buffers, ..UNBOUNDED })
}

/// What each batch's name may promise: that nothing from there on started before.
fn promises(batches: &[Vec<Rec>]) -> Vec<Option<i64>> {
    let starts = |at: usize| batches[at..].iter().flatten().map(|record| record.span.start.0).min();
    (0..batches.len()).map(starts).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn it_joins_as_if_all_were_in_memory(
        (world, shuffled) in a_world().prop_flat_map(|world| (Just(world.clone()), Just(world).prop_shuffle())),
        cuts in vec(any::<Index>(), 0..10), selection in a_selection(), bounds in a_bound(), asks in any::<bool>(),
    ) {
        let whole = join(&[world], &selection, &[]).expect("nothing is forgotten");
        let parts = join_within(bounds, &cut(&shuffled, &cuts), &selection, &[], asks);
        prop_assert_eq!(format!("{whole:?}"), format!("{parts:?}"));
    }

    #[test]
    fn it_is_read_back_when_it_is_past_and_nothing_is_different(
        world in a_world(), cuts in vec(any::<Index>(), 0..20), selection in a_selection(), bounds in a_bound(),
        spread in 0..900_i64, stretch in 1..6_i64, skipped in vec(any::<bool>(), 20),
    ) {
        let mut world = world;
        for record in &mut world {
            // Over a longer time, so that more than once something is past.
            let start = (record.span.start.0 - 100_000) * stretch + 100_000;
            record.span = span(start, start + record.span.end.seconds_since(record.span.start));
        }
        world.sort_by_key(|record| record.span.start.0 + record.span.end.0 % (spread + 1));
        let batches = cut(&world, &cuts);
        let promises: Vec<_> =
            promises(&batches).into_iter().zip(skipped.iter().cycle()).map(|(at, skip)| at.filter(|_| !skip)).collect();
        let whole = join(&batches, &selection, &[]).expect("nothing is forgotten");
        let parts = join_within(bounds, &batches, &selection, &promises, false);
        prop_assert_eq!(format!("{whole:?}"), format!("{parts:?}"));
    }

    #[test]
    fn where_the_disk_has_no_room_either_everything_is_still_counted_once(
        world in a_world(), cuts in vec(any::<Index>(), 0..10), disk in 0..3000_u64,
    ) {
        let bounds = Bounds { memory: 0, unpaired: 0, disk, ..UNBOUNDED };
        let selection = Selection::default();
        let joined = join_within(bounds, &cut(&world, &cuts), &selection, &[], false);
        let counts = tally(&joined);
        let sum = counts.accepted + counts.rejected + counts.no_data + counts.skip_data + counts.duplicates;
        prop_assert_eq!(sum, world.len() as u64);
        let kept = said(&joined).iter().map(|one| one.rejected.len() as u64).sum::<u64>();
        let (_, whole) = oracle(&world, &selection);
        prop_assert!(kept + joined.dropped_rejected >= whole.rejected);
        let is_lost = joined.dropped_accepted + joined.dropped_rejected + joined.dropped_requests + joined.unchecked > 0;
        prop_assert_eq!(is_lost, joined.not_kept_because.is_some());
    }

    #[test]
    fn which_conversations_are_left_out_does_not_depend_on_order(
        (world, shuffled) in a_world().prop_flat_map(|world| (Just(world.clone()), Just(world).prop_shuffle())),
        cuts in vec(any::<Index>(), 0..6), room in 0..6_usize,
    ) {
        let bounds = Bounds { conversations: room * 1800, ..UNBOUNDED };
        let selection = Selection::default();
        let all = join(std::slice::from_ref(&world), &selection, &[]).expect("nothing is forgotten");
        let first = join_within(bounds, &[world], &selection, &[], false);
        let second = join_within(bounds, &cut(&shuffled, &cuts), &selection, &[], false);
        prop_assert_eq!(format!("{first:?}"), format!("{second:?}"));
        prop_assert_eq!(first.conversations.len() as u64 + first.cut_conversations, all.conversations.len() as u64);
        let records = |joined: &Correlated| joined.conversations.iter().map(|one| one.rejected.len() as u64).sum::<u64>();
        prop_assert_eq!(records(&first) + first.dropped_rejected, records(&all));
    }
}

#[test]
fn memory_that_is_full_empties_itself_and_nothing_is_lost() {
    let request = tcp("10.0.0.1", 64214, "192.0.2.9", 443);
    let options = Options { match_window_seconds: WINDOW, memory_limit_bytes: usize::MAX };
    let bounds = Bounds { memory: 300_000, unpaired: 100_000, buffers: 100_000, ..UNBOUNDED };
    let mut correlator = Correlator::bounded(options, bounds);
    let selection = Selection::default();
    let mut gatherer = Gatherer::new(&selection, WINDOW);
    let mut most = 0;
    for n in 0..20_000_i64 {
        let minute = n / 10;
        correlator.retire(Timestamp(minute * 60 - 700));
        let port = 1000 + u16::try_from(n % 10_000).expect("a port");
        let scan = tcp("198.51.100.7", port, "10.0.0.1", 22);
        gatherer.record(&Rec::accept(request, minute * 60, minute * 60 + n % 10).record());
        gatherer.record(&Rec::reject(scan, minute * 60, minute * 60 + 59).record());
        correlator.absorb(&mut gatherer.take()).expect("in order");
        most = most.max(correlator.bytes());
    }
    assert!(most < 900_000, "{most}");
    let correlated = correlator.finish(2);
    assert_eq!((correlated.accepted, correlated.rejected), (20_000, 20_000));
    assert_eq!((correlated.dropped_accepted, correlated.dropped_rejected), (0, 0));
    assert_eq!(correlated.unpaired.all().iter().map(|one| one.rejected.len()).sum::<usize>(), 20_000);
}

#[test]
fn records_of_interfaces_that_have_no_room_are_counted_and_told() {
    let request = tcp("10.0.0.1", 64214, "192.0.2.9", 443);
    let mut records = Vec::new();
    for interface in ["eni-a", "eni-b"] {
        records.push(Rec { interface, ..Rec::accept(request, 0, 60) });
        records.push(Rec { interface, ..Rec::accept(request, 60, 120) });
        records.push(Rec { interface, ..Rec::reject(request.reversed(), 0, 60) });
        records.push(Rec { interface, status: LogStatus::SkipData, ..Rec::accept(request, 0, 60) });
    }
    let bounds = Bounds { interfaces: 0, ..UNBOUNDED };
    let joined = join_within(bounds, &[records], &Selection::default(), &[], true);
    assert_eq!((joined.accepted, joined.rejected, joined.skip_data_records), (4, 2, 2));
    assert_eq!((joined.conversations.len(), joined.interfaces.len(), joined.skip_data.len()), (1, 1, 1));
    assert_eq!((joined.dropped_accepted, joined.dropped_rejected), (2, 1));
    assert_eq!(joined.not_kept_because.as_deref(), Some("more than 1 interfaces"));
}

#[test]
fn a_conversation_that_no_memory_holds_is_counted_and_told() {
    let request = tcp("10.0.0.1", 64214, "192.0.2.9", 443);
    let mut records = Vec::new();
    for packets in 0..2000 {
        records.push(Rec { packets, ..Rec::accept(request, 0, 60) });
        records.push(Rec { packets, ..Rec::reject(request.reversed(), 0, 60) });
    }
    let bounds = Bounds { memory: 0, part: 100_000, ..UNBOUNDED };
    let joined = join_within(bounds, &[records], &Selection::default(), &[], false);
    assert_eq!((joined.accepted, joined.rejected), (2000, 2000));
    assert!(joined.dropped_accepted > 100 && joined.dropped_rejected > 100, "{joined:?}");
    let rejected: usize = joined.conversations.iter().map(|one| one.rejected.len()).sum();
    assert_eq!(rejected as u64 + joined.dropped_rejected, 2000);
    assert!(joined.not_kept_because.is_some_and(|reason| reason.contains("one conversation")));
}

#[test]
fn of_too_many_skipped_intervals_the_same_ones_stay_in_any_order() {
    let bounds = Bounds { conversations: 40_000, ..UNBOUNDED };
    let nothing =
        Rec { status: LogStatus::SkipData, ..Rec::accept(tcp("10.0.0.1", 1, "10.0.0.2", 2), 0, 60) };
    let mut records: Vec<_> =
        (0..1000).map(|n| Rec { span: span(n * 60, n * 60 + 59), ..nothing.clone() }).collect();
    let forward = join_within(bounds, &cut(&records, &[]), &Selection::default(), &[], false);
    records.reverse();
    let backward = join_within(bounds, &[records], &Selection::default(), &[], false);
    assert_eq!(format!("{forward:?}"), format!("{backward:?}"));
    let kept = forward.skip_data.values().map(Vec::len).sum::<usize>();
    assert!(forward.cut_skip_data && (50..=250).contains(&kept), "{kept}");
}

#[test]
fn a_request_that_is_not_past_yet_is_there_when_it_was_read_back() {
    let request = tcp("10.0.0.1", 64214, "192.0.2.9", 443);
    let bounds = Bounds { memory: 0, ..UNBOUNDED };
    for (earliest, pairs) in [(100 + WINDOW, 1), (101 + WINDOW, 0)] {
        let batches = [
            vec![Rec::accept(request, 0, 100)],
            vec![Rec::reject(request.reversed(), earliest, earliest + 10)],
        ];
        let joined = join_within(bounds, &batches, &Selection::default(), &[None, Some(earliest)], false);
        assert_eq!(joined.conversations.len(), pairs, "{earliest}");
    }
}
