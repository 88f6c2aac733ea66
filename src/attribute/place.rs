//! Where an interface is, which ACL that means, and which address is its own.

use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;

use crate::correlate::{InterfaceIndex, InterfaceRef, Interfaces};
use crate::nacl::NetworkAcl;
use crate::nacl::history::InForce;
use crate::net::{Direction, FiveTuple};
use crate::network::history::History;
use crate::network::{self, MissingFact, NetworkConfig, Subnet};

/// Everything known about where one interface is.
#[derive(Debug)]
pub struct Place<'a> {
    /// `eni-…`, as logged; bytes that are not UTF-8 become `U+FFFD`.
    pub interface_id: Cow<'a, str>,
    /// Its subnet: from the records, else the snapshot, else the one subnet that holds its own address.
    pub subnet_id: Option<Cow<'a, str>>,
    /// Its VPC.
    pub vpc_id: Option<Cow<'a, str>>,
    /// The ACL in front of it, or what is missing to know it.
    pub network_acl: Result<&'a NetworkAcl, MissingFact>,
    /// The subnet was inferred from an address: the interface itself is not in the snapshot.
    pub subnet_is_inferred: bool,
    /// What stood in front of it over time; empty without a history.
    timeline: Rc<[InForce<'a>]>,
    logged: InterfaceRef<'a>,
    known: Option<&'a network::Interface>,
    subnet: Option<&'a Subnet>,
}

/// A subnet, and the ACL that it has at present.
type SubnetNow<'a> = (Option<String>, Option<&'a str>);

/// The places of all interfaces met, by [`InterfaceIndex`]. Each is found when it is first asked for: most interfaces
/// have nothing rejected.
#[derive(Debug)]
pub struct Places<'a> {
    config: &'a NetworkConfig,
    history: Option<&'a History>,
    interfaces: &'a Interfaces,
    found: Vec<OnceCell<Box<Place<'a>>>>,
    /// What stood in front of the subnets over time, by the ACL that each has at present.
    timelines: RefCell<HashMap<SubnetNow<'a>, Rc<[InForce<'a>]>>>,
}

impl<'a> Places<'a> {
    /// The places of these interfaces by what is known of the network.
    #[must_use]
    pub fn new(interfaces: &'a Interfaces, config: &'a NetworkConfig) -> Self {
        Self::over_time(interfaces, config, None)
    }

    /// The same, with what is known of other times.
    #[must_use]
    pub fn over_time(
        interfaces: &'a Interfaces,
        config: &'a NetworkConfig,
        history: Option<&'a History>,
    ) -> Self {
        let found = interfaces.iter().map(|_| OnceCell::new()).collect();
        Self { config, history, interfaces, found, timelines: RefCell::default() }
    }

    /// What stood in front of the interface over time; empty without a history.
    #[must_use]
    pub fn in_force<'p>(&self, place: &'p Place<'a>) -> &'p [InForce<'a>] {
        &place.timeline
    }

    /// What is known of other times.
    #[must_use]
    pub fn history(&self) -> Option<&'a History> {
        self.history
    }

    fn timeline(&self, history: &'a History, place: &Place<'a>) -> Rc<[InForce<'a>]> {
        let present = place.network_acl.as_ref().ok().copied();
        let subnet_id = place.subnet_id.as_deref();
        let key = (subnet_id.map(str::to_owned), present.map(|acl| acl.network_acl_id.as_str()));
        let mut timelines = self.timelines.borrow_mut();
        Rc::clone(timelines.entry(key).or_insert_with(|| history.of_subnet(subnet_id, present).into()))
    }

    /// The place of one interface.
    #[must_use]
    pub fn of(&self, index: InterfaceIndex) -> &Place<'a> {
        let find = || {
            let mut place = Box::new(place(self.interfaces.get(index), self.config));
            if let Some(history) = self.history {
                place.timeline = self.timeline(history, &place);
            }
            place
        };
        self.found[index.0 as usize].get_or_init(find)
    }

    /// The configuration that the places were found in.
    #[must_use]
    pub fn config(&self) -> &'a NetworkConfig {
        self.config
    }

    /// Whether a packet between this interface and `remote` stays inside one subnet, where ACLs are not evaluated.
    ///
    /// A transit gateway attachment or a gateway load balancer endpoint passes packets on: what goes to it is
    /// evaluated even inside the subnet. What a transit gateway attachment sends into its own subnet is not (Transit
    /// Gateways guide, "Network ACLs for transit gateways"; `PrivateLink` guide).
    #[must_use]
    pub fn is_same_subnet(&self, place: &Place<'_>, direction: Direction, remote: IpAddr) -> bool {
        let peer = self.config.interface_with_address(remote, place.vpc_id.as_deref());
        let (to, from) = match direction {
            Direction::Ingress => (place.known, peer),
            Direction::Egress => (peer, place.known),
        };
        if to.is_some_and(passes_packets_on) || from.is_some_and(is_gateway_load_balancer_endpoint) {
            return false;
        }
        if let Some(subnet) = place.subnet {
            return subnet.contains(remote);
        }
        place.subnet_id.is_some()
            && peer.is_some_and(|peer| peer.subnet_id.as_deref() == place.subnet_id.as_deref())
    }
}

fn passes_packets_on(interface: &network::Interface) -> bool {
    interface.interface_type.as_deref() == Some("transit_gateway")
        || is_gateway_load_balancer_endpoint(interface)
}

fn is_gateway_load_balancer_endpoint(interface: &network::Interface) -> bool {
    interface.interface_type.as_deref() == Some("gateway_load_balancer_endpoint")
}

fn place<'a>(logged: InterfaceRef<'a>, config: &'a NetworkConfig) -> Place<'a> {
    let interface_id = String::from_utf8_lossy(logged.interface_id);
    let known = config.interface(&interface_id);
    let own = logged
        .own_address
        .address(IpAddr::from([0; 4]))
        .or_else(|| logged.own_address.address(IpAddr::from([0; 16])));
    let text = |bytes: Option<&'a [u8]>| bytes.map(String::from_utf8_lossy);
    let mut subnet_id = text(logged.subnet_id)
        .or_else(|| known.and_then(|known| known.subnet_id.as_deref()).map(Cow::Borrowed));
    let mut subnet_is_inferred = false;
    if subnet_id.is_none()
        && let Some(subnet) = own.and_then(|address| config.subnet_containing(address))
    {
        subnet_id = Some(Cow::Borrowed(&subnet.subnet_id));
        subnet_is_inferred = true;
    }
    let subnet = subnet_id.as_deref().and_then(|id| config.subnet(id));
    let vpc_id = text(logged.vpc_id)
        .or_else(|| known.and_then(|known| known.vpc_id.as_deref()).map(Cow::Borrowed))
        .or_else(|| subnet.and_then(|subnet| subnet.vpc_id.as_deref()).map(Cow::Borrowed));
    let network_acl = match &subnet_id {
        Some(subnet_id) => config.acl_for_subnet(subnet_id, vpc_id.as_deref()),
        None => config.acl_for_interface(&interface_id),
    };
    Place {
        interface_id,
        subnet_id,
        vpc_id,
        network_acl,
        subnet_is_inferred,
        timeline: Rc::default(),
        logged,
        known,
        subnet,
    }
}

impl Place<'_> {
    /// Whether an address is the interface's own, as far as the snapshot or its records show it.
    #[must_use]
    pub fn owns(&self, address: IpAddr) -> bool {
        self.known.is_some_and(|known| known.addresses.contains(&address))
            || self.logged.own_address.address(address) == Some(address)
    }

    /// Whether packets of others cross the interface on their way: that of a transit gateway or of an endpoint for
    /// appliances.
    #[must_use]
    pub fn passes_packets_on(&self) -> bool {
        self.known.is_some_and(passes_packets_on)
    }

    /// Which way a packet of this flow crossed the interface: by `flow-direction`, else by the interface's addresses
    /// in the snapshot, else by the address common to its records, else by its subnet's CIDRs. `None` when none of
    /// them tells; ports never do.
    #[must_use]
    pub fn direction(&self, flow: &FiveTuple, flow_direction: Option<Direction>) -> Option<Direction> {
        let by_snapshot =
            |address: IpAddr| self.known.is_some_and(|known| known.addresses.contains(&address));
        let own = self.logged.own_address.address(flow.srcaddr);
        let by_records = |address: IpAddr| own == Some(address);
        let by_subnet = |address: IpAddr| self.subnet.is_some_and(|subnet| subnet.contains(address));
        flow_direction
            .or_else(|| from_own_side(flow, by_snapshot))
            .or_else(|| from_own_side(flow, by_records))
            .or_else(|| from_own_side(flow, by_subnet))
    }
}

/// The direction of a flow of which exactly one end is the interface's own.
fn from_own_side(flow: &FiveTuple, is_own: impl Fn(IpAddr) -> bool) -> Option<Direction> {
    match (is_own(flow.srcaddr), is_own(flow.dstaddr)) {
        (true, false) => Some(Direction::Egress),
        (false, true) => Some(Direction::Ingress),
        _ => None,
    }
}
