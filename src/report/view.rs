//! What a diagnosis looks like to whoever prints it: plain values, already ordered, nothing left to decide.
//!
//! Serialises to the `--format json` document. Order of every list is fixed by whoever builds it and is kept.

mod fix;
mod no_reply;
mod report;
mod word;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::net::{Direction, Timestamp};
use word::Word;

pub use fix::{Blocked, Fix, FixEntry, Flows};
pub use no_reply::{Followed, NoReply, NoReplyGroup, NoReplyService};
pub use report::{
    AffectedInterface, ComparedFinding, Comparison, Coverage, Difference, Group, GroupFinding, Groups,
    Hourly, HourlyFinding, InterfaceCoverage, NaclChange, Report, Talker, Talkers, TimeSpan,
};

/// Replies rejected this close to the end of the records are still being rejected: the longest capture window.
pub const ONGOING_SECONDS: i64 = 600;

/// Clients behind NAT gateways that are listed for a finding.
pub const CLIENTS_LISTED: usize = 32;

/// The most slices that a timeline has.
pub const TIMELINE_SLICES: i64 = 240;

/// Groups of requests without an answer that are listed: a scan of a network from inside has one for each address.
pub const NO_REPLY_GROUPS: usize = 1000;

/// The whole result of `flowcheck`, as `--format json` prints it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Version of this document's shape.
    pub schema_version: u32,
    /// The program that wrote it.
    #[serde(skip_deserializing)]
    pub generator: Generator,
    /// The time asked for and the time the records cover.
    pub window: Window,
    /// Where the network configuration came from.
    pub network_config: NetworkConfigSummary,
    /// Every line of input accounted for.
    pub input: InputSummary,
    /// Totals over all findings.
    pub summary: Summary,
    /// Rejected return traffic by cause, most important first.
    pub findings: Vec<Finding>,
    /// Rejects that are not return traffic.
    pub other_rejects: OtherRejects,
    /// Requests that went out and got no answer; no findings. `null` where that cannot be known.
    pub no_reply: Option<NoReply>,
    /// Why it cannot be known.
    pub no_reply_unknown: Option<String>,
    /// What a reader must know before trusting the result.
    pub warnings: Vec<String>,
    /// How much was read of sources that were not read whole, and why that was enough.
    pub notes: Vec<String>,
    /// What an id is called in the snapshot: `eni-…` → `NAT gateway nat-…`, `subnet-…` → `private-a`.
    pub names: BTreeMap<String, String>,
    /// One row per rejected conversation and cause (`--format jsonl` and `csv`).
    #[serde(skip)]
    pub rows: Vec<Row>,
}

/// Name and version of the program.
#[derive(Debug, Clone, Serialize)]
pub struct Generator {
    /// `flowcheck`.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
}

impl Default for Generator {
    fn default() -> Self {
        Self { name: "flowcheck", version: env!("CARGO_PKG_VERSION") }
    }
}

/// Asked-for and seen time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Window {
    /// `--since`, if given.
    pub since: Option<Timestamp>,
    /// `--until`, if given.
    pub until: Option<Timestamp>,
    /// Earliest `start` of a record that counted.
    pub first_record: Option<Timestamp>,
    /// Latest `end` of a record that counted.
    pub last_record: Option<Timestamp>,
}

/// Origin and size of the network configuration.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NetworkConfigSummary {
    /// `snapshot`, `live` or `none`.
    #[serde(deserialize_with = "word::known")]
    pub origin: Word,
    /// When it was captured, if the snapshot says so.
    pub captured_at: Option<Timestamp>,
    /// `cloudtrail`, `config`, `snapshots`, joined by `+`; `none` without a history of changes.
    #[serde(deserialize_with = "word::known")]
    pub history: Word,
    /// Number of network ACLs known.
    pub network_acls: usize,
    /// Number of interfaces known.
    pub interfaces: usize,
}

/// `lines` = `headers` + `accepted` + `rejected` + `no_data` + `skip_data` + `malformed` + `filtered`
/// + `transit_gateway` + `duplicates`; `records` = `accepted` + `rejected`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct InputSummary {
    /// Files and streams opened.
    pub objects: u64,
    /// Bytes read from them, as stored.
    pub bytes_read: u64,
    /// Bytes after decompression.
    pub bytes_decoded: u64,
    /// Non-blank lines; in wrapped JSON the records inside.
    pub lines: u64,
    /// `accepted` + `rejected`.
    pub records: u64,
    /// Records with action ACCEPT.
    pub accepted: u64,
    /// Records with action REJECT.
    pub rejected: u64,
    /// NODATA records.
    pub no_data: u64,
    /// SKIPDATA records.
    pub skip_data: u64,
    /// Lines that are no record.
    pub malformed: u64,
    /// Records outside the window or excluded by a filter.
    pub filtered: u64,
    /// Header lines.
    pub headers: u64,
    /// Transit-gateway records.
    pub transit_gateway: u64,
    /// Records delivered twice.
    pub duplicates: u64,
    /// Interfaces that the records are about.
    pub interfaces: usize,
    /// Sources hold accepted records that were not read, since no rejected reply could be an answer to them.
    pub accepted_unread: bool,
    /// A flow log records ACCEPT only, and no other one records what is rejected there.
    pub rejects_unrecorded: bool,
    /// Sources hold SKIPDATA records that were not read.
    pub losses_unread: bool,
    /// Requests made to AWS for the records, and how many of them had to be repeated or continued.
    pub requests: Requests,
    /// Inputs that could not be read to their end.
    pub incomplete: Vec<Incomplete>,
    /// The first few malformed lines.
    pub malformed_examples: Vec<MalformedExample>,
}

/// Requests made to AWS for the records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// All of them, repetitions included.
    pub sent: u64,
    /// Repeated after an error.
    pub repeated: u64,
    /// Bodies that broke off and were continued where they did.
    pub resumed: u64,
}

/// A private client behind a NAT gateway whose replies were rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AffectedClient {
    /// Its private address.
    pub address: String,
    /// Its own interface, where it is known.
    pub interface_id: Option<String>,
    /// `proven`: the reply was on its way to it; `likely`: nobody else talked to the remote end at that time; `possible`.
    #[serde(deserialize_with = "word::known")]
    pub confidence: Word,
    /// Conversations of the finding that may be its own.
    pub conversations: u64,
}

/// An input that could not be read to its end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Incomplete {
    /// Path or name of the input.
    pub source: String,
    /// What went wrong, a lowercase fragment.
    pub error: String,
}

/// Where a malformed line is and why it is no record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MalformedExample {
    /// Path or name of the input.
    pub source: String,
    /// Line number, from 1.
    pub line: u64,
    /// The field at fault, or `line` for the whole.
    pub field: String,
    /// Its text, cut to a printable length (not yet escaped for a terminal).
    pub value: String,
    /// What is wrong with it, a lowercase fragment.
    pub error: String,
}

/// Totals over all findings.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Summary {
    /// Conversations with at least one rejected reply.
    pub rejected_conversations: u64,
    /// Packets of rejected replies.
    pub rejected_packets: u64,
    /// Number of findings.
    pub findings: usize,
    /// Whether every input was read whole and no cap was hit.
    pub complete: bool,
}

/// Rejected return traffic with one cause.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Finding {
    /// `acl-…/ingress/32767`; stable from run to run.
    pub id: String,
    /// `nacl_rule`, `nacl_default`, `not_nacl`, `vpc_block_public_access`, `encryption_controls`, `undetermined`.
    #[serde(deserialize_with = "word::known")]
    pub cause: Word,
    /// `proven`, `likely`, `possible`.
    #[serde(deserialize_with = "word::known")]
    pub confidence: Word,
    /// Why the confidence is no better, a fragment; absent when it is `proven`.
    pub confidence_reason: Option<String>,
    /// The ACL evaluated, if one is known.
    pub network_acl_id: Option<String>,
    /// Direction of the reply at the interface, if known.
    pub direction: Option<Direction>,
    /// The rule that denied; 32767 (IPv4) and 32768 (IPv6) are the `*` entries.
    pub rule_number: Option<u16>,
    /// The rule as the console shows it.
    pub rule: Option<String>,
    /// The VPC, if known.
    pub vpc_id: Option<String>,
    /// Subnets concerned, sorted.
    pub subnet_ids: Vec<String>,
    /// Interfaces concerned, sorted.
    pub interface_ids: Vec<String>,
    /// Private clients behind the NAT gateways among these interfaces.
    pub affected_clients: Vec<AffectedClient>,
    /// Clients beyond those listed.
    pub affected_clients_left_out: u64,
    /// Distinct conversations.
    pub conversations: u64,
    /// Rejected packets.
    pub packets: u64,
    /// Rejected bytes.
    pub bytes: u64,
    /// Earliest `start` of a rejected reply.
    pub first_seen: Timestamp,
    /// Latest `end` of a rejected reply.
    pub last_seen: Timestamp,
    /// Whether replies were still being rejected when the records end.
    pub ongoing: bool,
    /// What is left when it was not the ACL, or which fact is missing.
    pub detail: Option<String>,
    /// For `undetermined`: the rules it could be.
    pub candidates: Vec<Candidate>,
    /// Responder ports, most conversations first.
    pub services: Vec<Service>,
    /// Range of the requesters' ports.
    pub requester_ports: PortSpan,
    /// Allow entries that came close, in rule order.
    pub near_misses: Vec<NearMiss>,
    /// SKIPDATA intervals that overlap this finding's interfaces and time.
    pub skip_data: Vec<SkipInterval>,
    /// When it began.
    pub onset: Onset,
    /// The call after which these replies were denied; `null` where no history proves one.
    pub change: Option<Change>,
    /// The call after which they were allowed again, if the history holds one.
    pub restored: Option<Change>,
    /// The smallest change that restores the traffic; `null` where no ACL that is known is to blame.
    pub fix: Option<Fix>,
    /// Rejected packets over time.
    pub timeline: Timeline,
    /// Some of the conversations.
    pub examples: Vec<Example>,
}

/// A rule that could be the cause.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Candidate {
    /// The ACL.
    pub network_acl_id: String,
    /// Which of its two lists.
    pub direction: Direction,
    /// Number of the rule.
    pub rule_number: u16,
    /// The rule as the console shows it.
    pub rule: String,
}

/// A responder's port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// IANA protocol number.
    pub protocol: u8,
    /// Port; 0 where the protocol has none.
    pub port: u16,
    /// Distinct conversations.
    pub conversations: u64,
}

/// Lowest and highest port seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortSpan {
    /// Lowest.
    pub min: u16,
    /// Highest.
    pub max: u16,
}

/// An allow entry that did not match, and in which part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NearMiss {
    /// Number of the entry.
    pub rule_number: u16,
    /// The entry as the console shows it.
    pub rule: String,
    /// `port`, `port, source`, `protocol` …
    pub mismatch: String,
}

/// A SKIPDATA interval of one interface.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SkipInterval {
    /// The interface.
    pub interface_id: String,
    /// First second.
    pub start: Timestamp,
    /// Last second.
    pub end: Timestamp,
}

/// When replies of this kind stopped being accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Onset {
    /// Latest accepted reply before the first rejected one, if any was looked for and seen.
    pub last_accepted_reply: Option<Timestamp>,
    /// First rejected reply.
    pub first_rejected_reply: Timestamp,
}

/// A call that changed a network ACL or which one a subnet has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
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
    /// The rule changed.
    pub rule_number: Option<u16>,
    /// What was there before: the rule as the console shows it, or the ACL of the subnet; `null` for nothing.
    pub before: Option<String>,
    /// What was there afterwards.
    pub after: Option<String>,
    /// The entry was there before, and the history does not say what it held; only there where it is so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub before_is_unknown: bool,
}

/// Rejected packets in equal slices of time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// First second of the first slice.
    pub start: Timestamp,
    /// Length of a slice in seconds.
    pub slice_seconds: u32,
    /// Rejected packets in each slice, by the `start` of their record.
    pub packets: Vec<u64>,
}

/// One conversation: the request, its rejected reply, and how the ACL decided.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Example {
    /// The accepted request; `null` when its record is missing.
    pub request: Option<FlowSummary>,
    /// The rejected reply.
    pub reply: FlowSummary,
    /// The evaluation, entry by entry.
    pub steps: Vec<Step>,
}

/// One direction of a conversation, summed over its records.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FlowSummary {
    /// The interface that recorded it.
    pub interface_id: String,
    /// Direction at that interface, if known.
    pub direction: Option<Direction>,
    /// IANA protocol number.
    pub protocol: u8,
    /// Source address.
    pub srcaddr: String,
    /// Source port.
    pub srcport: u16,
    /// Destination address.
    pub dstaddr: String,
    /// Destination port.
    pub dstport: u16,
    /// `ACCEPT` or `REJECT`.
    #[serde(deserialize_with = "word::known")]
    pub action: Word,
    /// OR of the TCP flags seen, if the format has them.
    pub tcp_flags: Option<u8>,
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// Earliest `start`.
    pub first: Option<Timestamp>,
    /// Latest `end`.
    pub last: Option<Timestamp>,
}

/// One entry looked at while evaluating an ACL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Number of the entry.
    pub rule_number: u16,
    /// The entry as the console shows it.
    pub rule: String,
    /// `matched`, or what did not match: `port`, `port, source`, …
    pub outcome: String,
}

/// Rejects that are not return traffic.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct OtherRejects {
    /// Records.
    pub records: u64,
    /// Packets.
    pub packets: u64,
    /// Split by what the ACL says about them, most records first.
    pub by_cause: Vec<OtherReject>,
}

/// Rejects of one kind that are not return traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherReject {
    /// `nacl_rule`, `nacl_default`, `not_nacl` (the ACL allows: a security group), … as for findings.
    #[serde(deserialize_with = "word::known")]
    pub cause: Word,
    /// The ACL, if known.
    pub network_acl_id: Option<String>,
    /// Direction, if known.
    pub direction: Option<Direction>,
    /// The rule that denied.
    pub rule_number: Option<u16>,
    /// The rule as the console shows it.
    pub rule: Option<String>,
    /// Why they are no replies: `new_request`, `request_side` (of a connection that was open before), `unsolicited`
    /// (no accepted request within the match window), `unpaired`.
    #[serde(deserialize_with = "word::known")]
    pub kind: Word,
    /// Which fact is missing, or what is left; for people, who see the rest from the other members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why they are no replies, and the reason, in a sentence.
    pub detail: Option<String>,
    /// Records.
    pub records: u64,
    /// Packets.
    pub packets: u64,
}

/// One rejected conversation and cause; `srcaddr` … `dstport` are those of the rejected reply.
/// The order of the members is the order of the CSV columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "flow-log field names, described in the README's table")]
pub struct Row {
    pub cause: &'static str,
    pub confidence: &'static str,
    pub network_acl_id: Option<String>,
    pub direction: Option<Direction>,
    pub rule_number: Option<u16>,
    pub interface_id: Option<String>,
    pub subnet_id: Option<String>,
    pub vpc_id: Option<String>,
    pub protocol: u8,
    pub srcaddr: String,
    pub srcport: u16,
    pub dstaddr: String,
    pub dstport: u16,
    pub first_rejected: Timestamp,
    pub last_rejected: Timestamp,
    pub rejected_packets: Option<u64>,
    pub rejected_bytes: Option<u64>,
    pub request_first: Option<Timestamp>,
    pub request_last: Option<Timestamp>,
    pub request_packets: Option<u64>,
    pub request_bytes: Option<u64>,
    pub detail: Option<String>,
    /// The finding it belongs to; not a column.
    #[serde(skip)]
    pub finding_id: String,
}
