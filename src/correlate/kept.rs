//! Conversations that were decided, as bytes: they wait for the last one, and take a quarter of the room so.

use super::conversation::Conversation;
use super::encoding::{Encoded, put_conversation};
use super::interface::InterfaceIndex;

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

    /// All of them under the final numbers of interfaces, in an order that depends on nothing but what they are.
    pub(super) fn in_order(self, new: &impl Fn(InterfaceIndex) -> InterfaceIndex) -> Vec<Conversation> {
        let mut all = Vec::with_capacity(self.count);
        self.for_each(|mut conversation| {
            conversation.interface = new(conversation.interface);
            if let Some(request) = &mut conversation.request {
                request.other_interface = request.other_interface.map(new);
            }
            all.push(conversation);
        });
        // Their places are sorted: they themselves are large.
        let mut order: Vec<usize> = (0..all.len()).collect();
        order.sort_unstable_by(|a, b| {
            let (a, b) = (&all[*a], &all[*b]);
            (a.interface, a.packet, &a.rejected, a.reply).cmp(&(b.interface, b.packet, &b.rejected, b.reply))
        });
        put_in_order(&mut all, &mut order);
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

/// Puts at each place what stood at the place that `order` names for it. `order` is used up.
fn put_in_order<T>(all: &mut [T], order: &mut [usize]) {
    for first in 0..order.len() {
        let mut place = first;
        loop {
            let from = std::mem::replace(&mut order[place], place);
            if from == first {
                break;
            }
            all.swap(place, from);
            place = from;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn puts_each_where_the_order_says(mut order in Just((0..50).collect::<Vec<usize>>()).prop_shuffle()) {
            let mut all: Vec<usize> = (0..50).map(|at| at * 7).collect();
            let expected: Vec<_> = order.iter().map(|at| all[*at]).collect();
            put_in_order(&mut all, &mut order);
            prop_assert_eq!(all, expected);
        }
    }
}
