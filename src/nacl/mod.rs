//! Network ACLs and the only evaluator of them.
//!
//! Owns what an ACL is, how it decides a packet, what it was at another time, and which change to it would let packets
//! through. Refuses to know where ACLs are loaded from, which subnet a packet crosses and what a log record is.

mod evaluate;
pub mod fix;
pub mod history;
mod model;

pub use evaluate::{
    Action, Mismatch, NearMiss, NearMissReason, Observed, Outcome, Packet, Step, Verdict, evaluate,
    near_misses, verdict_on,
};
pub use model::{
    AclProtocol, FIRST_RESERVED_RULE_NUMBER, IcmpTypeCode, NetworkAcl, NetworkAclEntry, PortRange,
    RuleAction, implicit_entries,
};
