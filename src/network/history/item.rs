//! One AWS Config item of a network ACL, from the API (`configuration` is a string of JSON) or from S3 (an object).
//!
//! Shapes: AWS Config Developer Guide, "Components of a configuration item"; the configuration is that of
//! `DescribeNetworkAcls` with small first letters.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::document::{Fault, Object, association_ids, needed_text, network_acl};
use super::trail::described;
use crate::nacl::NetworkAcl;
use crate::nacl::history::{FullState, StateSource};
use crate::net::Timestamp;

const ACL_TYPE: &str = "AWS::EC2::NetworkAcl";

/// The state that an item tells of; `None` when it is about something else or says that nothing was recorded.
pub(super) fn state(item: &Object) -> Result<Option<FullState>, Fault> {
    if item.get("resourceType").and_then(Value::as_str) != Some(ACL_TYPE) {
        return Ok(None);
    }
    let at = captured_at(item)?;
    let status = item.get("configurationItemStatus").and_then(Value::as_str).unwrap_or("OK");
    let is_daily = item.get("recordingFrequency").and_then(Value::as_str) == Some("DAILY");
    let source = if is_daily { StateSource::ConfigDaily } else { StateSource::Config };
    let state = |acl, association_ids| FullState { at: Some(at), source, acl, association_ids };
    match status {
        "ResourceDeleted" => {
            let id = needed_text(item, "resourceId")?;
            return Ok(Some(state(NetworkAcl::new(id, []), BTreeMap::new())));
        }
        "ResourceNotRecorded" | "ResourceDeletedNotRecorded" => return Ok(None),
        _ => {}
    }
    let Some(configuration) = configuration(item)? else { return Err(Fault::missing("configuration")) };
    let configuration = described(&configuration);
    let id = needed_text(&configuration, "NetworkAclId").or_else(|_| needed_text(item, "resourceId"))?;
    let ids = association_ids(&configuration, &id)?;
    let ids = ids.into_iter().map(|[association_id, _, subnet_id]| (association_id, subnet_id)).collect();
    Ok(Some(state(network_acl(&configuration, id)?, ids)))
}

/// Account and region of an item.
pub(super) fn place(item: &Object) -> Option<(String, String)> {
    let text = |name| item.get(name).and_then(Value::as_str).map(str::to_owned);
    Some((text("accountId").or_else(|| text("awsAccountId"))?, text("awsRegion")?))
}

fn captured_at(item: &Object) -> Result<Timestamp, Fault> {
    const MEMBER: &str = "configurationItemCaptureTime";
    let Some(value) = item.get(MEMBER) else { return Err(Fault::missing(MEMBER)) };
    // The CLI of version 1 prints seconds since 1970.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole seconds are wanted, and `as` stops at the ends"
    )]
    let seconds = value.as_f64().map(|seconds| Timestamp(seconds as i64));
    let time = value.as_str().and_then(|text| text.parse().ok()).or(seconds);
    time.ok_or_else(|| Fault::not(MEMBER, value, "an RFC 3339 time"))
}

fn configuration(item: &Object) -> Result<Option<Object>, Fault> {
    const MEMBER: &str = "configuration";
    match item.get(MEMBER) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object.clone())),
        Some(Value::String(text)) => match serde_json::from_str(text) {
            Ok(Value::Object(object)) => Ok(Some(object)),
            Ok(_) => Err(Fault::new(MEMBER, "is not an object")),
            Err(error) => Err(Fault::new(MEMBER, format!("is not JSON: {error}"))),
        },
        Some(value) => Err(Fault::not(MEMBER, value, "an object")),
    }
}
