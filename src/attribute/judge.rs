//! The cause of one rejected conversation, and how sure it is.

use std::borrow::Cow;
use std::io;
use std::net::IpAddr;

use super::cause::{Cause, Confidence, Detail};
use super::finding::OtherRejects;
use super::moment::{Episode, Moment, Reject, at_its_time};
use super::place::{Place, Places};
use crate::correlate::{Conversation, RejectedRecord, UnpairedKind, UnpairedReject, UnpairedRejects};
use crate::nacl::{Action, NetworkAcl, NetworkAclEntry, Observed, Packet, verdict_on};
use crate::net::{Direction, FiveTuple, Protocol, TcpFlags, Timestamp};
use crate::network::MissingFact;
use crate::record::RejectReason;

/// Idle seconds after which a UDP flow of one exchange is no longer tracked (EC2 User Guide, "Security group connection
/// tracking"); a stream is tracked for 180 s, and an interface may be set otherwise.
const UDP_TRACKING_SECONDS: i64 = 30;

/// The shortest default for an established TCP connection (same page): newer instance types; others keep it for 5 days.
const TCP_TRACKING_SECONDS: i64 = 350;

/// Ports on which services commonly answer, beyond the well-known ones (IANA service names).
const COMMON_SERVICE_PORTS: [u16; 24] = [
    1433, 1521, 1883, 2049, 2181, 2379, 3268, 3306, 3389, 4222, 5432, 5439, 5671, 5672, 6379, 6443, 8080,
    8200, 8443, 8883, 9042, 9092, 9200, 27017,
];

/// A rejected conversation with its cause.
#[derive(Debug, Clone)]
pub struct Judged<'a> {
    /// The conversation's place in its list, for whoever needs more of it.
    pub index: usize,
    /// Why.
    pub cause: Cause,
    /// How sure.
    pub confidence: Confidence,
    /// Which way the reply crossed the interface.
    pub direction: Option<Direction>,
    /// The ACL evaluated.
    pub network_acl: Option<&'a NetworkAcl>,
    /// The entry that denied.
    pub rule: Option<&'a NetworkAclEntry>,
    /// The entries it could be.
    pub candidates: Vec<(&'a NetworkAcl, &'a NetworkAclEntry)>,
    /// What else is to be said.
    pub detail: Option<Detail>,
    /// The verdict holds for the configuration of that moment, not only for that of the snapshot.
    pub config_in_force: bool,
    /// Since when and until when the rule denied it, and by which calls.
    pub episode: Episode<'a>,
    /// The rejected records with this cause.
    pub rejected: Vec<RejectedRecord>,
}

/// What the ACL says, before anything is known of requests.
#[derive(Debug, Clone)]
pub(super) struct Decision<'a> {
    pub(super) cause: Cause,
    pub(super) network_acl: Option<&'a NetworkAcl>,
    pub(super) rule: Option<&'a NetworkAclEntry>,
    pub(super) candidates: Vec<(&'a NetworkAcl, &'a NetworkAclEntry)>,
    pub(super) detail: Option<Detail>,
    /// It does not depend on when the configuration was captured.
    pub(super) timeless: bool,
}

impl Decision<'_> {
    pub(super) fn new(cause: Cause) -> Self {
        Self { cause, network_acl: None, rule: None, candidates: Vec::new(), detail: None, timeless: false }
    }

    fn not_nacl(detail: Detail) -> Self {
        Self { detail: Some(detail), timeless: true, ..Self::new(Cause::NotNacl) }
    }

    fn undetermined(detail: Detail) -> Self {
        Self { detail: Some(detail), ..Self::new(Cause::Undetermined) }
    }
}

/// Judges every conversation; one with several reject reasons, or rejected under several states of the ACL, gives
/// several results.
#[must_use]
pub fn judge_conversations<'a>(conversations: &[Conversation], places: &Places<'a>) -> Vec<Judged<'a>> {
    let mut judged = Vec::with_capacity(conversations.len());
    for (index, conversation) in conversations.iter().enumerate() {
        let place = places.of(conversation.interface);
        let direction = place.direction(&conversation.reply, conversation.flow_direction);
        let reject = Reject {
            packet: &conversation.packet,
            direction,
            conversation: Some(conversation),
            is_reply: true,
        };
        for_each_moment(&conversation.rejected, &reject, place, places, |moment, rejected| {
            judged.push(judge(index, conversation, moment, rejected.into_owned(), &reject, places));
        });
    }
    judged
}

/// What the ACL of each record's own time says, where there is a history; records of which it says the same together.
fn by_moment<'a>(
    rejected: &[RejectedRecord],
    reject: &Reject<'_>,
    place: &Place<'a>,
    places: &Places<'a>,
) -> Vec<(Moment<'a>, Vec<RejectedRecord>)> {
    let mut groups: Vec<(Moment<'a>, Vec<RejectedRecord>)> = Vec::new();
    for record in rejected {
        let moment = at_its_time(record, reject, place, places);
        match groups.iter_mut().find(|(known, _)| known.is_same(&moment)) {
            Some((known, records)) => {
                known.is_known &= moment.is_known;
                records.push(*record);
            }
            None => groups.push((moment, vec![*record])),
        }
    }
    groups
}

fn judge<'a>(
    index: usize,
    conversation: &Conversation,
    moment: Moment<'a>,
    rejected: Vec<RejectedRecord>,
    reject: &Reject<'_>,
    places: &Places<'a>,
) -> Judged<'a> {
    let place = places.of(conversation.interface);
    let Moment { mut decision, episode, is_known } = moment;
    let is_known = is_known && !place.subnet_is_inferred;
    if decision.cause == Cause::NotNacl && !decision.timeless {
        let left = if is_known {
            Detail::AclAllowedThen
        } else {
            Detail::AclAllows(captured_at(decision.network_acl, places))
        };
        decision.detail = Some(what_is_left(conversation, &rejected, left, places));
    }
    // Captured between two of the records, the rules may have changed on either side.
    let in_window = |at| rejected.iter().any(|record| record.span.start <= at && at <= record.span.end);
    let captured_at = captured_at(decision.network_acl, places);
    let in_force =
        decision.timeless || is_known || (!place.subnet_is_inferred && captured_at.is_some_and(in_window));
    let request_seen = conversation.request.is_some_and(|request| request.other_interface.is_none());
    let confidence = if in_force && request_seen && decision.cause != Cause::Undetermined {
        Confidence::Proven
    } else {
        Confidence::Likely
    };
    Judged {
        index,
        cause: decision.cause,
        confidence,
        direction: reject.direction,
        network_acl: decision.network_acl,
        rule: decision.rule,
        candidates: decision.candidates,
        detail: decision.detail,
        config_in_force: in_force,
        episode,
        rejected,
    }
}

/// When the rules that were evaluated were captured, if their document says so.
fn captured_at(acl: Option<&NetworkAcl>, places: &Places<'_>) -> Option<Timestamp> {
    places.config().acl_captured_at(&acl?.network_acl_id)
}

/// The reasons that these records give, each once, in the order in which they come.
fn reasons(rejected: &[RejectedRecord]) -> Vec<Option<RejectReason>> {
    let mut reasons = Vec::with_capacity(1);
    for record in rejected {
        if !reasons.contains(&record.reject_reason) {
            reasons.push(record.reject_reason);
        }
    }
    reasons
}

pub(super) fn by_log<'a>(reason: RejectReason) -> Decision<'a> {
    let cause = match reason {
        RejectReason::BlockPublicAccess => Cause::VpcBlockPublicAccess,
        RejectReason::EncryptionControls => Cause::EncryptionControls,
        RejectReason::Other => return Decision::undetermined(Detail::UnknownRejectReason),
    };
    Decision { timeless: true, ..Decision::new(cause) }
}

/// Why the ACL is unknown: nothing is known at all, or this fact.
fn unknown_acl(fact: MissingFact, places: &Places<'_>) -> Detail {
    let counts = places.config().counts();
    if counts.network_acls + counts.interfaces == 0 && places.history().is_none() {
        Detail::NoConfiguration
    } else {
        Detail::NoNetworkAcl(fact)
    }
}

/// What an ACL in front of the interface says about a rejected packet.
pub(super) fn decide<'a>(
    packet: &FiveTuple,
    direction: Option<Direction>,
    acl: Result<&'a NetworkAcl, MissingFact>,
    place: &Place<'a>,
    places: &Places<'a>,
) -> Decision<'a> {
    let Some(direction) = direction else { return decide_both_ways(packet, acl, place, places) };
    let remote = Packet::of_flow(direction, packet).remote;
    if is_link_local(remote) {
        return Decision::not_nacl(Detail::LinkLocal);
    }
    if places.is_same_subnet(place, direction, remote) {
        return Decision::not_nacl(same_subnet(place));
    }
    let acl = match acl {
        Ok(acl) => acl,
        Err(fact) => return Decision::undetermined(unknown_acl(fact, places)),
    };
    let verdict = verdict_on(acl, direction, &Packet::of_flow(direction, packet), Observed::Rejected);
    let decision = Decision { network_acl: Some(acl), ..Decision::new(Cause::NotNacl) };
    match verdict.action {
        Action::Allow => decision,
        Action::Deny => {
            let by_default = verdict.rule.is_none_or(NetworkAclEntry::is_default);
            let cause = if by_default { Cause::NaclDefault } else { Cause::NaclRule };
            Decision { cause, rule: verdict.rule, ..decision }
        }
        Action::Undetermined => Decision {
            cause: Cause::Undetermined,
            candidates: verdict.candidates.into_iter().map(|entry| (acl, entry)).collect(),
            detail: Some(Detail::IcmpTypeUnknown),
            ..decision
        },
    }
}

/// Without a direction: not the ACL if it allows the packet either way, else undetermined between both lists.
fn decide_both_ways<'a>(
    packet: &FiveTuple,
    acl: Result<&'a NetworkAcl, MissingFact>,
    place: &Place<'a>,
    places: &Places<'a>,
) -> Decision<'a> {
    if is_link_local(packet.srcaddr) || is_link_local(packet.dstaddr) {
        return Decision::not_nacl(Detail::LinkLocal);
    }
    let stays =
        |direction| places.is_same_subnet(place, direction, Packet::of_flow(direction, packet).remote);
    if stays(Direction::Ingress) && stays(Direction::Egress) {
        return Decision::not_nacl(same_subnet(place));
    }
    let acl = match acl {
        Ok(acl) => acl,
        Err(fact) => return Decision::undetermined(unknown_acl(fact, places)),
    };
    let mut candidates = Vec::new();
    for direction in [Direction::Ingress, Direction::Egress] {
        let verdict = verdict_on(acl, direction, &Packet::of_flow(direction, packet), Observed::Rejected);
        if verdict.action != Action::Allow {
            candidates.extend(verdict.rule.into_iter().chain(verdict.candidates).map(|entry| (acl, entry)));
        }
    }
    let decision = Decision { network_acl: Some(acl), ..Decision::new(Cause::NotNacl) };
    if candidates.is_empty() {
        return decision;
    }
    Decision {
        cause: Cause::Undetermined,
        candidates,
        detail: Some(Detail::DirectionUnknown(place.interface_id.to_string())),
        ..decision
    }
}

fn same_subnet(place: &Place<'_>) -> Detail {
    Detail::SameSubnet(place.subnet_id.as_deref().unwrap_or("one subnet").to_owned())
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// The ACL allows the reply: what else may have rejected it, by what the records show.
fn what_is_left(
    conversation: &Conversation,
    rejected: &[RejectedRecord],
    nothing_else: Detail,
    places: &Places<'_>,
) -> Detail {
    if let Some(other) = conversation.request.and_then(|request| request.other_interface) {
        return Detail::OtherInterface(places.of(other).interface_id.to_string());
    }
    let first = rejected.iter().map(|record| record.span.start).min().unwrap_or_default();
    let flags = rejected.iter().filter_map(|record| record.tcp_flags).fold(0, |or, flags| or | flags.0);
    let closing_itself = TcpFlags(flags).is_closing() && !TcpFlags(flags).has_syn_ack();
    if conversation.closing_since.is_some_and(|since| since <= first) || closing_itself {
        return Detail::LateAfterClose;
    }
    match expired(conversation) {
        Some(idle) => Detail::TrackingExpired(conversation.packet.protocol, idle),
        None => nothing_else,
    }
}

/// Seconds of silence before the first reject, when they are so many that the connection may no longer be tracked.
pub(super) fn expired(conversation: &Conversation) -> Option<i64> {
    let limit = match conversation.packet.protocol {
        Protocol::UDP => UDP_TRACKING_SECONDS,
        Protocol::TCP => TCP_TRACKING_SECONDS,
        _ => i64::MAX,
    };
    conversation.idle_seconds.filter(|idle| *idle > limit)
}

/// What rejects that are no replies come to.
#[derive(Debug, Default)]
pub struct Unpaired<'a> {
    /// Rejects that have the shape of replies, as conversations, by interface and flow.
    pub possible: Vec<(Conversation, Judged<'a>)>,
    /// Such rejects beyond the number that was asked for.
    pub possible_cut: u64,
    /// The others, summed.
    pub others: OtherRejects<'a>,
}

/// Judges rejects that are no replies. With `reject_only` input (no accepted record anywhere), a reject without flags
/// that has the shape of a reply is taken for a possible one, up to `most` of them. Fails when some of the rejects cannot
/// be read back from the temporary file.
pub fn judge_unpaired<'a>(
    unpaired: &UnpairedRejects,
    reject_only: bool,
    most: usize,
    places: &Places<'a>,
) -> (Unpaired<'a>, io::Result<()>) {
    let mut result = Unpaired::default();
    let read = unpaired.for_each(|reject| {
        let place = places.of(reject.interface);
        let direction = place.direction(&reject.flow, reject.flow_direction);
        let is_possible = reject_only && has_shape_of_a_reply(reject, direction);
        for_each_moment_of(reject, direction, is_possible, places, |moment, rejected| {
            if is_possible && result.possible.len() < most {
                let judged = possible_reply(moment, direction, rejected.to_vec(), places);
                result.possible.push((as_conversation(reject), judged));
            } else {
                result.possible_cut += u64::from(is_possible);
                result.others.add(reject.kind, direction, &moment.decision, rejected.iter());
            }
        });
    });
    let key = |one: &Conversation| (one.interface, one.packet, one.reply);
    result.possible.sort_by_key(|(one, _)| key(one));
    (result, read)
}

/// What the log or the ACL of their own time says of these records of one packet, those together of which it says the same.
fn for_each_moment<'a>(
    rejected: &[RejectedRecord],
    reject: &Reject<'_>,
    place: &Place<'a>,
    places: &Places<'a>,
    mut visit: impl FnMut(Moment<'a>, Cow<'_, [RejectedRecord]>),
) {
    let reasons = reasons(rejected);
    for reason in &reasons {
        let rejected = if reasons.len() == 1 {
            Cow::Borrowed(rejected)
        } else {
            Cow::Owned(rejected.iter().filter(|record| record.reject_reason == *reason).copied().collect())
        };
        match reason {
            Some(reason) => visit(Moment::of(by_log(*reason)), rejected),
            None if places.in_force(place).is_empty() => {
                let acl = place.network_acl.clone();
                let decision = decide(reject.packet, reject.direction, acl, place, places);
                visit(Moment::of(decision), rejected);
            }
            None => {
                for (moment, rejected) in by_moment(&rejected, reject, place, places) {
                    visit(moment, Cow::Owned(rejected));
                }
            }
        }
    }
}

/// The same for a flow of rejects that are no replies.
pub(super) fn for_each_moment_of<'a>(
    flow: &UnpairedReject,
    direction: Option<Direction>,
    is_reply: bool,
    places: &Places<'a>,
    mut visit: impl FnMut(Moment<'a>, &[RejectedRecord]),
) {
    let reject = Reject { packet: &flow.packet, direction, conversation: None, is_reply };
    let place = places.of(flow.interface);
    for_each_moment(&flow.rejected, &reject, place, places, |moment, rejected| visit(moment, &rejected));
}

/// What the ACL says of a flow of rejects that are no replies, or of those of them with one reason.
#[derive(Debug)]
pub struct Other<'a> {
    /// Why.
    pub cause: Cause,
    /// Which way the flow crossed the interface.
    pub direction: Option<Direction>,
    /// The ACL evaluated.
    pub network_acl: Option<&'a NetworkAcl>,
    /// The entry that denied.
    pub rule: Option<&'a NetworkAclEntry>,
    /// The flow with packet-level addresses.
    pub packet: FiveTuple,
    /// Rejected packets, where known.
    pub packets: u64,
}

/// Judges rejects that are no replies once more, for whoever asks about each of them. Fails as [`judge_unpaired`] does.
pub fn visit_others<'a>(
    unpaired: &UnpairedRejects,
    reject_only: bool,
    places: &Places<'a>,
    mut visit: impl FnMut(&Other<'a>),
) -> io::Result<()> {
    unpaired.for_each(|reject| {
        let place = places.of(reject.interface);
        let direction = place.direction(&reject.flow, reject.flow_direction);
        if reject_only && has_shape_of_a_reply(reject, direction) {
            return;
        }
        for_each_moment_of(reject, direction, false, places, |Moment { decision, .. }, rejected| {
            visit(&Other {
                cause: decision.cause,
                direction,
                network_acl: decision.network_acl,
                rule: decision.rule,
                packet: reject.packet,
                packets: rejected.iter().filter_map(|record| record.packets).fold(0, u64::saturating_add),
            });
        });
    })
}

fn possible_reply<'a>(
    Moment { decision, episode, is_known }: Moment<'a>,
    direction: Option<Direction>,
    rejected: Vec<RejectedRecord>,
    places: &Places<'a>,
) -> Judged<'a> {
    let left = Detail::AclAllows(captured_at(decision.network_acl, places));
    Judged {
        index: 0,
        cause: decision.cause,
        confidence: Confidence::Possible,
        direction,
        network_acl: decision.network_acl,
        rule: decision.rule,
        candidates: decision.candidates,
        detail: decision.detail.or_else(|| (decision.cause == Cause::NotNacl).then_some(left)),
        config_in_force: is_known,
        episode,
        rejected,
    }
}

/// From a service's port to another port of the interface, without flags that could say more.
fn has_shape_of_a_reply(reject: &UnpairedReject, direction: Option<Direction>) -> bool {
    let is_service = |port: u16| (1..1024).contains(&port) || COMMON_SERVICE_PORTS.contains(&port);
    reject.kind == UnpairedKind::Unsolicited
        && direction == Some(Direction::Ingress)
        && reject.flow.protocol.has_ports()
        && is_service(reject.flow.srcport)
        && !is_service(reject.flow.dstport)
        && reject.rejected.iter().all(|record| record.tcp_flags.is_none())
}

fn as_conversation(reject: &UnpairedReject) -> Conversation {
    Conversation {
        interface: reject.interface,
        reply: reject.flow,
        packet: reject.packet,
        flow_direction: reject.flow_direction,
        rejected: reject.rejected.clone(),
        request: None,
        accepted_reply: None,
        closing_since: None,
        idle_seconds: None,
    }
}
