//! Owns a second, independent reading of network ACLs: what the simulated network does to a packet. It shares no code
//! with flowcheck's evaluator, so that agreement between the two means something. Refuses to know connections.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::Millis;

/// The rule number that the EC2 API gives to `*` for IPv4; IPv6 has the next one.
pub const DEFAULT_DENY: u16 = 32767;

/// One entry of a network ACL.
pub struct Entry {
    pub number: u16,
    pub egress: bool,
    /// `None` is protocol `-1`.
    pub protocol: Option<u8>,
    pub cidr: IpNet,
    /// Destination ports. `None` for all.
    pub ports: Option<(u16, u16)>,
    pub allow: bool,
    /// The moment when someone deleted it.
    pub deleted: Option<Millis>,
}

/// One network ACL, with the entries that it ever had.
pub struct Acl {
    pub id: &'static str,
    pub name: &'static str,
    pub is_default: bool,
    pub entries: Vec<Entry>,
}

/// What a NACL looks at in a packet.
pub struct Crossing {
    pub at: Millis,
    pub egress: bool,
    pub protocol: u8,
    /// The far side: the source of what comes in, the destination of what goes out.
    pub remote: IpAddr,
    /// Of the packet, whichever way it goes.
    pub destination_port: u16,
}

impl Acl {
    /// Whether the packet passes, and the number of the entry that decided.
    pub fn verdict(&self, crossing: &Crossing) -> (bool, u16) {
        self.entries.iter().filter(|entry| entry.matches(crossing)).min_by_key(|entry| entry.number).map_or(
            (false, if crossing.remote.is_ipv4() { DEFAULT_DENY } else { DEFAULT_DENY + 1 }),
            |entry| (entry.allow, entry.number),
        )
    }

    /// The deleted entry that would let the packet pass if it were still there.
    pub fn missed(&self, crossing: &Crossing) -> Option<u16> {
        let first =
            self.entries.iter().filter(|entry| entry.fits(crossing)).min_by_key(|entry| entry.number)?;
        (first.allow && !first.in_force(crossing.at)).then_some(first.number)
    }
}

impl Entry {
    fn matches(&self, crossing: &Crossing) -> bool {
        self.in_force(crossing.at) && self.fits(crossing)
    }

    fn in_force(&self, at: Millis) -> bool {
        self.deleted.is_none_or(|deleted| at < deleted)
    }

    /// Whether it matches for as long as it is there.
    fn fits(&self, crossing: &Crossing) -> bool {
        let ports_apply = matches!(self.protocol, Some(6 | 17));
        self.egress == crossing.egress
            && self.protocol.is_none_or(|protocol| protocol == crossing.protocol)
            && self.cidr.contains(&crossing.remote)
            && (!ports_apply
                || self.ports.is_none_or(|(from, to)| (from..=to).contains(&crossing.destination_port)))
    }
}
