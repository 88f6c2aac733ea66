//! What `flowcheck report` adds to a diagnosis: hours, changes, interfaces, talkers, groups, coverage, and the comparison
//! with an earlier time.

use serde::{Deserialize, Serialize};

use super::Diagnosis;
use crate::net::{Direction, Timestamp};

/// The report of rejected return traffic: everything that a diagnosis holds, and what a team reads beside it.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The diagnosis of the whole time.
    #[serde(flatten)]
    pub diagnosis: Diagnosis,
    /// Rejected replies hour by hour.
    pub hourly: Hourly,
    /// Changes of network ACLs in this time, as far as the history given holds them; in time order.
    pub nacl_changes: Vec<NaclChange>,
    /// Interfaces that rejected replies, most conversations first.
    pub interfaces: Vec<AffectedInterface>,
    /// Who did not get answers from whom.
    pub talkers: Talkers,
    /// The findings by subnet, VPC, account, tag or service, if that was asked for.
    pub groups: Option<Groups>,
    /// When there are records of each interface.
    pub coverage: Coverage,
    /// What is different from an earlier time, if that was asked for.
    pub comparison: Option<Comparison>,
}

/// Rejected replies in slices of one hour that begin at full hours UTC.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Hourly {
    /// First second of the first hour.
    pub start: Timestamp,
    /// 3600.
    pub slice_seconds: u32,
    /// For each finding, in their order.
    pub findings: Vec<HourlyFinding>,
}

/// One finding hour by hour; both lists are as long as the time has hours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HourlyFinding {
    /// The finding.
    pub finding_id: String,
    /// Conversations by the hour in which their replies were first rejected.
    pub conversations: Vec<u64>,
    /// Rejected packets by the `start` of their record.
    pub packets: Vec<u64>,
}

/// A call that changed a network ACL, or which one a subnet has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NaclChange {
    /// When.
    pub time: Timestamp,
    /// `DeleteNetworkAclEntry`, `ReplaceNetworkAclAssociation` …
    pub event: String,
    /// CloudTrail's id of it.
    pub event_id: String,
    /// Who: `role/session`, a user's name, `root`.
    pub actor: Option<String>,
    /// From which address, or by which service.
    pub source_ip: Option<String>,
    /// The ACL, where the call names one.
    pub network_acl_id: Option<String>,
    /// Which of its lists.
    pub direction: Option<Direction>,
    /// The rule.
    pub rule_number: Option<u16>,
    /// Findings that are proven to have begun with it.
    pub began: Vec<String>,
    /// Findings that are proven to have ended with it.
    pub ended: Vec<String>,
}

/// An interface that rejected replies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AffectedInterface {
    /// The interface.
    pub interface_id: String,
    /// Its subnet, if known.
    pub subnet_id: Option<String>,
    /// Its VPC, if known.
    pub vpc_id: Option<String>,
    /// Its account, if known.
    pub account_id: Option<String>,
    /// Conversations with rejected replies.
    pub conversations: u64,
    /// Rejected packets.
    pub packets: u64,
    /// Rejected bytes.
    pub bytes: u64,
    /// The findings it takes part in, in their order.
    pub finding_ids: Vec<String>,
}

/// Pairs of requester and service with the most conversations that got no answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Talkers {
    /// Most conversations first.
    pub rows: Vec<Talker>,
    /// Pairs beyond those listed.
    pub left_out: u64,
    /// Conversations of those.
    pub left_out_conversations: u64,
}

impl Talkers {
    /// Brings pairs into order and leaves out those beyond `most`.
    pub fn cut(&mut self, most: usize) {
        self.rows.sort_unstable_by(|a, b| {
            let order = |row: &Talker| (std::cmp::Reverse(row.conversations), std::cmp::Reverse(row.packets));
            order(a).cmp(&order(b)).then_with(|| a.cmp(b))
        });
        let rest = self.rows.split_off(most.min(self.rows.len()));
        self.left_out += rest.len() as u64;
        self.left_out_conversations += rest.iter().map(|row| row.conversations).sum::<u64>();
    }
}

/// One requester and the service that did not reach it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Talker {
    /// Whose requests were not answered: the destination of the rejected replies.
    pub requester: String,
    /// Whose replies were rejected.
    pub responder: String,
    /// IANA protocol number.
    pub protocol: u8,
    /// The responder's port; 0 where the protocol has none.
    pub port: u16,
    /// Conversations.
    pub conversations: u64,
    /// Rejected packets.
    pub packets: u64,
    /// Rejected bytes.
    pub bytes: u64,
}

/// The findings, divided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Groups {
    /// As `--group-by` says it: `subnet`, `vpc`, `account`, `service`, `tag:KEY`.
    pub by: String,
    /// Most conversations first.
    pub rows: Vec<Group>,
}

/// One part of the findings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// `subnet-…`, a tag's value, `443/tcp`; `null` where it is not known.
    pub group: Option<String>,
    /// Conversations with rejected replies.
    pub conversations: u64,
    /// Rejected packets.
    pub packets: u64,
    /// Rejected bytes.
    pub bytes: u64,
    /// Interfaces concerned.
    pub interfaces: u64,
    /// Its part of each finding, most conversations first.
    pub findings: Vec<GroupFinding>,
}

/// What of a finding falls to a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupFinding {
    /// The finding.
    pub finding_id: String,
    /// Conversations.
    pub conversations: u64,
    /// Rejected packets.
    pub packets: u64,
}

/// When there are records of each interface: a time without any, `NODATA` included, is a gap.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Why it is not known, where it is not: then the other members say nothing.
    pub unknown: Option<String>,
    /// How exactly it is known, in seconds: a shorter gap is not seen.
    pub resolution_seconds: u32,
    /// The time looked at.
    pub start: Timestamp,
    /// Its end.
    pub end: Timestamp,
    /// Interfaces with gaps or `SKIPDATA`, the longest gaps first.
    pub interfaces: Vec<InterfaceCoverage>,
    /// Such interfaces beyond those listed.
    pub interfaces_left_out: u64,
    /// Interfaces with records all the time, and none lost.
    pub interfaces_covered: u64,
}

/// When there are records of one interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InterfaceCoverage {
    /// The interface.
    pub interface_id: String,
    /// Seconds without records.
    pub gap_seconds: u64,
    /// The longest gaps, in time order.
    pub gaps: Vec<TimeSpan>,
    /// Gaps beyond those listed.
    pub gaps_left_out: u64,
    /// `SKIPDATA` intervals: AWS lost records.
    pub skip_data: u64,
    /// Seconds of those.
    pub skip_data_seconds: u64,
}

/// From one moment to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TimeSpan {
    /// First second.
    pub start: Timestamp,
    /// Last second.
    pub end: Timestamp,
}

/// What is different from an earlier time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// `previous_period` or `baseline`.
    pub origin: &'static str,
    /// The file of the baseline.
    pub file: Option<String>,
    /// First moment of the earlier time.
    pub start: Option<Timestamp>,
    /// Its end.
    pub end: Option<Timestamp>,
    /// Whether the earlier input was read whole.
    pub complete: bool,
    /// Both times together.
    pub total: Difference,
    /// Findings by what became of them: `new`, `worse`, `unchanged`, `better`, `resolved`, in this order; most
    /// conversations first.
    pub findings: Vec<ComparedFinding>,
}

/// Figures of two times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Conversations before.
    pub conversations_before: u64,
    /// Conversations now.
    pub conversations: u64,
    /// Rejected packets before.
    pub packets_before: u64,
    /// Rejected packets now.
    pub packets: u64,
}

/// What became of a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComparedFinding {
    /// The finding's id now, or before where it is resolved.
    pub finding_id: String,
    /// `new`, `worse`, `unchanged`, `better`, `resolved`.
    pub status: &'static str,
    /// Its cause.
    pub cause: String,
    /// The ACL, if known.
    pub network_acl_id: Option<String>,
    /// Direction of the replies.
    pub direction: Option<Direction>,
    /// The rule as the console shows it.
    pub rule: Option<String>,
    /// Figures of both times.
    #[serde(flatten)]
    pub figures: Difference,
}
