//! One CloudTrail record, read as a change of network ACLs.
//!
//! Shapes: CloudTrail User Guide, "CloudTrail record contents"; the request parameters are those of the EC2 API with a
//! small first letter, the protocol being `aclProtocol`. Lenient about how a value is written, strict about what a
//! change needs: one that is half understood would make a wrong history.

use serde_json::{Map, Value};

use super::super::document::{Fault, Object, direction, entry, needed_text, rule_number, text};
use super::Place;
use crate::nacl::history::{Change, Event};
use crate::net::{Protocol, Timestamp};

/// One of these is in every file that holds a change.
pub(super) const NAME_PARTS: [&str; 4] =
    ["NetworkAcl", "CreateSubnet", "CreateDefaultSubnet", "AssociateVpcCidrBlock"];

/// The change that a record tells of; `None` when it is another call or one that failed.
pub(super) fn event(record: &Object) -> Result<Option<Event>, Fault> {
    let Some(name) = record.get("eventName").and_then(Value::as_str) else { return Ok(None) };
    let by_ec2 = record.get("eventSource").and_then(Value::as_str).is_none_or(|by| by == "ec2.amazonaws.com");
    if !by_ec2 || !NAME_PARTS.iter().any(|part| name.contains(part)) || has_failed(record) {
        return Ok(None);
    }
    let Some(change) = change(name, record)? else { return Ok(None) };
    Ok(Some(Event {
        time: time(record)?,
        event_id: text_at(record, "eventID").unwrap_or_default(),
        name: name.to_owned(),
        actor: actor(record).map(|who| cut(&who)),
        source_ip: text_at(record, "sourceIPAddress").map(|source| cut(&source)),
        change,
    }))
}

/// Account and region of a record.
pub(super) fn place(record: &Object) -> Place {
    Some((text_at(record, "recipientAccountId")?, text_at(record, "awsRegion")?))
}

fn time(record: &Object) -> Result<Timestamp, Fault> {
    const MEMBER: &str = "eventTime";
    let Some(value) = record.get(MEMBER) else { return Err(Fault::missing(MEMBER)) };
    let time = value.as_str().and_then(|text| text.parse().ok());
    time.ok_or_else(|| Fault::not(MEMBER, value, "an RFC 3339 time"))
}

/// A refused or dry call changes nothing.
fn has_failed(record: &Object) -> bool {
    let error = record.get("errorCode").is_some_and(|code| !code.is_null() && code.as_str() != Some(""));
    let returned = record.get("responseElements").and_then(|response| response.get("_return"));
    error || returned.is_some_and(|value| value == false || value == "false")
}

fn change(name: &str, record: &Object) -> Result<Option<Change>, Fault> {
    let request = members(record, "requestParameters");
    let response = members(record, "responseElements");
    let acl = || needed_text(&request, "NetworkAclId");
    Ok(Some(match name {
        "CreateNetworkAclEntry" => Change::CreateEntry { network_acl_id: acl()?, entry: entry(&request)? },
        "ReplaceNetworkAclEntry" => Change::ReplaceEntry { network_acl_id: acl()?, entry: entry(&request)? },
        "DeleteNetworkAclEntry" => Change::DeleteEntry {
            network_acl_id: acl()?,
            direction: direction(&request)?,
            rule_number: rule_number(&request)?,
        },
        "ReplaceNetworkAclAssociation" => Change::ReplaceAssociation {
            old_association_id: needed_text(&request, "AssociationId")?,
            new_association_id: text(&response, "NewAssociationId")?,
            network_acl_id: acl()?,
        },
        "DeleteNetworkAcl" => Change::DeleteAcl { network_acl_id: acl()? },
        "CreateNetworkAcl" => {
            let created = within(&response, "NetworkAcl");
            let Some(network_acl_id) = text(&created, "NetworkAclId")? else { return Ok(None) };
            let vpc_id = text(&request, "VpcId")?.or(text(&created, "VpcId")?);
            Change::CreateAcl { network_acl_id, vpc_id }
        }
        "CreateSubnet" | "CreateDefaultSubnet" => {
            let created = within(&response, "Subnet");
            let Some(subnet_id) = text(&created, "SubnetId")? else { return Ok(None) };
            let vpc_id = text(&created, "VpcId")?.or(text(&request, "VpcId")?);
            Change::CreateSubnet { subnet_id, vpc_id }
        }
        "AssociateVpcCidrBlock" => {
            let asks = |(key, value): (&String, &Value)| {
                key.to_ascii_lowercase().contains("ipv6") && !value.is_null() && *value != false
            };
            if !request.iter().any(asks) {
                return Ok(None);
            }
            Change::AddIpv6 { vpc_id: needed_text(&request, "VpcId")? }
        }
        _ => return Ok(None),
    }))
}

/// The members of an object of a record, spelt as EC2 descriptions spell them.
fn members(record: &Object, name: &str) -> Object {
    let mut found = record.get(name).and_then(Value::as_object).map(described).unwrap_or_default();
    if let Some(protocol) = found.remove("AclProtocol") {
        found.insert("Protocol".to_owned(), protocol_number(protocol));
    }
    for range in ["PortRange", "IcmpTypeCode"] {
        if found.get(range).and_then(Value::as_object).is_some_and(Map::is_empty) {
            found.remove(range);
        }
    }
    if let Some(flag) = found.get("Egress").and_then(Value::as_str).and_then(|text| text.parse::<bool>().ok())
    {
        found.insert("Egress".to_owned(), Value::Bool(flag));
    }
    found
}

/// A request may name the protocol as its caller did.
fn protocol_number(value: Value) -> Value {
    let Some(word) = value.as_str().filter(|word| word.parse::<i64>().is_err()) else { return value };
    if word.eq_ignore_ascii_case("all") {
        return Value::from(-1);
    }
    Protocol::from_name(word).map_or(value.clone(), |protocol| Value::from(protocol.0))
}

fn within(object: &Object, name: &str) -> Object {
    object.get(name).and_then(Value::as_object).cloned().unwrap_or_default()
}

/// The same with a capital first letter in every key, at every depth: `networkAclId` becomes `NetworkAclId`.
pub(super) fn described(object: &Object) -> Object {
    let capital = |key: &str| {
        let mut letters = key.chars();
        letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect::<String>()
    };
    object.iter().map(|(key, value)| (capital(key), described_value(value))).collect()
}

fn described_value(value: &Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(described(object)),
        Value::Array(values) => Value::Array(values.iter().map(described_value).collect()),
        other => other.clone(),
    }
}

/// Names are short; what is longer was not made by AWS.
fn cut(text: &str) -> String {
    const KEPT_CHARS: usize = 256;
    text.chars().take(KEPT_CHARS).collect()
}

fn text_at(object: &Object, name: &str) -> Option<String> {
    object.get(name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Who called: `role/session`, a user's name, `root`, or a service; with the service through which it was done.
fn actor(record: &Object) -> Option<String> {
    let identity = record.get("userIdentity")?.as_object()?;
    let kind = text_at(identity, "type").unwrap_or_default();
    let arn = text_at(identity, "arn");
    // arn:aws:sts::111122223333:assumed-role/NetworkAdmin/change-4711
    let named = arn.as_deref().and_then(|arn| arn.split_once('/')).map(|(_, rest)| rest.to_owned());
    let invoked_by = text_at(identity, "invokedBy");
    let who = match kind.as_str() {
        "Root" => Some("root".to_owned()),
        "AssumedRole" | "Role" => {
            let issuer = identity.get("sessionContext").and_then(|context| context.get("sessionIssuer"));
            let role = issuer.and_then(Value::as_object).and_then(|issuer| text_at(issuer, "userName"));
            let principal = text_at(identity, "principalId");
            let session = principal.as_deref().and_then(|id| id.split_once(':')).map(|(_, session)| session);
            named.or_else(|| Some(format!("{}/{}", role.as_deref()?, session?))).or(role.clone())
        }
        "AWSService" => invoked_by.clone(),
        _ => text_at(identity, "userName").or(named),
    };
    let who = who
        .or_else(|| text_at(identity, "userName"))
        .or(arn)
        .or_else(|| text_at(identity, "principalId"))
        .or_else(|| invoked_by.clone())?;
    match invoked_by.filter(|service| *service != who) {
        Some(service) => Some(format!("{who} via {service}")),
        None => Some(who),
    }
}
