//! Conversations that were decided, as bytes: they wait for the last one, and take a quarter of the room so.

use super::conversation::Conversation;
use super::encoding::{Encoded, put_conversation};

/// Bytes that are allocated at once.
const BLOCK_BYTES: usize = 64 * 1024;

/// Some of the last bytes of a block stay unused; few conversations take more than these.
const SLACK_BYTES: usize = 1024;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    blocks: Vec<Vec<u8>>,
    count: usize,
}

impl Kept {
    pub(super) fn push(&mut self, conversation: &Conversation) {
        self.count += 1;
        match self.blocks.last_mut() {
            Some(block) if block.len() < BLOCK_BYTES - SLACK_BYTES => put_conversation(block, conversation),
            _ => {
                let mut block = Vec::with_capacity(BLOCK_BYTES);
                put_conversation(&mut block, conversation);
                self.blocks.push(block);
            }
        }
    }

    /// Leaves out those of which it is not said that they stay.
    pub(super) fn retain(&mut self, mut stays: impl FnMut(&Conversation) -> bool) {
        let all = std::mem::take(self);
        all.for_each(|conversation| {
            if stays(&conversation) {
                self.push(&conversation);
            }
        });
    }

    /// All of them, in the order in which they came.
    pub(super) fn into_all(self) -> Vec<Conversation> {
        let mut all = Vec::with_capacity(self.count);
        self.for_each(|conversation| all.push(conversation));
        all
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.blocks.iter().map(Vec::capacity).sum()
    }

    /// Visits them and gives their memory back on the way.
    fn for_each(self, mut visit: impl FnMut(Conversation)) {
        for block in self.blocks {
            let mut encoded = Encoded(&block);
            while let Some(conversation) = encoded.conversation() {
                visit(conversation);
            }
        }
    }
}
