//! The interfaces met in the records: their names, where they are, and which address is their own.

use std::net::IpAddr;

use hashbrown::HashMap;

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

/// The address that all records of an interface have in common, for each family.
///
/// On the interface's side a record has the interface's primary private address (VPC User Guide, "Flow log
/// records"), so it stands in every record; the other address changes from peer to peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OwnAddress {
    v4: Candidates,
    v6: Candidates,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Candidates {
    #[default]
    Unseen,
    Two(IpAddr, IpAddr),
    One(IpAddr),
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
        if direction.is_none() && flow.srcaddr.is_ipv6() {
            return;
        }
        let seen = match direction {
            Some(Direction::Ingress) => Candidates::One(flow.dstaddr),
            Some(Direction::Egress) => Candidates::One(flow.srcaddr),
            None if flow.srcaddr == flow.dstaddr => Candidates::One(flow.srcaddr),
            None => Candidates::Two(flow.srcaddr.min(flow.dstaddr), flow.srcaddr.max(flow.dstaddr)),
        };
        let family = if flow.srcaddr.is_ipv4() { &mut self.v4 } else { &mut self.v6 };
        // Nearly every record: the address is known and stands in this one too.
        if !matches!((*family, seen), (Candidates::One(own), seen) if seen.contains(own)) {
            *family = family.intersect(seen);
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
        match if like.is_ipv4() { self.v4 } else { self.v6 } {
            Candidates::One(address) => Some(address),
            _ => None,
        }
    }
}

impl Candidates {
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

    fn contains(self, address: IpAddr) -> bool {
        match self {
            Self::Two(a, b) => a == address || b == address,
            Self::One(a) => a == address,
            Self::Unseen | Self::None => false,
        }
    }
}

/// All interfaces met so far.
#[derive(Debug, Clone, Default)]
pub(super) struct InterfaceTable {
    by_name: HashMap<Box<[u8]>, InterfaceIndex>,
    interfaces: Vec<Interface>,
}

impl InterfaceTable {
    /// The index of an interface, after taking in what a batch says about it. Of contradicting places the first in
    /// alphabetical order is kept, so that the order of batches does not matter.
    pub(super) fn merge(&mut self, seen: &Interface) -> InterfaceIndex {
        if let Some(&index) = self.by_name.get(&seen.interface_id) {
            let known = &mut self.interfaces[index.0 as usize];
            known.own_address = known.own_address.merge(seen.own_address);
            learn(&mut known.subnet_id, seen.subnet_id.as_deref());
            learn(&mut known.vpc_id, seen.vpc_id.as_deref());
            return index;
        }
        let index = InterfaceIndex(u32::try_from(self.interfaces.len()).unwrap_or(u32::MAX));
        self.by_name.insert(seen.interface_id.clone(), index);
        self.interfaces.push(seen.clone());
        index
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.interfaces.len() * 330
    }

    /// What the log calls an interface.
    pub(super) fn name(&self, index: InterfaceIndex) -> &[u8] {
        &self.interfaces[index.0 as usize].interface_id
    }

    /// All interfaces by name, and for each number so far its new one: the order of input leaves no trace.
    pub(super) fn in_order(self) -> (Vec<Interface>, Vec<InterfaceIndex>) {
        let mut interfaces: Vec<_> = self.interfaces.into_iter().enumerate().collect();
        interfaces.sort_unstable_by(|(_, a), (_, b)| a.interface_id.cmp(&b.interface_id));
        let mut renumbered = vec![InterfaceIndex(0); interfaces.len()];
        for (new, (old, _)) in interfaces.iter().enumerate() {
            renumbered[*old] = InterfaceIndex(u32::try_from(new).unwrap_or(u32::MAX));
        }
        (interfaces.into_iter().map(|(_, interface)| interface).collect(), renumbered)
    }
}

fn learn(known: &mut Option<Box<[u8]>>, said: Option<&[u8]>) {
    if let Some(said) = said
        && known.as_deref().is_none_or(|known| said < known)
    {
        *known = Some(said.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
