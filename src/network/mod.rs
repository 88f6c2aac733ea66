//! The network configuration around the ACLs: subnets, interfaces and what they are called.
//!
//! Owns the saved configuration and its history as they were loaded and the questions asked of them: which ACL guards a subnet,
//! which interface has an address, what an id is called. Refuses to know log records and to evaluate an
//! ACL. What it does not know it says as a [`MissingFact`]; it never guesses.

mod document;
mod error;
pub mod history;
mod load;
mod model;
mod naming;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

pub use error::{MissingFact, SnapshotError};
pub use load::MAX_DOCUMENT_BYTES;
pub use model::{Interface, NatGateway, Subnet, Tags, Vpc};

use crate::nacl::NetworkAcl;
use crate::net::Timestamp;
use model::Known;

/// How many resources of each kind are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Network ACLs.
    pub network_acls: usize,
    /// Subnets.
    pub subnets: usize,
    /// Network interfaces.
    pub interfaces: usize,
    /// VPCs.
    pub vpcs: usize,
    /// NAT gateways.
    pub nat_gateways: usize,
}

/// A saved network configuration, possibly from many documents.
#[derive(Debug, Default)]
pub struct NetworkConfig {
    documents: Vec<DocumentSource>,
    network_acls: BTreeMap<String, Known<NetworkAcl>>,
    subnets: BTreeMap<String, Known<Subnet>>,
    interfaces: BTreeMap<String, Known<Interface>>,
    vpcs: BTreeMap<String, Known<Vpc>>,
    nat_gateways: BTreeMap<String, Known<NatGateway>>,
    /// Subnet → the ACL associated with it.
    associations: BTreeMap<String, Association>,
    /// ACL → its association ids that the documents name, with the subnet of each.
    association_ids: BTreeMap<String, BTreeMap<String, String>>,
    /// Address → interfaces that have it; the same private address may exist in several VPCs.
    by_address: BTreeMap<IpAddr, Vec<String>>,
    /// Interfaces that have address prefixes: few, and the only ones to be searched one by one.
    with_prefixes: Vec<String>,
    /// Interface → the NAT gateway that a `NatGateways` document lists it under.
    nat_gateway_of: BTreeMap<String, String>,
    /// Whether a document with network ACLs was cut off after its first page.
    network_acls_cut_off: bool,
    ignored: Vec<PathBuf>,
    warnings: Vec<String>,
}

/// One JSON document that contributed.
#[derive(Debug)]
struct DocumentSource {
    path: PathBuf,
    captured_at: Option<Timestamp>,
    place: Option<(String, String)>,
}

/// The ACL of a subnet, and another one that the same document names for it.
#[derive(Debug)]
struct Association {
    network_acl_id: String,
    document: usize,
    rival: Option<String>,
}

impl NetworkConfig {
    /// Loads files and directories (walked recursively, `*.json` and `*.json.gz`) of documents as the AWS
    /// CLI prints them.
    ///
    /// Fails on an unreadable file, on broken JSON, on a malformed member that decides which ACL or rule
    /// applies, and on a path that holds no document with a known key.
    pub fn load(paths: &[PathBuf]) -> Result<Self, SnapshotError> {
        load::from_paths(paths)
    }

    /// Reads the documents in one file's content (JSON, plain or gzip). `name` is used in messages only.
    pub fn from_json(name: &Path, content: &[u8]) -> Result<Self, SnapshotError> {
        load::from_content(name, content)
    }

    /// Takes documents that are there already, each with the name that messages call it by. One without a known key
    /// adds nothing.
    pub fn from_documents(documents: &[(PathBuf, serde_json::Value)]) -> Result<Self, SnapshotError> {
        load::from_values(documents)
    }

    /// The ACL with this id.
    #[must_use]
    pub fn acl(&self, network_acl_id: &str) -> Option<&NetworkAcl> {
        self.network_acls.get(network_acl_id).map(|known| &known.value)
    }

    /// All ACLs, by id.
    pub fn acls(&self) -> impl Iterator<Item = &NetworkAcl> {
        self.network_acls.values().map(|known| &known.value)
    }

    /// The interface with this id.
    #[must_use]
    pub fn interface(&self, interface_id: &str) -> Option<&Interface> {
        self.interfaces.get(interface_id).map(|known| &known.value)
    }

    /// All interfaces, by id.
    pub fn interfaces(&self) -> impl Iterator<Item = &Interface> {
        self.interfaces.values().map(|known| &known.value)
    }

    /// The subnet with this id.
    #[must_use]
    pub fn subnet(&self, subnet_id: &str) -> Option<&Subnet> {
        self.subnets.get(subnet_id).map(|known| &known.value)
    }

    /// All subnets, by id.
    pub fn subnets(&self) -> impl Iterator<Item = &Subnet> {
        self.subnets.values().map(|known| &known.value)
    }

    /// The ACL in front of a subnet: the one associated with it, else the default ACL of its VPC.
    ///
    /// `vpc_id` is what the caller knows, as from the record; without it the subnet's own document is
    /// asked. Errors say which fact is missing. (VPC User Guide: a subnet without an association has the
    /// default ACL.)
    pub fn acl_for_subnet(&self, subnet_id: &str, vpc_id: Option<&str>) -> Result<&NetworkAcl, MissingFact> {
        let subnet = || subnet_id.to_owned();
        if self.network_acls.is_empty() {
            return Err(MissingFact::NoNetworkAcls { subnet_id: subnet() });
        }
        if let Some(association) = self.associations.get(subnet_id) {
            return match (&association.rival, self.acl(&association.network_acl_id)) {
                (None, Some(acl)) => Ok(acl),
                (rival, _) => Err(MissingFact::OneAssociation {
                    subnet_id: subnet(),
                    network_acl_id: association.network_acl_id.clone(),
                    other_id: rival.clone().unwrap_or_default(),
                }),
            };
        }
        if self.network_acls_cut_off {
            return Err(MissingFact::NextPages { subnet_id: subnet() });
        }
        let Some(vpc_id) = vpc_id.or_else(|| self.subnet(subnet_id)?.vpc_id.as_deref()) else {
            return Err(MissingFact::VpcOfSubnet { subnet_id: subnet() });
        };
        self.acls()
            .find(|acl| acl.is_default && acl.vpc_id.as_deref() == Some(vpc_id))
            .ok_or_else(|| MissingFact::DefaultNetworkAcl { subnet_id: subnet(), vpc_id: vpc_id.to_owned() })
    }

    /// The ACL in front of an interface, by the subnet that the snapshot has it in.
    pub fn acl_for_interface(&self, interface_id: &str) -> Result<&NetworkAcl, MissingFact> {
        let Some(interface) = self.interface(interface_id) else {
            return Err(MissingFact::Interface { interface_id: interface_id.to_owned() });
        };
        let Some(subnet_id) = &interface.subnet_id else {
            return Err(MissingFact::SubnetOfInterface { interface_id: interface_id.to_owned() });
        };
        self.acl_for_subnet(subnet_id, interface.vpc_id.as_deref())
    }

    /// The subnet whose CIDRs contain `addr`; `None` unless exactly one known subnet does, in whatever VPC.
    #[must_use]
    pub fn subnet_containing(&self, addr: IpAddr) -> Option<&Subnet> {
        only(self.subnets().filter(|subnet| subnet.contains(addr)))
    }

    /// The interface that has `addr` as one of its addresses, else the one that has it in a delegated
    /// prefix; `None` unless exactly one known interface does. With `vpc_id`, only that VPC's interfaces
    /// count.
    #[must_use]
    pub fn interface_with_address(&self, addr: IpAddr, vpc_id: Option<&str>) -> Option<&Interface> {
        let in_vpc = |interface: &&Interface| vpc_id.is_none() || interface.vpc_id.as_deref() == vpc_id;
        let ids = self.by_address.get(&addr).map_or(&[][..], Vec::as_slice);
        let mut exact = ids.iter().filter_map(|id| self.interface(id)).filter(in_vpc).peekable();
        if exact.peek().is_some() {
            return only(exact);
        }
        let holds = |interface: &&Interface| interface.prefixes.iter().any(|prefix| prefix.contains(&addr));
        only(self.with_prefixes.iter().filter_map(|id| self.interface(id)).filter(in_vpc).filter(holds))
    }

    /// Whether the interface belongs to a NAT gateway, as far as is proven by something a user cannot set.
    #[must_use]
    pub fn interface_is_nat_gateway(&self, interface_id: &str) -> bool {
        self.nat_gateway_of.contains_key(interface_id)
            || self.interface(interface_id).is_some_and(naming::is_nat_gateway)
    }

    /// Whether the interface is one of a NAT gateway, a load balancer or a Lambda function, which open connections from
    /// any port from 1024 on; as far as is proven by something a user cannot set.
    #[must_use]
    pub fn interface_is_managed_requester(&self, interface_id: &str) -> bool {
        self.nat_gateway_of.contains_key(interface_id)
            || self.interface(interface_id).is_some_and(naming::is_managed_requester)
    }

    /// What an `eni-`, `subnet-`, `acl-`, `vpc-` or `nat-` id is called: `NAT gateway nat-… (prod)`, `ALB
    /// web`, a Name tag, an instance id. Text that a user can set is never taken as proof of what an
    /// interface is.
    #[must_use]
    pub fn label(&self, id: &str) -> Option<String> {
        if let Some(interface) = self.interface(id) {
            return naming::label(interface, self.nat_gateway_of(id));
        }
        self.subnet(id)
            .and_then(|subnet| subnet.name.clone())
            .or_else(|| self.acl(id)?.name.clone())
            .or_else(|| self.vpcs.get(id)?.value.name.clone())
            .or_else(|| self.nat_gateways.get(id)?.value.name.clone())
    }

    /// The value of a tag at an interface: its own, else its subnet's, else its VPC's.
    #[must_use]
    pub fn tag(&self, interface_id: &str, subnet_id: Option<&str>, key: &str) -> Option<&str> {
        let interface = self.interface(interface_id);
        let own = interface.and_then(|interface| interface.tags.get(key));
        let subnet_id = subnet_id.or_else(|| interface?.subnet_id.as_deref());
        let subnet = subnet_id.and_then(|id| self.subnet(id));
        let vpc_id =
            interface.and_then(|interface| interface.vpc_id.as_deref()).or_else(|| subnet?.vpc_id.as_deref());
        own.or_else(|| subnet?.tags.get(key))
            .or_else(|| self.vpcs.get(vpc_id?)?.value.tags.get(key))
            .map(String::as_str)
    }

    /// The account that owns an interface, else its subnet, else the one that its document says it was saved in.
    #[must_use]
    pub fn account(&self, interface_id: &str, subnet_id: Option<&str>) -> Option<&str> {
        let interface = self.interfaces.get(interface_id);
        let subnet_id = subnet_id.or_else(|| interface?.value.subnet_id.as_deref());
        let subnet = subnet_id.and_then(|id| self.subnets.get(id));
        let saved_in =
            |document: usize| self.documents.get(document)?.place.as_ref().map(|(account, _)| account);
        interface
            .and_then(|known| known.value.owner_id.as_ref())
            .or_else(|| subnet?.value.owner_id.as_ref())
            .or_else(|| saved_in(interface?.document))
            .or_else(|| saved_in(subnet?.document))
            .map(String::as_str)
    }

    /// When the configuration was captured: the latest capture of all documents, which wins where they differ; `None`
    /// when one does not say.
    #[must_use]
    pub fn captured_at(&self) -> Option<Timestamp> {
        let times: Option<Vec<_>> = self.documents.iter().map(|document| document.captured_at).collect();
        times?.into_iter().max()
    }

    /// When the rules of this ACL were captured, if its document says so.
    #[must_use]
    pub fn acl_captured_at(&self, network_acl_id: &str) -> Option<Timestamp> {
        self.documents.get(self.network_acls.get(network_acl_id)?.document)?.captured_at
    }

    /// Account and region of this ACL, if its document says so.
    fn acl_place(&self, network_acl_id: &str) -> Option<&(String, String)> {
        self.documents.get(self.network_acls.get(network_acl_id)?.document)?.place.as_ref()
    }

    /// How much is known.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            network_acls: self.network_acls.len(),
            subnets: self.subnets.len(),
            interfaces: self.interfaces.len(),
            vpcs: self.vpcs.len(),
            nat_gateways: self.nat_gateways.len(),
        }
    }

    /// Files in the given directories that hold no document with a known key.
    #[must_use]
    pub fn ignored(&self) -> &[PathBuf] {
        &self.ignored
    }

    /// What makes the configuration less than it seems: first pages only, documents that disagree.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The NAT gateway that a document lists the interface under.
    fn nat_gateway_of(&self, interface_id: &str) -> Option<&NatGateway> {
        let nat_gateway_id = self.nat_gateway_of.get(interface_id)?;
        self.nat_gateways.get(nat_gateway_id).map(|known| &known.value)
    }
}

/// The item of an iterator that has exactly one.
fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    let first = items.next()?;
    items.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests;
