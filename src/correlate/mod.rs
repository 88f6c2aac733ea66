//! Pairs accepted requests with rejected replies.
//!
//! Owns the rows that wait for their other half, the match window, duplicates and the bounds on memory. Refuses to
//! know network ACLs, output or the time of day.
//!
//! Rejects are few and accepted records are nearly all, so the join starts from the rejects: they stand in a hash
//! table; accepted records wait as small rows, in the lists that batches bring, and only probe it, once each, when no
//! reject that could match them can come any more. Whatever the order of input, the result is the same.

mod accepted;
#[cfg(target_arch = "x86_64")]
mod at_once;
mod clients;
mod conversation;
mod correlator;
mod coverage;
mod decide;
mod distinct;
mod encoding;
mod familiar;
mod gather;
mod hash;
mod identities;
mod interface;
mod kept;
mod names;
mod nearby;
mod numbering;
mod onset;
mod overflow;
mod probe;
mod reject;
mod rows;
mod selection;
mod settled;
mod silent;
mod spare;
mod spill;
mod unpaired;
mod waiting;

use crate::net::Timestamp;

pub use accepted::WideRow;
pub use clients::{CLIENT_SLACK_SECONDS, Client, RemoteEnd};
pub use conversation::{Conversation, RejectedRecord, RequestEvidence, UnpairedKind, UnpairedReject};
pub use correlator::{Correlated, Correlator, LateRecord, Options};
pub use coverage::{COVERAGE_SLICE_SECONDS, Coverage, Slices};
pub use gather::{Batch, Counts, Gatherer, MALFORMED_EXAMPLES, MalformedLine};
pub use interface::{Interface, InterfaceIndex, InterfaceRef, Interfaces, OwnAddress};
pub use onset::Onsets;
pub use selection::{LONGEST_RECORD_SECONDS, PlaceFilter, Selection};
pub use settled::CONVERSATION_BYTES;
pub use silent::{Sighting, SightingKind, SilentRequest};
pub use unpaired::UnpairedRejects;

/// The capture window of a record: first and last second in which its packets were seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// `start`.
    pub start: Timestamp,
    /// `end`.
    pub end: Timestamp,
}

impl Span {
    /// Seconds between two spans; 0 when they touch or overlap.
    #[must_use]
    pub fn gap(self, other: Self) -> i64 {
        self.start.seconds_since(other.end).max(other.start.seconds_since(self.end)).max(0)
    }

    /// The shortest span that holds both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

#[cfg(test)]
mod tests;
