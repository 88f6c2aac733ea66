//! Owns the saved network configuration: what the AWS CLI's `describe-*` calls would print after the incident.
//! Refuses to know the entries that were deleted before that.

use serde_json::{Value, json};

use crate::nacl::{Acl, DEFAULT_DENY, Entry};
use crate::objects::zone_id;
use crate::rng::Rng;
use crate::topology::{
    ACCOUNT, Interface, Kind, NAT_GATEWAY, NAT_PUBLIC, REGION, Subnet, Topology, VPC, VPC_IPV6,
};

/// The whole snapshot as pretty JSON.
pub fn json(topology: &Topology) -> String {
    let nat = &topology.interfaces[topology.nat()];
    let document = json!({
        "flowcheck": {
            "captured_at": "2026-11-20T16:05:00Z",
            "region": REGION,
            "account_id": ACCOUNT,
            "version": "0.1.0",
        },
        "NetworkAcls": (0..topology.acls.len()).map(|acl| network_acl(topology, acl)).collect::<Vec<_>>(),
        "Subnets": topology.subnets.iter().map(subnet).collect::<Vec<_>>(),
        "NetworkInterfaces": topology.interfaces.iter().map(|one| interface(topology, one)).collect::<Vec<_>>(),
        "NatGateways": [{
            "NatGatewayId": NAT_GATEWAY,
            "State": "available",
            "SubnetId": topology.subnets[nat.subnet].id,
            "VpcId": VPC,
            "ConnectivityType": "public",
            "CreateTime": "2025-03-04T09:12:44+00:00",
            "NatGatewayAddresses": [{
                "AllocationId": "eipalloc-0c4d5e6f708192a3b",
                "NetworkInterfaceId": nat.id,
                "PrivateIp": nat.ipv4,
                "PublicIp": NAT_PUBLIC,
                "AssociationId": "eipassoc-0d5e6f708192a3b4c",
                "IsPrimary": true,
                "Status": "succeeded",
            }],
            "Tags": name("shop-nat-a"),
        }],
        "Vpcs": [{
            "VpcId": VPC,
            "CidrBlock": "10.1.0.0/16",
            "CidrBlockAssociationSet": [
                {"AssociationId": "vpc-cidr-assoc-01a2b3c4d5e6f7081", "CidrBlock": "10.1.0.0/16", "CidrBlockState": {"State": "associated"}},
                {"AssociationId": "vpc-cidr-assoc-02b3c4d5e6f708192", "CidrBlock": "10.8.0.0/16", "CidrBlockState": {"State": "associated"}},
            ],
            "Ipv6CidrBlockAssociationSet": [{
                "AssociationId": "vpc-cidr-assoc-03c4d5e6f708192a3",
                "Ipv6CidrBlock": VPC_IPV6,
                "Ipv6CidrBlockState": {"State": "associated"},
                "Ipv6Pool": "Amazon",
                "NetworkBorderGroup": REGION,
            }],
            "DhcpOptionsId": "dopt-0a9b8c7d6e5f40312",
            "InstanceTenancy": "default",
            "IsDefault": false,
            "OwnerId": ACCOUNT,
            "State": "available",
            "Tags": name("shop"),
        }],
    });
    let mut text = serde_json::to_string_pretty(&document).expect("a JSON value prints");
    text.push('\n');
    text
}

fn name(value: &str) -> Value {
    json!([{"Key": "Name", "Value": value}])
}

/// An identifier that looks like AWS's: `prefix` and 17 hexadecimal digits.
fn id(prefix: &str, of: &str) -> String {
    format!("{prefix}-0{:016x}", Rng::named(&format!("{prefix} {of}")).next())
}

fn network_acl(topology: &Topology, position: usize) -> Value {
    let acl: &Acl = &topology.acls[position];
    let associations: Vec<Value> = topology
        .subnets
        .iter()
        .filter(|subnet| subnet.acl == position)
        .map(|subnet| {
            json!({
                "NetworkAclAssociationId": id("aclassoc", subnet.id),
                "NetworkAclId": acl.id,
                "SubnetId": subnet.id,
            })
        })
        .collect();
    // The last rules stand where they happen to stand, as the rest does.
    let mut entries: Vec<Value> = Vec::new();
    for egress in [false, true] {
        entries.push(json!({
            "Egress": egress, "Ipv6CidrBlock": "::/0", "Protocol": "-1", "RuleAction": "deny", "RuleNumber": DEFAULT_DENY + 1,
        }));
    }
    entries.extend(acl.entries.iter().filter(|entry| entry.deleted.is_none()).map(acl_entry));
    for egress in [true, false] {
        entries.push(json!({
            "CidrBlock": "0.0.0.0/0", "Egress": egress, "Protocol": "-1", "RuleAction": "deny", "RuleNumber": DEFAULT_DENY,
        }));
    }
    json!({
        "NetworkAclId": acl.id,
        "IsDefault": acl.is_default,
        "VpcId": VPC,
        "OwnerId": ACCOUNT,
        "Associations": associations,
        "Entries": entries,
        "Tags": name(acl.name),
    })
}

fn acl_entry(entry: &Entry) -> Value {
    let mut value = json!({
        "Egress": entry.egress,
        "Protocol": entry.protocol.map_or_else(|| "-1".to_owned(), |protocol| protocol.to_string()),
        "RuleAction": if entry.allow { "allow" } else { "deny" },
        "RuleNumber": entry.number,
    });
    let family = if entry.cidr.addr().is_ipv4() { "CidrBlock" } else { "Ipv6CidrBlock" };
    value[family] = json!(entry.cidr.to_string());
    if let Some((from, to)) = entry.ports {
        value["PortRange"] = json!({"From": from, "To": to});
    }
    if entry.protocol == Some(1) {
        value["IcmpTypeCode"] = json!({"Code": -1, "Type": -1});
    }
    value
}

fn subnet(subnet: &Subnet) -> Value {
    let ipv6: Vec<Value> = subnet
        .ipv6
        .iter()
        .map(|cidr| {
            json!({
                "AssociationId": id("subnet-cidr-assoc", subnet.id),
                "Ipv6CidrBlock": cidr,
                "Ipv6CidrBlockState": {"State": "associated"},
            })
        })
        .collect();
    json!({
        "SubnetId": subnet.id,
        "SubnetArn": format!("arn:aws:ec2:{REGION}:{ACCOUNT}:subnet/{}", subnet.id),
        "VpcId": VPC,
        "CidrBlock": subnet.cidr,
        "Ipv6CidrBlockAssociationSet": ipv6,
        "AvailabilityZone": format!("{REGION}{}", subnet.zone),
        "AvailabilityZoneId": zone_id(subnet.zone),
        "AvailableIpAddressCount": 243,
        "DefaultForAz": false,
        "MapPublicIpOnLaunch": false,
        "AssignIpv6AddressOnCreation": subnet.ipv6.is_some(),
        "OwnerId": ACCOUNT,
        "State": "available",
        "Tags": name(subnet.name),
    })
}

/// Description, interface type and requester, as AWS writes them for what the interface belongs to.
fn identity(interface: &Interface) -> (String, &'static str, Option<&'static str>) {
    let amazon = Some("amazon-elb");
    let uuid = || {
        let hex =
            format!("{:016x}{:016x}", Rng::named(interface.id).next(), Rng::named(interface.name).next());
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    };
    match interface.kind {
        Kind::Lambda(function) => (
            format!("AWS Lambda VPC ENI-{function}-{}", uuid()),
            "lambda",
            Some("AROAEXAMPLELAMBDA0001:111122223333"),
        ),
        Kind::Instance(_) => (String::new(), "interface", None),
        Kind::Nat => {
            (format!("Interface for NAT Gateway {NAT_GATEWAY}"), "nat_gateway", Some("444455556666"))
        }
        Kind::LoadBalancer => ("ELB app/shop-internal/5d1f8e7c6b3a2940".to_owned(), "interface", amazon),
        Kind::Database => ("RDSNetworkInterface".to_owned(), "interface", Some("amazon-rds")),
        Kind::Cache => ("ElastiCache sessions-001".to_owned(), "interface", Some("amazon-elasticache")),
    }
}

fn interface(topology: &Topology, interface: &Interface) -> Value {
    let subnet = &topology.subnets[interface.subnet];
    let (description, kind, requester) = identity(interface);
    let dns = format!("ip-{}.{REGION}.compute.internal", interface.ipv4.to_string().replace('.', "-"));
    let mut address = json!({"Primary": true, "PrivateDnsName": dns, "PrivateIpAddress": interface.ipv4});
    let mut value = json!({
        "NetworkInterfaceId": interface.id,
        "InterfaceType": kind,
        "Description": description,
        "RequesterManaged": requester.is_some(),
        "Status": "in-use",
        "SubnetId": subnet.id,
        "VpcId": VPC,
        "OwnerId": ACCOUNT,
        "AvailabilityZone": format!("{REGION}{}", subnet.zone),
        "PrivateDnsName": dns,
        "PrivateIpAddress": interface.ipv4,
        "Ipv6Addresses": interface.ipv6.iter().map(|ipv6| json!({"Ipv6Address": ipv6, "IsPrimaryIpv6": false})).collect::<Vec<_>>(),
        "MacAddress": mac(interface),
        "SourceDestCheck": !matches!(interface.kind, Kind::Nat),
        "Groups": groups(interface),
        "Attachment": attachment(interface),
        "TagSet": if matches!(interface.kind, Kind::Instance(_)) { name(interface.name) } else { json!([]) },
    });
    if let Some(public) = interface.public {
        let association = json!({
            "AllocationId": id("eipalloc", interface.id),
            "AssociationId": id("eipassoc", interface.id),
            "IpOwnerId": ACCOUNT,
            "PublicIp": public,
            "PublicDnsName": format!("ec2-{}.{REGION}.compute.amazonaws.com", public.replace('.', "-")),
        });
        address["Association"] = association.clone();
        value["Association"] = association;
    }
    if let Some(requester) = requester {
        value["RequesterId"] = json!(requester);
    }
    value["PrivateIpAddresses"] = json!([address]);
    value
}

fn mac(interface: &Interface) -> String {
    let [_, second, third, fourth] = interface.ipv4.octets();
    format!("02:5e:7a:{second:02x}:{third:02x}:{fourth:02x}")
}

fn groups(interface: &Interface) -> Value {
    if matches!(interface.kind, Kind::Nat) {
        return json!([]);
    }
    let group = interface.name.split('-').next().unwrap_or(interface.name);
    json!([{"GroupId": id("sg", group), "GroupName": format!("shop-{group}")}])
}

fn attachment(interface: &Interface) -> Value {
    let mut value = json!({
        "AttachmentId": id(if matches!(interface.kind, Kind::Instance(_)) { "eni-attach" } else { "ela-attach" }, interface.id),
        "AttachTime": "2026-09-02T08:31:07+00:00",
        "DeleteOnTermination": matches!(interface.kind, Kind::Instance(_)),
        "DeviceIndex": i32::from(!matches!(interface.kind, Kind::Instance(_))),
        "Status": "attached",
        "InstanceOwnerId": if matches!(interface.kind, Kind::Instance(_)) { ACCOUNT } else { "amazon-aws" },
    });
    if let Kind::Instance(instance) = interface.kind {
        value["InstanceId"] = json!(instance);
    }
    value
}
