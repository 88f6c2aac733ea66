//! The only evaluator of network ACLs: which entry decides a packet, and how every entry before it failed to.
//!
//! Owns matching. The verdict carries its own steps, and near misses come from the same matching function,
//! so that no explanation can disagree with the decision. Refuses to know log records, subnets and output.
//! Source of the rules: VPC User Guide, "Control subnet traffic with network ACLs"; EC2 API,
//! `CreateNetworkAclEntry`.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

use super::model::{NetworkAcl, NetworkAclEntry, RuleAction};
use crate::net::{Direction, FiveTuple, Protocol};

/// What of a packet an ACL can test. A network ACL tests one address, the other end's; the ports it tests
/// are always those of the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Packet {
    /// The packet's source on ingress, its destination on egress.
    pub remote: IpAddr,
    /// IANA protocol number.
    pub protocol: Protocol,
    /// The packet's destination port; `None` when unknown. Tested for TCP and UDP only.
    pub dstport: Option<u16>,
    /// ICMP type and code; `None` when unknown, as in every flow log. Tested for ICMP and `ICMPv6` only.
    pub icmp: Option<(u8, u8)>,
}

impl Packet {
    /// A packet of this flow that crosses the subnet's boundary in `direction`; its ICMP type is unknown.
    #[must_use]
    pub fn of_flow(direction: Direction, flow: &FiveTuple) -> Self {
        Self {
            remote: match direction {
                Direction::Ingress => flow.srcaddr,
                Direction::Egress => flow.dstaddr,
            },
            protocol: flow.protocol,
            dstport: flow.protocol.has_ports().then_some(flow.dstport),
            icmp: None,
        }
    }

    /// The part of an entry that cannot be tested because the packet's own value is unknown.
    fn unknown_part(&self) -> Mismatch {
        if self.protocol.has_ports() { Mismatch::PORT } else { Mismatch::ICMP_TYPE }
    }
}

/// What is known to have happened to the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Observed {
    /// Nothing: a packet that might be sent.
    Nothing,
    /// It was logged REJECT, which proves that no allow entry let it through.
    Rejected,
}

/// What an ACL does with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The deciding entry is known and allows.
    Allow,
    /// The deciding entry is known and denies.
    Deny,
    /// Which entry decides depends on a fact that is not known.
    Undetermined,
}

/// The parts of an entry that a packet does not match; a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Mismatch(u8);

impl Mismatch {
    /// IPv4 entry and IPv6 packet, or the reverse; then nothing else is tested.
    pub const ADDRESS_FAMILY: Self = Self(1);
    /// Another protocol; then neither port nor ICMP type is tested.
    pub const PROTOCOL: Self = Self(1 << 1);
    /// The destination port lies outside the range.
    pub const PORT: Self = Self(1 << 2);
    /// Another ICMP type or code.
    pub const ICMP_TYPE: Self = Self(1 << 3);
    /// The other end's address lies outside the CIDR.
    pub const ADDRESS: Self = Self(1 << 4);

    /// Whether every part of `parts` is in this set.
    #[must_use]
    pub fn contains(self, parts: Self) -> bool {
        self.0 & parts.0 == parts.0
    }

    /// Whether nothing mismatches.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many parts mismatch.
    #[must_use]
    pub fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// The parts by name, as `port, source`; the address is the `source` on ingress, the `destination` on
    /// egress.
    #[must_use]
    pub fn describe(self, direction: Direction) -> String {
        let address = match direction {
            Direction::Ingress => "source",
            Direction::Egress => "destination",
        };
        let parts = [
            (Self::ADDRESS_FAMILY, "address family"),
            (Self::PROTOCOL, "protocol"),
            (Self::PORT, "port"),
            (Self::ICMP_TYPE, "icmp type"),
            (Self::ADDRESS, address),
        ];
        let names: Vec<_> =
            parts.into_iter().filter(|&(part, _)| self.contains(part)).map(|(_, name)| name).collect();
        names.join(", ")
    }

    /// Adds `part` when `failed`.
    fn note(&mut self, failed: bool, part: Self) {
        if failed {
            self.0 |= part.0;
        }
    }
}

/// What one entry did with the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It matched and decided.
    Matched,
    /// It did not match, in these parts.
    Mismatch(Mismatch),
    /// It would match only for some values of a fact that is not known, and it cannot be what decided: it
    /// allows and the packet was rejected, or an earlier entry takes every packet that it could take.
    PassedOver,
    /// It matches for some values of a fact that is not known: it may have decided.
    MayMatch,
}

impl Outcome {
    /// `matched`, `port, source`, `passed over`, `may match`.
    #[must_use]
    pub fn describe(self, direction: Direction) -> String {
        match self {
            Self::Matched => "matched".to_owned(),
            Self::Mismatch(parts) => parts.describe(direction),
            Self::PassedOver => "passed over".to_owned(),
            Self::MayMatch => "may match".to_owned(),
        }
    }
}

/// One entry tried, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step<'a> {
    /// The entry.
    pub entry: &'a NetworkAclEntry,
    /// What it did with the packet.
    pub outcome: Outcome,
}

/// What an ACL does with a packet, by which entry, and how it came to that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// Allow, deny, or undetermined.
    pub action: Action,
    /// The deciding entry; `None` exactly when the action is undetermined.
    pub rule: Option<&'a NetworkAclEntry>,
    /// When undetermined: every entry that may be the deciding one, in rule order. For a rejected packet
    /// these are denies only; that an allow entry lets it through is then told by `may_be_allowed` alone.
    pub candidates: Vec<&'a NetworkAclEntry>,
    /// Whether the ACL lets the packet through, certainly or for some values of the unknown fact. True for
    /// a rejected packet means that something other than this ACL may have rejected it.
    pub may_be_allowed: bool,
    /// Every entry tried, in rule order, up to the first that matches for certain; none from [`verdict_on`].
    pub steps: Vec<Step<'a>>,
}

impl Verdict<'_> {
    /// Whether the ACL drops the packet, certainly or for some values of the unknown fact.
    #[must_use]
    pub fn may_be_denied(&self) -> bool {
        self.rule.iter().chain(&self.candidates).any(|entry| entry.action == RuleAction::Deny)
    }
}

/// Decides what `acl` does with a packet that crosses its boundary in `direction`.
///
/// Lowest rule number first, the first match decides, `*` denies the rest. A fact that the packet lacks
/// leaves an entry that tests it open; `observed` closes those that it proves wrong.
#[must_use]
pub fn evaluate<'a>(
    acl: &'a NetworkAcl,
    direction: Direction,
    packet: &Packet,
    observed: Observed,
) -> Verdict<'a> {
    let mut steps = Vec::with_capacity(acl.entries(direction).len());
    let verdict = walk(acl, direction, packet, observed, |step| steps.push(step));
    Verdict { steps, ..verdict }
}

/// The verdict of [`evaluate`] without its steps, for whoever asks about many packets and explains none of them.
#[must_use]
pub fn verdict_on<'a>(
    acl: &'a NetworkAcl,
    direction: Direction,
    packet: &Packet,
    observed: Observed,
) -> Verdict<'a> {
    walk(acl, direction, packet, observed, |_| ())
}

/// Tries one entry after the other, and tells of each. The verdict's steps are left to whoever is told.
fn walk<'a>(
    acl: &'a NetworkAcl,
    direction: Direction,
    packet: &Packet,
    observed: Observed,
    mut tried: impl FnMut(Step<'a>),
) -> Verdict<'a> {
    let mut candidates = Vec::new();
    // Entries that depend on what is not known, candidates or not.
    let mut open: Vec<&NetworkAclEntry> = Vec::new();
    for entry in acl.entries(direction) {
        let outcome = match fit(entry, packet) {
            Fit::Matches => Outcome::Matched,
            Fit::Fails(parts) => Outcome::Mismatch(parts),
            Fit::Depends => {
                let is_ruled_out = is_ruled_out(entry, &open, observed);
                open.push(entry);
                if is_ruled_out {
                    Outcome::PassedOver
                } else {
                    candidates.push(entry);
                    Outcome::MayMatch
                }
            }
        };
        tried(Step { entry, outcome });
        if outcome == Outcome::Matched {
            return conclude(entry, candidates, observed);
        }
    }
    // Not reached: the `*` entries match every packet. Saying nothing is still better than inventing a rule.
    Verdict { action: Action::Undetermined, rule: None, candidates, may_be_allowed: true, steps: Vec::new() }
}

/// The verdict when `matched` matches for certain and `candidates` may have matched before it.
fn conclude<'a>(
    matched: &'a NetworkAclEntry,
    mut candidates: Vec<&'a NetworkAclEntry>,
    observed: Observed,
) -> Verdict<'a> {
    let steps = Vec::new();
    let allows = |entry: &NetworkAclEntry| entry.action == RuleAction::Allow;
    let may_be_allowed = allows(matched) || candidates.iter().any(|entry| allows(entry));
    if candidates.is_empty() {
        let action = if allows(matched) { Action::Allow } else { Action::Deny };
        return Verdict { action, rule: Some(matched), candidates, may_be_allowed, steps };
    }
    if observed == Observed::Nothing || !allows(matched) {
        candidates.push(matched);
    }
    Verdict { action: Action::Undetermined, rule: None, candidates, may_be_allowed, steps }
}

/// Whether an entry that depends on an unknown fact cannot be what decided. `earlier` are those before it that depend on it
/// as well.
fn is_ruled_out(entry: &NetworkAclEntry, earlier: &[&NetworkAclEntry], observed: Observed) -> bool {
    (observed == Observed::Rejected && entry.action == RuleAction::Allow)
        || earlier.iter().any(|earlier| takes_all_of(earlier, entry))
}

/// Whether `earlier` matches for every value of the unknown fact for which `later` does. Both match in all
/// other parts, so they test the same fact.
fn takes_all_of(earlier: &NetworkAclEntry, later: &NetworkAclEntry) -> bool {
    match (earlier.port_range(), later.port_range(), earlier.icmp_type_code(), later.icmp_type_code()) {
        (Some(earlier), Some(later), ..) => earlier.covers(later),
        (_, _, Some(earlier), Some(later)) => earlier.covers(later),
        _ => false,
    }
}

/// How an entry and a packet go together.
enum Fit {
    Matches,
    Depends,
    Fails(Mismatch),
}

/// The one place that holds an entry against a packet. Nothing is said to depend on an unknown fact when a
/// known one fails.
fn fit(entry: &NetworkAclEntry, packet: &Packet) -> Fit {
    if matches!(entry.cidr, IpNet::V4(_)) != packet.remote.is_ipv4() {
        return Fit::Fails(Mismatch::ADDRESS_FAMILY);
    }
    let mut failed = Mismatch::default();
    let mut depends = false;
    failed.note(!entry.cidr.contains(&packet.remote), Mismatch::ADDRESS);
    if entry.protocol.contains(packet.protocol) {
        if let Some(range) = entry.port_range() {
            depends |= packet.dstport.is_none();
            failed.note(packet.dstport.is_some_and(|port| !range.contains(port)), Mismatch::PORT);
        }
        if let Some(wanted) = entry.icmp_type_code() {
            depends |= packet.icmp.is_none();
            failed.note(packet.icmp.is_some_and(|icmp| !wanted.contains(icmp)), Mismatch::ICMP_TYPE);
        }
    } else {
        failed.note(true, Mismatch::PROTOCOL);
    }
    match (failed.is_empty(), depends) {
        (false, _) => Fit::Fails(failed),
        (true, true) => Fit::Depends,
        (true, false) => Fit::Matches,
    }
}

/// Whether the entry matches the packet, certainly or for some values of an unknown fact.
pub(super) fn may_match(entry: &NetworkAclEntry, packet: &Packet) -> bool {
    !matches!(fit(entry, packet), Fit::Fails(_))
}

/// An allow entry that did not let a packet through, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NearMiss<'a> {
    /// The allow entry.
    pub entry: &'a NetworkAclEntry,
    /// Why it did not decide.
    pub reason: NearMissReason,
}

/// Why an allow entry did not let a packet through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NearMissReason {
    /// It does not match in these parts.
    Mismatch(Mismatch),
    /// It matches, or may; but a deny entry with a lower number came first.
    RuleOrder,
}

impl NearMissReason {
    /// `port, source`, or `rule order`.
    #[must_use]
    pub fn describe(self, direction: Direction) -> String {
        match self {
            Self::Mismatch(parts) => parts.describe(direction),
            Self::RuleOrder => "rule order".to_owned(),
        }
    }
}

/// Why each allow entry of one direction did not let a rejected packet through, in rule order.
///
/// Empty when the ACL allows the packet. An entry before the deciding one that tests an unknown fact is
/// reported with that fact: the rejection proves that it did not match there.
#[must_use]
pub fn near_misses<'a>(acl: &'a NetworkAcl, direction: Direction, packet: &Packet) -> Vec<NearMiss<'a>> {
    let verdict = verdict_on(acl, direction, packet, Observed::Rejected);
    if verdict.action == Action::Allow {
        return Vec::new();
    }
    let decider = verdict.rule.or(verdict.candidates.first().copied());
    let mut denied = false;
    let mut misses = Vec::new();
    for entry in acl.entries(direction) {
        denied |= decider.is_some_and(|decider| std::ptr::eq(decider, entry));
        if entry.action == RuleAction::Deny {
            continue;
        }
        let reason = match fit(entry, packet) {
            Fit::Fails(parts) => NearMissReason::Mismatch(parts),
            Fit::Depends if !denied => NearMissReason::Mismatch(packet.unknown_part()),
            Fit::Depends | Fit::Matches => NearMissReason::RuleOrder,
        };
        misses.push(NearMiss { entry, reason });
    }
    misses
}

#[cfg(test)]
mod tests;
