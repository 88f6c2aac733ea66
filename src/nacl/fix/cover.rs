//! CIDRs that hold a set of addresses: exactly those while they are few, else ever wider ones.
//!
//! Owns how wide is the next wider. Refuses to know what the addresses are for.

use std::net::IpAddr;

use ipnet::IpNet;

/// Prefix lengths to widen very many to, narrowest first: what people allot, and in the end everything.
const IPV4_STEPS: [u8; 4] = [24, 16, 8, 0];
const IPV6_STEPS: [u8; 4] = [64, 48, 32, 0];

/// How far a merge widens: 0 for a single address.
pub(super) type Cost = u8;

/// The cost of a merge that ends in all addresses.
pub(super) const EVERYTHING: Cost = 32;

/// Disjoint networks of one address family, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Cover {
    nets: Vec<IpNet>,
}

impl Cover {
    /// The fewest networks that hold these addresses and no other.
    pub(super) fn of(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let mut nets: Vec<IpNet> = addresses.into_iter().map(IpNet::from).collect();
        nets.sort_unstable();
        nets.dedup();
        let mut cover = Self { nets: IpNet::aggregate(&nets) };
        cover.nets.sort_unstable();
        cover
    }

    /// Widens all networks alike until there are at most `most`: merging the closest two takes long where they are many.
    pub(super) fn coarsen(&mut self, most: usize) {
        for step in 0..IPV4_STEPS.len() {
            if self.nets.len() <= most {
                return;
            }
            let widened = self.nets.iter().map(|net| {
                let steps = if net.addr().is_ipv4() { IPV4_STEPS } else { IPV6_STEPS };
                widened(*net, steps[step].min(net.prefix_len()))
            });
            self.nets = IpNet::aggregate(&widened.collect());
            self.nets.sort_unstable();
        }
    }

    pub(super) fn nets(&self) -> &[IpNet] {
        &self.nets
    }

    /// Both together.
    pub(super) fn union(&self, other: &Self) -> Self {
        let nets: Vec<_> = self.nets.iter().chain(&other.nets).copied().collect();
        let mut nets = IpNet::aggregate(&nets);
        nets.sort_unstable();
        Self { nets }
    }

    /// The merge of two networks that widens least, and where; `None` with a single network.
    pub(super) fn cheapest(&self) -> Option<(Cost, usize)> {
        let pairs = self.nets.windows(2).enumerate();
        pairs.filter_map(|(at, pair)| Some((merged(pair[0], pair[1])?.0, at))).min()
    }

    /// Merges the networks at `at` and after it.
    pub(super) fn merge(&mut self, at: usize) {
        let Some((_, net)) = self.nets.get(at..at + 2).and_then(|pair| merged(pair[0], pair[1])) else {
            return;
        };
        self.nets.retain(|other| !net.contains(other));
        let place = self.nets.partition_point(|other| *other < net);
        self.nets.insert(place, net);
    }

    /// Leaves out what lies outside `limit`, which holds all the addresses.
    pub(super) fn clip(&mut self, limit: IpNet) {
        for net in &mut self.nets {
            if net.contains(&limit) {
                *net = limit;
            }
        }
        self.nets.dedup();
    }
}

/// The smallest network that means something and holds two of one family.
fn merged(a: IpNet, b: IpNet) -> Option<(Cost, IpNet)> {
    let common = match (a.network(), b.network()) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        _ => return None,
    };
    let common = u8::try_from(common).unwrap_or(u8::MAX).min(a.prefix_len()).min(b.prefix_len());
    // What people allot, before what is exact but reads like noise.
    let prefix = match a {
        IpNet::V4(_) => common.min(24),
        IpNet::V6(_) => common.min(64),
    };
    let net = widened(a, prefix);
    let width = net.max_prefix_len() - net.prefix_len();
    Some((if net.addr().is_ipv4() { width } else { width / 4 }, net))
}

/// The network with this prefix that holds `net`. Beyond a /16, or a /32 of IPv6, addresses have nothing in common but
/// in 10.0.0.0/8: then it is all of them.
fn widened(net: IpNet, prefix: u8) -> IpNet {
    let prefix = match net {
        IpNet::V4(_) if prefix >= 16 => prefix,
        IpNet::V4(net) if prefix >= 8 && net.network().octets()[0] == 10 => 8,
        IpNet::V6(_) if prefix >= 32 => prefix,
        _ => 0,
    };
    IpNet::new(net.network(), prefix).unwrap_or(net).trunc()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cover(addresses: &[&str], most: usize) -> String {
        let mut cover = Cover::of(addresses.iter().map(|text| text.parse().unwrap()));
        while cover.nets.len() > most {
            cover.merge(cover.cheapest().unwrap().1);
        }
        cover.nets.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn nothing_is_widened_while_there_is_room() {
        assert_eq!(cover(&["10.0.0.9", "10.0.0.7", "10.0.0.7"], 2), "10.0.0.7/32 10.0.0.9/32");
        assert_eq!(cover(&["10.0.0.6", "10.0.0.7"], 2), "10.0.0.6/31", "exact all the same");
    }

    #[test]
    fn the_closest_are_merged_first() {
        let addresses = ["52.94.5.1", "10.8.10.11", "10.8.10.27", "10.1.1.40", "10.1.2.40", "9.9.9.9"];
        assert_eq!(cover(&addresses, 5), "9.9.9.9/32 10.1.1.40/32 10.1.2.40/32 10.8.10.0/24 52.94.5.1/32");
        assert_eq!(cover(&addresses, 4), "9.9.9.9/32 10.1.0.0/22 10.8.10.0/24 52.94.5.1/32");
        assert_eq!(cover(&addresses, 3), "9.9.9.9/32 10.0.0.0/8 52.94.5.1/32");
        assert_eq!(cover(&addresses, 2), "0.0.0.0/0", "a public /8 is nobody's");
        assert_eq!(
            cover(&["2001:db8::1", "2001:db8:0:1::1", "2001:db8::2"], 2),
            "2001:db8::/64 2001:db8:0:1::1/128"
        );
    }

    #[test]
    fn very_many_addresses_are_widened_at_once() {
        let addresses = (0..100_000_u32).map(|at| IpAddr::from((0x0a00_0000 + at * 2).to_be_bytes()));
        let mut cover = Cover::of(addresses);
        assert_eq!(cover.nets.len(), 100_000);
        cover.coarsen(256);
        assert!(cover.nets.len() <= 256, "{}", cover.nets.len());
        assert!(cover.nets.iter().all(|net| net.prefix_len() >= 8));
    }
}
