//! Interface → subnet → network ACL → the cause of each rejected reply.
//!
//! Owns which ACL stands in front of an interface, which way a packet crossed it, and what is left when the ACL was
//! not it. Refuses to know log formats and output. What cannot be proven is `undetermined`, with the missing fact.

mod cause;
mod clients;
mod finding;
mod fix;
mod judge;
mod moment;
mod place;
mod silent;

pub use cause::{Cause, Confidence, Detail};
pub use clients::{AffectedClient, affected_clients};
pub use finding::{Finding, FindingKey, OtherKey, OtherRejects, Total, findings};
pub use fix::{Blamed, Fixes, Flows, Proposal, Proposed, admittable, blamed, changeable};
pub use judge::{Judged, Other, Unpaired, judge_conversations, judge_unpaired, visit_others};
pub use moment::{ChangeSeen, Episode, Part};
pub use place::{Place, Places};
pub use silent::{Followed, NoReply, Silence, no_reply};

#[cfg(test)]
mod tests;
