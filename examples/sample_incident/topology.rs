//! Owns the simulated VPC: subnets, their network ACLs, interfaces and security groups. Refuses to know traffic.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::nacl::{Acl, Entry};
use crate::{CHANGE, Millis};

pub const ACCOUNT: &str = "111122223333";
pub const REGION: &str = "eu-west-1";
pub const VPC: &str = "vpc-0d5a7e91c3b2f4860";
pub const VPC_IPV6: &str = "2001:db8:1234:1a00::/56";
pub const NAT_GATEWAY: &str = "nat-07c1d5e2f3a4b6980";
pub const NAT_PUBLIC: &str = "203.0.113.9";

/// One subnet and the NACL that guards its boundary (index into `Topology::acls`).
pub struct Subnet {
    pub id: &'static str,
    pub name: &'static str,
    pub cidr: &'static str,
    pub ipv6: Option<&'static str>,
    pub zone: char,
    pub acl: usize,
}

/// What a network interface belongs to.
pub enum Kind {
    Lambda(&'static str),
    Instance(&'static str),
    Nat,
    LoadBalancer,
    Database,
    Cache,
}

/// One inbound security-group rule; outbound everything is allowed.
pub struct GroupRule {
    pub protocol: u8,
    pub port: u16,
    pub source: IpNet,
}

/// One network interface.
pub struct Interface {
    pub id: &'static str,
    pub name: &'static str,
    pub kind: Kind,
    pub subnet: usize,
    pub ipv4: Ipv4Addr,
    pub ipv6: Option<Ipv6Addr>,
    pub public: Option<&'static str>,
    pub inbound: Vec<GroupRule>,
    /// Where its 60-second capture windows begin within the minute.
    pub phase: Millis,
}

/// The whole network.
pub struct Topology {
    pub acls: Vec<Acl>,
    pub subnets: Vec<Subnet>,
    pub interfaces: Vec<Interface>,
}

impl Topology {
    pub fn new() -> Self {
        Self { acls: acls(), subnets: subnets(), interfaces: interfaces() }
    }

    /// Position of the interface called `name`.
    pub fn named(&self, name: &str) -> usize {
        self.interfaces
            .iter()
            .position(|interface| interface.name == name)
            .expect("the story names real interfaces")
    }

    /// Position of the interface that has `address`, if it is one of the VPC's.
    pub fn owner(&self, address: IpAddr) -> Option<usize> {
        self.interfaces.iter().position(|interface| match address {
            IpAddr::V4(ipv4) => interface.ipv4 == ipv4,
            IpAddr::V6(ipv6) => interface.ipv6 == Some(ipv6),
        })
    }

    /// Position of the NAT gateway's interface.
    pub fn nat(&self) -> usize {
        self.named("nat")
    }
}

fn entry(number: u16, egress: bool, protocol: Option<u8>, cidr: &str, ports: Option<(u16, u16)>) -> Entry {
    Entry { number, egress, protocol, cidr: net(cidr), ports, allow: true, deleted: None }
}

fn net(cidr: &str) -> IpNet {
    cidr.parse().expect("a literal CIDR")
}

const ANY: &str = "0.0.0.0/0";
const ANY6: &str = "::/0";
const TCP: Option<u8> = Some(6);
const UDP: Option<u8> = Some(17);
const HIGH: Option<(u16, u16)> = Some((1024, 65535));

fn acls() -> Vec<Acl> {
    let removed = |entry: Entry| Entry { deleted: Some(CHANGE), ..entry };
    let deny = |entry: Entry| Entry { allow: false, ..entry };
    let acl = |id, name, is_default, entries| Acl { id, name, is_default, entries };
    vec![
        acl(
            "acl-0f3c9d2e8b7a61540",
            "app-private",
            false,
            vec![
                entry(120, false, TCP, "10.8.0.0/16", Some((5432, 5432))),
                entry(100, true, None, ANY, None),
                removed(entry(32001, false, None, ANY6, None)),
                entry(110, false, TCP, ANY, Some((443, 443))),
                removed(entry(32000, false, None, ANY, None)),
                entry(101, true, None, ANY6, None),
                entry(100, false, TCP, ANY, Some((80, 80))),
            ],
        ),
        acl(
            "acl-02b6e4f8a1c3d5970",
            "main",
            true,
            vec![
                entry(100, true, None, ANY, None),
                entry(101, false, None, ANY6, None),
                deny(entry(50, false, None, "198.51.100.0/24", None)),
                entry(101, true, None, ANY6, None),
                entry(100, false, None, ANY, None),
            ],
        ),
        acl(
            "acl-0c9e1f7d3b5a28461",
            "batch-private",
            false,
            vec![
                entry(110, false, UDP, ANY, HIGH),
                entry(130, false, TCP, ANY6, HIGH),
                entry(100, false, TCP, ANY, HIGH),
                entry(120, false, Some(1), ANY, None),
                entry(101, true, None, ANY6, None),
                entry(100, true, None, ANY, None),
            ],
        ),
        acl(
            "acl-06d8a2b4c1e9f7350",
            "data",
            false,
            vec![
                entry(100, true, TCP, "10.1.0.0/16", HIGH),
                entry(110, false, TCP, "10.1.0.0/16", Some((6379, 6379))),
                deny(entry(90, true, TCP, "10.1.3.0/24", HIGH)),
                entry(100, false, TCP, "10.1.0.0/16", Some((5432, 5432))),
            ],
        ),
    ]
}

fn subnets() -> Vec<Subnet> {
    let subnet = |id, name, cidr, ipv6, zone, acl| Subnet { id, name, cidr, ipv6, zone, acl };
    vec![
        subnet(
            "subnet-0a7d3c5e9f1b24680",
            "app-private-a",
            "10.1.1.0/24",
            Some("2001:db8:1234:1a01::/64"),
            'a',
            0,
        ),
        subnet(
            "subnet-0b8e4d6fa02c35791",
            "app-private-b",
            "10.1.2.0/24",
            Some("2001:db8:1234:1a02::/64"),
            'b',
            0,
        ),
        subnet("subnet-0c9f5e70b13d468a2", "app-private-c", "10.1.3.0/24", None, 'c', 0),
        subnet("subnet-01d2e3f4a5b6c7980", "public-a", "10.1.0.0/24", None, 'a', 1),
        subnet(
            "subnet-0e1f2a3b4c5d6e7f8",
            "batch-private-a",
            "10.1.20.0/24",
            Some("2001:db8:1234:1a14::/64"),
            'a',
            2,
        ),
        subnet("subnet-0f2a3b4c5d6e7f809", "data-a", "10.8.10.0/24", None, 'a', 3),
        subnet("subnet-003b4c5d6e7f8091a", "data-b", "10.8.11.0/24", None, 'b', 3),
    ]
}

/// Identity of an interface: id, name, what it is, position of its subnet, private address.
type Identity = (&'static str, &'static str, Kind, usize, [u8; 4]);

fn plain(identity: Identity, phase: Millis) -> Interface {
    let (id, name, kind, subnet, address) = identity;
    Interface {
        id,
        name,
        kind,
        subnet,
        ipv4: address.into(),
        ipv6: None,
        public: None,
        inbound: Vec::new(),
        phase,
    }
}

fn with_ipv6(interface: Interface, address: &str) -> Interface {
    Interface { ipv6: Some(address.parse().expect("a literal address")), ..interface }
}

fn serving(mut interface: Interface, ports: &[u16], source: &str) -> Interface {
    interface.inbound.extend(ports.iter().map(|&port| GroupRule { protocol: 6, port, source: net(source) }));
    interface
}

fn interfaces() -> Vec<Interface> {
    let mut all = app_interfaces();
    all.extend(other_interfaces());
    all
}

fn app_interfaces() -> Vec<Interface> {
    use Kind::{Instance, Lambda, LoadBalancer};
    let vpc = "10.1.0.0/16";
    let i = plain;
    vec![
        i(("eni-0a11c3e5f7092b4d6", "checkout-a", Lambda("checkout"), 0, [10, 1, 1, 23]), 7_000),
        serving(
            with_ipv6(
                i(
                    ("eni-0a22d4f608193c5e7", "web-1", Instance("i-0b5d7f91a3c2e4680"), 0, [10, 1, 1, 40]),
                    31_000,
                ),
                "2001:db8:1234:1a01::40",
            ),
            &[80, 9100],
            vpc,
        ),
        serving(
            i(
                ("eni-0a33e5a719204d6f8", "search-1", Instance("i-0c6e80a2b4d3f5791"), 0, [10, 1, 1, 41]),
                12_000,
            ),
            &[9200],
            "10.1.1.0/24",
        ),
        serving(i(("eni-0a44f6b82a315e709", "alb-a", LoadBalancer, 0, [10, 1, 1, 77]), 44_000), &[443], vpc),
        i(("eni-0b11a7c93b426f81a", "checkout-b", Lambda("checkout"), 1, [10, 1, 2, 31]), 19_000),
        i(("eni-0b22b8da4c537092b", "orders-b", Lambda("orders"), 1, [10, 1, 2, 58]), 52_000),
        serving(
            with_ipv6(
                i(
                    ("eni-0b33c9eb5d6481a3c", "web-2", Instance("i-0d7f91b3c5e406802"), 1, [10, 1, 2, 40]),
                    3_000,
                ),
                "2001:db8:1234:1a02::40",
            ),
            &[80, 9100],
            vpc,
        ),
        serving(i(("eni-0b44dafc6e7592b4d", "alb-b", LoadBalancer, 1, [10, 1, 2, 90]), 27_000), &[443], vpc),
        i(("eni-0c11eb0d7f86a3c5e", "reports-c", Lambda("reports"), 2, [10, 1, 3, 19]), 38_000),
        serving(
            i(
                ("eni-0c22fc1e8097b4d6f", "worker-3", Instance("i-0e80a2c4d6f517913"), 2, [10, 1, 3, 44]),
                15_000,
            ),
            &[9100],
            vpc,
        ),
    ]
}

fn other_interfaces() -> Vec<Interface> {
    use Kind::{Cache, Database, Instance, Lambda, Nat};
    let i = plain;
    let public = |interface, address| Interface { public: Some(address), ..interface };
    vec![
        public(i(("eni-0d110d2f91a8c5e70", "nat", Nat, 3, [10, 1, 0, 220]), 23_000), NAT_PUBLIC),
        public(
            serving(
                i(
                    ("eni-0d221e30a2b9d6f81", "bastion", Instance("i-0f91b3d5e7a628024"), 3, [10, 1, 0, 25]),
                    48_000,
                ),
                &[22],
                "192.0.2.64/28",
            ),
            "203.0.113.25",
        ),
        with_ipv6(
            i(
                ("eni-0e112f41b3cae7092", "batch-1", Instance("i-00a2c4e6f8b739135"), 4, [10, 1, 20, 14]),
                9_000,
            ),
            "2001:db8:1234:1a14::14",
        ),
        i(("eni-0e223052c4dbf81a3", "nightly", Lambda("nightly-export"), 4, [10, 1, 20, 52]), 35_000),
        i(
            ("eni-0e334163d5ec092b4", "prometheus", Instance("i-01b3d5f709c84a246"), 4, [10, 1, 20, 60]),
            21_000,
        ),
        serving(
            i(("eni-0f115274e6fd1a3c5", "orders-db", Database, 5, [10, 8, 10, 11]), 41_000),
            &[5432],
            "10.1.0.0/16",
        ),
        serving(
            i(("eni-0f226385f70e2b4d6", "sessions-redis", Cache, 5, [10, 8, 10, 27]), 57_000),
            &[6379],
            "10.1.0.0/16",
        ),
        serving(
            i(("eni-0f33749608ff3c5e7", "orders-db-standby", Database, 6, [10, 8, 11, 11]), 0),
            &[5432],
            "10.1.0.0/16",
        ),
    ]
}
