//! The interfaces of one input that records come back to: which records say nothing new about theirs.
//!
//! A cache by the end of the name. What is not found here is not unknown; it is looked up at leisure.

use super::interface::{Common, Interface, InterfaceIndex};
use crate::net::Direction;
#[cfg(target_arch = "x86_64")]
use crate::record::fetch;
use crate::record::{PlainRecord, Token, halves};

/// Interfaces kept: more than commonly share an object.
const MOST: usize = 4096;

/// Places by name at first: few, as each that is looked at takes room in the nearest cache. They are doubled when names
/// come too close together.
const FEWEST_PLACES: usize = 1024;

/// And at most.
const MOST_PLACES: usize = 16 * 1024;

/// Places looked at for one name.
const TRIES: usize = 4;

/// See the module.
#[derive(Debug)]
pub(super) struct Familiar {
    places: Vec<Place>,
    /// Bits of a name's hash that are not asked for its place.
    shift: u32,
    /// What more is known, at the same places.
    known: Vec<Known>,
    /// Places taken.
    taken: usize,
}

/// What is asked of an interface for every record, in one line of the cache.
#[derive(Debug, Clone)]
#[repr(align(64))]
struct Place {
    name: Id,
    name_hash: u64,
    /// The address common to all its records, if that is one.
    own: u32,
    has_own: bool,
    index: InterfaceIndex,
}

/// What is asked less often.
#[derive(Debug, Clone)]
#[repr(align(64))]
struct Known {
    subnet_id: Id,
    vpc_id: Id,
    own: Common<u32>,
}

/// An AWS id of 16 to 32 bytes, or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Id {
    length: u8,
    ends: ([u64; 2], [u64; 2]),
}

const NO_ID: Id = Id { length: 0, ends: ([0; 2], [0; 2]) };

/// In a place that is free; no record's id is like it.
const FREE: Id = Id { length: u8::MAX, ends: ([0; 2], [0; 2]) };

const NO_PLACE: Place = Place { name: FREE, name_hash: 0, own: 0, has_own: false, index: InterfaceIndex(0) };

const NOTHING_KNOWN: Known = Known { subnet_id: NO_ID, vpc_id: NO_ID, own: Common::Unseen };

impl Id {
    #[expect(clippy::cast_possible_truncation, reason = "at most 32")]
    #[inline]
    fn of(token: Token<'_>) -> Self {
        if (16..=32).contains(&token.length()) {
            Self { length: token.length() as u8, ends: token.both_ends() }
        } else {
            NO_ID
        }
    }

    fn of_known(text: Option<&[u8]>) -> Self {
        let text = text.unwrap_or_default();
        match (text.first_chunk(), text.last_chunk()) {
            (Some(first), Some(last)) if text.len() <= 32 => {
                let length = u8::try_from(text.len()).unwrap_or(0);
                Self { length, ends: (halves(first), halves(last)) }
            }
            _ => NO_ID,
        }
    }

    #[inline]
    fn hash(self) -> u64 {
        // The ids of one account differ in all their digits: the last eight are as good as any.
        self.ends.1[1].wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    /// Whether two ids are the same, asked once for all their bytes.
    #[inline]
    fn is(&self, other: &Self) -> bool {
        let (first, last) = self.ends;
        let (other_first, other_last) = other.ends;
        let ends = first[0] ^ other_first[0]
            | first[1] ^ other_first[1]
            | last[0] ^ other_last[0]
            | last[1] ^ other_last[1];
        ends | u64::from(self.length ^ other.length) == 0
    }
}

impl Default for Familiar {
    fn default() -> Self {
        Self {
            places: vec![NO_PLACE; FEWEST_PLACES + TRIES],
            shift: shift_for(FEWEST_PLACES),
            known: vec![NOTHING_KNOWN; FEWEST_PLACES + TRIES],
            taken: 0,
        }
    }
}

impl Familiar {
    /// The first place where a name may be.
    #[expect(clippy::cast_possible_truncation, reason = "as many bits as there are places")]
    #[inline]
    fn first_place(&self, name: Id) -> usize {
        (name.hash() >> self.shift) as usize
    }

    /// The place of a name, or a free one where it would be.
    fn place(&self, name: Id) -> Result<usize, Option<usize>> {
        let first = self.first_place(name);
        for at in first..first + TRIES {
            let place = &self.places[at];
            if place.name == FREE {
                return Err(Some(at));
            }
            if place.name == name {
                return Ok(at);
            }
        }
        Err(None)
    }

    /// Makes twice as many places; `false` when there are as many as may be. A name that finds none among them is learnt
    /// again when it comes again.
    fn grow(&mut self) -> bool {
        let count = (self.places.len() - TRIES) * 2;
        if count > MOST_PLACES {
            return false;
        }
        self.shift = shift_for(count);
        let places = std::mem::replace(&mut self.places, vec![NO_PLACE; count + TRIES]);
        let known = std::mem::replace(&mut self.known, vec![NOTHING_KNOWN; count + TRIES]);
        self.taken = 0;
        for (place, known) in places.into_iter().zip(known).filter(|(place, _)| place.name != FREE) {
            if let Err(Some(at)) = self.place(place.name) {
                self.places[at] = place;
                self.known[at] = known;
                self.taken += 1;
            }
        }
        true
    }

    /// Has the processor fetch what will be asked of a record's interface: from one record to the next it is another one.
    #[inline]
    pub(super) fn expect(&self, record: &PlainRecord<'_>) {
        #[cfg(target_arch = "x86_64")]
        {
            let at = self.first_place(Id::of(record.interface_id()));
            fetch(&self.places[at]);
            if record.subnet_id().is_some() || record.vpc_id().is_some() {
                fetch(&self.known[at]);
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = record;
    }

    /// The number and the name's hash of an interface about which the record says nothing new.
    #[expect(clippy::inline_always, reason = "as a call, the record is copied to memory")]
    #[inline(always)]
    pub(super) fn find(&self, record: &PlainRecord<'_>) -> Option<(InterfaceIndex, u64)> {
        let name = Id::of(record.interface_id());
        let mut at = self.first_place(name);
        if !self.places[at].name.is(&name) {
            at = self.place(name).ok()?;
        }
        let (place, known) = (&self.places[at], &self.known[at]);
        let (subnet_id, vpc_id) = (record.subnet_id(), record.vpc_id());
        if subnet_id.is_some() || vpc_id.is_some() {
            let is_known = |id: Option<Token<'_>>, known: &Id| {
                id.is_none_or(|id| known.length != 0 && known.is(&Id::of(id)))
            };
            if !is_known(subnet_id, &known.subnet_id) || !is_known(vpc_id, &known.vpc_id) {
                return None;
            }
        }
        let says_nothing_new = if place.has_own {
            says_nothing_new(place.own, record)
        } else {
            known.says_nothing_new_beyond(record)
        };
        says_nothing_new.then_some((place.index, place.name_hash))
    }

    /// Remembers what is known of an interface.
    pub(super) fn learn(
        &mut self,
        record: &PlainRecord<'_>,
        index: InterfaceIndex,
        name_hash: u64,
        interface: &Interface,
    ) {
        let name = Id::of(record.interface_id());
        if name == NO_ID {
            return;
        }
        let mut place = self.place(name);
        while place == Err(None) && self.grow() {
            place = self.place(name);
        }
        let (at, is_new) = match place {
            Ok(at) => (at, false),
            Err(Some(at)) if self.taken < MOST => (at, true),
            Err(_) => return,
        };
        let own = interface.own_address.common_v4();
        self.known[at] = Known {
            subnet_id: Id::of_known(interface.subnet_id.as_deref()),
            vpc_id: Id::of_known(interface.vpc_id.as_deref()),
            own,
        };
        let (own, has_own) = if let Common::One(own) = own { (own, true) } else { (0, false) };
        self.places[at] = Place { name, name_hash, own, has_own, index };
        self.taken += usize::from(is_new);
    }
}

/// Whether a record leaves what is known of the interface's own address as it is.
#[expect(clippy::inline_always, reason = "as for find")]
#[expect(
    clippy::needless_bitwise_bool,
    reason = "which of the two it is changes from record to record: no branch"
)]
#[inline(always)]
fn says_nothing_new(own: u32, record: &PlainRecord<'_>) -> bool {
    let (source, destination) = record.addresses();
    match record.flow_direction() {
        None => (own == source) | (own == destination),
        Some(direction) => own == if direction == Direction::Egress { source } else { destination },
    }
}

impl Known {
    #[inline(never)]
    fn says_nothing_new_beyond(&self, record: &PlainRecord<'_>) -> bool {
        let (source, destination) = record.addresses();
        match self.own {
            Common::Two(a, b) if record.flow_direction().is_none() => {
                source != destination
                    && (a == source || a == destination)
                    && (b == source || b == destination)
            }
            Common::None => true,
            Common::One(_) | Common::Two(..) | Common::Unseen => false,
        }
    }
}

fn shift_for(places: usize) -> u32 {
    64 - places.trailing_zeros()
}
