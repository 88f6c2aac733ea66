//! Subnets, interfaces, VPCs and NAT gateways: the members of the EC2 descriptions that flowcheck uses.
//!
//! Refuses to know JSON. A member that the document lacks is `None` or empty.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

/// Keys and values, as users and services set them.
pub type Tags = BTreeMap<String, String>;

/// A subnet (`DescribeSubnets`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subnet {
    /// `subnet-…`.
    pub subnet_id: String,
    /// Its VPC.
    pub vpc_id: Option<String>,
    /// Its IPv4 CIDR and its associated IPv6 CIDRs.
    pub cidr_blocks: Vec<IpNet>,
    /// Its `Name` tag.
    pub name: Option<String>,
    /// All its tags.
    pub tags: Tags,
    /// The account that owns it.
    pub owner_id: Option<String>,
}

impl Subnet {
    /// Whether the address lies in one of the subnet's CIDRs.
    #[must_use]
    pub fn contains(&self, addr: IpAddr) -> bool {
        self.cidr_blocks.iter().any(|cidr| cidr.contains(&addr))
    }
}

/// A network interface (`DescribeNetworkInterfaces`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Interface {
    /// `eni-…`.
    pub interface_id: String,
    /// Its subnet.
    pub subnet_id: Option<String>,
    /// Its VPC.
    pub vpc_id: Option<String>,
    /// As the API spells it: `interface`, `nat_gateway` (older: `natGateway`), `lambda` …
    pub interface_type: Option<String>,
    /// Set by AWS on requester-managed interfaces, by users on all others.
    pub description: Option<String>,
    /// Whether an AWS service manages it.
    pub requester_managed: bool,
    /// The address that flow logs show for the interface's own.
    pub primary_private_ip: Option<IpAddr>,
    /// All its private IPv4 and its IPv6 addresses, the primary one first.
    pub addresses: Vec<IpAddr>,
    /// Delegated prefixes, as EKS uses them.
    pub prefixes: Vec<IpNet>,
    /// The instance it is attached to.
    pub instance_id: Option<String>,
    /// Its `Name` tag.
    pub name: Option<String>,
    /// All its tags.
    pub tags: Tags,
    /// The account that owns it.
    pub owner_id: Option<String>,
}

/// A VPC (`DescribeVpcs`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Vpc {
    /// `vpc-…`.
    pub vpc_id: String,
    /// Whether it is the region's default VPC.
    pub is_default: bool,
    /// Its IPv4 and IPv6 CIDRs.
    pub cidr_blocks: Vec<IpNet>,
    /// Its `Name` tag.
    pub name: Option<String>,
    /// All its tags.
    pub tags: Tags,
}

/// A NAT gateway (`DescribeNatGateways`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NatGateway {
    /// `nat-…`.
    pub nat_gateway_id: String,
    /// Its subnet; a regional one has none.
    pub subnet_id: Option<String>,
    /// Its interfaces.
    pub interface_ids: Vec<String>,
    /// Its `Name` tag.
    pub name: Option<String>,
}

/// A resource and the document it was taken from (an index into the loaded documents).
#[derive(Debug)]
pub(super) struct Known<T> {
    pub(super) value: T,
    pub(super) document: usize,
}
