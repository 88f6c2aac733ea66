//! Interface → subnet → network ACL → the cause of each rejected reply.
//!
//! Owns which ACL stands in front of an interface, which way a packet crossed it, and what is left when the ACL was
//! not it. Refuses to know log formats and output. What cannot be proven is `undetermined`, with the missing fact.

mod finding;
mod fix;
mod judge;
mod place;
mod silent;

pub use finding::{Finding, FindingKey, OtherKey, OtherRejects, Total, findings};
pub use fix::{Fixes, Flows, Proposal, Proposed};
pub use judge::{
    Cause, Confidence, Detail, Judged, Other, Unpaired, judge_conversations, judge_unpaired, visit_others,
};
pub use place::{Place, Places};
pub use silent::{Followed, NoReply, Silence, no_reply};

#[cfg(test)]
mod tests;
