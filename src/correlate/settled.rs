//! What is decided: conversations, rejects that are no replies, and what was skipped; and the bounds on them.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::Span;
use super::conversation::{Conversation, RejectedRecord, UnpairedPart};
use super::hash::conversation_hash;
use super::interface::InterfaceIndex;
use super::kept::Kept;
use super::overflow::Quota;
use super::silent::SilentRequests;
use super::spill::Lost;
use super::unpaired::UnpairedRejects;

/// What a conversation takes until it is printed, besides its records: itself, its cause, its row of text.
pub const CONVERSATION_BYTES: usize = 1536;

/// What a `SKIPDATA` interval takes, with its part of the tree.
const SPAN_BYTES: usize = 40;

/// What leaves the table.
#[derive(Debug, Clone)]
pub(super) struct Settled {
    pub(super) conversations: Kept,
    pub(super) unpaired: UnpairedRejects,
    pub(super) silent: SilentRequests,
    pub(super) lost: Lost,
    /// Conversations left out.
    pub(super) cut: u64,
    /// Bytes that the conversations take until they are printed.
    cost: usize,
    limit: usize,
    /// Conversations of a higher rank are left out: which ones they are does not depend on the order of input.
    highest_rank: u64,
    /// `SKIPDATA` intervals by interface, those of the lowest ranks where there is no room for all.
    pub(super) skip_data: BTreeMap<InterfaceIndex, BTreeSet<Span>>,
    spans: usize,
    pub(super) highest_span_rank: u64,
}

impl Settled {
    /// Nothing. Conversations may take `limit` bytes until they are printed, other rejects `unpaired`
    /// and requests without an answer `silent` bytes of memory.
    pub(super) fn new(limit: usize, unpaired: usize, silent: usize, quota: &Arc<Quota>) -> Self {
        Self {
            conversations: Kept::default(),
            unpaired: UnpairedRejects::new(unpaired, quota),
            silent: SilentRequests::new(silent),
            lost: Lost::default(),
            cut: 0,
            cost: 0,
            limit,
            highest_rank: u64::MAX,
            skip_data: BTreeMap::new(),
            spans: 0,
            highest_span_rank: u64::MAX,
        }
    }

    pub(super) fn conversation(&mut self, conversation: &Conversation) {
        if rank(conversation) > self.highest_rank {
            self.leave_out(conversation);
            return;
        }
        self.cost += cost(conversation);
        self.conversations.push(conversation);
        while self.cost > self.limit && self.highest_rank > 0 {
            self.highest_rank = self.highest_rank / 8 * 7;
            let highest = self.highest_rank;
            let mut conversations = std::mem::take(&mut self.conversations);
            conversations.retain(|conversation| {
                let stays = rank(conversation) <= highest;
                if !stays {
                    self.cost -= cost(conversation);
                    self.leave_out(conversation);
                }
                stays
            });
            self.conversations = conversations;
        }
    }

    fn leave_out(&mut self, conversation: &Conversation) {
        self.cut += 1;
        conversation.rejected.iter().for_each(|record| self.lost.rejected(record));
    }

    pub(super) fn unpaired(&mut self, reject: &UnpairedPart<'_>) {
        self.unpaired.push(reject, &mut self.lost);
    }

    /// Takes note of a `SKIPDATA` interval.
    pub(super) fn skip_data(&mut self, interface: InterfaceIndex, span: Span) {
        if span_rank(span) > self.highest_span_rank {
            return;
        }
        self.spans += usize::from(self.skip_data.entry(interface).or_default().insert(span));
        while self.spans * SPAN_BYTES > self.limit / 4 && self.highest_span_rank > 0 {
            self.highest_span_rank = self.highest_span_rank / 8 * 7;
            let highest = self.highest_span_rank;
            let mut kept = 0;
            self.skip_data.retain(|_, spans| {
                spans.retain(|span| span_rank(*span) <= highest);
                kept += spans.len();
                !spans.is_empty()
            });
            self.spans = kept;
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.conversations.bytes() + self.unpaired.bytes() + self.silent.bytes() + self.spans * SPAN_BYTES
    }
}

fn span_rank(span: Span) -> u64 {
    let mut hasher = FixedState::with_seed(8).build_hasher();
    hasher.write_i64(span.start.0);
    hasher.write_i64(span.end.0);
    hasher.finish()
}

fn cost(conversation: &Conversation) -> usize {
    CONVERSATION_BYTES + conversation.rejected.len() * 2 * size_of::<RejectedRecord>()
}

fn rank(conversation: &Conversation) -> u64 {
    let mut hasher = FixedState::with_seed(7).build_hasher();
    hasher.write_u64(conversation_hash(&conversation.packet));
    hasher.write_i64(conversation.rejected.first().map_or(0, |record| record.span.start.0));
    hasher.finish()
}
