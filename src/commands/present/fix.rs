//! Proposals as the reports print them: commands, their undo, Terraform, and what to know before running them.

use super::Material;
use crate::attribute::{Blamed, Cause, Fixes, Flows, Proposal, Proposed, changeable};
use crate::nacl::fix::{
    Command, DEFAULT_QUOTA, HIGHEST_QUOTA, Quota, Replies, delete_in_one_line, terraform,
};
use crate::nacl::{AclProtocol, NetworkAclEntry, Packet};
use crate::net::{Direction, Protocol};
use crate::network::NetworkConfig;
use crate::report::view;
use crate::survey::{Sums, Survey};

/// Rules named in a note.
const NAMED: usize = 3;

impl Material<'_> {
    /// The change proposed for the finding at this place.
    pub(super) fn fix(&self, at: usize) -> Option<view::Fix> {
        proposed(&self.fixes, at)
    }
}

fn proposed(fixes: &Fixes<'_>, at: usize) -> Option<view::Fix> {
    let proposal = fixes.proposals().get(at)?.as_ref()?;
    let mut fixes = proposal.proposed.iter().map(|one| fix(proposal, one));
    let first = fixes.next()?;
    Some(view::Fix { alternatives: fixes.collect(), ..first })
}

/// Makes the fixes of a time put together of several, by what was kept of each.
pub(in crate::commands) fn fix_survey(survey: &mut Survey, config: &NetworkConfig) {
    let Survey { diagnosis, sums, others, .. } = survey;
    let blamed = diagnosis.findings.iter().zip(&*sums).map(|(finding, sums)| blamed(finding, sums, config));
    let mut fixes = Fixes::new(blamed.collect());
    for other in others {
        let packet = Packet {
            remote: other.remote,
            protocol: Protocol(other.protocol),
            dstport: other.dstport,
            icmp: None,
        };
        let flows = Flows { flows: other.flows, packets: other.packets };
        fixes.meet_flows((&other.network_acl_id, other.direction), other.rule_number, &packet, flows);
    }
    let notes: Vec<_> = fixes.held_back().iter().map(|at| held_back(&diagnosis.findings[*at].id)).collect();
    diagnosis.notes.extend(notes);
    for (at, finding) in diagnosis.findings.iter_mut().enumerate() {
        finding.fix = proposed(&fixes, at);
        let elsewhere =
            finding.subnet_ids.iter().filter(|subnet| !is_in_front(finding, subnet, config)).count();
        if let Some(fix) = finding.fix.as_mut().filter(|_| elsewhere > 0) {
            fix.notes.push(format!(
                "{elsewhere} of {} subnets are no longer behind this network ACL: it restores nothing there",
                finding.subnet_ids.len()
            ));
        }
    }
    if survey.others_cut {
        diagnosis.warnings.push(
            "there are too many other rejects to keep all of them: fixes may admit more of them than is said"
                .to_owned(),
        );
    }
}

/// Why a finding has no fix although one could be made.
pub(super) fn held_back(finding_id: &str) -> String {
    format!(
        "no fix is given for {finding_id}, because that of another finding changes rules of the same list: carry that out \
         and diagnose again"
    )
}

/// Whether the ACL of a finding is in front of a subnet now.
fn is_in_front(finding: &view::Finding, subnet_id: &str, config: &NetworkConfig) -> bool {
    let now = config.acl_for_subnet(subnet_id, finding.vpc_id.as_deref());
    now.is_ok_and(|now| Some(&now.network_acl_id) == finding.network_acl_id.as_ref())
}

fn blamed<'a>(finding: &view::Finding, sums: &Sums, config: &'a NetworkConfig) -> Option<Blamed<'a>> {
    let is_nacl = [Cause::NaclRule, Cause::NaclDefault].iter().any(|cause| cause.as_str() == finding.cause);
    let id = finding.network_acl_id.as_deref().filter(|_| is_nacl)?;
    let (network_acl, direction) = (changeable(config, id)?, finding.direction?);
    let is_in_front = |subnet: &String| is_in_front(finding, subnet, config);
    if !finding.subnet_ids.is_empty() && !finding.subnet_ids.iter().any(is_in_front) {
        return None;
    }
    let mut replies = Replies::default();
    for seen in &sums.replies {
        let packet =
            Packet { remote: seen.remote, protocol: Protocol(seen.protocol), dstport: None, icmp: None };
        for (port, conversations) in seen.ports.iter().filter(|(_, conversations)| *conversations > 0) {
            replies.add(Packet { dstport: Some(*port), ..packet }, seen.requester, *conversations);
        }
        if seen.without_port > 0 {
            replies.add(packet, seen.requester, seen.without_port);
        }
    }
    Some(Blamed { network_acl, direction, replies })
}

fn fix(proposal: &Proposal<'_>, one: &Proposed) -> view::Fix {
    let Proposed { fix, also_admits } = one;
    let id = proposal.network_acl.network_acl_id.as_str();
    let undo = fix.undo();
    let lines = |commands: &[Command<'_>]| commands.iter().map(|command| command.aws_cli(id)).collect();
    let blocks = fix.overridden.iter().map(|deny| view::Blocked {
        rule_number: deny.rule_number,
        rule: deny.to_string(),
        cancelled: fix.cancels(deny),
        dropped: flows(proposal.dropped.get(&deny.rule_number).copied().unwrap_or_default()),
    });
    view::Fix {
        variant: fix.variant.as_str(),
        summary: summary(proposal, one),
        entries: fix.entries.iter().map(|(entry, before)| fix_entry(entry, before.as_ref())).collect(),
        aws_cli: lines(&fix.commands()),
        undo: lines(&undo),
        undo_in_one_line: delete_in_one_line(id, &undo),
        terraform: terraform(id, &fix.changes),
        restores: fix.restores,
        of: fix.of,
        also_admits: flows(*also_admits),
        blocks: blocks.collect(),
        quota: quota(fix.quota, proposal.direction),
        notes: notes(one, proposal.network_acl.is_default),
        alternatives: Vec::new(),
    }
}

fn flows(flows: Flows) -> view::Flows {
    view::Flows { flows: flows.flows, packets: flows.packets }
}

fn fix_entry(entry: &NetworkAclEntry, before: Option<&NetworkAclEntry>) -> view::FixEntry {
    let cidr = |is_v4: bool| (entry.cidr.addr().is_ipv4() == is_v4).then(|| entry.cidr.to_string());
    view::FixEntry {
        rule_number: entry.rule_number,
        rule: entry.to_string(),
        direction: entry.direction,
        protocol: match entry.protocol {
            AclProtocol::All => -1,
            AclProtocol::Number(Protocol(number)) => i16::from(number),
        },
        from_port: entry.ports.map(|ports| ports.from),
        to_port: entry.ports.map(|ports| ports.to),
        cidr_block: cidr(true),
        ipv6_cidr_block: cidr(false),
        replaces: before.map(ToString::to_string),
    }
}

/// `adds 130 TCP 1024-65535 52.94.0.0/16 ALLOW to acl-… ingress, which restores 2 295 of 2 295 conversations …`
fn summary(proposal: &Proposal<'_>, one: &Proposed) -> String {
    let (id, direction) = (&proposal.network_acl.network_acl_id, proposal.direction);
    let rules = |widened: bool| {
        let entries = one.fix.entries.iter().filter(move |(_, before)| before.is_some() == widened);
        let shown = entries.map(|(entry, before)| match before {
            Some(before) => format!("{before} to {entry}"),
            None => entry.to_string(),
        });
        Some(shown.collect::<Vec<_>>().join(", ")).filter(|rules| !rules.is_empty())
    };
    let added = rules(false).map(|rules| format!("adds {rules}"));
    let changed = rules(true).map(|rules| format!("widens {rules}"));
    let made = [changed, added].into_iter().flatten().collect::<Vec<_>>().join(" and ");
    if made.is_empty() {
        return format!("no rule can be added to {id} {direction}");
    }
    let admitted = match one.also_admits.flows {
        0 => "admits none of the other rejected flows".to_owned(),
        1 => "would also admit 1 other rejected flow".to_owned(),
        flows => format!("would also admit {flows} other rejected flows"),
    };
    let (restores, of) = (one.fix.restores, one.fix.of);
    format!("{made} in {id} {direction}: restores {restores} of {of} conversations, {admitted}")
}

fn quota(quota: Quota, direction: Direction) -> Option<String> {
    match quota {
        Quota::Fits => None,
        Quota::NeedsMore(rules) => Some(format!(
            "{rules} {direction} rules need a raised quota: {DEFAULT_QUOTA} by default, up to {HIGHEST_QUOTA}"
        )),
        Quota::Full => Some(format!(
            "not all that is needed can be added: {HIGHEST_QUOTA} {direction} rules are the most that AWS allows"
        )),
    }
}

fn notes(one: &Proposed, is_default: bool) -> Vec<String> {
    let fix = &one.fix;
    let mut notes = Vec::new();
    if is_default && !fix.changes.is_empty() {
        notes.push(
            "this is the default network ACL: it holds for every subnet of the VPC without one of its own"
                .to_owned(),
        );
    }
    if fix.allows_all_icmp_types() {
        notes.push(
            "flow logs carry no ICMP types, so all are allowed; for replies to ping alone type 0 (ICMPv6: 129) would do"
                .to_owned(),
        );
    }
    if !fix.moved.is_empty() {
        let moved = fix.moved.iter().map(|(from, to)| format!("rule {from} becomes {to}"));
        notes.push(format!(
            "no rule number is free before the deny: {}",
            moved.collect::<Vec<_>>().join(", ")
        ));
    }
    if let Some((first, more)) = fix.behind.split_first() {
        let named = std::iter::once(first).chain(more.iter().take(NAMED - 1)).map(ToString::to_string);
        let named = named.collect::<Vec<_>>().join(", ");
        notes.push(format!(
            "already there, but behind the deny: {named}; a higher number for the deny, or a smaller range, would do as well"
        ));
    }
    notes
}
