//! Requests that went out and got no answer, by where they went and by what became of them on the way.
//!
//! Owns when silence may be claimed: not where AWS lost records, and not before an answer would have been recorded.
//! They are no findings: an ACL, a route, a peer may be behind each.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::cause::{Cause, Detail};
use super::judge::for_each_moment_of;
use super::place::Places;
use crate::correlate::{
    Correlated, InterfaceIndex, LONGEST_RECORD_SECONDS, RejectedRecord, Sighting, SightingKind,
    SilentRequest, Span, UnpairedKind, UnpairedReject,
};
use crate::nacl::{NetworkAcl, NetworkAclEntry};
use crate::net::{Direction, Protocol, Timestamp};

/// Requests without an answer.
#[derive(Debug, Default)]
pub struct NoReply<'a> {
    /// By interface, destination and what became of them; most conversations first.
    pub groups: Vec<Silence<'a>>,
    /// So late that an answer may be in a record still to come.
    pub not_known_yet: u64,
    /// Around which AWS lost records of the interface (`SKIPDATA`).
    pub records_lost: u64,
    /// Of which it is unknown whether they went out or came in.
    pub direction_unknown: u64,
}

/// Those from one interface to one destination.
#[derive(Debug)]
pub struct Silence<'a> {
    /// The interface that accepted them.
    pub interface: InterfaceIndex,
    /// Where they went, at packet level.
    pub dstaddr: IpAddr,
    /// The port there.
    pub dstport: u16,
    /// The protocol: TCP, of which alone a request can be told.
    pub protocol: Protocol,
    /// Distinct conversations.
    pub conversations: u64,
    /// Their packets, where known.
    pub packets: u64,
    /// First to last record.
    pub span: Span,
    /// What another interface recorded of them.
    pub followed: Option<Followed<'a>>,
}

/// What became of requests at another interface.
#[derive(Debug)]
pub struct Followed<'a> {
    /// The other interface.
    pub interface: InterfaceIndex,
    /// What it did.
    pub kind: SightingKind,
    /// It has the address that the requests went to.
    pub is_destination: bool,
    /// Which way they crossed it.
    pub direction: Option<Direction>,
    /// Why it rejected them, if it did.
    pub cause: Option<Cause>,
    /// The ACL evaluated.
    pub network_acl: Option<&'a NetworkAcl>,
    /// The entry that denied.
    pub rule: Option<&'a NetworkAclEntry>,
    /// What is left, or what is missing.
    pub detail: Option<Detail>,
}

/// What makes two requests one group, beside their interface and destination.
type FollowedKey = (InterfaceIndex, SightingKind, Option<Cause>, Option<u16>, Option<&'static str>);

impl Followed<'_> {
    fn key(&self) -> FollowedKey {
        let rule_number = self.rule.map(|entry| entry.rule_number);
        (self.interface, self.kind, self.cause, rule_number, self.detail.as_ref().map(Detail::slug))
    }
}

/// Groups the requests of which it is certain that no answer was recorded, when records are known until `last_record`.
#[must_use]
pub fn no_reply<'a>(
    correlated: &Correlated,
    last_record: Timestamp,
    match_window_seconds: i64,
    places: &Places<'a>,
) -> NoReply<'a> {
    let mut result = NoReply::default();
    let mut groups: BTreeMap<_, Silence<'a>> = BTreeMap::new();
    let late = match_window_seconds.saturating_add(LONGEST_RECORD_SECONDS);
    for request in &correlated.silent {
        let place = places.of(request.interface);
        match place.direction(&request.flow, request.flow_direction) {
            Some(Direction::Egress) => {}
            Some(Direction::Ingress) => continue,
            None => {
                result.direction_unknown += 1;
                continue;
            }
        }
        if place.passes_packets_on() && leaves_elsewhere(request, places) {
            // Where it began its way it is looked at as well.
            continue;
        }
        if last_record.seconds_since(request.span.end) < late {
            result.not_known_yet += 1;
            continue;
        }
        let lost = correlated.skip_data.get(&request.interface);
        if lost.is_some_and(|lost| lost.iter().any(|one| one.gap(request.span) <= match_window_seconds)) {
            result.records_lost += 1;
            continue;
        }
        let followed = followed(request, places);
        let (dstaddr, dstport) = (request.packet.dstaddr, request.packet.dstport);
        let key = (request.interface, dstaddr, dstport, followed.as_ref().map(Followed::key));
        let group = groups.entry(key).or_insert_with(|| Silence {
            interface: request.interface,
            dstaddr,
            dstport,
            protocol: request.packet.protocol,
            conversations: 0,
            packets: 0,
            span: request.span,
            followed,
        });
        group.conversations += 1;
        group.packets = group.packets.saturating_add(request.packets.unwrap_or(0));
        group.span = group.span.union(request.span);
    }
    result.groups = groups.into_values().collect();
    result.groups.sort_by_key(|group| std::cmp::Reverse(group.conversations));
    result
}

/// Whether another interface let the same request out.
fn leaves_elsewhere(request: &SilentRequest, places: &Places<'_>) -> bool {
    request
        .sightings
        .iter()
        .any(|one| one.kind == SightingKind::Accepted && direction_of(one, places) == Some(Direction::Egress))
}

fn direction_of(sighting: &Sighting, places: &Places<'_>) -> Option<Direction> {
    places.of(sighting.interface).direction(&sighting.flow, sighting.flow_direction)
}

/// The interface that tells most: one that dropped the request, else one that let an answer out, else the destination's
/// own, else another one on the way.
fn followed<'a>(request: &SilentRequest, places: &Places<'a>) -> Option<Followed<'a>> {
    let is_destination = |one: &Sighting| places.of(one.interface).owns(request.packet.dstaddr);
    let seen = request.sightings.iter().min_by_key(|one| (one.kind, !is_destination(one), one.interface))?;
    let mut followed = Followed {
        interface: seen.interface,
        kind: seen.kind,
        is_destination: is_destination(seen),
        direction: direction_of(seen, places),
        cause: None,
        network_acl: None,
        rule: None,
        detail: None,
    };
    if seen.kind == SightingKind::Rejected {
        let record = RejectedRecord {
            span: seen.span,
            packets: None,
            bytes: None,
            tcp_flags: None,
            reject_reason: seen.reject_reason,
        };
        let reject = UnpairedReject {
            interface: seen.interface,
            flow: seen.flow,
            packet: request.packet,
            flow_direction: seen.flow_direction,
            kind: UnpairedKind::Request,
            rejected: vec![record],
        };
        for_each_moment_of(&reject, followed.direction, false, places, |moment, _| {
            let decision = moment.decision;
            followed.cause = Some(decision.cause);
            followed.network_acl = decision.network_acl;
            followed.rule = decision.rule;
            followed.detail = decision.detail;
        });
    }
    Some(followed)
}
