//! What the ACL of a reject's own time says, and which calls began and ended it.
//!
//! Owns the time around a change in which two states are possible, and what may settle it. Every state is held against
//! the packet by the one evaluator. Refuses to choose between states that the evidence leaves open.

use super::cause::{Cause, Detail};
use super::judge::{Decision, decide, expired};
use super::place::{Place, Places};
use crate::correlate::{Conversation, RejectedRecord};
use crate::nacl::history::{Change, Event, InForce, Rules};
use crate::nacl::{NetworkAcl, NetworkAclEntry, Observed, Packet, RuleAction, evaluate, verdict_on};
use crate::net::{Direction, FiveTuple, Timestamp};
use crate::network::MissingFact;

/// An edit takes effect "after a short period" (VPC User Guide), and a record's `start` is exact to a minute only: so
/// close to a change both states are possible.
const CHANGE_SECONDS: i64 = 60;

/// How many states before and after are looked through for the calls that began and ended it: a bound on the time that
/// an ACL takes which a program changes all day.
const MAX_STATES: usize = 1000;

/// A rejected packet that is to be judged.
#[derive(Clone, Copy)]
pub(super) struct Reject<'r> {
    /// The packet as ACLs are matched against it.
    pub(super) packet: &'r FiveTuple,
    pub(super) direction: Option<Direction>,
    /// What else is known of the conversation; rejects that are no replies have none.
    pub(super) conversation: Option<&'r Conversation>,
    /// Whether it may become part of a finding.
    pub(super) is_reply: bool,
}

/// A verdict on one moment.
#[derive(Debug, Clone)]
pub(super) struct Moment<'a> {
    pub(super) decision: Decision<'a>,
    pub(super) episode: Episode<'a>,
    /// The history proves that these rules were in force.
    pub(super) is_known: bool,
}

/// The time in which a rule denied a packet, as far as the history tells. Every conversation has one, and without a history
/// there is no call in it: those stand elsewhere.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Episode<'a> {
    /// Since when; `None` when the history does not hold its beginning.
    pub since: Option<Timestamp>,
    /// The call after which the packet was denied, having been allowed before it.
    pub began: Option<Box<ChangeSeen<'a>>>,
    /// The call after which it was allowed again.
    pub ended: Option<Box<ChangeSeen<'a>>>,
    /// Replies of this conversation were accepted before the call, which proves what it took away.
    pub traffic_proves: bool,
    /// Replies of this conversation were accepted long after the call: then it was not that one.
    pub contradicted: bool,
}

/// A call, and what stood at its place before and after.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChangeSeen<'a> {
    /// The call.
    pub event: &'a Event,
    /// What was there before.
    pub before: Part<'a>,
    /// What was there afterwards.
    pub after: Part<'a>,
    /// Only accepted traffic can prove that the call made the difference: what it took away is unknown, or tests an
    /// ICMP type that the logs do not carry.
    pub needs_traffic: bool,
}

/// What a call changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Part<'a> {
    /// No entry.
    Nothing,
    /// An entry.
    Entry(&'a NetworkAclEntry),
    /// An entry whose content the history does not tell.
    Unknown,
    /// The ACL that a subnet had.
    Acl(&'a str),
}

impl<'a> Episode<'a> {
    /// The call that began it, unless only accepted traffic could prove that and none of this conversation does.
    #[must_use]
    pub fn proven_change(&self) -> Option<ChangeSeen<'a>> {
        self.began.as_deref().copied().filter(|change| !change.needs_traffic || self.traffic_proves)
    }
}

impl<'a> Moment<'a> {
    /// A verdict that no history is needed for.
    pub(super) fn of(decision: Decision<'a>) -> Self {
        Self { decision, episode: Episode::default(), is_known: false }
    }

    /// Whether two moments are told of together.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        same(&self.decision, &other.decision) && self.episode == other.episode
    }
}

/// One of the states that the packet may have met, and what it says.
struct Outcome<'a> {
    state: usize,
    decision: Decision<'a>,
}

/// Judges one rejected record by what was in force at its own time.
pub(super) fn at_its_time<'a>(
    record: &RejectedRecord,
    reject: &Reject<'_>,
    place: &Place<'a>,
    places: &Places<'a>,
) -> Moment<'a> {
    let court = Court { states: places.in_force(place), reject, place, places };
    let first = record.span.start.plus_seconds(-CHANGE_SECONDS);
    let last = record.span.end.plus_seconds(CHANGE_SECONDS);
    let begin = court.states.partition_point(|state| state.until.is_some_and(|until| until <= first));
    let end = court.states.partition_point(|state| state.from.is_none_or(|from| from <= last));
    let near = begin..end.max(begin + 1).min(court.states.len());
    let mut outcomes: Vec<Outcome<'a>> = Vec::new();
    for state in near.clone() {
        for rules in &court.states[state].rules {
            outcomes.push(Outcome { state, decision: court.decide(rules) });
        }
    }
    let is_open = near.clone().any(|state| court.states[state].open);
    let is_certain = !is_open && near.clone().all(|state| court.states[state].rules.len() == 1);
    let decided = if is_open { None } else { agreed(&outcomes).or_else(|| court.settled(&outcomes, record)) };
    let Some(decided) = decided else {
        return Moment::of(court.undetermined(&outcomes, near));
    };
    let decision = decided.decision.clone();
    let is_known = is_certain && court.proves(&outcomes, record);
    let episode =
        if reject.is_reply && decision.cause.is_nacl() && court.states[decided.state].rules.len() == 1 {
            court.episode(decided.state, &decision, record)
        } else {
            Episode::default()
        };
    Moment { decision, episode, is_known }
}

/// What all states say alike.
fn agreed<'o, 'a>(outcomes: &'o [Outcome<'a>]) -> Option<&'o Outcome<'a>> {
    let (first, rest) = outcomes.split_first()?;
    rest.iter().all(|other| same(&other.decision, &first.decision)).then(|| outcomes.last())?
}

/// Whether the ACL lets the packet through.
fn allows(decision: &Decision<'_>) -> bool {
    decision.cause == Cause::NotNacl && decision.detail.is_none()
}

/// Whether two states say the same of the packet: the same rule with the same content, or both that the ACL allows it.
fn same(a: &Decision<'_>, b: &Decision<'_>) -> bool {
    if allows(a) && allows(b) {
        return true;
    }
    let id = |decision: &Decision<'_>| decision.network_acl.map(|acl| acl.network_acl_id.clone());
    a.cause == b.cause
        && match (a.rule, b.rule) {
            (Some(one), Some(other)) => one.is_same_rule(other),
            (one, other) => one == other,
        }
        && a.detail == b.detail
        && id(a) == id(b)
        && a.candidates.len() == b.candidates.len()
        && a.candidates.iter().zip(&b.candidates).all(|(a, b)| is_one_entry(a, b))
}

fn is_one_entry(a: &(&NetworkAcl, &NetworkAclEntry), b: &(&NetworkAcl, &NetworkAclEntry)) -> bool {
    a.0.network_acl_id == b.0.network_acl_id && a.1.is_same_rule(b.1)
}

/// The states of one place, and the packet that is held against them.
struct Court<'c, 'a> {
    states: &'c [InForce<'a>],
    reject: &'c Reject<'c>,
    place: &'c Place<'a>,
    places: &'c Places<'a>,
}

impl<'a> Court<'_, 'a> {
    /// What these rules say of the packet.
    fn decide(&self, rules: &Rules<'a>) -> Decision<'a> {
        let Reject { packet, direction, .. } = *self.reject;
        let acl = match (rules.acl, rules.network_acl_id, &self.place.network_acl) {
            (Some(acl), ..) => Ok(acl),
            (None, Some(id), _) => Err(MissingFact::EntriesThen { network_acl_id: id.to_owned() }),
            (None, None, Err(fact)) if self.states.len() == 1 => Err(fact.clone()),
            (None, None, _) => {
                let subnet_id = self.place.subnet_id.as_deref().unwrap_or("the interface").to_owned();
                Err(MissingFact::AssociationThen { subnet_id })
            }
        };
        let decision = decide(packet, direction, acl, self.place, self.places);
        match (rules.acl, self.unknown_before(rules)) {
            (Some(acl), Some((direction, number))) if !decision.timeless => Decision {
                network_acl: Some(acl),
                candidates: decision
                    .rule
                    .map(|rule| (acl, rule))
                    .into_iter()
                    .chain(decision.candidates)
                    .collect(),
                detail: Some(Detail::EntryUnknown(acl.network_acl_id.clone(), direction, number)),
                ..Decision::new(Cause::Undetermined)
            },
            _ => decision,
        }
    }

    /// The only denying rule among states of which all others allow the packet, where nothing but the ACL can have
    /// rejected it.
    ///
    /// This is sound: a state that allows the packet did not drop it, so under such a state something else did. For a
    /// conversation whose request this interface let out, the security group lets replies in while the connection is
    /// tracked (EC2 User Guide, "Security group connection tracking"). It is tracked for certain when the reply is a
    /// SYN-ACK, which answers a SYN sent seconds ago, or when replies of the same conversation were accepted shortly
    /// before; and nothing of it was closed, as far as flags say, or idle for long. Then only the denying state is left;
    /// one that began after the record's end is not possible.
    fn settled<'o>(&self, outcomes: &'o [Outcome<'a>], record: &RejectedRecord) -> Option<&'o Outcome<'a>> {
        let conversation = self.reject.conversation?;
        let request = conversation.request.filter(|request| request.other_interface.is_none())?;
        let denies = |outcome: &&Outcome<'a>| outcome.decision.cause.is_nacl();
        let had_begun = |outcome: &&Outcome<'a>| {
            self.states[outcome.state].from.is_none_or(|from| from <= record.span.end)
        };
        let denying = outcomes.iter().filter(had_begun).rfind(denies)?;
        let fits =
            |outcome: &Outcome<'a>| allows(&outcome.decision) || same(&outcome.decision, &denying.decision);
        if !outcomes.iter().all(fits) {
            return None;
        }
        let flags = record.tcp_flags?;
        let is_closed = conversation.closing_since.is_some_and(|since| since <= record.span.end);
        if is_closed || flags.is_closing() || expired(conversation).is_some() {
            return None;
        }
        let is_answer = flags.has_syn_ack() && request.span.gap(record.span) <= CHANGE_SECONDS;
        (is_answer || self.was_accepted_before(outcomes, record, conversation)).then_some(denying)
    }

    /// Whether replies of the conversation were accepted shortly before the one change from allowing to denying, and none
    /// after it: those would show that the new rules let them through.
    fn was_accepted_before(
        &self,
        outcomes: &[Outcome<'a>],
        record: &RejectedRecord,
        conversation: &Conversation,
    ) -> bool {
        let accepted = conversation.accepted_reply.filter(|reply| reply.other_interface.is_none());
        let is_allowing = |outcome: &Outcome<'a>| allows(&outcome.decision);
        let (Some(accepted), Some(first)) =
            (accepted, outcomes.iter().position(|outcome| !is_allowing(outcome)))
        else {
            return false;
        };
        if first == 0 || outcomes[first..].iter().any(is_allowing) {
            return false;
        }
        // Without flags of the accepted records it is not known that nothing was closed.
        let has_flags =
            accepted.tcp_flags.is_some() && conversation.request.is_some_and(|it| it.tcp_flags.is_some());
        let reaches = |change: Timestamp| accepted.span.end <= change && change <= record.span.end;
        has_flags
            && self.states[outcomes[first].state].from.is_some_and(reaches)
            && accepted.span.gap(record.span) <= CHANGE_SECONDS
    }

    /// An entry of unknown content that is tried before the one that is known to match.
    fn unknown_before(&self, rules: &Rules<'a>) -> Option<(Direction, u16)> {
        let Some(direction) = self.reject.direction else { return rules.unknown.first().copied() };
        let decider = self.decider(rules)?;
        let mine = rules.unknown.iter().filter(|(other, _)| *other == direction);
        mine.copied().find(|(_, number)| *number < decider)
    }

    /// The number of the first entry that matches for certain, among those whose content is known.
    fn decider(&self, rules: &Rules<'a>) -> Option<u16> {
        let direction = self.reject.direction?;
        let packet = Packet::of_flow(direction, self.reject.packet);
        let verdict = evaluate(rules.acl?, direction, &packet, Observed::Rejected);
        verdict.steps.last().map(|step| step.entry.rule_number)
    }

    /// Whether the history proves every one of the rules for the time of the record.
    fn proves(&self, outcomes: &[Outcome<'a>], record: &RejectedRecord) -> bool {
        let Some(history) = self.places.history() else { return false };
        let (first, last) = (record.span.start, record.span.end);
        outcomes.iter().all(|outcome| {
            let Some(rules) = self.states[outcome.state].rules.first() else { return false };
            let Some(id) = rules.network_acl_id else { return false };
            let by_subnet = self
                .place
                .subnet_id
                .as_deref()
                .is_none_or(|subnet| history.proves_association(subnet, id, first, last));
            by_subnet && history.proves_acl(id, first, last)
        })
    }

    /// What is possible, and why it cannot be told apart.
    fn undetermined(&self, outcomes: &[Outcome<'a>], near: std::ops::Range<usize>) -> Decision<'a> {
        let mut candidates: Vec<(&'a NetworkAcl, &'a NetworkAclEntry)> = Vec::new();
        for Outcome { decision, .. } in outcomes {
            let rule = decision.rule.and_then(|rule| Some((decision.network_acl?, rule)));
            for candidate in rule.into_iter().chain(decision.candidates.iter().copied()) {
                if !candidates.iter().any(|known| is_one_entry(known, &candidate)) {
                    candidates.push(candidate);
                }
            }
        }
        let acls: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.decision.network_acl).collect();
        let (first, rest) = (acls.first(), acls.iter().skip(1));
        let is_one =
            rest.into_iter().all(|acl| Some(&acl.network_acl_id) == first.map(|acl| &acl.network_acl_id));
        Decision {
            network_acl: if is_one { acls.last().copied() } else { None },
            candidates,
            detail: Some(self.what_divides(outcomes, near)),
            ..Decision::new(Cause::Undetermined)
        }
    }

    fn what_divides(&self, outcomes: &[Outcome<'a>], near: std::ops::Range<usize>) -> Detail {
        let of = |state: usize| outcomes.iter().filter(move |outcome| outcome.state == state);
        for state in near.clone().skip(1) {
            let differs =
                of(state).any(|one| of(state - 1).any(|other| !same(&one.decision, &other.decision)));
            let named = self.call(state).or_else(|| {
                let event = self.states[state].begun_by.first()?;
                let (before, after) = (Part::Nothing, Part::Nothing);
                Some(ChangeSeen { event, before, after, needs_traffic: false })
            });
            if let (true, Some(ChangeSeen { event, .. })) = (differs, named) {
                return Detail::ChangeInWindow(call_words(event), event.time);
            }
        }
        let several = |state: &usize| self.states[*state].rules.len() > 1 || self.states[*state].open;
        let Some(state) = near.clone().find(several) else {
            // Two states that differ, and nothing between them that says why.
            let at = near.clone().skip(1).find_map(|state| self.states[state].from);
            return Detail::UnseenChange(None, at);
        };
        Detail::UnseenChange(self.states[state].from, self.states[state].until.filter(|at| at.0 != i64::MAX))
    }

    /// What a state says of the packet, where it is a single one.
    fn certain(&self, state: usize) -> Option<Decision<'a>> {
        let state = &self.states[state];
        match state.rules.as_slice() {
            [rules] if !state.open => Some(self.decide(rules)),
            _ => None,
        }
    }

    /// Since when and until when the packet met the same rule, and by which calls that began and ended.
    fn episode(&self, state: usize, decision: &Decision<'a>, record: &RejectedRecord) -> Episode<'a> {
        let may_pass = self.may_pass(state);
        let is_denied_so = |state: usize| {
            self.certain(state).is_some_and(|other| same(&other, decision))
                && self.may_pass(state) == may_pass
        };
        let earliest = state.saturating_sub(MAX_STATES);
        let mut begin = state;
        while begin > earliest && is_denied_so(begin - 1) {
            begin -= 1;
        }
        let latest = (state + MAX_STATES).min(self.states.len() - 1);
        let mut end = state;
        while end < latest && is_denied_so(end + 1) {
            end += 1;
        }
        let is_allowed = |state: usize| self.certain(state).is_some_and(|other| allows(&other));
        let ended =
            if end + 1 < self.states.len() && is_allowed(end + 1) { self.call(end + 1) } else { None };
        let is_cut = earliest > 0 && begin == earliest;
        let since = self.states[begin].from.filter(|_| !is_cut && !self.states[begin].begun_by.is_empty());
        // A rule may have taken over from another one that denied as well: what matters is when it was allowed last.
        let mut denied = begin;
        let is_denied = |state: usize| {
            self.certain(state).is_some_and(|other| other.cause.is_nacl()) && self.may_pass(state) == may_pass
        };
        while denied > earliest && is_denied(denied - 1) {
            denied -= 1;
        }
        let began = match denied.checked_sub(1) {
            Some(before) if is_allowed(before) => self.call(denied),
            Some(before) if self.may_pass(before) && !may_pass => self.call_on_typed(before, denied),
            Some(before) => self.call_on_unknown(before, denied),
            None => None,
        };
        let (boxed, ended) = (began.map(Box::new), ended.map(Box::new));
        let mut episode = Episode { since, began: boxed, ended, ..Episode::default() };
        if let (Some(began), Some(conversation)) = (began, self.reject.conversation)
            && let Some(accepted) =
                conversation.accepted_reply.filter(|reply| reply.other_interface.is_none())
        {
            let at = began.event.time;
            episode.traffic_proves = accepted.span.start.plus_seconds(CHANGE_SECONDS) < at
                && self.states[denied - 1].from.is_none_or(|from| from <= accepted.span.start);
            episode.contradicted = accepted.span.start > at.plus_seconds(CHANGE_SECONDS)
                && accepted.span.end < record.span.start;
        }
        episode
    }

    /// The call at the beginning of a state that made the difference to this packet: on the entry that decides
    /// afterwards, else on the one that decided before.
    fn call(&self, state: usize) -> Option<ChangeSeen<'a>> {
        let [after] = self.states[state].rules.as_slice() else { return None };
        let [before] = self.states[state.checked_sub(1)?].rules.as_slice() else { return None };
        let events = &self.states[state].begun_by;
        if before.network_acl_id != after.network_acl_id {
            let mut replaced =
                events.iter().filter(|event| matches!(event.change, Change::ReplaceAssociation { .. }));
            let event = replaced.next()?;
            let part = |id: Option<&'a str>| id.map_or(Part::Unknown, Part::Acl);
            return replaced.next().is_none().then(|| ChangeSeen {
                event,
                before: part(before.network_acl_id),
                after: part(after.network_acl_id),
                needs_traffic: false,
            });
        }
        let direction = self.reject.direction?;
        let acl_id = after.network_acl_id?;
        [self.decider(after)?, self.decider(before)?].into_iter().find_map(|number| {
            let is_on_it = |event: &&&'a Event| event.change.rule() == Some((acl_id, direction, number));
            let event = events.iter().rfind(is_on_it)?;
            let part = |rules: &Rules<'a>| {
                let entry = rules.acl.and_then(|acl| acl.entry(direction, number));
                entry.map_or(Part::Nothing, Part::Entry)
            };
            Some(ChangeSeen { event, before: part(before), after: part(after), needs_traffic: false })
        })
    }

    /// Whether rules let the packet through, certainly or for some ICMP types: not knowing that it was rejected.
    fn may_pass(&self, state: usize) -> bool {
        let ([rules], Some(direction)) = (self.states[state].rules.as_slice(), self.reject.direction) else {
            return false;
        };
        let packet = Packet::of_flow(direction, self.reject.packet);
        rules.acl.is_some_and(|acl| verdict_on(acl, direction, &packet, Observed::Nothing).may_be_allowed)
    }

    /// The call on an entry that lets some ICMP types through: whether this packet's is among them, only packets that
    /// were accepted can tell.
    fn call_on_typed(&self, before: usize, after: usize) -> Option<ChangeSeen<'a>> {
        let direction = self.reject.direction?;
        let [old] = self.states[before].rules.as_slice() else { return None };
        let [new] = self.states[after].rules.as_slice() else { return None };
        let acl = old.acl?;
        let packet = Packet::of_flow(direction, self.reject.packet);
        let verdict = verdict_on(acl, direction, &packet, Observed::Nothing);
        let allowing = verdict.candidates.iter().filter(|entry| entry.action == RuleAction::Allow);
        let mut calls = allowing.filter_map(|entry| {
            let rule = Some((old.network_acl_id?, direction, entry.rule_number));
            let event = self.states[after].begun_by.iter().rfind(|event| event.change.rule() == rule)?;
            let after = new.acl?.entry(direction, entry.rule_number).map_or(Part::Nothing, Part::Entry);
            let before = Part::Entry(acl.entry(direction, entry.rule_number)?);
            Some(ChangeSeen { event, before, after, needs_traffic: true })
        });
        let call = calls.next()?;
        calls.next().is_none().then_some(call)
    }

    /// The call that took away an entry of unknown content, where all else denied the packet before it as well: if the
    /// packet passed before, it was by that entry.
    fn call_on_unknown(&self, before: usize, after: usize) -> Option<ChangeSeen<'a>> {
        let direction = self.reject.direction?;
        let [rules] = self.states[before].rules.as_slice() else { return None };
        let known = Rules { unknown: &[], ..*rules };
        if self.states[before].open || !self.decide(&known).cause.is_nacl() {
            return None;
        }
        let decider = self.decider(rules)?;
        let mut candidates =
            rules.unknown.iter().filter(|(other, number)| *other == direction && *number < decider);
        let (&(_, number), None) = (candidates.next()?, candidates.next()) else { return None };
        let acl_id = rules.network_acl_id?;
        let on_it = |event: &&&'a Event| event.change.rule() == Some((acl_id, direction, number));
        let event = self.states[after].begun_by.iter().find(on_it)?;
        let [rules] = self.states[after].rules.as_slice() else { return None };
        let entry = rules.acl?.entry(direction, number);
        let after = entry.map_or(Part::Nothing, Part::Entry);
        Some(ChangeSeen { event, before: Part::Unknown, after, needs_traffic: true })
    }
}

/// `DeleteNetworkAclEntry 32000`.
fn call_words(event: &Event) -> String {
    match event.change.rule() {
        Some((_, _, number)) => format!("{} {number}", event.name),
        None => event.name.clone(),
    }
}

#[cfg(test)]
mod tests;
