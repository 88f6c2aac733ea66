//! Rejects that are no replies, as many as there may be: a scan of a whole network is millions of flows of one record.
//!
//! They are kept encoded, in memory up to a bound and then in a temporary file, and visited in an order that depends on
//! nothing but their contents, as often as wanted.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::conversation::{UnpairedPart, UnpairedReject};
use super::encoding::{Encoded, put_unpaired};
use super::hash::{conversation_hash, partition_of};
use super::interface::InterfaceIndex;
use super::overflow::{PARTITIONS, Partitioned, Quota};
use super::spill::Lost;

/// Rejected records that are no replies, by flow.
#[derive(Clone)]
pub struct UnpairedRejects {
    store: Partitioned,
    /// The final numbers of the interfaces, by those in the store.
    renumbered: Vec<InterfaceIndex>,
}

impl UnpairedRejects {
    /// None; `budget` bytes of them may stay in memory.
    pub(super) fn new(budget: usize, quota: &Arc<Quota>) -> Self {
        Self { store: Partitioned::new(budget, quota), renumbered: Vec::new() }
    }

    /// Adds some of a flow's records; what cannot be kept is counted in `lost`.
    pub(super) fn push(&mut self, reject: &UnpairedPart<'_>, lost: &mut Lost) {
        let partition = partition_of(conversation_hash(&reject.packet));
        self.store.push(partition, |out| put_unpaired(out, reject));
        if self.store.is_due() {
            self.store.write(|_, rows| {
                let mut rows = Encoded(rows);
                while let Some(reject) = rows.unpaired() {
                    reject.rejected.iter().for_each(|record| lost.rejected(record));
                }
            });
        }
    }

    /// The numbers under which interfaces are known from now on.
    pub(super) fn renumber(&mut self, renumbered: Vec<InterfaceIndex>) {
        self.renumbered = renumbered;
    }

    pub(super) fn keep_in_memory(&mut self) {
        self.store.keep_in_memory();
    }

    pub(super) fn bytes(&self) -> usize {
        self.store.bytes()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.store.is_empty()
    }

    /// Gives every flow once with all its records of one kind. Fails when some of them cannot be read back from the
    /// temporary file; the others are given all the same.
    pub fn for_each(&self, mut visit: impl FnMut(&UnpairedReject)) -> io::Result<()> {
        let (mut space, mut bytes, mut places) = (Vec::new(), Vec::new(), Vec::new());
        let mut failed = Ok(());
        for partition in 0..PARTITIONS {
            bytes.clear();
            let read = self.store.blocks(partition, &mut space, |block| bytes.extend_from_slice(block));
            failed = failed.and(read.map_err(|unread| unread.error));
            self.visit(&bytes, &mut places, &mut visit);
        }
        failed
    }

    /// Gives the flows of one partition, those of one packet together. Nearly all are alone with their packet.
    fn visit(&self, bytes: &[u8], places: &mut Vec<(u64, usize)>, visit: &mut impl FnMut(&UnpairedReject)) {
        places.clear();
        let mut rest = Encoded(bytes);
        loop {
            let at = bytes.len() - rest.0.len();
            let Some(hash) = rest.pass_unpaired() else { break };
            places.push((hash, at));
        }
        places.sort_unstable();
        for group in places.chunk_by(|a, b| a.0 == b.0) {
            let parts = group.iter().filter_map(|(_, at)| Encoded(&bytes[*at..]).unpaired());
            let parts = parts.map(|mut part| {
                if let Some(new) = self.renumbered.get(part.interface.0 as usize) {
                    part.interface = *new;
                }
                part
            });
            merge(parts.collect()).iter().for_each(&mut *visit);
        }
    }

    /// All of them, by interface, packet, kind and flow.
    #[cfg(test)]
    pub(crate) fn all(&self) -> Vec<UnpairedReject> {
        let mut all = Vec::new();
        self.for_each(|reject| all.push(reject.clone())).expect("a readable file");
        all.sort_by_key(|reject| (reject.interface, reject.packet, reject.kind, reject.flow));
        all
    }
}

impl fmt::Debug for UnpairedRejects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        let read = self.for_each(|reject| {
            list.entry(reject);
        });
        if let Err(error) = read {
            list.entry(&error);
        }
        list.finish()
    }
}

/// One flow's rejects may have been decided in parts, as time went by: here they are one again.
fn merge(mut parts: Vec<UnpairedReject>) -> Vec<UnpairedReject> {
    let key = |part: &UnpairedReject| (part.interface, part.packet, part.kind, part.flow);
    parts.sort_unstable_by(|a, b| (key(a), &a.rejected).cmp(&(key(b), &b.rejected)));
    parts.dedup_by(|part, kept| {
        if key(part) != key(kept) {
            return false;
        }
        kept.rejected.append(&mut part.rejected);
        kept.flow_direction = match (kept.flow_direction, part.flow_direction) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        true
    });
    parts
}
