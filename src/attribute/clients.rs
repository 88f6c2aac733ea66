//! The private clients behind a NAT gateway whose replies were rejected.
//!
//! Owns who of those who talked to the same remote ends may be waiting for the replies, and how sure that is. Refuses to
//! know how they were found.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::cause::Confidence;
use super::finding::Finding;
use super::judge::Judged;
use super::place::Places;
use crate::correlate::{CLIENT_SLACK_SECONDS, Client, Conversation, InterfaceIndex, RemoteEnd, Span};
use crate::net::Direction;

/// A client and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AffectedClient {
    /// Its private address.
    pub address: IpAddr,
    /// Its own interface, where it is known.
    pub interface_id: Option<String>,
    /// `Proven` when a reply was on its way to it; `Likely` when nobody else talked to the remote end at that time.
    pub confidence: Confidence,
    /// Conversations of the finding that may be its own.
    pub conversations: u64,
}

/// The clients behind the NAT gateways of a finding: those with most conversations first.
#[must_use]
pub fn affected_clients(
    finding: &Finding<'_>,
    judged: &[Judged<'_>],
    conversations: &[Conversation],
    clients: &[Client],
    places: &Places<'_>,
) -> Vec<AffectedClient> {
    let mut affected: BTreeMap<IpAddr, AffectedClient> = BTreeMap::new();
    for at in &finding.members {
        let one = &judged[*at];
        let conversation = &conversations[one.index];
        let gateway = places.of(conversation.interface);
        if !places.config().interface_is_nat_gateway(&gateway.interface_id) {
            continue;
        }
        let (waiting, confidence) = if one.direction == Some(Direction::Egress) {
            // On its way from the gateway to the client: addressed to nobody else.
            let address = conversation.packet.dstaddr;
            (BTreeMap::from([(address, own_interface(address, None, places))]), Confidence::Proven)
        } else {
            let span = one.rejected.iter().map(|record| record.span).reduce(Span::union);
            let waiting = span.map(|span| waiting(conversation, span, clients, places)).unwrap_or_default();
            let alone = waiting.len() == 1;
            (waiting, if alone { Confidence::Likely } else { Confidence::Possible })
        };
        for (address, interface_id) in waiting {
            let known = affected.entry(address).or_insert(AffectedClient {
                address,
                interface_id: None,
                confidence,
                conversations: 0,
            });
            known.interface_id = known.interface_id.take().or(interface_id);
            known.confidence = known.confidence.max(confidence);
            known.conversations += 1;
        }
    }
    let mut affected: Vec<_> = affected.into_values().collect();
    affected.sort_by_key(|client| std::cmp::Reverse(client.conversations));
    affected
}

/// Who sent to the remote end of a rejected reply at its time, by address. The gateway itself did as well: it is no client.
fn waiting(
    conversation: &Conversation,
    rejected: Span,
    clients: &[Client],
    places: &Places<'_>,
) -> BTreeMap<IpAddr, Option<String>> {
    let packet = &conversation.packet;
    let remote = RemoteEnd { address: packet.srcaddr, port: packet.srcport, protocol: packet.protocol };
    let from = clients.partition_point(|client| client.remote < remote);
    let talked = clients[from..].iter().take_while(|client| client.remote == remote);
    let gateway = places.of(conversation.interface);
    let mut interfaces: BTreeMap<IpAddr, BTreeSet<InterfaceIndex>> = BTreeMap::new();
    for client in talked {
        let is_near = |span: &Span| span.gap(rejected) <= CLIENT_SLACK_SECONDS;
        let is_gateway = client.address == packet.dstaddr || gateway.owns(client.address);
        if !is_gateway && client.spans.iter().any(is_near) {
            interfaces.entry(client.address).or_default().insert(client.interface);
        }
    }
    let own = |address: IpAddr, seen_by: &BTreeSet<InterfaceIndex>| {
        let other = seen_by.iter().find(|interface| **interface != conversation.interface);
        own_interface(address, other.copied(), places)
    };
    interfaces.iter().map(|(address, seen_by)| (*address, own(*address, seen_by))).collect()
}

/// The interface that has the address, by the configuration, else the one that recorded what it sent.
fn own_interface(address: IpAddr, seen_by: Option<InterfaceIndex>, places: &Places<'_>) -> Option<String> {
    let known = places.config().interface_with_address(address, None);
    let by_records = || Some(places.of(seen_by?).interface_id.to_string());
    known.map(|interface| interface.interface_id.clone()).or_else(by_records)
}
