//! The past of network ACLs in a region, from CloudTrail and AWS Config.
//!
//! Owns the order in which they are asked and what one tells the other. Refuses to know what the answers mean for a packet:
//! they are handed on as the documents that the AWS CLI prints, so that live and saved history are read alike.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::cloudtrail::{self, Complete};
use super::config_history;
use super::json::Pace;
use super::{Action, Aws, AwsError};
use crate::net::Timestamp;

/// Deleted ACLs whose history is asked for besides that of those in force.
const MOST_DELETED: usize = 20;

/// Bounds on what is asked of CloudTrail and AWS Config.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryLimits {
    /// Look-ups in CloudTrail. AWS allows 2 a second for an account and region, to all who ask there.
    pub lookups_per_second: f64,
    /// Requests to AWS Config, whose quota is not published.
    pub config_requests_per_second: f64,
    /// How often a request that is throttled is sent, the first time included.
    pub attempts: u32,
    /// The pause after the first throttling; each further one is twice as long, up to eight seconds.
    pub first_backoff: Duration,
    /// Pages read of events of one name, of fifty events each.
    pub pages_of_a_name: usize,
    /// Pages of those that are older than the time in question.
    pub older_pages_of_a_name: usize,
    /// Requests to AWS Config in all.
    pub config_requests: usize,
}

impl Default for HistoryLimits {
    fn default() -> Self {
        Self {
            // A little below the quota: requests do not arrive as evenly as they are sent.
            lookups_per_second: 1.8,
            config_requests_per_second: 10.0,
            attempts: 10,
            first_backoff: Duration::from_millis(500),
            pages_of_a_name: 100,
            older_pages_of_a_name: 10,
            config_requests: 600,
        }
    }
}

impl HistoryLimits {
    fn pace(&self, per_second: f64) -> Pace {
        let interval = Duration::try_from_secs_f64(1.0 / per_second).unwrap_or_default();
        Pace { interval, attempts: self.attempts, first_backoff: self.first_backoff }
    }
}

/// What is known of the past of network ACLs in one region.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NetworkAclHistory {
    /// `{"Events": […], "configurationItems": […]}`, as `aws cloudtrail lookup-events` and `aws configservice
    /// get-resource-config-history` print them; a key for each service that answered.
    pub document: Value,
    /// The time in which no change is missing from the events.
    pub complete: Option<Complete>,
    /// What could not be learned, and why. None of these is fatal.
    pub limitations: Vec<AwsError>,
}

impl Aws {
    /// Asks what changed in `region` since then, for what tells what it was before, and for the states of these ACLs that
    /// were in force since then. `asked_at` is now. Fails only when nothing else can succeed either, or when the run is to end.
    pub fn network_acl_history(
        &self,
        region: &str,
        network_acl_ids: &[String],
        (since, asked_at): (Timestamp, Timestamp),
        limits: &HistoryLimits,
    ) -> Result<NetworkAclHistory, AwsError> {
        let client = self.cloudtrail_client(region, limits.pace(limits.lookups_per_second));
        let asked = cloudtrail::Asked {
            since,
            until: asked_at,
            most_pages: limits.pages_of_a_name,
            most_older_pages: limits.older_pages_of_a_name,
        };
        let trail =
            self.finish(Action::LookupEvents, async move { cloudtrail::changes(&client, asked).await })?;

        let mut told = Told::default();
        let recent = |event: &&Value| cloudtrail::time(event).is_some_and(|time| time >= since);
        trail.events.iter().filter(recent).for_each(|event| told.note(event));
        let mut ids: BTreeSet<String> = network_acl_ids.iter().cloned().collect();
        ids.extend(told.deleted.into_iter().take(MOST_DELETED));
        let changed = if told.has_moved { ids.clone() } else { told.changed };
        let client = self.config_client(region, limits.pace(limits.config_requests_per_second));
        let asked = config_history::Asked { since, until: asked_at, most_requests: limits.config_requests };
        let recorded = self.finish(Action::GetResourceConfigHistory, async move {
            config_history::states(&client, &ids, &changed, asked).await
        })?;

        let mut document = json!({});
        if trail.complete.is_some() || !trail.events.is_empty() {
            document["Events"] = Value::Array(trail.events);
        }
        if recorded.limitations.is_empty() || !recorded.items.is_empty() {
            document["configurationItems"] = Value::Array(recorded.items);
        }
        let limitations = trail.limitations.into_iter().chain(recorded.limitations).collect();
        Ok(NetworkAclHistory { document, complete: trail.complete, limitations })
    }
}

/// What events tell of where Config has to be asked for more than the time in question.
#[derive(Debug, Default)]
struct Told {
    /// Of these the state before is needed.
    changed: BTreeSet<String>,
    /// These are in no description any more.
    deleted: BTreeSet<String>,
    /// Something changed an ACL that it does not name: the one that a subnet had before, a VPC's default one.
    has_moved: bool,
}

impl Told {
    fn note(&mut self, event: &Value) {
        let Some(text) = event.get("CloudTrailEvent").and_then(Value::as_str) else { return };
        let Ok(record) = serde_json::from_str::<Value>(text) else { return };
        if record.get("errorCode").is_some_and(|code| !code.is_null()) {
            return;
        }
        let network_acl_id = record["requestParameters"]["networkAclId"].as_str().map(ToOwned::to_owned);
        match record["eventName"].as_str() {
            Some("ReplaceNetworkAclAssociation" | "AssociateVpcCidrBlock") => self.has_moved = true,
            Some("DeleteNetworkAcl") => self.deleted.extend(network_acl_id.clone()),
            _ => {}
        }
        self.changed.extend(network_acl_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(records: &[Value]) -> Told {
        let mut told = Told::default();
        for record in records {
            told.note(&json!({"CloudTrailEvent": record.to_string()}));
        }
        told
    }

    #[test]
    fn events_tell_whose_state_before_is_needed() {
        let entry =
            json!({"eventName": "DeleteNetworkAclEntry", "requestParameters": {"networkAclId": "acl-1"}});
        let failed = json!({
            "eventName": "DeleteNetworkAcl", "errorCode": "Client.DependencyViolation",
            "requestParameters": {"networkAclId": "acl-2"},
        });
        let deleted =
            json!({"eventName": "DeleteNetworkAcl", "requestParameters": {"networkAclId": "acl-3"}});
        let all = told(&[entry, failed, deleted]);
        assert_eq!(all.changed, BTreeSet::from(["acl-1".to_owned(), "acl-3".to_owned()]));
        assert_eq!((all.deleted, all.has_moved), (BTreeSet::from(["acl-3".to_owned()]), false));
        let moved = json!({"eventName": "ReplaceNetworkAclAssociation", "requestParameters": {"networkAclId": "acl-4"}});
        assert!(told(&[moved]).has_moved);
    }

    #[test]
    fn events_of_any_shape_are_no_harm() {
        let mut told = Told::default();
        for event in [json!(null), json!({}), json!({"CloudTrailEvent": 7}), json!({"CloudTrailEvent": "{"})]
        {
            told.note(&event);
        }
        told.note(&json!({"CloudTrailEvent": "[1]"}));
        told.note(&json!({"CloudTrailEvent": "{\"requestParameters\":null,\"eventName\":[]}"}));
        assert!(told.changed.is_empty() && told.deleted.is_empty() && !told.has_moved);
    }
}
