//! The interfaces met in the records: their names, where they are, and which address is their own.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hashbrown::HashMap;

use super::names::{NameIndex, Names};
use crate::net::{Direction, FiveTuple};

/// Stands for an interface inside the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceIndex(pub u32);

/// What the records say about one interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// `eni-…`, or the `resource-id` of a regional NAT gateway, which has no interface id.
    pub interface_id: Box<[u8]>,
    /// `subnet-id`, if the format has it.
    pub subnet_id: Option<Box<[u8]>>,
    /// `vpc-id`, if the format has it.
    pub vpc_id: Option<Box<[u8]>>,
    /// Its own address, as far as its records show it.
    pub own_address: OwnAddress,
}

/// The same, of one among many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterfaceRef<'a> {
    /// `eni-…`, or the `resource-id` of a regional NAT gateway, which has no interface id.
    pub interface_id: &'a [u8],
    /// `subnet-id`, if the format has it.
    pub subnet_id: Option<&'a [u8]>,
    /// `vpc-id`, if the format has it.
    pub vpc_id: Option<&'a [u8]>,
    /// Its own address, as far as its records show it.
    pub own_address: OwnAddress,
}

/// The address that all records of an interface have in common, for each family.
///
/// On the interface's side a record has the interface's primary private address (VPC User Guide, "Flow log
/// records"), so it stands in every record; the other address changes from peer to peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OwnAddress {
    v4: Common<Ipv4Addr>,
    v6: Common<Ipv6Addr>,
}

/// What the records of one family have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Common<A> {
    #[default]
    Unseen,
    Two(A, A),
    One(A),
    /// No address is common to all records.
    None,
}

impl OwnAddress {
    /// Takes one record into account; its direction, where the format has it, tells at once.
    ///
    /// An interface may have several IPv6 addresses and logs each as it is: what is common to all its IPv6 records
    /// can be a peer's address. So only the direction field tells there.
    #[inline]
    pub fn observe(&mut self, flow: &FiveTuple, direction: Option<Direction>) {
        match (flow.srcaddr, flow.dstaddr) {
            (IpAddr::V4(srcaddr), IpAddr::V4(dstaddr)) => self.v4.observe(srcaddr, dstaddr, direction),
            (IpAddr::V6(srcaddr), IpAddr::V6(dstaddr)) if direction.is_some() => {
                self.v6.observe(srcaddr, dstaddr, direction);
            }
            _ => {}
        }
    }

    /// What the IPv4 records have in common.
    pub(super) fn common_v4(self) -> Common<u32> {
        match self.v4 {
            Common::Unseen => Common::Unseen,
            Common::Two(a, b) => Common::Two(a.to_bits(), b.to_bits()),
            Common::One(a) => Common::One(a.to_bits()),
            Common::None => Common::None,
        }
    }

    /// What two parts of the records show together.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self { v4: self.v4.intersect(other.v4), v6: self.v6.intersect(other.v6) }
    }

    /// The address in the family of `like`, if exactly one is common to all records of that family.
    #[must_use]
    pub fn address(&self, like: IpAddr) -> Option<IpAddr> {
        match (like, self.v4, self.v6) {
            (IpAddr::V4(_), Common::One(address), _) => Some(address.into()),
            (IpAddr::V6(_), _, Common::One(address)) => Some(address.into()),
            _ => None,
        }
    }
}

impl<A: Copy + Ord> Common<A> {
    #[inline]
    fn observe(&mut self, srcaddr: A, dstaddr: A, direction: Option<Direction>) {
        let seen = match direction {
            Some(Direction::Ingress) => Self::One(dstaddr),
            Some(Direction::Egress) => Self::One(srcaddr),
            None if srcaddr == dstaddr => Self::One(srcaddr),
            None => Self::Two(srcaddr.min(dstaddr), srcaddr.max(dstaddr)),
        };
        // Nearly every record: the address is known and stands in this one too.
        if !matches!((*self, seen), (Self::One(own), seen) if seen.contains(own)) {
            *self = self.intersect(seen);
        }
    }

    fn intersect(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unseen, seen) | (seen, Self::Unseen) => seen,
            (Self::None, _) | (_, Self::None) => Self::None,
            (Self::One(address), set) | (set, Self::One(address)) => {
                if set.contains(address) {
                    Self::One(address)
                } else {
                    Self::None
                }
            }
            (Self::Two(a, b), set) => match (set.contains(a), set.contains(b)) {
                (true, true) => self,
                (true, false) => Self::One(a),
                (false, true) => Self::One(b),
                (false, false) => Self::None,
            },
        }
    }

    fn contains(self, address: A) -> bool {
        match self {
            Self::Two(a, b) => a == address || b == address,
            Self::One(a) => a == address,
            Self::Unseen | Self::None => false,
        }
    }
}

/// All interfaces met so far: a million of them is a flood of its own, so that each takes some fifty bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct InterfaceTable {
    /// Identifiers; their numbers are the interfaces'.
    ids: Names,
    /// Identifiers of subnets and VPCs.
    places: Names,
    interfaces: Vec<Known>,
    /// Where an IPv6 record told something.
    v6: HashMap<u32, Common<Ipv6Addr>>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    /// The hash of its name.
    name: u64,
    subnet_id: Option<NameIndex>,
    vpc_id: Option<NameIndex>,
    v4: Common<Ipv4Addr>,
}

impl InterfaceTable {
    /// The index of an interface, whose name has the hash `name`, after taking in what a batch says about it. Of
    /// contradicting places the first in alphabetical order is kept, so that the order of batches does not matter. `None`
    /// when it is new and the table takes `limit` bytes already.
    pub(super) fn merge(&mut self, seen: &Interface, name: u64, limit: usize) -> Option<InterfaceIndex> {
        let index = match self.ids.find_hashed(&seen.interface_id, name) {
            Some(index) => index,
            None if self.bytes() > limit => return None,
            None => {
                let index = self.ids.add(&seen.interface_id)?;
                self.interfaces.push(Known { name, subnet_id: None, vpc_id: None, v4: Common::Unseen });
                index
            }
        };
        let known = &mut self.interfaces[index.0 as usize];
        known.v4 = known.v4.intersect(seen.own_address.v4);
        if seen.own_address.v6 != Common::Unseen {
            let v6 = self.v6.entry(index.0).or_default();
            *v6 = v6.intersect(seen.own_address.v6);
        }
        self.places.learn(&mut known.subnet_id, seen.subnet_id.as_deref());
        self.places.learn(&mut known.vpc_id, seen.vpc_id.as_deref());
        Some(InterfaceIndex(index.0))
    }

    pub(super) fn len(&self) -> usize {
        self.interfaces.len()
    }

    /// Bytes held, with what numbering them anew will take.
    pub(super) fn bytes(&self) -> usize {
        self.ids.bytes()
            + self.places.bytes()
            + self.interfaces.capacity() * (size_of::<Known>() + 4 * size_of::<u32>())
            + self.v6.capacity() * (size_of::<Common<Ipv6Addr>>() + 8)
    }

    /// What the log calls an interface.
    pub(super) fn name(&self, index: InterfaceIndex) -> &[u8] {
        self.ids.get(NameIndex(index.0))
    }

    /// The hash of that.
    pub(super) fn name_hash(&self, index: InterfaceIndex) -> u64 {
        self.interfaces[index.0 as usize].name
    }

    /// All interfaces by name, and for each number so far its new one: the order of input leaves no trace.
    pub(super) fn in_order(self) -> (Interfaces, Vec<InterfaceIndex>) {
        let count = u32::try_from(self.interfaces.len()).unwrap_or(u32::MAX);
        let mut order: Vec<InterfaceIndex> = (0..count).map(InterfaceIndex).collect();
        order.sort_unstable_by(|a, b| self.name(*a).cmp(self.name(*b)));
        let mut renumbered = vec![InterfaceIndex(0); order.len()];
        for (new, old) in (0..count).zip(&order) {
            renumbered[old.0 as usize] = InterfaceIndex(new);
        }
        (Interfaces { table: self, order }, renumbered)
    }
}

/// All interfaces met, by name.
#[derive(Clone, Default)]
pub struct Interfaces {
    table: InterfaceTable,
    /// Numbers in the table.
    order: Vec<InterfaceIndex>,
}

impl Interfaces {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The interface that an index stands for.
    #[must_use]
    pub fn get(&self, index: InterfaceIndex) -> InterfaceRef<'_> {
        let at = self.order[index.0 as usize];
        let known = &self.table.interfaces[at.0 as usize];
        let place = |index: Option<NameIndex>| index.map(|index| self.table.places.get(index));
        InterfaceRef {
            interface_id: self.table.name(at),
            subnet_id: place(known.subnet_id),
            vpc_id: place(known.vpc_id),
            own_address: OwnAddress {
                v4: known.v4,
                v6: self.table.v6.get(&at.0).copied().unwrap_or_default(),
            },
        }
    }

    /// All of them, in the order of their names, which is that of their indexes.
    pub fn iter(&self) -> impl Iterator<Item = InterfaceRef<'_>> {
        (0..).map(InterfaceIndex).take(self.len()).map(|index| self.get(index))
    }
}

impl fmt::Debug for Interfaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::correlate::hash::name_hash;
    use crate::net::Protocol;

    fn flow(srcaddr: &str, dstaddr: &str) -> FiveTuple {
        let address = |text: &str| text.parse().expect("address");
        FiveTuple {
            srcaddr: address(srcaddr),
            dstaddr: address(dstaddr),
            srcport: 1,
            dstport: 2,
            protocol: Protocol::TCP,
        }
    }

    #[test]
    fn the_own_address_is_the_common_one() {
        let mut own = OwnAddress::default();
        let like = IpAddr::from([0, 0, 0, 0]);
        own.observe(&flow("10.0.0.5", "1.1.1.1"), None);
        own.observe(&flow("1.1.1.1", "10.0.0.5"), None);
        assert_eq!(own.address(like), None, "one peer: either could be the interface");
        let mut elsewhere = OwnAddress::default();
        elsewhere.observe(&flow("9.9.9.9", "10.0.0.5"), None);
        assert_eq!(own.merge(elsewhere).address(like), "10.0.0.5".parse().ok());
        assert_eq!(own.merge(elsewhere), elsewhere.merge(own));
        own.observe(&flow("8.8.8.8", "10.0.0.6"), None);
        assert_eq!(own.merge(elsewhere).address(like), None, "no address is common");
    }

    #[test]
    fn the_direction_field_tells_at_once_and_families_are_apart() {
        let mut own = OwnAddress::default();
        own.observe(&flow("10.0.0.5", "1.1.1.1"), Some(Direction::Egress));
        own.observe(&flow("2001:db8::1", "2001:db8::2"), None);
        assert_eq!(own.address(IpAddr::from([0, 0, 0, 0])), "10.0.0.5".parse().ok());
        assert_eq!(own.address("::".parse().expect("address")), None);
    }

    #[test]
    fn what_batches_say_of_an_interface_is_put_together_in_any_order() {
        let seen = |id: &str, subnet: Option<&str>, flow: FiveTuple, direction| {
            let mut own_address = OwnAddress::default();
            own_address.observe(&flow, direction);
            Interface {
                interface_id: id.as_bytes().into(),
                subnet_id: subnet.map(|subnet| subnet.as_bytes().into()),
                vpc_id: None,
                own_address,
            }
        };
        let v6 = flow("2001:db8::1", "2001:db8::2");
        let mut all = vec![
            seen("eni-b", Some("subnet-2"), flow("10.0.0.5", "1.1.1.1"), None),
            seen("eni-a", None, v6, Some(Direction::Egress)),
            seen("eni-b", Some("subnet-1"), flow("9.9.9.9", "10.0.0.5"), None),
        ];
        let merge = |table: &mut InterfaceTable, one: &Interface, limit| {
            table.merge(one, name_hash(&one.interface_id), limit)
        };
        let told = |all: &[Interface]| {
            let mut table = InterfaceTable::default();
            let indexes: Vec<_> = all.iter().filter_map(|one| merge(&mut table, one, usize::MAX)).collect();
            let (interfaces, renumbered) = table.in_order();
            for (one, index) in all.iter().zip(indexes) {
                assert_eq!(interfaces.get(renumbered[index.0 as usize]).interface_id, &*one.interface_id);
            }
            format!("{interfaces:?}")
        };
        let first = told(&all);
        assert!(first.contains("One(2001:db8::1)") && first.contains("One(10.0.0.5)"), "{first}");
        all.reverse();
        assert_eq!(told(&all), first);
        let mut full = InterfaceTable::default();
        assert!(merge(&mut full, &all[0], 0).is_some(), "the first");
        assert!(merge(&mut full, &all[2], 0).is_some(), "known");
        assert_eq!(merge(&mut full, &all[1], 0), None);
    }

    #[test]
    fn a_peer_of_two_ipv6_addresses_is_not_taken_for_the_interface() {
        let like = "::".parse().expect("address");
        let mut own = OwnAddress::default();
        own.observe(&flow("2001:db8::1", "2001:db8:9::9"), None);
        own.observe(&flow("2001:db8::2", "2001:db8:9::9"), None);
        assert_eq!(own.address(like), None);
        own.observe(&flow("2001:db8::2", "2001:db8:9::9"), Some(Direction::Egress));
        assert_eq!(own.address(like), "2001:db8::2".parse().ok());
    }
}
