//! The numbers that a gatherer gives to the interfaces that it meets, over all of its batches.
//!
//! A batch brings only what no earlier one of the same numbering said of an interface. Refuses to know rows.

use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashTable;

use super::hash::name_hash;
use super::interface::{Interface, InterfaceIndex, OwnAddress};
use crate::net::{Direction, FiveTuple};
use crate::record::FlowRecord;

/// With more interfaces than this they are numbered anew: those that come no more are forgotten.
const MOST_INTERFACES: usize = if cfg!(test) { 2 } else { 4096 };

static NEXT_GATHERER: AtomicU64 = AtomicU64::new(0);

/// A gatherer numbers the interfaces that it meets. When there are too many it begins anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Numbering {
    pub(super) gatherer: u64,
    pub(super) beginning: u32,
}

/// All that is known of an interface by now.
#[derive(Debug)]
pub(super) struct News {
    /// Its number in the numbering.
    pub(super) index: InterfaceIndex,
    /// The hash of its name.
    pub(super) name: u64,
    pub(super) interface: Interface,
}

/// An interface that has a number.
#[derive(Debug)]
pub(super) struct Numbered {
    pub(super) interface: Interface,
    /// The hash of its name.
    pub(super) name: u64,
    /// Whether the next batch says something new of it.
    is_news: bool,
}

impl Numbered {
    fn is_told_of(&mut self, index: InterfaceIndex, news: &mut Vec<InterfaceIndex>) {
        if !std::mem::replace(&mut self.is_news, true) {
            news.push(index);
        }
    }
}

/// All interfaces that have a number.
#[derive(Debug)]
pub(super) struct NumberedInterfaces {
    numbering: Numbering,
    /// By the numbers in use.
    interfaces: Vec<Numbered>,
    by_name: HashTable<u32>,
    /// Those of which the next batch says something new.
    news: Vec<InterfaceIndex>,
    last: Option<InterfaceIndex>,
}

impl NumberedInterfaces {
    /// None yet, in a numbering of their own.
    pub(super) fn new() -> Self {
        Self {
            numbering: Numbering { gatherer: NEXT_GATHERER.fetch_add(1, Ordering::Relaxed), beginning: 0 },
            interfaces: Vec::new(),
            by_name: HashTable::new(),
            news: Vec::new(),
            last: None,
        }
    }

    /// Whether there is something that no batch said yet.
    pub(super) fn have_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// Says what is new, and whose numbers these are.
    pub(super) fn tell(&mut self, into: &mut Vec<News>) -> Numbering {
        for index in self.news.drain(..) {
            let Numbered { interface, name, is_news } = &mut self.interfaces[index.0 as usize];
            *is_news = false;
            into.push(News { index, name: *name, interface: interface.clone() });
        }
        self.numbering
    }

    /// Forgets all numbers if there are too many of them; after [`tell`](Self::tell). `true` if it did.
    pub(super) fn begin_anew_if_many(&mut self) -> bool {
        let are_many = self.interfaces.len() > MOST_INTERFACES;
        if are_many {
            self.numbering.beginning = self.numbering.beginning.wrapping_add(1);
            self.interfaces.clear();
            self.by_name.clear();
            self.last = None;
        }
        are_many
    }

    /// The hash of an interface's name.
    #[inline]
    pub(super) fn name_hash(&self, index: InterfaceIndex) -> u64 {
        self.interfaces[index.0 as usize].name
    }

    /// The interface that was asked for last.
    pub(super) fn last(&self) -> Option<(InterfaceIndex, &Numbered)> {
        self.last.map(|last| (last, &self.interfaces[last.0 as usize]))
    }

    /// Learns which address may be the interface's own.
    #[inline]
    pub(super) fn observe(&mut self, index: InterfaceIndex, flow: &FiveTuple, direction: Option<Direction>) {
        let numbered = &mut self.interfaces[index.0 as usize];
        let known = numbered.interface.own_address;
        numbered.interface.own_address.observe(flow, direction);
        if numbered.interface.own_address != known {
            numbered.is_told_of(index, &mut self.news);
        }
    }

    /// The number of a record's interface, after taking in where the record says that it is.
    pub(super) fn of(&mut self, record: &FlowRecord<'_>) -> Option<InterfaceIndex> {
        let name = record.interface_id.or(record.resource_id)?;
        let is_last =
            |last: &InterfaceIndex| *self.interfaces[last.0 as usize].interface.interface_id == *name;
        let index = self.last.filter(is_last).unwrap_or_else(|| self.numbered(name));
        let numbered = &mut self.interfaces[index.0 as usize];
        let Interface { subnet_id, vpc_id, .. } = &mut numbered.interface;
        if learn(subnet_id, record.subnet_id) | learn(vpc_id, record.vpc_id) {
            numbered.is_told_of(index, &mut self.news);
        }
        self.last = Some(index);
        Some(index)
    }

    /// The number of an interface of this name, which is given one if it has none.
    fn numbered(&mut self, interface_id: &[u8]) -> InterfaceIndex {
        let name = name_hash(interface_id);
        let is_it = |at: &u32| *self.interfaces[*at as usize].interface.interface_id == *interface_id;
        if let Some(index) = self.by_name.find(name, is_it) {
            return InterfaceIndex(*index);
        }
        let index = u32::try_from(self.interfaces.len()).unwrap_or(u32::MAX);
        let interface = Interface {
            interface_id: interface_id.into(),
            subnet_id: None,
            vpc_id: None,
            own_address: OwnAddress::default(),
        };
        self.interfaces.push(Numbered { interface, name, is_news: false });
        let interfaces = &self.interfaces;
        self.by_name.insert_unique(name, index, |at| interfaces[*at as usize].name);
        let index = InterfaceIndex(index);
        self.interfaces[index.0 as usize].is_told_of(index, &mut self.news);
        index
    }
}

/// Of contradicting places the first in alphabetical order is kept, so that the order of records does not matter. `true`
/// if something was learnt.
#[inline]
fn learn(known: &mut Option<Box<[u8]>>, said: Option<&[u8]>) -> bool {
    let Some(said) = said.filter(|said| known.as_deref().is_none_or(|known| *said < known)) else {
        return false;
    };
    *known = Some(said.into());
    true
}
