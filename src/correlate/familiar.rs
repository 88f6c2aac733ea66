//! The interfaces of one input that records come back to: which records say nothing new about theirs.
//!
//! A cache by the end of the name. What is not found here is not unknown; it is looked up at leisure.

use super::interface::{Common, Interface, InterfaceIndex};
use crate::net::Direction;
use crate::record::{PlainRecord, Token};

/// Interfaces kept: more than commonly share an object.
const MOST: usize = 4096;

/// Places by name, twice as many and more: hardly two names want the same one.
const PLACES: usize = 16 * 1024;

/// Places looked at for one name.
const TRIES: usize = 4;

/// See the module.
#[derive(Debug)]
pub(super) struct Familiar {
    /// Where each name's slot is, plus one; 0 for none.
    places: Vec<u16>,
    slots: Vec<Slot>,
    /// What each slot's interface is, as the last batch that met it knew it.
    interfaces: Vec<Interface>,
    /// The current batch; numbers are valid in one batch only.
    batch: u32,
}

#[derive(Debug, Clone)]
struct Slot {
    batch: u32,
    index: InterfaceIndex,
    name_hash: u64,
    name: Id,
    subnet_id: Id,
    vpc_id: Id,
    own: Common<u32>,
}

/// An AWS id of 16 to 32 bytes, or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Id {
    length: usize,
    ends: (u128, u128),
}

const NO_ID: Id = Id { length: 0, ends: (0, 0) };

impl Id {
    #[inline]
    fn of(token: Token<'_>) -> Self {
        if (16..=32).contains(&token.length()) {
            Self { length: token.length(), ends: token.both_ends() }
        } else {
            NO_ID
        }
    }

    fn of_known(text: Option<&[u8]>) -> Self {
        let text = text.unwrap_or_default();
        match (text.first_chunk(), text.last_chunk()) {
            (Some(first), Some(last)) if text.len() <= 32 => {
                Self { length: text.len(), ends: (u128::from_le_bytes(*first), u128::from_le_bytes(*last)) }
            }
            _ => NO_ID,
        }
    }

    #[inline]
    fn place(self) -> usize {
        // The ids of one account differ in all their digits: the last eight are as good as any.
        let digits = (self.ends.1 >> 64) as u64;
        (digits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 50) as usize
    }
}

impl Default for Familiar {
    fn default() -> Self {
        Self { places: vec![0; PLACES + TRIES], slots: Vec::new(), interfaces: Vec::new(), batch: 1 }
    }
}

impl Familiar {
    /// The numbers given so far are no longer valid.
    pub(super) fn begin(&mut self) {
        self.batch = self.batch.wrapping_add(1);
        if self.batch == 0 {
            *self = Self::default();
        }
    }

    /// The slot of a name, or the place where it would be.
    #[expect(clippy::inline_always, reason = "as for find")]
    #[inline(always)]
    fn slot(&self, name: Id) -> Result<usize, Option<usize>> {
        for place in name.place()..name.place() + TRIES {
            let known = usize::from(self.places[place]);
            match self.slots.get(known.wrapping_sub(1)) {
                Some(slot) if slot.name == name => return Ok(known - 1),
                Some(_) => {}
                None => return Err(Some(place)),
            }
        }
        Err(None)
    }

    /// The number and the name's hash of an interface about which the record says nothing new.
    #[expect(clippy::inline_always, reason = "as a call, the record is copied to memory")]
    #[inline(always)]
    pub(super) fn find(&self, record: &PlainRecord<'_>) -> Option<(InterfaceIndex, u64)> {
        let slot = &self.slots[self.slot(Id::of(record.interface_id)).ok()?];
        let known = slot.batch == self.batch
            && record.subnet_id.is_none_or(|id| slot.subnet_id == Id::of(id) && slot.subnet_id != NO_ID)
            && record.vpc_id.is_none_or(|id| slot.vpc_id == Id::of(id) && slot.vpc_id != NO_ID)
            && slot.says_nothing_new(record);
        known.then_some((slot.index, slot.name_hash))
    }

    /// What an earlier batch knew of the interface, if this one has not met it yet.
    pub(super) fn return_of(&self, record: &PlainRecord<'_>) -> Option<Interface> {
        let at = self.slot(Id::of(record.interface_id)).ok()?;
        (self.slots[at].batch != self.batch).then(|| self.interfaces[at].clone())
    }

    /// Remembers an interface as the current batch knows it.
    pub(super) fn learn(
        &mut self,
        record: &PlainRecord<'_>,
        index: InterfaceIndex,
        name_hash: u64,
        interface: &Interface,
    ) {
        let name = Id::of(record.interface_id);
        let slot = Slot {
            batch: self.batch,
            index,
            name_hash,
            name,
            subnet_id: Id::of_known(interface.subnet_id.as_deref()),
            vpc_id: Id::of_known(interface.vpc_id.as_deref()),
            own: interface.own_address.common_v4(),
        };
        match self.slot(name) {
            Ok(at) => {
                self.slots[at] = slot;
                if self.interfaces[at] != *interface {
                    self.interfaces[at] = interface.clone();
                }
            }
            Err(Some(place)) if self.slots.len() < MOST && name != NO_ID => {
                self.slots.push(slot);
                self.interfaces.push(interface.clone());
                self.places[place] = u16::try_from(self.slots.len()).unwrap_or(0);
            }
            Err(_) => {}
        }
    }
}

impl Slot {
    /// Whether a record leaves what is known of the interface's own address as it is.
    #[expect(clippy::inline_always, reason = "as for find")]
    #[expect(
        clippy::needless_bitwise_bool,
        reason = "which of the two it is changes from record to record: no branch"
    )]
    #[inline(always)]
    fn says_nothing_new(&self, record: &PlainRecord<'_>) -> bool {
        let (source, destination) = (record.srcaddr, record.dstaddr);
        if let Common::One(own) = self.own {
            return match record.flow_direction {
                None => (own == source) | (own == destination),
                Some(Direction::Egress) => own == source,
                Some(Direction::Ingress) => own == destination,
            };
        }
        self.says_nothing_new_beyond(source, destination, record.flow_direction)
    }

    #[inline(never)]
    fn says_nothing_new_beyond(&self, source: u32, destination: u32, direction: Option<Direction>) -> bool {
        match self.own {
            Common::Two(a, b) if direction.is_none() => {
                source != destination
                    && (a == source || a == destination)
                    && (b == source || b == destination)
            }
            Common::None => true,
            Common::One(_) | Common::Two(..) | Common::Unseen => false,
        }
    }
}
