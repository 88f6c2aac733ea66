//! Owns the network configuration that goes with the load, as the AWS CLI would print it after the change.

use serde_json::{Value, json};

use crate::lines::{BROKEN, INTERFACES, address, interface_id, subnet_id};

const VPC: &str = "vpc-0d5a7e91c3b2f4860";

/// The whole snapshot, as it was at this moment.
pub fn json(captured_at: &str) -> String {
    let subnets: Vec<Value> = (0..INTERFACES)
        .step_by(20)
        .map(|first| {
            let [a, b, c, _] = address(first);
            json!({"SubnetId": subnet_id(first), "VpcId": VPC, "CidrBlock": format!("{a}.{b}.{c}.0/24")})
        })
        .collect();
    let interfaces: Vec<Value> = (0..INTERFACES)
        .map(|nth| {
            let [a, b, c, d] = address(nth);
            json!({
                "NetworkInterfaceId": interface_id(nth),
                "InterfaceType": "interface",
                "SubnetId": subnet_id(nth),
                "VpcId": VPC,
                "PrivateIpAddress": format!("{a}.{b}.{c}.{d}"),
            })
        })
        .collect();
    let broken = acl("acl-0aaaaaaaaaaaaaaa1", (0, BROKEN), &[allow_tcp(100, 80), allow_tcp(110, 443)]);
    let whole = acl("acl-0bbbbbbbbbbbbbbb2", (BROKEN, INTERFACES), &[allow_all(100, false)]);
    let document = json!({
        "flowcheck": {"captured_at": captured_at, "region": "eu-west-1", "account_id": "111122223333", "version": "0.1.0"},
        "NetworkAcls": [broken, whole],
        "Subnets": subnets,
        "NetworkInterfaces": interfaces,
    });
    document.to_string()
}

fn allow_all(number: u16, egress: bool) -> Value {
    json!({"CidrBlock": "0.0.0.0/0", "Egress": egress, "Protocol": "-1", "RuleAction": "allow", "RuleNumber": number})
}

fn allow_tcp(number: u16, port: u16) -> Value {
    json!({"CidrBlock": "0.0.0.0/0", "Egress": false, "Protocol": "6", "RuleAction": "allow", "RuleNumber": number,
        "PortRange": {"From": port, "To": port}})
}

/// A NACL that lets everything out, for the subnets of the interfaces `low..high`.
fn acl(id: &str, (low, high): (usize, usize), inbound: &[Value]) -> Value {
    let associations: Vec<Value> = (low..high)
        .step_by(20)
        .map(|first| json!({"NetworkAclId": id, "NetworkAclAssociationId": format!("aclassoc-{first}"), "SubnetId": subnet_id(first)}))
        .collect();
    let mut entries = inbound.to_vec();
    entries.push(allow_all(100, true));
    for egress in [false, true] {
        entries.push(json!({"CidrBlock": "0.0.0.0/0", "Egress": egress, "Protocol": "-1", "RuleAction": "deny", "RuleNumber": 32767}));
    }
    json!({"NetworkAclId": id, "VpcId": VPC, "IsDefault": false, "Associations": associations, "Entries": entries, "Tags": []})
}
