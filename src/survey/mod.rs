//! What a stretch of time came to: a diagnosis and the sums that a report needs beside it.
//!
//! Owns sums that can be kept, put together with those of other times, compared, divided and made into a report. Refuses
//! to know log records, files and output. Findings and their figures of two stretches that follow each other, put together, are
//! those of one reading of both: a conversation that goes on from one to the other counts once.

mod compare;
mod coverage;
mod finish;
mod group;
mod merge;

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::correlate::Slices;
use crate::nacl::fix::Requester;
use crate::net::{Direction, Timestamp};
use crate::report::view::{Diagnosis, NaclChange, SkipInterval, Talkers};

pub use compare::{Baseline, BaselineError, compare};
pub use finish::{Finish, report};
pub use group::Division;
pub use merge::merge;

/// Seconds of the slices in which rejects are counted.
pub const HOUR: i64 = 3600;

/// Pairs of requester and service that are kept for the sums of a longer time.
pub const TALKERS_KEPT: usize = 10_000;

/// What a stretch of time came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Survey {
    /// The diagnosis.
    pub diagnosis: Diagnosis,
    /// For each of its findings, in their order.
    pub sums: Vec<Sums>,
    /// Who did not get answers from whom.
    pub talkers: Talkers,
    /// When there are records of each interface, by its id; `None` where that is not known.
    pub coverage: Option<BTreeMap<String, Slices>>,
    /// Why it is not known.
    pub coverage_unknown: Option<String>,
    /// Intervals in which AWS lost records (`SKIPDATA`).
    pub skip_data: Vec<SkipInterval>,
    /// Changes of network ACLs, by time.
    pub changes: Vec<NaclChange>,
    /// Rejects that are no replies, as far as a fix may let them in.
    pub others: Vec<OtherFlows>,
    /// Whether some of those were not kept, since they are too many.
    pub others_cut: bool,
}

/// What a finding came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// What makes it the same finding at another time.
    pub key: SumsKey,
    /// By the hour since the epoch: conversations whose replies were first rejected in it, and packets rejected in it.
    pub hours: BTreeMap<i64, [u64; 2]>,
    /// Figures by interface and service.
    pub cells: Vec<Cell>,
    /// Conversations so near the beginning that they may have begun before it.
    pub first: Vec<Edge>,
    /// Conversations so near the end that they may go on after it.
    pub last: Vec<Edge>,
    /// What a fix must let through; empty unless it was asked for.
    pub replies: Vec<SeenReplies>,
}

/// What makes a finding the same at another time.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SumsKey {
    /// What the rule is called whatever its time.
    pub id: String,
    /// Since when it denied, where the history tells.
    pub since: Option<Timestamp>,
    /// The id of the call after which it denied, where that is proven.
    pub change: Option<String>,
}

/// What one interface and service have of a finding.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// The interface that rejected.
    pub interface_id: String,
    /// Its subnet, if known.
    pub subnet_id: Option<String>,
    /// Its VPC, if known.
    pub vpc_id: Option<String>,
    /// Its account, if known.
    pub account_id: Option<String>,
    /// IANA protocol number.
    pub protocol: u8,
    /// The responder's port.
    pub port: u16,
    /// Conversations.
    pub conversations: u64,
    /// Rejected packets.
    pub packets: u64,
    /// Rejected bytes.
    pub bytes: u64,
}

/// A conversation at one end of the stretch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// A hash of its interface and five-tuple, the same in every run.
    pub conversation: u64,
    /// Its first (or last) moment of rejected replies, whatever their causes.
    pub at: Timestamp,
    /// Its place in the cells.
    pub cell: usize,
    /// Its hour.
    pub hour: i64,
    /// Whose request it was.
    pub requester: IpAddr,
    /// Whose reply it was.
    pub responder: IpAddr,
    /// What the ACL tests of the reply: the other end and the destination port.
    pub packet: Option<(IpAddr, Option<u16>)>,
}

/// Replies of one protocol from one other end, as far as a network ACL can tell them apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenReplies {
    /// The address that the ACL tests.
    pub remote: IpAddr,
    /// IANA protocol number.
    pub protocol: u8,
    /// Who chose the ports.
    pub requester: Requester,
    /// Destination ports, each with its conversations; none for protocols without ports.
    pub ports: Vec<(u16, u64)>,
    /// Conversations of a protocol without ports.
    pub without_port: u64,
}

impl SeenReplies {
    /// Adds up conversations, each with the other end, protocol, requester and destination port of its reply.
    pub fn sum(conversations: impl Iterator<Item = (IpAddr, u8, Requester, Option<u16>, u64)>) -> Vec<Self> {
        let mut sums: BTreeMap<_, (BTreeMap<u16, u64>, u64)> = BTreeMap::new();
        for (remote, protocol, requester, dstport, conversations) in conversations {
            let (ports, without_port) = sums.entry((remote, protocol, requester)).or_default();
            let sum = dstport.map_or(without_port, |port| ports.entry(port).or_default());
            *sum = sum.saturating_add(conversations);
        }
        let sums = sums.into_iter().map(|((remote, protocol, requester), (ports, without_port))| Self {
            remote,
            protocol,
            requester,
            ports: ports.into_iter().collect(),
            without_port,
        });
        sums.collect()
    }

    /// What they are the sum of.
    fn conversations(&self) -> impl Iterator<Item = (IpAddr, u8, Requester, Option<u16>, u64)> {
        let Self { remote, protocol, requester, .. } = *self;
        let with_port = self.ports.iter().map(|(port, conversations)| (Some(*port), *conversations));
        let all = with_port.chain([(None, self.without_port)]);
        all.map(move |(port, conversations)| (remote, protocol, requester, port, conversations))
    }
}

/// Rejects that are no replies, of one kind for a network ACL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherFlows {
    /// The ACL evaluated.
    pub network_acl_id: String,
    /// Their direction.
    pub direction: Direction,
    /// The rule that denied, if it is known.
    pub rule_number: Option<u16>,
    /// The address that the ACL tests.
    pub remote: IpAddr,
    /// IANA protocol number.
    pub protocol: u8,
    /// Destination port, where the protocol has one.
    pub dstport: Option<u16>,
    /// Flows.
    pub flows: u64,
    /// Packets.
    pub packets: u64,
}

#[cfg(test)]
mod tests;
