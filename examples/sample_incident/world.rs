//! Owns the way of a packet through the VPC: subnet boundaries with stateless NACLs, stateful security groups, the NAT
//! gateway. Refuses to know what the packet is for.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::capture::{Capture, Denial, Sighting};
use crate::nacl::Crossing;
use crate::rng::Rng;
use crate::topology::{Kind, Topology};
use crate::{Millis, SECOND};

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const PSH: u8 = 8;
pub const ACK: u8 = 16;

/// One end of a conversation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Peer {
    pub addr: IpAddr,
    pub port: u16,
}

/// One packet between its true ends (before any NAT).
#[derive(Clone, Copy)]
pub struct Packet {
    pub protocol: u8,
    pub src: Peer,
    pub dst: Peer,
    pub tcp_flags: u8,
    pub bytes: u32,
    /// Sent by the side that did not open the conversation.
    pub reply: bool,
}

/// One interface's look at a packet: true ends, and the ends that its flow log shows.
struct Leg {
    interface: usize,
    egress: bool,
    packet: Packet,
    shown_src: IpAddr,
    shown_dst: IpAddr,
}

/// What a security group remembers of a conversation.
#[expect(clippy::struct_excessive_bools, reason = "four independent facts seen on the wire")]
struct Tracked {
    last: Millis,
    opener: Peer,
    answered: bool,
    stream: bool,
    opener_done: bool,
    other_done: bool,
    closed: Option<Millis>,
}

/// The network in motion.
pub struct World<'t> {
    pub topology: &'t Topology,
    pub capture: Capture,
    tracked: HashMap<(usize, u8, Peer, Peer), Tracked>,
    nat_ports: HashMap<(u8, Peer), u16>,
    nat_rng: Rng,
}

impl<'t> World<'t> {
    pub fn new(topology: &'t Topology) -> Self {
        Self {
            topology,
            capture: Capture::default(),
            tracked: HashMap::new(),
            nat_ports: HashMap::new(),
            nat_rng: Rng::named("nat"),
        }
    }

    /// Sends one packet; whether it arrives. Every interface on its way logs it, up to the one that drops it.
    pub fn send(&mut self, at: Millis, packet: Packet) -> bool {
        let from = self.topology.owner(packet.src.addr);
        let to = self.topology.owner(packet.dst.addr);
        let mut legs = Vec::new();
        let direct = |interface, egress| Leg {
            interface,
            egress,
            packet,
            shown_src: packet.src.addr,
            shown_dst: packet.dst.addr,
        };
        if let Some(from) = from {
            legs.push(direct(from, true));
            if to.is_none() && self.uses_nat(from, packet.src.addr) {
                legs.extend(self.nat_out(packet));
            }
        }
        if let Some(to) = to {
            if from.is_none() && self.uses_nat(to, packet.dst.addr) {
                legs.extend(self.nat_in(packet));
            }
            legs.push(direct(to, false));
        }
        let reached = legs.into_iter().all(|leg| self.pass(at, &leg));
        // A NAT gateway drops what it did not ask for, after its interface has logged it.
        reached && to != Some(self.topology.nat())
    }

    fn uses_nat(&self, interface: usize, address: IpAddr) -> bool {
        address.is_ipv4() && self.topology.interfaces[interface].public.is_none()
    }

    fn nat_address(&self) -> IpAddr {
        self.topology.interfaces[self.topology.nat()].ipv4.into()
    }

    /// The port that the NAT gateway uses for a client's.
    fn nat_port(&mut self, protocol: u8, client: Peer) -> u16 {
        if let Some(&port) = self.nat_ports.get(&(protocol, client)) {
            return port;
        }
        let taken = |port: u16| self.nat_ports.values().any(|&other| other == port);
        let mut port = 0;
        // ICMP has no ports.
        while protocol != 1 && (port == 0 || taken(port)) {
            port = u16::try_from(self.nat_rng.range(1024, 65_535)).expect("below 65536");
        }
        self.nat_ports.insert((protocol, client), port);
        port
    }

    fn nat_out(&mut self, packet: Packet) -> [Leg; 2] {
        let (interface, nat) = (self.topology.nat(), self.nat_address());
        let port = self.nat_port(packet.protocol, packet.src);
        let outside = Packet { src: Peer { addr: nat, port }, ..packet };
        [
            Leg { interface, egress: false, packet, shown_src: packet.src.addr, shown_dst: nat },
            Leg { interface, egress: true, packet: outside, shown_src: nat, shown_dst: packet.dst.addr },
        ]
    }

    fn nat_in(&mut self, packet: Packet) -> [Leg; 2] {
        let (interface, nat) = (self.topology.nat(), self.nat_address());
        let port = self.nat_port(packet.protocol, packet.dst);
        let outside = Packet { dst: Peer { addr: nat, port }, ..packet };
        [
            Leg { interface, egress: false, packet: outside, shown_src: packet.src.addr, shown_dst: nat },
            Leg { interface, egress: true, packet, shown_src: nat, shown_dst: packet.dst.addr },
        ]
    }

    /// One interface decides, and logs the combined verdict: inbound NACL then group, outbound group then NACL.
    fn pass(&mut self, at: Millis, leg: &Leg) -> bool {
        let denial = if leg.egress {
            self.group_denies(at, leg).or_else(|| self.nacl_denies(at, leg))
        } else {
            self.nacl_denies(at, leg).or_else(|| self.group_denies(at, leg))
        };
        let seen = Sighting {
            at,
            interface: leg.interface,
            egress: leg.egress,
            protocol: leg.packet.protocol,
            src: leg.shown_src,
            dst: leg.shown_dst,
            pkt_src: leg.packet.src.addr,
            pkt_dst: leg.packet.dst.addr,
            sport: leg.packet.src.port,
            dport: leg.packet.dst.port,
            bytes: leg.packet.bytes,
            tcp_flags: leg.packet.tcp_flags,
            reply: leg.packet.reply,
            denial,
        };
        self.capture.see(self.topology, &seen);
        denial.is_none()
    }

    fn same_subnet(&self, leg: &Leg) -> bool {
        let remote = if leg.egress { leg.packet.dst.addr } else { leg.packet.src.addr };
        let subnet = self.topology.interfaces[leg.interface].subnet;
        self.topology.owner(remote).is_some_and(|other| self.topology.interfaces[other].subnet == subnet)
    }

    fn nacl_denies(&self, at: Millis, leg: &Leg) -> Option<Denial> {
        if self.same_subnet(leg) {
            return None;
        }
        let acl = self.topology.subnets[self.topology.interfaces[leg.interface].subnet].acl;
        let crossing = Crossing {
            at,
            egress: leg.egress,
            protocol: leg.packet.protocol,
            remote: if leg.egress { leg.packet.dst.addr } else { leg.packet.src.addr },
            destination_port: leg.packet.dst.port,
        };
        let acl_in_force = &self.topology.acls[acl];
        let (allowed, rule) = acl_in_force.verdict(&crossing);
        let missed = acl_in_force.missed(&crossing);
        (!allowed).then_some(Denial::Nacl { acl, egress: leg.egress, rule, missed })
    }

    fn group_denies(&mut self, at: Millis, leg: &Leg) -> Option<Denial> {
        let interface = &self.topology.interfaces[leg.interface];
        if matches!(interface.kind, Kind::Nat) {
            return None;
        }
        let packet = &leg.packet;
        let ends = (packet.src.min(packet.dst), packet.src.max(packet.dst));
        let key = (leg.interface, packet.protocol, ends.0, ends.1);
        if let Some(known) = self.tracked.get_mut(&key).filter(|known| known.alive(at, packet.protocol)) {
            known.follow(at, packet);
            return None;
        }
        let opens = packet.protocol != 6 || packet.tcp_flags & (SYN | ACK) == SYN;
        let permitted = leg.egress
            || interface.inbound.iter().any(|rule| {
                rule.protocol == packet.protocol
                    && rule.port == packet.dst.port
                    && rule.source.contains(&packet.src.addr)
            });
        if permitted && opens {
            self.tracked.insert(key, Tracked::opened(at, packet.src));
        }
        (!permitted).then(|| Denial::Group { same_subnet: self.same_subnet(leg) })
    }
}

impl Tracked {
    fn opened(last: Millis, opener: Peer) -> Self {
        Self {
            last,
            opener,
            answered: false,
            stream: false,
            opener_done: false,
            other_done: false,
            closed: None,
        }
    }

    /// Idle timeouts of EC2 connection tracking; a closed connection lingers for its last acknowledgements.
    fn alive(&self, at: Millis, protocol: u8) -> bool {
        let idle = match (protocol, self.stream) {
            (6, _) => 432_000 * SECOND,
            (17, true) => 180 * SECOND,
            _ => 30 * SECOND,
        };
        at - self.last <= idle && self.closed.is_none_or(|closed| at - closed <= SECOND)
    }

    fn follow(&mut self, at: Millis, packet: &Packet) {
        self.last = at;
        let opener = packet.src == self.opener;
        // The longer UDP timeout is for more than one exchange.
        self.stream |= opener && self.answered;
        self.answered |= !opener;
        if packet.protocol == 6 {
            self.opener_done |= opener && packet.tcp_flags & FIN != 0;
            self.other_done |= !opener && packet.tcp_flags & FIN != 0;
            if self.closed.is_none() && (packet.tcp_flags & RST != 0 || self.opener_done && self.other_done) {
                self.closed = Some(at);
            }
        }
    }
}
