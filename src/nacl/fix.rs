//! The smallest change to a network ACL that lets rejected replies through, proven by evaluating the changed ACL.
//!
//! Owns proposals: which entries, at which numbers, what they restore and what else they would admit. Refuses to know
//! log records, interfaces and output; it sees packets and an ACL as it is now.
//! Source: VPC User Guide, "Network ACL rules", "Custom network ACLs" (ephemeral ports) and "Amazon VPC quotas"; EC2
//! API, `CreateNetworkAclEntry` and `ReplaceNetworkAclEntry`.

mod command;
mod cover;
mod need;
mod place;

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;
use ipnet::IpNet;

pub use command::{Command, delete_in_one_line, terraform};

use super::evaluate::may_match;
use super::{
    Action, NetworkAcl, NetworkAclEntry, Observed, Packet, PortRange, RuleAction, implicit_entries,
    verdict_on,
};
use crate::net::{Direction, Protocol};
use need::{allow, needs, reduce};
use place::Draft;

/// Rules that a list may have without asking AWS for more; the `*` entries do not count.
pub const DEFAULT_QUOTA: usize = 20;

/// Rules that a list may have at most.
pub const HIGHEST_QUOTA: usize = 40;

/// The narrow proposal has no more entries than this where wider networks can do with fewer.
const MOST_ENTRIES: usize = 8;

/// Below stand services; NAT gateways, load balancers and Lambda choose their ports from here on.
const FIRST_EPHEMERAL_PORT: u16 = 1024;

/// What AWS documents as the range that does for every kind of requester.
const CONVENTIONAL_PORTS: PortRange = PortRange { from: FIRST_EPHEMERAL_PORT, to: u16::MAX };

/// What is known of whoever chose the port that a reply goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Requester {
    /// Linux with its default range.
    Linux,
    /// Windows Server 2008 or later.
    Windows,
    /// A NAT gateway, a load balancer or a Lambda function.
    Managed,
    /// Nothing: the ports seen decide.
    Unknown,
}

impl Requester {
    /// The documented range of its ports.
    #[must_use]
    pub fn ephemeral_ports(self) -> Option<PortRange> {
        match self {
            Self::Linux => Some(PortRange { from: 32768, to: 60999 }),
            Self::Windows => Some(PortRange { from: 49152, to: u16::MAX }),
            Self::Managed => Some(CONVENTIONAL_PORTS),
            Self::Unknown => None,
        }
    }

    /// Whether the port lies in its documented range.
    fn explains(self, port: u16) -> bool {
        self.ephemeral_ports().is_some_and(|range| range.contains(port))
    }
}

/// Rejected replies, as far as an ACL can tell them apart.
#[derive(Debug, Clone, Default)]
pub struct Replies(HashMap<(Packet, Requester), u64>);

impl Replies {
    /// So many conversations more whose replies were rejected.
    pub fn add(&mut self, packet: Packet, requester: Requester, conversations: u64) {
        let sum = self.0.entry((packet, requester)).or_default();
        *sum = sum.saturating_add(conversations);
    }

    /// What they are, with their conversations, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Packet, Requester, u64)> {
        self.0.iter().map(|((packet, requester), conversations)| (packet, *requester, *conversations))
    }
}

/// Replies that the ACL as it is now denies.
#[derive(Debug)]
struct Denied<'a> {
    packet: Packet,
    requester: Requester,
    conversations: u64,
    /// The first entry that may deny them.
    decider: &'a NetworkAclEntry,
}

/// How wide a proposal is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Variant {
    /// Around what was seen.
    Narrow,
    /// As AWS documents it: ports 1024–65535 from everywhere; in front of an explicit deny only from its CIDR.
    Conventional,
}

impl Variant {
    /// The word of the machine outputs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Narrow => "narrow",
            Self::Conventional => "conventional",
        }
    }
}

/// One change to a list of entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A number that was free gets an entry.
    Create(NetworkAclEntry),
    /// A number gets another entry.
    Replace {
        /// What stands there.
        before: NetworkAclEntry,
        /// What is to stand there.
        after: NetworkAclEntry,
    },
}

impl Change {
    /// The entry after the change.
    #[must_use]
    pub fn entry(&self) -> &NetworkAclEntry {
        match self {
            Self::Create(entry) | Self::Replace { after: entry, .. } => entry,
        }
    }
}

/// Whether the rules that a proposal adds fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// Within what every account has, or what this list has already.
    Fits,
    /// This many rules need a raised quota.
    NeedsMore(usize),
    /// Entries were left out: the list would have more than the highest quota.
    Full,
}

/// A proposal and what it was proven to do.
#[derive(Debug, Clone)]
pub struct Fix {
    /// How wide it is drawn.
    pub variant: Variant,
    /// In this order; after each of them the ACL allows all that it allowed before. Empty when nothing can be added.
    pub changes: Vec<Change>,
    /// The allow entries that do it, each with what stood there when it is an entry made wider.
    pub entries: Vec<(NetworkAclEntry, Option<NetworkAclEntry>)>,
    /// The ACL after the changes.
    pub changed: NetworkAcl,
    /// Conversations whose replies the changed ACL allows, by evaluation.
    pub restores: u64,
    /// Conversations of the finding.
    pub of: u64,
    /// Numbered denies that the new entries go in front of, as they are now; what else they deny is let through in
    /// part.
    pub overridden: Vec<NetworkAclEntry>,
    /// Allow entries that would let replies through and stand behind an explicit deny.
    pub behind: Vec<NetworkAclEntry>,
    /// Entries that move to make room: from, to.
    pub moved: Vec<(u16, u16)>,
    /// Whether the new rules fit.
    pub quota: Quota,
}

impl Fix {
    /// The changes as API calls.
    #[must_use]
    pub fn commands(&self) -> Vec<Command<'_>> {
        self.changes.iter().map(Command::of).collect()
    }

    /// What takes the changes back, in its own order.
    #[must_use]
    pub fn undo(&self) -> Vec<Command<'_>> {
        self.changes.iter().rev().map(Command::undo_of).collect()
    }

    /// The numbers that it uses and that were free.
    pub fn new_numbers(&self) -> impl Iterator<Item = u16> {
        let created = self.changes.iter().filter(|change| matches!(change, Change::Create(_)));
        created.map(|change| change.entry().rule_number)
    }

    /// Whether the changed ACL lets a packet through that `acl`, the one it was made from, does not.
    #[must_use]
    pub fn admits(&self, acl: &NetworkAcl, direction: Direction, packet: &Packet) -> bool {
        let denies = |acl| verdict_on(acl, direction, packet, Observed::Nothing).may_be_denied();
        self.entries.iter().any(|(entry, _)| may_match(entry, packet))
            && denies(acl)
            && !denies(&self.changed)
    }

    /// Whether nothing of `deny` is left: whatever it would deny is allowed before it.
    #[must_use]
    pub fn cancels(&self, deny: &NetworkAclEntry) -> bool {
        self.entries.iter().any(|(entry, _)| covers(entry, deny))
    }

    /// Whether the proposal leaves the ICMP type open, which flow logs do not tell.
    #[must_use]
    pub fn allows_all_icmp_types(&self) -> bool {
        self.entries.iter().any(|(entry, _)| entry.icmp.is_some())
    }
}

/// Proposals that let `replies` through `acl` as it is now, the narrow one first; none when it allows them all already,
/// and none for a list with a rule number twice.
///
/// `reserved` are numbers that proposals for other findings use in the same list.
#[must_use]
pub fn propose(
    acl: &NetworkAcl,
    direction: Direction,
    replies: &Replies,
    reserved: &BTreeSet<u16>,
) -> Vec<Fix> {
    let mut replies: Vec<_> =
        replies.0.iter().map(|((packet, requester), count)| (*packet, *requester, *count)).collect();
    replies.sort_unstable();
    let denied: Vec<_> = replies.iter().filter_map(|reply| denied(acl, direction, *reply)).collect();
    if denied.is_empty() {
        return Vec::new();
    }
    let problem = Problem { acl, direction, replies: &replies, denied: &denied, reserved };
    let narrow = problem.narrow();
    let conventional = problem.conventional().filter(|fix| {
        let content = |fix: &Fix| {
            let entries =
                fix.entries.iter().map(|(entry, _)| NetworkAclEntry { rule_number: 0, ..entry.clone() });
            entries.collect::<BTreeSet<_>>()
        };
        fix.restores > 0 && narrow.as_ref().is_none_or(|narrow| content(narrow) != content(fix))
    });
    narrow.into_iter().chain(conventional).collect()
}

fn denied(
    acl: &NetworkAcl,
    direction: Direction,
    (packet, requester, conversations): (Packet, Requester, u64),
) -> Option<Denied<'_>> {
    let verdict = verdict_on(acl, direction, &packet, Observed::Rejected);
    let decider = match verdict.action {
        Action::Allow => None,
        Action::Deny => verdict.rule,
        Action::Undetermined => verdict.candidates.first().copied(),
    };
    Some(Denied { packet, requester, conversations, decider: decider? })
}

/// What is to be solved.
struct Problem<'a> {
    acl: &'a NetworkAcl,
    direction: Direction,
    replies: &'a [(Packet, Requester, u64)],
    denied: &'a [Denied<'a>],
    reserved: &'a BTreeSet<u16>,
}

impl Problem<'_> {
    fn narrow(&self) -> Option<Fix> {
        let mut draft = Draft::new(self.acl, self.direction, self.reserved)?;
        let mut needs = needs(self.denied);
        needs.retain(|need| !draft.widen(need));
        let taken = draft.len() + self.reserved.len();
        let quota = if taken <= DEFAULT_QUOTA { DEFAULT_QUOTA } else { HIGHEST_QUOTA };
        reduce(&mut needs, MOST_ENTRIES.min(quota.saturating_sub(taken).max(1)));
        // What does not fit at all is left out, what most conversations need last.
        let mut room = HIGHEST_QUOTA.saturating_sub(taken);
        let mut by_weight: Vec<_> = (0..needs.len()).collect();
        by_weight.sort_by_key(|at| std::cmp::Reverse(needs[*at].conversations));
        let mut kept = BTreeSet::new();
        for &at in &by_weight {
            let entries = needs[at].cover.nets().len();
            if entries <= room {
                room -= entries;
                kept.insert(at);
            }
        }
        let left_out = kept.len() < needs.len();
        let mut wanted: BTreeMap<u16, (&NetworkAclEntry, Vec<NetworkAclEntry>)> = BTreeMap::new();
        for need in by_weight.into_iter().filter(|at| kept.contains(at)).map(|at| &needs[at]) {
            let (_, entries) =
                wanted.entry(need.decider.rule_number).or_insert_with(|| (need.decider, Vec::new()));
            for entry in need.entries(self.direction) {
                if !entries.iter().any(|other| covers(other, &entry)) {
                    entries.push(entry);
                }
            }
        }
        Some(self.fix(Variant::Narrow, draft, wanted, left_out))
    }

    fn conventional(&self) -> Option<Fix> {
        let draft = Draft::new(self.acl, self.direction, self.reserved)?;
        let mut protocols: BTreeMap<u16, (&NetworkAclEntry, BTreeSet<Protocol>)> = BTreeMap::new();
        let with_ports = self.denied.iter().filter(|one| one.packet.protocol.has_ports());
        for one in with_ports {
            let of_decider = protocols.entry(one.decider.rule_number);
            of_decider.or_insert_with(|| (one.decider, BTreeSet::new())).1.insert(one.packet.protocol);
        }
        let wanted: BTreeMap<_, _> = protocols
            .into_iter()
            .map(|(number, (decider, protocols))| {
                let entry = |protocol| {
                    allow(self.direction, protocol, Some(CONVENTIONAL_PORTS), from_everywhere(decider))
                };
                (number, (decider, protocols.into_iter().map(entry).collect::<Vec<_>>()))
            })
            .collect();
        let count: usize = wanted.values().map(|(_, entries)| entries.len()).sum();
        (count > 0 && draft.len() + self.reserved.len() + count <= HIGHEST_QUOTA)
            .then(|| self.fix(Variant::Conventional, draft, wanted, false))
    }

    /// Places the entries wanted before each denying entry, and evaluates what comes of it.
    fn fix(
        &self,
        variant: Variant,
        mut draft: Draft<'_>,
        wanted: BTreeMap<u16, (&NetworkAclEntry, Vec<NetworkAclEntry>)>,
        left_out: bool,
    ) -> Fix {
        let before = draft.len() + self.reserved.len();
        for (decider, entries) in wanted.into_values() {
            draft.insert(entries, decider);
        }
        let after = draft.len() + self.reserved.len();
        let drafted = draft.finish();
        let allowed = |(packet, ..): &&(Packet, Requester, u64)| {
            !verdict_on(&drafted.changed, self.direction, packet, Observed::Nothing).may_be_denied()
        };
        let sum =
            |sum: u64, (.., conversations): &(Packet, Requester, u64)| sum.saturating_add(*conversations);
        let entries = drafted.allows.iter().filter_map(|number| {
            let entry = drafted.changed.entry(self.direction, *number)?.clone();
            let before =
                drafted.widened.get(number).and_then(|origin| self.acl.entry(self.direction, *origin));
            Some((entry, before.cloned()))
        });
        let quota = match (left_out, after) {
            (true, _) => Quota::Full,
            (false, after) if after > DEFAULT_QUOTA && before <= DEFAULT_QUOTA => Quota::NeedsMore(after),
            _ => Quota::Fits,
        };
        Fix {
            variant,
            entries: entries.collect(),
            restores: self.replies.iter().filter(allowed).fold(0, sum),
            of: self.replies.iter().fold(0, sum),
            behind: self.behind(),
            moved: drafted.moved,
            overridden: drafted
                .overridden
                .iter()
                .filter_map(|number| self.acl.entry(self.direction, *number).cloned())
                .collect(),
            changes: drafted.changes,
            changed: drafted.changed,
            quota,
        }
    }

    /// Allow entries that an explicit deny stands before.
    fn behind(&self) -> Vec<NetworkAclEntry> {
        let entries = self.acl.entries(self.direction).iter();
        let is_behind = |entry: &&NetworkAclEntry| {
            entry.action == RuleAction::Allow
                && self
                    .denied
                    .iter()
                    .any(|one| one.decider.rule_number < entry.rule_number && may_match(entry, &one.packet))
        };
        entries.filter(is_behind).cloned().collect()
    }
}

/// All addresses of the family, or those of an explicit deny: nobody needs more to be let past it.
fn from_everywhere(decider: &NetworkAclEntry) -> IpNet {
    let all = implicit_entries(decider.direction).map(|entry| entry.cidr);
    let family = all.into_iter().find(|cidr| cidr.contains(&decider.cidr));
    family.filter(|_| decider.is_default()).unwrap_or(decider.cidr)
}

/// Whether `wide` matches every packet that `narrow` does.
fn covers(wide: &NetworkAclEntry, narrow: &NetworkAclEntry) -> bool {
    wide.protocol == narrow.protocol
        && wide.cidr.contains(&narrow.cidr)
        && wide.port_range().is_none_or(|wide| narrow.port_range().is_some_and(|narrow| wide.covers(narrow)))
}

#[cfg(test)]
mod tests;
