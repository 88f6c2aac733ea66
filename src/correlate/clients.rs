//! Who talked to the same remote ends as a NAT gateway whose replies were rejected.
//!
//! A NAT gateway gives its clients' connections ports of its own, so that no tuple joins a rejected reply with the client
//! that waits for it (VPC User Guide, "Flow log record examples"): only the remote address, its port and the time do. Owns
//! that join over the accepted records as they are forgotten. Refuses to know which interfaces are NAT gateways; it is
//! told.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::Span;
use super::accepted::{AcceptedRow, WideRow};
use super::interface::InterfaceIndex;
use super::reject::RejectedRow;
use crate::net::{FiveTuple, Protocol};

/// How far apart the legs' records may lie: the clock slack that AWS documents.
pub const CLIENT_SLACK_SECONDS: i64 = 60;

/// Remote ends of rejected replies, and clients with each remote end they talked to. With more than that, as in a scan,
/// nobody is named: the one client that happened to be kept would look like the only one.
pub(super) const MOST_REMOTES: usize = 262_144;
pub(super) const MOST_CLIENTS: usize = 65_536;

/// A bit for each of 65 536 remote ends: 8 KiB.
const FILTER_WORDS: usize = 1024;

/// Spans kept of one remote end or one client before those that lie close become one.
const MOST_SPANS: usize = 256;

/// The remote end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RemoteEnd {
    /// Its address.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// The protocol.
    pub protocol: Protocol,
}

/// Somebody who sent to such a remote end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Client {
    /// Whom it sent to.
    pub remote: RemoteEnd,
    /// Its address.
    pub address: IpAddr,
    /// The interface that recorded it.
    pub interface: InterfaceIndex,
    /// When.
    pub spans: Vec<Span>,
}

/// The join in the making.
#[derive(Debug, Clone, Default)]
pub(super) struct Clients {
    gateways: Arc<HashSet<Vec<u8>>>,
    slack_seconds: i64,
    /// Remote ends of rejected replies, and when those were.
    remotes: HashMap<RemoteEnd, Vec<Span>>,
    /// One bit for each remote end that may be there.
    filter: Vec<u64>,
    found: HashMap<(RemoteEnd, IpAddr, InterfaceIndex), Vec<Span>>,
    given_up: bool,
}

impl Clients {
    /// Rows are forgotten when nothing within the match window can come: no further apart is anything looked for.
    pub(super) fn new(gateways: Arc<HashSet<Vec<u8>>>, match_window_seconds: i64) -> Self {
        Self { gateways, slack_seconds: match_window_seconds.min(CLIENT_SLACK_SECONDS), ..Self::default() }
    }

    /// Whether any interface is a NAT gateway's.
    pub(super) fn has_gateways(&self) -> bool {
        !self.gateways.is_empty()
    }

    /// Whether an interface of this name is one.
    pub(super) fn is_gateway(&self, name: &[u8]) -> bool {
        self.gateways.contains(name)
    }

    /// Takes note of a reply that such an interface rejected.
    pub(super) fn rejected(&mut self, row: &RejectedRow) {
        if self.given_up {
            return;
        }
        let packet = &row.packet;
        let remote = RemoteEnd { address: packet.srcaddr, port: packet.srcport, protocol: packet.protocol };
        if self.filter.is_empty() {
            self.filter = vec![0; FILTER_WORDS];
        }
        let (word, bit) = place(&remote);
        self.filter[word] |= bit;
        add(self.remotes.entry(remote).or_default(), row.record.span, self.slack_seconds);
        if self.remotes.len() > MOST_REMOTES {
            self.give_up();
        }
    }

    /// Whether any row is of interest.
    pub(super) fn are_asking(&self) -> bool {
        !self.remotes.is_empty()
    }

    /// Whether the destination of a row may be a remote end.
    #[inline]
    pub(super) fn may_know(&self, row: &AcceptedRow) -> bool {
        let (address, port) = row.destination();
        let (word, bit) = place_v4(address, port, row.protocol());
        self.filter.get(word).is_some_and(|bits| bits & bit != 0)
    }

    /// Whether a row went to such a remote end when a reply from there was rejected.
    pub(super) fn know(&self, row: &WideRow) -> bool {
        let remote = remote_end(row);
        let (word, bit) = place(&remote);
        self.filter.get(word).is_some_and(|bits| bits & bit != 0)
            && self
                .remotes
                .get(&remote)
                .is_some_and(|rejected| rejected.iter().any(|span| span.gap(row.span) <= self.slack_seconds))
    }

    /// Takes note of such a row, its interface by the join's number.
    pub(super) fn take(&mut self, row: &WideRow) {
        if self.given_up {
            return;
        }
        let key = (remote_end(row), row.packet.srcaddr, row.interface);
        add(self.found.entry(key).or_default(), row.span, self.slack_seconds);
        if self.found.len() > MOST_CLIENTS {
            self.give_up();
        }
    }

    fn give_up(&mut self) {
        self.remotes = HashMap::default();
        self.found = HashMap::default();
        self.given_up = true;
    }

    /// All of them, in an order that depends on nothing but their contents, and whether they were too many to name any.
    pub(super) fn in_order(self, new: &impl Fn(InterfaceIndex) -> InterfaceIndex) -> (Vec<Client>, bool) {
        let mut clients: Vec<Client> = self
            .found
            .into_iter()
            .map(|((remote, address, interface), mut spans)| {
                merge(&mut spans, self.slack_seconds);
                Client { remote, address, interface: new(interface), spans }
            })
            .collect();
        clients.sort_unstable();
        (clients, self.given_up)
    }
}

/// Where a row went.
fn remote_end(row: &WideRow) -> RemoteEnd {
    let FiveTuple { dstaddr, dstport, protocol, .. } = row.packet;
    RemoteEnd { address: dstaddr, port: dstport, protocol }
}

fn add(spans: &mut Vec<Span>, span: Span, slack_seconds: i64) {
    spans.push(span);
    if spans.len() >= MOST_SPANS {
        merge(spans, slack_seconds);
    }
}

/// Spans no further apart than the slack become one: whatever is near them is near the one as well.
fn merge(spans: &mut Vec<Span>, slack_seconds: i64) {
    spans.sort_unstable();
    spans.dedup_by(|span, kept| {
        let is_close = kept.gap(*span) <= slack_seconds;
        if is_close {
            *kept = kept.union(*span);
        }
        is_close
    });
}

/// Word and bit of a remote end in the filter.
fn place(remote: &RemoteEnd) -> (usize, u64) {
    let address = match remote.address {
        IpAddr::V4(address) => address.to_bits(),
        IpAddr::V6(address) => {
            let mut hasher = FixedState::with_seed(9).build_hasher();
            hasher.write_u128(address.to_bits());
            let [a, b, c, d, ..] = hasher.finish().to_le_bytes();
            u32::from_le_bytes([a, b, c, d])
        }
    };
    place_v4(address, remote.port, remote.protocol)
}

/// The same where the address is one of 32 bits.
#[inline]
fn place_v4(address: u32, port: u16, protocol: Protocol) -> (usize, u64) {
    let remote = u64::from(address) << 24 | u64::from(port) << 8 | u64::from(protocol.0);
    let hash = remote.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((hash >> 54) as usize & (FILTER_WORDS - 1), 1 << (hash >> 48 & 63))
}
