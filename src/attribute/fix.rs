//! For each finding the change to its ACL that restores its replies, and what else of this input it would let in.
//!
//! Owns which replies a proposal is made for, who chose their ports, and the counts of other rejects. Refuses to know
//! how entries are chosen and how commands are written: `nacl::fix` does.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use hashbrown::HashMap;

use super::cause::Cause;
use super::finding::Finding;
use super::judge::{Judged, Other};
use super::place::Places;
use crate::correlate::Conversation;
use crate::nacl::fix::{Change, Fix, Replies, Requester, propose};
use crate::nacl::{NetworkAcl, Packet};
use crate::net::Direction;
use crate::network::NetworkConfig;

/// Flows that are no replies, and their packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flows {
    /// Flows.
    pub flows: u64,
    /// Rejected packets, where known.
    pub packets: u64,
}

impl Flows {
    /// Adds others.
    pub fn add(&mut self, more: Self) {
        self.flows = self.flows.saturating_add(more.flows);
        self.packets = self.packets.saturating_add(more.packets);
    }
}

/// The list that denies a reject that is no reply, and what it tests, where a changed entry may let it in. What the log
/// gives another reason for, and what the ACL allows or is not evaluated for, no entry changes.
#[must_use]
pub fn admittable<'a>(other: &Other<'a>) -> Option<((&'a str, Direction), Packet)> {
    if !(other.cause.is_nacl() || other.cause == Cause::Undetermined) {
        return None;
    }
    let (acl, direction) = (other.network_acl?, other.direction?);
    Some(((&acl.network_acl_id, direction), Packet::of_flow(direction, &other.packet)))
}

/// One change, and what of the other rejects it would let in.
#[derive(Debug)]
pub struct Proposed {
    /// The change.
    pub fix: Fix,
    /// Other rejects that the ACL denies now and would not any more.
    pub also_admits: Flows,
}

/// What is proposed for one finding.
#[derive(Debug)]
pub struct Proposal<'a> {
    /// The ACL as it is now, which the commands change.
    pub network_acl: &'a NetworkAcl,
    /// Its list.
    pub direction: Direction,
    /// The narrow change first.
    pub proposed: Vec<Proposed>,
    /// By number of an explicit deny that is gone in front of: other rejects that it dropped.
    pub dropped: BTreeMap<u16, Flows>,
}

/// The proposals for all findings.
#[derive(Debug)]
pub struct Fixes<'a> {
    /// In the order of the findings; nothing where no ACL is to blame.
    proposals: Vec<Option<Proposal<'a>>>,
    /// Which of them are about a list.
    of_list: HashMap<(&'a str, Direction), Vec<usize>>,
    /// Findings without a proposal because that of another finding changes the same list.
    held_back: Vec<usize>,
}

/// What a finding blames, and the replies that a change to it must let through.
#[derive(Debug)]
pub struct Blamed<'a> {
    /// The ACL as it is now.
    pub network_acl: &'a NetworkAcl,
    /// Its list.
    pub direction: Direction,
    /// Those that this ACL is still in front of: a change to one that no longer stands there restores nothing.
    pub replies: Replies,
}

/// What each finding blames, in their order; nothing where no entry of a known ACL is to blame.
#[must_use]
pub fn blamed<'a>(
    findings: &[Finding<'a>],
    judged: &[Judged<'a>],
    conversations: &[Conversation],
    places: &Places<'a>,
) -> Vec<Option<Blamed<'a>>> {
    let mut requesters = Requesters { places, known: HashMap::new() };
    let blamed = findings.iter().map(|finding| {
        let (network_acl, direction) = list_of(finding, places)?;
        let mut replies = Replies::default();
        for one in &finding.members {
            let conversation = &conversations[judged[*one].index];
            let present = &places.of(conversation.interface).network_acl;
            if present.as_ref().is_ok_and(|now| now.network_acl_id == network_acl.network_acl_id) {
                let packet = Packet::of_flow(direction, &conversation.packet);
                replies.add(packet, requesters.of(conversation, direction, packet.remote), 1);
            }
        }
        Some(Blamed { network_acl, direction, replies })
    });
    blamed.collect()
}

impl<'a> Fixes<'a> {
    /// Makes a proposal for each finding that an entry of a known ACL is to blame for. Those for one list use different
    /// rule numbers, and where one gives a number that is taken to another entry it is the only one, so that all can be
    /// carried out in any order.
    #[must_use]
    pub fn new(blamed: Vec<Option<Blamed<'a>>>) -> Self {
        let mut reserved: BTreeMap<(&str, Direction), BTreeSet<u16>> = BTreeMap::new();
        let mut fixes = Self { proposals: Vec::new(), of_list: HashMap::new(), held_back: Vec::new() };
        // Lists in which a proposal gives a number that is taken to another entry.
        let mut moved: BTreeSet<(&str, Direction)> = BTreeSet::new();
        for (at, blamed) in blamed.into_iter().enumerate() {
            let proposal = blamed.and_then(|Blamed { network_acl: acl, direction, replies }| {
                let reserved = reserved.entry((&acl.network_acl_id, direction)).or_default();
                let list = (acl.network_acl_id.as_str(), direction);
                let earlier = fixes.of_list.contains_key(&list);
                let mut proposed = propose(acl, direction, &replies, reserved);
                let found = !proposed.is_empty();
                // What one change moves or makes wider, another one must not count on.
                let replaces =
                    |fix: &Fix| fix.changes.iter().any(|change| matches!(change, Change::Replace { .. }));
                if moved.contains(&list) {
                    proposed.clear();
                } else if earlier {
                    proposed.retain(|fix| !replaces(fix));
                } else if proposed.iter().any(replaces) {
                    moved.insert(list);
                }
                if found && proposed.is_empty() {
                    fixes.held_back.push(at);
                }
                let proposed: Vec<_> =
                    proposed.into_iter().map(|fix| Proposed { fix, also_admits: Flows::default() }).collect();
                reserved.extend(proposed.iter().flat_map(|one| one.fix.new_numbers()));
                let explicit = proposed.iter().flat_map(|one| &one.fix.overridden);
                let dropped = explicit.map(|deny| (deny.rule_number, Flows::default())).collect();
                (!proposed.is_empty()).then_some(Proposal { network_acl: acl, direction, proposed, dropped })
            });
            if let Some(proposal) = &proposal {
                let acl: &'a NetworkAcl = proposal.network_acl;
                fixes.of_list.entry((&acl.network_acl_id, proposal.direction)).or_default().push(at);
            }
            fixes.proposals.push(proposal);
        }
        fixes
    }

    /// Whether what other rejects would be admitted matters to any proposal.
    #[must_use]
    pub fn wants_others(&self) -> bool {
        !self.of_list.is_empty()
    }

    /// Takes note of a reject that is no reply. To be called once for each of them, in any order.
    pub fn meet(&mut self, other: &Other<'_>) {
        if let Some((list, packet)) = admittable(other) {
            let rule_number = other.rule.map(|rule| rule.rule_number);
            self.meet_flows(list, rule_number, &packet, Flows { flows: 1, packets: other.packets });
        }
    }

    /// The same for flows that are one packet to the list (an ACL's id and direction), of which this rule denied them.
    pub fn meet_flows(
        &mut self,
        list: (&str, Direction),
        rule_number: Option<u16>,
        packet: &Packet,
        flows: Flows,
    ) {
        let Some(places) = self.of_list.get(&list) else { return };
        for place in places {
            let Some(Some(proposal)) = self.proposals.get_mut(*place) else { continue };
            for one in &mut proposal.proposed {
                if one.fix.admits(proposal.network_acl, list.1, packet) {
                    one.also_admits.add(flows);
                }
            }
            if let Some(dropped) = rule_number.and_then(|number| proposal.dropped.get_mut(&number)) {
                dropped.add(flows);
            }
        }
    }

    /// Findings that get no proposal because that of another one changes rules of the same list: both carried out would
    /// undo each other.
    #[must_use]
    pub fn held_back(&self) -> &[usize] {
        &self.held_back
    }

    /// In the order of the findings.
    #[must_use]
    pub fn proposals(&self) -> &[Option<Proposal<'a>>] {
        &self.proposals
    }
}

/// The list that a finding blames, as it is now: what a command would change.
fn list_of<'a>(finding: &Finding<'_>, places: &Places<'a>) -> Option<(&'a NetworkAcl, Direction)> {
    let id = finding.key.network_acl_id.as_deref().filter(|_| finding.key.cause.is_nacl())?;
    Some((changeable(places.config(), id)?, finding.key.direction?))
}

/// The ACL of this id as it is now, if a command can name it.
#[must_use]
pub fn changeable<'a>(config: &'a NetworkConfig, network_acl_id: &str) -> Option<&'a NetworkAcl> {
    // AWS gives no other ids, and a command with one would be worth nothing.
    let is_id = network_acl_id.starts_with("acl-")
        && network_acl_id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    config.acl(network_acl_id).filter(|_| is_id)
}

/// Who chose the port that a reply goes to.
struct Requesters<'p, 'a> {
    places: &'p Places<'a>,
    /// Of requesters that are not the interface itself.
    known: HashMap<(Option<String>, IpAddr), Requester>,
}

impl Requesters<'_, '_> {
    fn of(&mut self, conversation: &Conversation, direction: Direction, remote: IpAddr) -> Requester {
        let place = self.places.of(conversation.interface);
        let config = self.places.config();
        let kind = |interface_id: &str| {
            if config.interface_is_managed_requester(interface_id) {
                Requester::Managed
            } else {
                Requester::Unknown
            }
        };
        match direction {
            Direction::Ingress => kind(&place.interface_id),
            Direction::Egress => {
                let vpc_id = place.vpc_id.as_deref();
                let known = self.known.entry((vpc_id.map(str::to_owned), remote));
                *known.or_insert_with(|| {
                    let interface = config.interface_with_address(remote, vpc_id);
                    interface.map_or(Requester::Unknown, |interface| kind(&interface.interface_id))
                })
            }
        }
    }
}
