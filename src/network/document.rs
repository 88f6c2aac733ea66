//! One JSON document as the AWS CLI prints it, read into the model.
//!
//! Lenient where a member decides nothing (unknown ones are skipped, absent and `null` are the same),
//! strict where it decides which ACL or rule applies. Shapes: EC2 API, the `Describe…` responses. Refuses
//! to know files and other documents.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Map, Value};

use super::model::{Interface, NatGateway, Subnet, Tags, Vpc};
use crate::nacl::{AclProtocol, IcmpTypeCode, NetworkAcl, NetworkAclEntry, PortRange, RuleAction};
use crate::net::{Direction, Protocol, Timestamp};

/// Top-level keys by which a document is recognised. What `FlowLogs` and `SecurityGroups` hold is not used.
pub(super) const KNOWN_KEYS: [&str; 7] =
    ["NetworkAcls", "Subnets", "NetworkInterfaces", "NatGateways", "Vpcs", "SecurityGroups", "FlowLogs"];

/// What one document holds.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// When it was captured, if it says so.
    pub(super) captured_at: Option<Timestamp>,
    /// Account and region, if it says both.
    pub(super) place: Option<(String, String)>,
    /// Whether it has a `NextToken`: more pages exist.
    pub(super) has_next_token: bool,
    pub(super) network_acls: Vec<NetworkAcl>,
    pub(super) subnets: Vec<Subnet>,
    pub(super) interfaces: Vec<Interface>,
    pub(super) nat_gateways: Vec<NatGateway>,
    pub(super) vpcs: Vec<Vpc>,
    /// Association id, the ACL and the subnet that it ties together.
    pub(super) associations: Vec<[String; 3]>,
}

/// A member that is missing or malformed, and where.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) resource: String,
    pub(super) rule: Option<String>,
    pub(super) member: &'static str,
    pub(super) problem: String,
}

impl Fault {
    pub(super) fn new(member: &'static str, problem: impl Into<String>) -> Self {
        Self { resource: String::new(), rule: None, member, problem: problem.into() }
    }

    pub(super) fn missing(member: &'static str) -> Self {
        Self::new(member, "is missing")
    }

    /// `110.5 is not …`; the value is cut to a printable length.
    pub(super) fn not(member: &'static str, value: &Value, wanted: &str) -> Self {
        const SHOWN_CHARS: usize = 60;
        let text = value.to_string();
        let shown: String = text.chars().take(SHOWN_CHARS).collect();
        let more = if shown.len() < text.len() { "…" } else { "" };
        Self::new(member, format!("{shown}{more} is not {wanted}"))
    }
}

pub(super) type Object = Map<String, Value>;

impl Document {
    /// Reads a document; `None` when it has none of the known keys.
    pub(super) fn read(value: &Value) -> Result<Option<Self>, Fault> {
        let Some(object) = value.as_object() else { return Ok(None) };
        if !KNOWN_KEYS.iter().any(|key| object.contains_key(*key)) {
            return Ok(None);
        }
        Ok(Some(Self {
            captured_at: captured_at(object)?,
            place: place(object),
            has_next_token: member(object, "NextToken").is_some_and(|token| token.as_str() != Some("")),
            network_acls: resources(object, "NetworkAcls", "NetworkAclId", network_acl)?,
            subnets: resources(object, "Subnets", "SubnetId", subnet)?,
            interfaces: resources(object, "NetworkInterfaces", "NetworkInterfaceId", interface)?,
            nat_gateways: resources(object, "NatGateways", "NatGatewayId", nat_gateway)?,
            vpcs: resources(object, "Vpcs", "VpcId", vpc)?,
            associations: resources(object, "NetworkAcls", "NetworkAclId", |acl, id| {
                association_ids(acl, &id)
            })?
            .concat(),
        }))
    }
}

/// `"flowcheck": {"captured_at": …}`, which `flowcheck snapshot` writes.
fn captured_at(object: &Object) -> Result<Option<Timestamp>, Fault> {
    const MEMBER: &str = "captured_at";
    let Some(value) =
        object.get("flowcheck").and_then(|own| own.get(MEMBER)).filter(|value| !value.is_null())
    else {
        return Ok(None);
    };
    let time = value.as_str().and_then(|text| text.parse().ok());
    let fault =
        || Fault { resource: "flowcheck".to_owned(), ..Fault::not(MEMBER, value, "an RFC 3339 time") };
    time.map(Some).ok_or_else(fault)
}

/// `"flowcheck": {"account_id": …, "region": …}`.
fn place(object: &Object) -> Option<(String, String)> {
    let own = object.get("flowcheck")?;
    let word = |name: &str| own.get(name)?.as_str().map(str::to_owned);
    Some((word("account_id")?, word("region")?))
}

/// Every resource under `key`; `id_member` names each in messages and must be there.
fn resources<T>(
    object: &Object,
    key: &'static str,
    id_member: &'static str,
    read: impl Fn(&Object, String) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let at_top = |fault| Fault { resource: "document".to_owned(), ..fault };
    let items = objects(object, key).map_err(at_top)?;
    let mut found = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let position = || format!("{key}[{index}]");
        let id = needed_text(item, id_member).map_err(|fault| Fault { resource: position(), ..fault })?;
        found.push(read(item, id.clone()).map_err(|fault| Fault { resource: id, ..fault })?);
    }
    Ok(found)
}

/// The associations of an ACL that say their id.
pub(super) fn association_ids(object: &Object, network_acl_id: &str) -> Result<Vec<[String; 3]>, Fault> {
    let mut found = Vec::new();
    for association in objects(object, "Associations")? {
        // Only a history needs the ids.
        let id = association.get("NetworkAclAssociationId").and_then(Value::as_str);
        if let (Some(id), Some(subnet_id)) = (id, text(association, "SubnetId")?) {
            found.push([id.to_owned(), network_acl_id.to_owned(), subnet_id]);
        }
    }
    Ok(found)
}

pub(super) fn network_acl(object: &Object, network_acl_id: String) -> Result<NetworkAcl, Fault> {
    // Without its entries an ACL would seem to deny everything.
    if member(object, "Entries").is_none() {
        return Err(Fault::missing("Entries"));
    }
    let mut entries = Vec::new();
    for (index, item) in objects(object, "Entries")?.into_iter().enumerate() {
        entries.push(entry(item).map_err(|fault| Fault { rule: Some(rule_place(item, index)), ..fault })?);
    }
    let mut subnet_ids = Vec::new();
    for association in objects(object, "Associations")? {
        subnet_ids.extend(text(association, "SubnetId")?);
    }
    subnet_ids.sort();
    let mut acl = NetworkAcl::new(network_acl_id, entries);
    acl.vpc_id = text(object, "VpcId")?;
    acl.is_default = flag(object, "IsDefault")?.unwrap_or_default();
    acl.name = name_tag(object);
    acl.subnet_ids = subnet_ids;
    Ok(acl)
}

/// `ingress rule 110` if the entry says so much, else its position.
fn rule_place(object: &Object, index: usize) -> String {
    match (direction(object), rule_number(object)) {
        (Ok(direction), Ok(rule_number)) => format!("{direction} rule {rule_number}"),
        _ => format!("Entries[{index}]"),
    }
}

pub(super) fn entry(object: &Object) -> Result<NetworkAclEntry, Fault> {
    let protocol = protocol(object)?;
    let (ports, icmp) = match protocol {
        AclProtocol::Number(number) if number.has_ports() => (port_range(object)?, None),
        AclProtocol::Number(number) if number.is_icmp() => (None, icmp_type_code(object)?),
        _ => (None, None),
    };
    Ok(NetworkAclEntry {
        rule_number: rule_number(object)?,
        direction: direction(object)?,
        cidr: entry_cidr(object)?,
        protocol,
        ports,
        icmp,
        action: rule_action(object)?,
    })
}

pub(super) fn rule_number(object: &Object) -> Result<u16, Fault> {
    const MEMBER: &str = "RuleNumber";
    match number::<u16>(object, MEMBER, "a rule number from 1 to 65535")? {
        Some(0) => Err(Fault::new(MEMBER, "0 is not a rule number from 1 to 65535")),
        Some(rule_number) => Ok(rule_number),
        None => Err(Fault::missing(MEMBER)),
    }
}

pub(super) fn direction(object: &Object) -> Result<Direction, Fault> {
    let egress = flag(object, "Egress")?.ok_or_else(|| Fault::missing("Egress"))?;
    Ok(if egress { Direction::Egress } else { Direction::Ingress })
}

fn rule_action(object: &Object) -> Result<RuleAction, Fault> {
    const MEMBER: &str = "RuleAction";
    let action = needed_text(object, MEMBER)?;
    match action.to_ascii_lowercase().as_str() {
        "allow" => Ok(RuleAction::Allow),
        "deny" => Ok(RuleAction::Deny),
        _ => Err(Fault::not(MEMBER, &Value::String(action), "allow or deny")),
    }
}

/// A string with a number in the API; a bare number means the same.
fn protocol(object: &Object) -> Result<AclProtocol, Fault> {
    const MEMBER: &str = "Protocol";
    const WANTED: &str = "-1 or a protocol number";
    match number::<i16>(object, MEMBER, WANTED)? {
        None => Err(Fault::missing(MEMBER)),
        Some(-1) => Ok(AclProtocol::All),
        Some(value) => u8::try_from(value)
            .map(|value| AclProtocol::Number(Protocol(value)))
            .map_err(|_| Fault::new(MEMBER, format!("{value} is not {WANTED}"))),
    }
}

fn entry_cidr(object: &Object) -> Result<IpNet, Fault> {
    match (cidr(object, "CidrBlock")?, cidr(object, "Ipv6CidrBlock")?) {
        (Some(_), Some(_)) => Err(Fault::new("CidrBlock", "and Ipv6CidrBlock are both there")),
        (Some(cidr), None) if matches!(cidr, IpNet::V6(_)) => {
            Err(Fault::new("CidrBlock", format!("\"{cidr}\" is not an IPv4 CIDR")))
        }
        (None, Some(cidr)) if matches!(cidr, IpNet::V4(_)) => {
            Err(Fault::new("Ipv6CidrBlock", format!("\"{cidr}\" is not an IPv6 CIDR")))
        }
        (Some(cidr), None) | (None, Some(cidr)) => Ok(cidr),
        (None, None) => Err(Fault::new("CidrBlock", "and Ipv6CidrBlock are both missing")),
    }
}

/// A TCP or UDP entry without one takes every port.
fn port_range(object: &Object) -> Result<Option<PortRange>, Fault> {
    const MEMBER: &str = "PortRange";
    let Some(value) = member(object, MEMBER) else { return Ok(None) };
    let fault = || Fault::not(MEMBER, value, "a range of ports {From, To} from 0 to 65535");
    let range = value.as_object().ok_or_else(fault)?;
    let end = |end| number::<u16>(range, end, "a port").ok().flatten().ok_or_else(fault);
    let (from, to) = (end("From")?, end("To")?);
    if from > to { Err(fault()) } else { Ok(Some(PortRange { from, to })) }
}

/// An ICMP entry without one takes every type; so does `-1`.
fn icmp_type_code(object: &Object) -> Result<Option<IcmpTypeCode>, Fault> {
    const MEMBER: &str = "IcmpTypeCode";
    let Some(value) = member(object, MEMBER) else { return Ok(None) };
    let fault = || Fault::not(MEMBER, value, "an ICMP {Type, Code} from -1 to 255");
    let pair = value.as_object().ok_or_else(fault)?;
    let part = |part| match number::<i16>(pair, part, "an ICMP number") {
        Ok(None | Some(-1)) => Ok(None),
        Ok(Some(value)) => u8::try_from(value).map(Some).map_err(|_| fault()),
        Err(_) => Err(fault()),
    };
    Ok(Some(IcmpTypeCode { icmp_type: part("Type")?, code: part("Code")? }))
}

fn subnet(object: &Object, subnet_id: String) -> Result<Subnet, Fault> {
    let mut cidr_blocks = Vec::from_iter(cidr(object, "CidrBlock")?);
    cidr_blocks.extend(associated_cidrs(object, "Ipv6CidrBlockAssociationSet", "Ipv6CidrBlock")?);
    Ok(Subnet {
        subnet_id,
        vpc_id: text(object, "VpcId")?,
        cidr_blocks,
        name: name_tag(object),
        tags: tags(object),
        owner_id: owner(object),
    })
}

fn vpc(object: &Object, vpc_id: String) -> Result<Vpc, Fault> {
    let mut cidr_blocks = Vec::from_iter(cidr(object, "CidrBlock")?);
    cidr_blocks.extend(associated_cidrs(object, "CidrBlockAssociationSet", "CidrBlock")?);
    cidr_blocks.extend(associated_cidrs(object, "Ipv6CidrBlockAssociationSet", "Ipv6CidrBlock")?);
    cidr_blocks.sort();
    cidr_blocks.dedup();
    let is_default = flag(object, "IsDefault")?.unwrap_or_default();
    Ok(Vpc { vpc_id, is_default, cidr_blocks, name: name_tag(object), tags: tags(object) })
}

/// The CIDRs of an association set that are in use (`…State.State`); one without a state counts.
fn associated_cidrs(
    object: &Object,
    set: &'static str,
    cidr_member: &'static str,
) -> Result<Vec<IpNet>, Fault> {
    let mut cidrs = Vec::new();
    for association in objects(object, set)? {
        let state = association.get(&format!("{cidr_member}State")).and_then(|state| state.get("State"));
        if !matches!(state.and_then(Value::as_str), Some("disassociated" | "failed")) {
            cidrs.extend(cidr(association, cidr_member)?);
        }
    }
    Ok(cidrs)
}

fn interface(object: &Object, interface_id: String) -> Result<Interface, Fault> {
    let mut primary_private_ip = address(object, "PrivateIpAddress")?;
    let mut addresses = Vec::new();
    for private in objects(object, "PrivateIpAddresses")? {
        let found = address(private, "PrivateIpAddress")?;
        addresses.extend(found);
        if flag(private, "Primary")? == Some(true) {
            primary_private_ip = primary_private_ip.or(found);
        }
    }
    for ipv6 in objects(object, "Ipv6Addresses")? {
        addresses.extend(address(ipv6, "Ipv6Address")?);
    }
    addresses.extend(address(object, "Ipv6Address")?);
    addresses.extend(primary_private_ip);
    addresses.sort_by_key(|&found| (Some(found) != primary_private_ip, found));
    addresses.dedup();
    let mut prefixes = Vec::new();
    for (set, prefix) in [("Ipv4Prefixes", "Ipv4Prefix"), ("Ipv6Prefixes", "Ipv6Prefix")] {
        for item in objects(object, set)? {
            prefixes.extend(cidr(item, prefix)?);
        }
    }
    let attachment = member(object, "Attachment").and_then(Value::as_object);
    Ok(Interface {
        interface_id,
        subnet_id: text(object, "SubnetId")?,
        vpc_id: text(object, "VpcId")?,
        interface_type: text(object, "InterfaceType")?,
        description: text(object, "Description")?,
        requester_managed: flag(object, "RequesterManaged")?.unwrap_or_default(),
        primary_private_ip,
        addresses,
        prefixes,
        instance_id: attachment.map_or(Ok(None), |attachment| text(attachment, "InstanceId"))?,
        name: name_tag(object),
        tags: tags(object),
        owner_id: owner(object),
    })
}

fn nat_gateway(object: &Object, nat_gateway_id: String) -> Result<NatGateway, Fault> {
    let mut interface_ids = Vec::new();
    for address in objects(object, "NatGatewayAddresses")? {
        interface_ids.extend(text(address, "NetworkInterfaceId")?);
    }
    interface_ids.sort();
    interface_ids.dedup();
    Ok(NatGateway {
        nat_gateway_id,
        subnet_id: text(object, "SubnetId")?,
        interface_ids,
        name: name_tag(object),
    })
}

/// The tags, from `Tags` or (interfaces) `TagSet`; an odd one is passed over.
fn tags(object: &Object) -> Tags {
    let tags = object.get("Tags").or_else(|| object.get("TagSet")).and_then(Value::as_array);
    let tags = tags.into_iter().flatten().filter_map(|tag| {
        let part = |name: &str| tag.get(name).and_then(Value::as_str).map(str::to_owned);
        Some((part("Key")?, part("Value")?))
    });
    tags.collect()
}

/// The account that a resource belongs to. It decides nothing, so an odd one is no error.
fn owner(object: &Object) -> Option<String> {
    object.get("OwnerId")?.as_str().map(str::to_owned)
}

/// The `Name` tag, from `Tags` or (interfaces) `TagSet`. A tag decides nothing, so an odd one is no error.
fn name_tag(object: &Object) -> Option<String> {
    let tags = object.get("Tags").or_else(|| object.get("TagSet"))?.as_array()?;
    let name = tags.iter().find(|tag| tag.get("Key").and_then(Value::as_str) == Some("Name"))?;
    name.get("Value")?.as_str().filter(|name| !name.trim().is_empty()).map(ToOwned::to_owned)
}

/// A member that is there and not `null`.
fn member<'a>(object: &'a Object, member: &str) -> Option<&'a Value> {
    object.get(member).filter(|value| !value.is_null())
}

/// A text; an empty one counts as absent.
pub(super) fn text(object: &Object, name: &'static str) -> Result<Option<String>, Fault> {
    match member(object, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok((!text.is_empty()).then(|| text.clone())),
        Some(value) => Err(Fault::not(name, value, "a string")),
    }
}

pub(super) fn needed_text(object: &Object, name: &'static str) -> Result<String, Fault> {
    text(object, name)?.ok_or_else(|| Fault::missing(name))
}

fn flag(object: &Object, name: &'static str) -> Result<Option<bool>, Fault> {
    match member(object, name) {
        None => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(value) => Err(Fault::not(name, value, "true or false")),
    }
}

/// A number, bare or in a string.
fn number<T: TryFrom<i64>>(object: &Object, name: &'static str, wanted: &str) -> Result<Option<T>, Fault> {
    let Some(value) = member(object, name) else { return Ok(None) };
    let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
    number
        .and_then(|number| T::try_from(number).ok())
        .map(Some)
        .ok_or_else(|| Fault::not(name, value, wanted))
}

fn cidr(object: &Object, name: &'static str) -> Result<Option<IpNet>, Fault> {
    let Some(text) = text(object, name)? else { return Ok(None) };
    let parsed = text.parse::<IpNet>();
    parsed.map(|cidr| Some(cidr.trunc())).map_err(|_| Fault::not(name, &Value::String(text), "a CIDR"))
}

fn address(object: &Object, name: &'static str) -> Result<Option<IpAddr>, Fault> {
    let Some(text) = text(object, name)? else { return Ok(None) };
    text.parse().map(Some).map_err(|_| Fault::not(name, &Value::String(text), "an IP address"))
}

/// The objects of a list; an absent list is empty.
fn objects<'a>(object: &'a Object, name: &'static str) -> Result<Vec<&'a Object>, Fault> {
    let Some(value) = member(object, name) else { return Ok(Vec::new()) };
    let items = value.as_array().ok_or_else(|| Fault::not(name, value, "a list"))?;
    items.iter().map(|item| item.as_object().ok_or_else(|| Fault::not(name, item, "an object"))).collect()
}
