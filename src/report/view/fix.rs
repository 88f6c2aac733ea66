//! The change that would restore a finding's replies: entries, commands, the way back, and what it was proven to do.

use serde::{Deserialize, Serialize};

use super::word::{self, Word};
use crate::net::Direction;

/// A change to a network ACL.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fix {
    /// `narrow` (around what was seen) or `conventional` (1024–65535 from everywhere, as AWS documents it).
    #[serde(deserialize_with = "word::known")]
    pub variant: Word,
    /// What it does, in a sentence.
    pub summary: String,
    /// The allow entries that do it; empty when nothing can be added.
    pub entries: Vec<FixEntry>,
    /// AWS CLI calls, in this order.
    pub aws_cli: Vec<String>,
    /// Calls that take them back, in this order.
    pub undo: Vec<String>,
    /// The same in one line, where that is shorter; for people.
    #[serde(skip)]
    pub undo_in_one_line: Option<String>,
    /// The entries as Terraform resources.
    pub terraform: String,
    /// Conversations of the finding whose replies the changed ACL allows, by evaluation.
    pub restores: u64,
    /// Conversations of the finding.
    pub of: u64,
    /// Rejects that are no replies, that the ACL denies now and the changed one allows.
    pub also_admits: Flows,
    /// Explicit denies that the new entries go in front of.
    pub blocks: Vec<Blocked>,
    /// Whether a raised quota is needed, or there is no room at all.
    pub quota: Option<String>,
    /// What else there is to know before it is carried out.
    pub notes: Vec<String>,
    /// Other changes that would do.
    pub alternatives: Vec<Fix>,
}

/// An allow entry of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixEntry {
    /// Its number.
    pub rule_number: u16,
    /// The entry as the console shows it.
    pub rule: String,
    /// Which of the two lists.
    pub direction: Direction,
    /// IANA protocol number, `-1` for all.
    pub protocol: i16,
    /// Lowest and highest port, of TCP and UDP.
    pub from_port: Option<u16>,
    /// Highest port.
    pub to_port: Option<u16>,
    /// IPv4 CIDR.
    pub cidr_block: Option<String>,
    /// IPv6 CIDR.
    pub ipv6_cidr_block: Option<String>,
    /// The entry that it replaces, where one is made wider.
    pub replaces: Option<String>,
}

/// An explicit deny that new entries go in front of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// Its number.
    pub rule_number: u16,
    /// The deny as the console shows it.
    pub rule: String,
    /// Whether nothing is left of it: deleting it would do the same.
    pub cancelled: bool,
    /// What else it dropped in this input: rejects that are no replies.
    pub dropped: Flows,
}

/// Flows that are no replies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flows {
    /// Flows.
    pub flows: u64,
    /// Their rejected packets.
    pub packets: u64,
}
