//! Groups judged conversations by cause, and counts what each group holds.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;

use super::cause::{Cause, Confidence, Detail};
use super::judge::{Decision, Judged};
use super::moment::{ChangeSeen, Episode};
use super::place::Places;
use crate::correlate::{Conversation, RejectedRecord, Span, UnpairedKind};
use crate::nacl::{NetworkAcl, NetworkAclEntry};
use crate::net::{Direction, Protocol, Timestamp};

/// What makes two rejected conversations one finding. Its order is the order of causes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FindingKey {
    /// Why.
    pub cause: Cause,
    /// The ACL evaluated.
    pub network_acl_id: Option<String>,
    /// Direction of the replies.
    pub direction: Option<Direction>,
    /// The rule that denied.
    pub rule_number: Option<u16>,
    /// What kind of detail, where there is one.
    pub slug: Option<&'static str>,
    /// Since when the rule denied, where the history tells: the same number at another time is another rule.
    pub since: Option<Timestamp>,
    /// The call after which it was denied, by its time, name and id, where that is proven of the conversation itself.
    pub change: Option<(Timestamp, String, String)>,
}

/// A [`FindingKey`] whose texts stand elsewhere: conversations are many, and findings few.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct BorrowedKey<'j> {
    cause: Cause,
    network_acl_id: Option<&'j str>,
    direction: Option<Direction>,
    rule_number: Option<u16>,
    slug: Option<&'static str>,
    since: Option<Timestamp>,
    change: Option<(Timestamp, &'j str, &'j str)>,
}

impl<'j> BorrowedKey<'j> {
    fn of(judged: &'j Judged<'_>) -> Self {
        let proven = judged.episode.proven_change();
        Self {
            cause: judged.cause,
            network_acl_id: judged.network_acl.map(|acl| acl.network_acl_id.as_str()),
            direction: judged.direction,
            rule_number: judged.rule.map(|entry| entry.rule_number),
            slug: judged.detail.as_ref().map(Detail::slug),
            since: judged.episode.since,
            change: proven.map(|change| {
                (change.event.time, change.event.name.as_str(), change.event.event_id.as_str())
            }),
        }
    }

    fn to_owned(self) -> FindingKey {
        let Self { cause, network_acl_id, direction, rule_number, slug, since, change } = self;
        FindingKey {
            cause,
            network_acl_id: network_acl_id.map(str::to_owned),
            direction,
            rule_number,
            slug,
            since,
            change: change.map(|(time, name, event_id)| (time, name.to_owned(), event_id.to_owned())),
        }
    }
}

impl FindingKey {
    /// The finding that a conversation belongs to.
    #[must_use]
    pub fn of(judged: &Judged<'_>) -> Self {
        BorrowedKey::of(judged).to_owned()
    }

    /// What the rule is called whatever its time: `acl-…/ingress/32767`, `acl-…/egress/not_nacl/late_after_close`, `undetermined/no_network_acl`.
    #[must_use]
    pub fn id(&self) -> String {
        let number = self.rule_number.map(|number| number.to_string());
        let cause = if number.is_some() { None } else { Some(self.cause.as_str()) };
        let direction = self.direction.map(Direction::as_str);
        [self.network_acl_id.as_deref(), direction, number.as_deref(), cause, self.slug]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join("/")
    }
}

/// Conversations, packets and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Total {
    /// Conversations (for findings), flows (for other rejects).
    pub conversations: u64,
    /// Rejected records.
    pub records: u64,
    /// Rejected packets.
    pub packets: u64,
    /// Rejected bytes, where known.
    pub bytes: u64,
}

/// Rejected return traffic with one cause.
#[derive(Debug)]
pub struct Finding<'a> {
    /// [`FindingKey::id`], with `@` and the time since when the rule denied where several findings have the same.
    pub id: String,
    /// What it is about.
    pub key: FindingKey,
    /// The call after which these replies were denied, having been allowed before it.
    pub change: Option<ChangeSeen<'a>>,
    /// The call after which they were allowed again.
    pub restored: Option<ChangeSeen<'a>>,
    /// The ACL evaluated.
    pub network_acl: Option<&'a NetworkAcl>,
    /// The entry that denied.
    pub rule: Option<&'a NetworkAclEntry>,
    /// The entries it could be, each once.
    pub candidates: Vec<(&'a NetworkAcl, &'a NetworkAclEntry)>,
    /// The best confidence among its conversations.
    pub confidence: Confidence,
    /// What is left, or what is missing.
    pub detail: Option<String>,
    /// Places in the list of judged conversations.
    pub members: Vec<usize>,
    /// Counts.
    pub total: Total,
    /// First to last rejected record.
    pub span: Span,
    /// Responders' ports, with their conversations.
    pub services: BTreeMap<(Protocol, u16), u64>,
    /// Lowest and highest requester port of the protocols that have ports.
    pub requester_ports: Option<(u16, u16)>,
    /// Interfaces, subnets and VPCs concerned.
    pub interface_ids: BTreeSet<String>,
    /// Subnets concerned.
    pub subnet_ids: BTreeSet<String>,
    /// VPCs concerned.
    pub vpc_ids: BTreeSet<String>,
}

/// Groups judged conversations: NACL causes first, then by the number of conversations.
#[must_use]
pub fn findings<'a>(
    judged: &[Judged<'a>],
    conversations: &[Conversation],
    places: &Places<'a>,
) -> Vec<Finding<'a>> {
    let mut groups: HashMap<BorrowedKey<'_>, (Finding<'a>, BTreeSet<&Detail>)> = HashMap::new();
    for (at, one) in judged.iter().enumerate() {
        let Some(span) = one.rejected.iter().map(|record| record.span).reduce(Span::union) else { continue };
        let key = BorrowedKey::of(one);
        let new = || (Finding::new(key.to_owned(), one, span), BTreeSet::new());
        let (finding, details) = groups.entry(key).or_insert_with(new);
        // Two are enough to know that they differ.
        if details.len() < 2 {
            details.extend(&one.detail);
        }
        finding.add(at, one, span, &conversations[one.index], places);
    }
    let with_detail = groups.into_values().map(|(mut finding, details)| {
        let mut known = details.into_iter();
        finding.detail = match (known.next(), known.next()) {
            (Some(one), None) => Some(one.to_string()),
            (Some(one), Some(_)) => Some(one.general()),
            _ => None,
        };
        finding
    });
    let mut findings: Vec<_> = with_detail.collect();
    findings.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    for finding in &mut findings {
        finding.settle_changes(judged);
    }
    name(&mut findings);
    findings.sort_by_key(|finding| {
        let class = if finding.key.cause.is_nacl() { Cause::NaclRule } else { finding.key.cause };
        (class, std::cmp::Reverse(finding.total.conversations))
    });
    findings
}

/// Gives each finding its id; those of one rule at several times are told apart by the time.
fn name(findings: &mut [Finding<'_>]) {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for finding in &mut *findings {
        finding.id = finding.key.id();
        *count.entry(finding.id.clone()).or_default() += 1;
    }
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for finding in findings {
        if count[&finding.id] > 1
            && let Some(since) = finding.key.since
        {
            finding.id = format!("{}@{since}", finding.id);
        }
        if !taken.insert(finding.id.clone()) {
            let (time, _, event_id) = finding.key.change.clone().unwrap_or_default();
            finding.id = format!("{}/{time}/{event_id}", finding.id);
            taken.insert(finding.id.clone());
        }
    }
}

impl<'a> Finding<'a> {
    /// Keeps the changes that hold for every reply of the finding.
    fn settle_changes(&mut self, judged: &[Judged<'a>]) {
        let members = || self.members.iter().map(|at| &judged[*at].episode);
        let is_contradicted = members().any(|episode| episode.contradicted);
        // All have the same one, or none: it is part of the key.
        let change = members().next().and_then(Episode::proven_change).filter(|_| !is_contradicted);
        let ended = members().next().and_then(|episode| episode.ended.as_deref());
        let restored = ended.filter(|_| members().all(|episode| episode.ended.as_deref() == ended)).copied();
        (self.change, self.restored) = (change, restored);
    }

    fn new(key: FindingKey, one: &Judged<'a>, span: Span) -> Self {
        Self {
            id: String::new(),
            key,
            change: None,
            restored: None,
            network_acl: one.network_acl,
            rule: one.rule,
            candidates: Vec::new(),
            confidence: one.confidence,
            detail: None,
            members: Vec::new(),
            total: Total::default(),
            span,
            services: BTreeMap::new(),
            requester_ports: None,
            interface_ids: BTreeSet::new(),
            subnet_ids: BTreeSet::new(),
            vpc_ids: BTreeSet::new(),
        }
    }

    fn add(
        &mut self,
        at: usize,
        one: &Judged<'a>,
        span: Span,
        conversation: &Conversation,
        places: &Places<'_>,
    ) {
        let place = places.of(conversation.interface);
        self.members.push(at);
        self.confidence = self.confidence.max(one.confidence);
        self.span = self.span.union(span);
        self.total.conversations += 1;
        for record in &one.rejected {
            self.total.records += 1;
            self.total.packets = self.total.packets.saturating_add(record.packets.unwrap_or(0));
            self.total.bytes = self.total.bytes.saturating_add(record.bytes.unwrap_or(0));
        }
        *self.services.entry((conversation.reply.protocol, conversation.reply.srcport)).or_default() += 1;
        if conversation.reply.protocol.has_ports() {
            let port = conversation.reply.dstport;
            let (min, max) = self.requester_ports.unwrap_or((port, port));
            self.requester_ports = Some((min.min(port), max.max(port)));
        }
        insert(&mut self.interface_ids, Some(&place.interface_id));
        insert(&mut self.subnet_ids, place.subnet_id.as_deref());
        insert(&mut self.vpc_ids, place.vpc_id.as_deref());
        for candidate in &one.candidates {
            let same = |known: &(&NetworkAcl, &NetworkAclEntry)| std::ptr::eq(known.1, candidate.1);
            if !self.candidates.iter().any(same) {
                self.candidates.push(*candidate);
            }
        }
    }
}

fn insert(set: &mut BTreeSet<String>, id: Option<&str>) {
    if let Some(id) = id
        && !set.contains(id)
    {
        set.insert(id.to_owned());
    }
}

/// What makes two rejects that are no replies one row of the summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OtherKey<'a> {
    /// What the ACL says of them.
    pub cause: Cause,
    /// The ACL evaluated.
    pub network_acl_id: Option<&'a str>,
    /// Direction.
    pub direction: Option<Direction>,
    /// The rule that denied.
    pub rule_number: Option<u16>,
    /// Why they are no replies.
    pub kind: Option<UnpairedKind>,
    /// The kind of detail.
    pub slug: Option<&'static str>,
}

/// Rejects that are no replies, summed by what the ACL says of them.
#[derive(Debug, Default)]
pub struct OtherRejects<'a>(BTreeMap<OtherKey<'a>, (Option<&'a NetworkAclEntry>, Total)>);

impl<'a> OtherRejects<'a> {
    /// Adds records of one flow with one cause.
    pub(super) fn add<'r>(
        &mut self,
        kind: UnpairedKind,
        direction: Option<Direction>,
        decision: &Decision<'a>,
        rejected: impl Iterator<Item = &'r RejectedRecord>,
    ) {
        let key = OtherKey {
            cause: decision.cause,
            network_acl_id: decision.network_acl.map(|acl| acl.network_acl_id.as_str()),
            direction,
            rule_number: decision.rule.map(|entry| entry.rule_number),
            kind: Some(kind),
            slug: decision.detail.as_ref().map(Detail::slug),
        };
        let (_, total) = self.0.entry(key).or_insert((decision.rule, Total::default()));
        total.conversations += 1;
        for record in rejected {
            total.records += 1;
            total.packets = total.packets.saturating_add(record.packets.unwrap_or(0));
            total.bytes = total.bytes.saturating_add(record.bytes.unwrap_or(0));
        }
    }

    /// The sums, most records first.
    #[must_use]
    pub fn rows(self) -> Vec<(OtherKey<'a>, Option<&'a NetworkAclEntry>, Total)> {
        let mut rows: Vec<_> = self.0.into_iter().map(|(key, (rule, total))| (key, rule, total)).collect();
        rows.sort_by_key(|(_, _, total)| std::cmp::Reverse(total.records));
        rows
    }
}
