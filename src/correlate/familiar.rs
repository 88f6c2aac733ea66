//! The interfaces of one input that records come back to: which records say nothing new about theirs.
//!
//! A cache by the end of the name. What is not found here is not unknown; it is looked up at leisure.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{_mm256_cmpneq_epi64_mask, _mm256_set_epi64x};

use super::interface::{Common, Interface, InterfaceIndex};
use crate::net::Direction;
use crate::record::{PlainRecord, Token, halves};
#[cfg(target_arch = "x86_64")]
use crate::record::{PlainRecords, fetch};

/// Interfaces kept: more than commonly share an object.
const MOST: usize = 4096;

/// Slots for names at first. Which interface the next record is of is anybody's guess, and so is then whether its name has the
/// slot that it would have first: there are many more of them than names, and small ones. They are doubled when they are too
/// few for that, or names come too close together.
const FEWEST_SLOTS: usize = 1024;

/// And at most.
const MOST_SLOTS: usize = 32 * 1024;

/// Slots for each name, at least.
const SLOTS_FOR_ONE: usize = 8;

/// Slots looked at for one name.
const TRIES: usize = 4;

/// In a slot that no name has: the first place, which is nobody's.
const NOBODY: u16 = 0;

/// See the module.
#[derive(Debug)]
pub(super) struct Familiar {
    /// By name, which place.
    slots: Vec<u16>,
    /// Bits of a name's hash that are not asked for its slot.
    shift: u32,
    places: Vec<Place>,
    /// What more is known, at the same places.
    known: Vec<Known>,
}

/// What is asked of an interface for every record, in one line of the cache.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub(super) struct Place {
    name: Id,
    pub(super) name_hash: u64,
    /// The address common to all its records, if that is one.
    pub(super) own: u32,
    pub(super) has_own: bool,
    pub(super) index: InterfaceIndex,
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
    ends: [u64; 4],
    length: usize,
}

const NO_ID: Id = Id { length: 0, ends: [0; 4] };

/// Of nobody; no record's id is like it.
const NO_NAME: Id = Id { length: usize::MAX, ends: [0; 4] };

const NO_PLACE: Place =
    Place { name: NO_NAME, name_hash: 0, own: 0, has_own: false, index: InterfaceIndex(0) };

const NOTHING_KNOWN: Known = Known { subnet_id: NO_ID, vpc_id: NO_ID, own: Common::Unseen };

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
                let ([a, b], [c, d]) = (halves(first), halves(last));
                Self { length: text.len(), ends: [a, b, c, d] }
            }
            _ => NO_ID,
        }
    }

    /// Whether two ids are the same, asked once for all their bytes.
    #[inline]
    fn is(&self, other: &Self) -> bool {
        let [a, b, c, d] = self.ends;
        let [other_a, other_b, other_c, other_d] = other.ends;
        let ends = a ^ other_a | b ^ other_b | c ^ other_c | d ^ other_d;
        ends | (self.length ^ other.length) as u64 == 0
    }

    /// The same of a text of any length.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    #[target_feature(enable = "avx512f,avx512vl,avx2")]
    fn is_of(&self, token: Token<'_>) -> bool {
        let [a, b, c, d] = self.ends.map(u64::cast_signed);
        let differ = _mm256_cmpneq_epi64_mask(token.ends_at_once(), _mm256_set_epi64x(d, c, b, a));
        usize::from(differ) | (self.length ^ token.length()) == 0
    }
}

impl Default for Familiar {
    fn default() -> Self {
        Self {
            slots: vec![NOBODY; FEWEST_SLOTS + TRIES],
            shift: shift_for(FEWEST_SLOTS),
            places: vec![NO_PLACE],
            known: vec![NOTHING_KNOWN],
        }
    }
}

impl Familiar {
    /// The first slot where a name may be, by its last eight bytes: the ids of one account differ in all their digits.
    #[expect(clippy::cast_possible_truncation, reason = "as many bits as there are slots")]
    #[inline]
    fn first_slot(&self, name_end: u64) -> usize {
        (name_end.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
    }

    /// The place of a name, or a free slot for it.
    fn place(&self, name: Id) -> Result<usize, Option<usize>> {
        let first = self.first_slot(name.ends[3]);
        for slot in first..first + TRIES {
            let at = self.slots[slot];
            if at == NOBODY {
                return Err(Some(slot));
            }
            if self.places[usize::from(at)].name == name {
                return Ok(at.into());
            }
        }
        Err(None)
    }

    /// Makes twice as many slots; `false` when there are as many as may be. A name that finds none among them is learnt
    /// again when it comes again.
    fn grow(&mut self) -> bool {
        let count = (self.slots.len() - TRIES) * 2;
        if count > MOST_SLOTS {
            return false;
        }
        self.shift = shift_for(count);
        self.slots = vec![NOBODY; count + TRIES];
        for at in 1..self.places.len() {
            if let Err(Some(slot)) = self.place(self.places[at].name) {
                self.slots[slot] = number(at);
            }
        }
        true
    }

    /// Where an interface of this name is nearly always, if anywhere. Has the processor fetch what will be asked of it, with
    /// what it belongs to if records `have_places`: from one record to the next it is another one.
    #[inline]
    pub(super) fn expect(&self, name: Token<'_>, have_places: bool) -> usize {
        let at = usize::from(self.slots[self.first_slot(name.last_eight())]);
        #[cfg(target_arch = "x86_64")]
        {
            fetch(&self.places[at]);
            if have_places {
                fetch(&self.known[at]);
            }
        }
        at
    }

    /// What is noted of a record's interface, and whether it is certain that the record says nothing new about it; `None`
    /// where it may say something about what it belongs to. Of a record whose interface has an [own address](Place::own)
    /// that is left to ask.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    #[target_feature(enable = "avx512f,avx512vl,avx2")]
    pub(super) fn noted(
        &self,
        expected: usize,
        (records, nth): (&PlainRecords<'_>, usize),
        have_places: bool,
    ) -> Option<(&Place, bool)> {
        let name = records.interface_id(nth);
        let (mut at, mut place) = (expected, &self.places[expected]);
        if !place.name.is_of(name) {
            at = self.other_place(name)?;
            place = &self.places[at];
        }
        if have_places {
            let (known, record) = (&self.known[at], records.at(nth));
            let is_known = |id: Option<Token<'_>>, known: &Id| id.is_none_or(|id| known.is_of(id));
            if !is_known(record.subnet_id(), &known.subnet_id) || !is_known(record.vpc_id(), &known.vpc_id) {
                return None;
            }
        }
        if place.has_own {
            return Some((place, false));
        }
        self.known[at].nothing_new_beyond(records, nth).then_some((place, true))
    }

    /// The place of an interface whose name has not the first slot for it.
    #[cfg(target_arch = "x86_64")]
    #[inline(never)]
    fn other_place(&self, name: Token<'_>) -> Option<usize> {
        self.place(Id::of(name)).ok()
    }

    /// The number and the name's hash of an interface about which the record says nothing new.
    #[expect(clippy::inline_always, reason = "as a call, the record is copied to memory")]
    #[inline(always)]
    pub(super) fn find(&self, record: &PlainRecord<'_>) -> Option<(InterfaceIndex, u64)> {
        let name = Id::of(record.interface_id());
        let mut at = usize::from(self.slots[self.first_slot(name.ends[3])]);
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
        if self.places.len() * SLOTS_FOR_ONE > self.slots.len() {
            self.grow();
        }
        let mut place = self.place(name);
        while place == Err(None) && self.grow() {
            place = self.place(name);
        }
        let own = interface.own_address.common_v4();
        let known = Known {
            subnet_id: Id::of_known(interface.subnet_id.as_deref()),
            vpc_id: Id::of_known(interface.vpc_id.as_deref()),
            own,
        };
        let (own, has_own) = if let Common::One(own) = own { (own, true) } else { (0, false) };
        let one = Place { name, name_hash, own, has_own, index };
        match place {
            Ok(at) => (self.places[at], self.known[at]) = (one, known),
            Err(Some(slot)) if self.places.len() <= MOST => {
                self.slots[slot] = number(self.places.len());
                self.places.push(one);
                self.known.push(known);
            }
            Err(_) => {}
        }
    }
}

/// A place as a slot has it.
#[expect(clippy::cast_possible_truncation, reason = "there are no more than 4096")]
fn number(place: usize) -> u16 {
    place as u16
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
    /// The same of one of some records.
    #[cfg(target_arch = "x86_64")]
    #[inline(never)]
    fn nothing_new_beyond(&self, records: &PlainRecords<'_>, nth: usize) -> bool {
        self.says_nothing_new_beyond(&records.at(nth))
    }

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

fn shift_for(slots: usize) -> u32 {
    64 - slots.trailing_zeros()
}
