//! A network configuration in a few words, turned into the JSON that the AWS CLI prints.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What a scenario's `[snapshot]` holds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// RFC 3339; without it the document says nothing of its time.
    captured_at: Option<String>,
    #[serde(default)]
    acls: BTreeMap<String, Acl>,
    /// `"CIDR… [vpc-…]"`.
    #[serde(default)]
    subnets: BTreeMap<String, String>,
    /// `"[subnet-…] ADDRESS… [vpc-…] [type=…] [description=…]"`; the first address is the primary one.
    #[serde(default)]
    interfaces: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Acl {
    #[serde(default = "default_vpc")]
    vpc: String,
    #[serde(default)]
    default: bool,
    #[serde(default)]
    subnets: Vec<String>,
    /// `"ingress 100 TCP 443 0.0.0.0/0 ALLOW"`, as the console shows a rule.
    entries: Vec<String>,
}

fn default_vpc() -> String {
    "vpc-1".to_owned()
}

impl Snapshot {
    /// The document. Entries come in the reverse of the order written: readers must not rely on any.
    pub fn to_json(&self) -> Value {
        let mut document = Map::new();
        if let Some(captured_at) = &self.captured_at {
            document.insert("flowcheck".into(), json!({ "captured_at": captured_at, "version": "0.1.0" }));
        }
        let acls: Vec<_> = self.acls.iter().map(|(id, acl)| acl.to_json(id)).collect();
        document.insert("NetworkAcls".into(), acls.into());
        let subnets: Vec<_> = self.subnets.iter().map(|(id, spec)| subnet(id, spec)).collect();
        document.insert("Subnets".into(), subnets.into());
        let interfaces: Vec<_> = self.interfaces.iter().map(|(id, spec)| self.interface(id, spec)).collect();
        document.insert("NetworkInterfaces".into(), interfaces.into());
        document.into()
    }

    fn interface(&self, id: &str, spec: &str) -> Value {
        let mut interface = json!({
            "NetworkInterfaceId": id, "InterfaceType": "interface", "Description": "", "Status": "in-use",
            "VpcId": default_vpc(), "TagSet": [], "Groups": [],
        });
        let (spec, description) = spec.split_once(" description=").unwrap_or((spec, ""));
        interface["Description"] = description.into();
        let (mut ipv4, mut ipv6) = (Vec::new(), Vec::new());
        for word in spec.split_whitespace() {
            match word.parse() {
                Ok(IpAddr::V4(address)) => {
                    ipv4.push(json!({ "PrivateIpAddress": address, "Primary": ipv4.is_empty() }));
                }
                Ok(IpAddr::V6(address)) => ipv6.push(json!({ "Ipv6Address": address })),
                Err(_) if word.starts_with("subnet-") => {
                    interface["SubnetId"] = word.into();
                    if let Some(spec) = self.subnets.get(word) {
                        interface["VpcId"] = subnet(word, spec)["VpcId"].take();
                    }
                }
                Err(_) if word.starts_with("vpc-") => interface["VpcId"] = word.into(),
                Err(_) => {
                    let kind = word.strip_prefix("type=").unwrap_or_else(|| panic!("{id}: {word:?}?"));
                    interface["InterfaceType"] = kind.into();
                    interface["RequesterManaged"] = true.into();
                }
            }
        }
        if let Some(primary) = ipv4.first() {
            interface["PrivateIpAddress"] = primary["PrivateIpAddress"].clone();
        }
        interface["PrivateIpAddresses"] = ipv4.into();
        interface["Ipv6Addresses"] = ipv6.into();
        interface
    }
}

impl Acl {
    fn to_json(&self, id: &str) -> Value {
        let associations: Vec<_> = self
            .subnets
            .iter()
            .map(|subnet| {
                json!({ "NetworkAclAssociationId": format!("aclassoc-{subnet}"), "NetworkAclId": id, "SubnetId": subnet })
            })
            .collect();
        let entries: Vec<_> = self.entries.iter().rev().map(|text| entry(text)).collect();
        json!({
            "NetworkAclId": id, "VpcId": self.vpc, "IsDefault": self.default, "Associations": associations,
            "Entries": entries, "Tags": [], "OwnerId": "111122223333",
        })
    }
}

fn subnet(id: &str, spec: &str) -> Value {
    let mut subnet = json!({ "SubnetId": id, "VpcId": default_vpc(), "Tags": [] });
    let mut ipv6 = Vec::new();
    for word in spec.split_whitespace() {
        if word.starts_with("vpc-") {
            subnet["VpcId"] = word.into();
        } else if word.contains(':') {
            ipv6.push(json!({ "Ipv6CidrBlock": word, "Ipv6CidrBlockState": { "State": "associated" } }));
        } else {
            subnet["CidrBlock"] = word.into();
        }
    }
    subnet["Ipv6CidrBlockAssociationSet"] = ipv6.into();
    subnet
}

/// `ingress 100 TCP 1024-65535 0.0.0.0/0 ALLOW`, `egress * ALL ALL ::/0 DENY`, `ingress 90 ICMP 8/ALL 10.0.0.0/8 DENY`.
fn entry(text: &str) -> Value {
    let words: Vec<_> = text.split_whitespace().collect();
    let [direction, number, protocol, ports, cidr, action] = words[..] else {
        panic!("{text:?} is not `ingress|egress NUMBER PROTOCOL PORTS CIDR ALLOW|DENY`")
    };
    let is_ipv6 = cidr.contains(':');
    let number = match number {
        "*" => 32767 + i32::from(is_ipv6),
        number => number.parse().expect("rule number"),
    };
    let protocol = match protocol {
        "ALL" => "-1",
        "TCP" => "6",
        "UDP" => "17",
        "ICMP" => "1",
        "ICMPv6" => "58",
        number => number,
    };
    let mut entry = json!({
        "RuleNumber": number, "Egress": direction == "egress", "Protocol": protocol,
        "RuleAction": action.to_ascii_lowercase(),
    });
    entry[if is_ipv6 { "Ipv6CidrBlock" } else { "CidrBlock" }] = cidr.into();
    let value = |text: &str| if text == "ALL" { -1 } else { text.parse::<i32>().expect("a number") };
    match protocol {
        "6" | "17" => {
            let ports = if ports == "ALL" { "0-65535" } else { ports };
            let (from, to) = ports.split_once('-').unwrap_or((ports, ports));
            entry["PortRange"] = json!({ "From": value(from), "To": value(to) });
        }
        "1" | "58" => {
            let (icmp_type, code) = ports.split_once('/').unwrap_or((ports, "ALL"));
            entry["IcmpTypeCode"] = json!({ "Type": value(icmp_type), "Code": value(code) });
        }
        _ => assert_eq!(ports, "ALL", "{text:?}: only TCP, UDP and ICMP entries have ports or types"),
    }
    entry
}
