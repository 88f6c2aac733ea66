//! Joins that are given up above a number of things: they say so, and name nobody rather than whoever was kept.

use std::collections::HashSet;
use std::sync::Arc;

use super::*;
use crate::correlate::clients::{MOST_CLIENTS, MOST_REMOTES};
use crate::correlate::onset::MOST_KINDS;

/// An address for each number.
fn address(network: u8, at: usize) -> IpAddr {
    let at = u32::try_from(at).expect("a number below 2²⁴");
    IpAddr::from((u32::from(network) << 24 | at).to_be_bytes())
}

fn of(srcaddr: IpAddr, srcport: u16, dstaddr: IpAddr, dstport: u16) -> FiveTuple {
    FiveTuple { srcaddr, dstaddr, srcport, dstport, protocol: Protocol::TCP }
}

fn join_at_a_gateway(records: &[Rec]) -> Correlated {
    let options = Options { match_window_seconds: WINDOW, memory_limit_bytes: usize::MAX };
    let gateways = Arc::new(HashSet::from([b"eni-a".to_vec()]));
    let mut correlator = Correlator::new(options).with_gateways(gateways);
    let selection = Selection::default();
    let mut gatherer = Gatherer::new(&selection, WINDOW);
    for record in records {
        gatherer.record(&record.record());
    }
    correlator.absorb(&mut gatherer.take()).expect("nothing is forgotten");
    correlator.finish(2)
}

/// The gateway's reply that was rejected, and that many clients who talked to where it came from.
fn talk(clients: usize) -> Vec<Rec> {
    let gateway = ip("192.0.2.1");
    let remote = ip("203.0.113.5");
    let mut records = vec![Rec::reject(of(remote, 443, gateway, 20000), 1000, 1010)];
    records.extend((0..clients).map(|at| Rec::accept(of(address(10, at), 40000, remote, 443), 1000, 1010)));
    records
}

#[test]
fn as_many_clients_as_are_kept_are_all_named() {
    let correlated = join_at_a_gateway(&talk(MOST_CLIENTS));
    assert_eq!((correlated.clients.len(), correlated.clients_given_up), (MOST_CLIENTS, false));
}

#[test]
fn of_more_clients_none_is_named_as_if_it_were_the_only_one() {
    let correlated = join_at_a_gateway(&talk(MOST_CLIENTS + 1));
    assert_eq!((correlated.clients.len(), correlated.clients_given_up), (0, true));
}

#[test]
fn a_scan_of_the_gateway_ends_the_search_for_clients() {
    let gateway = ip("192.0.2.1");
    let mut records = talk(1);
    let scan = |at| Rec::reject(of(address(11, at), 40000, gateway, 22), 1000, 1010);
    records.extend((1..MOST_REMOTES).map(scan));
    let correlated = join_at_a_gateway(&records);
    assert_eq!((correlated.clients.len(), correlated.clients_given_up), (1, false));
    records.push(scan(MOST_REMOTES));
    let correlated = join_at_a_gateway(&records);
    assert_eq!((correlated.clients.len(), correlated.clients_given_up), (0, true));
}

#[test]
fn more_kinds_of_replies_than_are_kept_have_no_onset_and_say_so() {
    let service = ip("203.0.113.5");
    let answer = |action, at, start| Rec::new(action, of(service, 443, address(10, at), 40000), start, start);
    let mut records = vec![answer(Action::Accept, 0, 990)];
    // Each counts for both directions, and the way out has one address for all.
    records.extend((0..MOST_KINDS - 1).map(|at| answer(Action::Reject, at, 1000)));
    let last = |correlated: &Correlated| {
        let packet = of(service, 443, address(10, 0), 40000);
        correlated.onsets.last_accepted(b"eni-a", &packet, Direction::Ingress, Timestamp(1000))
    };
    let correlated = join_all(&records);
    assert_eq!((last(&correlated), correlated.onsets.given_up), (Some(Timestamp(990)), false));
    records.push(answer(Action::Reject, MOST_KINDS, 1000));
    let correlated = join_all(&records);
    assert_eq!((last(&correlated), correlated.onsets.given_up), (None, true));
}
