//! Requests that went out and got no answer: no findings, and said apart from them.

use serde::{Deserialize, Serialize};

use super::word::{self, Word};
use crate::net::{Direction, Timestamp};

/// Requests without an answer and without a reject.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct NoReply {
    /// Distinct conversations, those of groups left out as well.
    pub conversations: u64,
    /// Their packets.
    pub packets: u64,
    /// By interface, destination and what became of them; most conversations first.
    pub groups: Vec<NoReplyGroup>,
    /// Groups beyond the number that is shown.
    pub groups_left_out: u64,
    /// Further requests, so late that an answer may be in a record still to come.
    pub not_known_yet: u64,
    /// Further requests around which AWS lost records (SKIPDATA).
    pub records_lost: u64,
    /// Further requests of which it is unknown whether they went out.
    pub direction_unknown: u64,
    /// Further requests that memory had no room for; some of them may have come in.
    pub not_kept: u64,
}

/// Those from one interface to one destination.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NoReplyGroup {
    /// The interface that accepted them on their way out.
    pub interface_id: String,
    /// Protocol and port they went to.
    pub service: NoReplyService,
    /// Where they went.
    pub dstaddr: String,
    /// Distinct conversations.
    pub conversations: u64,
    /// Packets.
    pub packets: u64,
    /// Earliest `start`.
    pub first_seen: Timestamp,
    /// Latest `end`.
    pub last_seen: Timestamp,
    /// What another interface recorded of them.
    pub followed: Option<Followed>,
    /// What it can and cannot mean, a sentence without its end.
    pub detail: String,
}

/// Protocol and port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoReplyService {
    /// IANA protocol number.
    pub protocol: u8,
    /// Port.
    pub port: u16,
}

/// What became of requests at another interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Followed {
    /// The other interface.
    pub interface_id: String,
    /// `accepted` or `rejected`.
    #[serde(deserialize_with = "word::known")]
    pub outcome: Word,
    /// It let an answer out, which the requester's interface did not record.
    pub answered: bool,
    /// It has the address that the requests went to.
    pub is_destination: bool,
    /// Direction at that interface, if known.
    pub direction: Option<Direction>,
    /// Why it rejected them, in the words of findings.
    #[serde(deserialize_with = "word::known_if_any")]
    pub cause: Option<Word>,
    /// The ACL evaluated.
    pub network_acl_id: Option<String>,
    /// The rule that denied.
    pub rule_number: Option<u16>,
    /// The rule as the console shows it.
    pub rule: Option<String>,
}
