//! What is decided: conversations and rejects that are no replies, and the bound on the former.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::conversation::{Conversation, RejectedRecord, UnpairedReject};
use super::overflow::Quota;
use super::reject::conversation_hash;
use super::spill::Lost;
use super::unpaired::UnpairedRejects;

/// What a conversation takes until it is printed, besides its records: itself, its cause, its row of text.
pub const CONVERSATION_BYTES: usize = 1536;

/// What leaves the table.
#[derive(Debug, Clone)]
pub(super) struct Settled {
    pub(super) conversations: Vec<Conversation>,
    pub(super) unpaired: UnpairedRejects,
    pub(super) lost: Lost,
    /// Conversations left out.
    pub(super) cut: u64,
    /// Bytes that the conversations take until they are printed.
    cost: usize,
    limit: usize,
    /// Conversations of a higher rank are left out: which ones they are does not depend on the order of input.
    highest_rank: u64,
    records: usize,
}

impl Settled {
    /// Nothing. Conversations may take `limit` bytes until they are printed, other rejects `unpaired` bytes of memory.
    pub(super) fn new(limit: usize, unpaired: usize, quota: &Arc<Quota>) -> Self {
        Self {
            conversations: Vec::new(),
            unpaired: UnpairedRejects::new(unpaired, quota),
            lost: Lost::default(),
            cut: 0,
            cost: 0,
            limit,
            highest_rank: u64::MAX,
            records: 0,
        }
    }

    pub(super) fn conversation(&mut self, conversation: Conversation) {
        if rank(&conversation) > self.highest_rank {
            self.leave_out(&conversation);
            return;
        }
        self.cost += cost(&conversation);
        self.records += conversation.rejected.len();
        self.conversations.push(conversation);
        while self.cost > self.limit && !self.conversations.is_empty() {
            self.highest_rank /= 2;
            let highest = self.highest_rank;
            let out: Vec<_> =
                self.conversations.extract_if(.., |conversation| rank(conversation) > highest).collect();
            for conversation in out {
                self.cost -= cost(&conversation);
                self.records -= conversation.rejected.len();
                self.leave_out(&conversation);
            }
        }
    }

    fn leave_out(&mut self, conversation: &Conversation) {
        self.cut += 1;
        conversation.rejected.iter().for_each(|record| self.lost.rejected(record));
    }

    pub(super) fn unpaired(&mut self, reject: &UnpairedReject) {
        self.unpaired.push(reject, &mut self.lost);
    }

    pub(super) fn bytes(&self) -> usize {
        self.conversations.capacity() * size_of::<Conversation>()
            + self.records * size_of::<RejectedRecord>()
            + self.unpaired.bytes()
    }
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
