//! The past of network ACLs, asked of CloudTrail and AWS Config in every region of a run.
//!
//! Owns the join over regions and what it means for the run when something could not be learned. Refuses to know what the
//! documents hold.

use std::path::PathBuf;

use serde_json::Value;

use crate::aws::{Action, Aws, AwsError, Complete, Description, HistoryLimits, NetworkAclHistory};
use crate::net::Timestamp;

/// A region, and the network ACLs there whose past is of interest.
pub(super) struct RegionAcls {
    pub(super) region: String,
    pub(super) network_acl_ids: Vec<String>,
}

impl RegionAcls {
    /// The network ACLs that were described in a region.
    pub(super) fn described(region: &str, document: &Value) -> Self {
        let network_acls = document.get(Description::NetworkAcls.key()).and_then(Value::as_array);
        let id = |acl: &Value| acl.get("NetworkAclId")?.as_str().map(ToOwned::to_owned);
        let network_acl_ids = network_acls.into_iter().flatten().filter_map(id).collect();
        Self { region: region.to_owned(), network_acl_ids }
    }
}

/// What is known of the past.
#[derive(Debug, Default)]
pub(super) struct LiveHistory {
    /// `{"Events": […], "configurationItems": […]}` for each region, with what messages call it.
    pub(super) documents: Vec<(PathBuf, Value)>,
    /// The time in which no change is missing, in any of the regions. What happened since is in the network as it is now.
    pub(super) complete: Option<Complete>,
    /// What could not be learned, and why.
    pub(super) limitations: Vec<AwsError>,
}

/// Asks every region at the same time for what happened since then; `asked_at` is now. Fails only when nothing else can
/// succeed either; that the run is to end meanwhile is a limitation.
pub(super) fn ask(
    aws: &Aws,
    asked: &[RegionAcls],
    since: Timestamp,
    asked_at: Timestamp,
) -> Result<LiveHistory, AwsError> {
    let (limits, times) = (&HistoryLimits::default(), (since, asked_at));
    let answers: Vec<_> = std::thread::scope(|scope| {
        let asking: Vec<_> = asked
            .iter()
            .map(|RegionAcls { region, network_acl_ids }| {
                scope.spawn(move || aws.network_acl_history(region, network_acl_ids, times, limits))
            })
            .collect();
        asking.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    let mut all = Vec::new();
    for (RegionAcls { region, .. }, answer) in asked.iter().zip(answers) {
        let interrupted = || AwsError::Interrupted { action: Action::LookupEvents };
        let history = match answer.unwrap_or_else(|_| Err(interrupted())) {
            Ok(history) => history,
            Err(error @ AwsError::Interrupted { .. }) => {
                NetworkAclHistory { limitations: vec![error], ..NetworkAclHistory::default() }
            }
            Err(error) => return Err(error),
        };
        all.push((region.as_str(), history));
    }
    Ok(join(all))
}

fn join(regions: Vec<(&str, NetworkAclHistory)>) -> LiveHistory {
    let mut joined = LiveHistory::default();
    let mut complete = Vec::new();
    for (region, history) in regions {
        complete.push(history.complete);
        if history.document.as_object().is_some_and(|document| !document.is_empty()) {
            joined
                .documents
                .push((PathBuf::from(format!("CloudTrail and AWS Config {region}")), history.document));
        }
        for limitation in history.limitations {
            if !joined.limitations.contains(&limitation) {
                joined.limitations.push(limitation);
            }
        }
    }
    let complete: Option<Vec<Complete>> = complete.into_iter().collect();
    joined.complete = complete.and_then(|all| {
        let since = all.iter().map(|one| one.since).max()?;
        let until = all.iter().map(|one| one.until).min()?;
        (since <= until).then_some(Complete { since, until })
    });
    joined
}

/// Whether the run is incomplete without it. That AWS Config does not record is how the account is.
pub(super) fn is_shortfall(limitation: &AwsError) -> bool {
    !matches!(limitation, AwsError::NotRecorded { .. })
}

/// A limitation with what it costs, on one line.
pub(super) fn tell(limitation: &AwsError) -> String {
    let cost = match limitation.action() {
        Some(Action::LookupEvents) => "changes of network ACLs, and who made them, may be missing",
        _ => "what entries held before they were changed may not be known",
    };
    format!("{limitation}: {cost}").replace("\nhint: ", "; ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn history(complete: Option<(i64, i64)>, document: Value) -> NetworkAclHistory {
        let complete =
            complete.map(|(since, until)| Complete { since: Timestamp(since), until: Timestamp(until) });
        NetworkAclHistory { document, complete, ..NetworkAclHistory::default() }
    }

    #[test]
    fn regions_together_are_complete_where_all_of_them_are() {
        let complete = |all: &[Option<(i64, i64)>]| {
            let regions = all.iter().map(|complete| ("eu-west-1", history(*complete, json!({}))));
            join(regions.collect()).complete.map(|complete| (complete.since.0, complete.until.0))
        };
        assert_eq!(complete(&[Some((1, 9))]), Some((1, 9)));
        assert_eq!(complete(&[Some((1, 9)), Some((3, 7))]), Some((3, 7)));
        assert_eq!(complete(&[Some((1, 9)), None]), None);
        assert_eq!(complete(&[Some((1, 3)), Some((5, 9))]), None);
        assert_eq!(complete(&[]), None);
    }

    #[test]
    fn limitations_are_told_once_with_what_they_cost() {
        let denied = AwsError::Denied { action: Action::LookupEvents, resource: "eu-west-1".to_owned() };
        let silent = AwsError::NotRecorded { resource: "network ACLs in eu-west-1".to_owned() };
        let region = || NetworkAclHistory {
            limitations: vec![denied.clone(), silent.clone()],
            ..history(None, json!({"Events": []}))
        };
        let joined = join(vec![("eu-west-1", region()), ("eu-west-1", region())]);
        assert_eq!(joined.limitations, [denied.clone(), silent.clone()]);
        assert_eq!(joined.documents.len(), 2);
        assert!(is_shortfall(&denied) && !is_shortfall(&silent));
        assert_eq!(
            tell(&denied),
            "eu-west-1: not allowed: cloudtrail:LookupEvents is missing: changes of network ACLs, and who made them, may \
             be missing"
        );
        assert_eq!(
            tell(&silent),
            "network ACLs in eu-west-1: not recorded by AWS Config: what entries held before they were changed may not \
             be known"
        );
    }

    #[test]
    fn the_ids_are_those_of_the_description() {
        let document = json!({"NetworkAcls": [{"NetworkAclId": "acl-1"}, {}, {"NetworkAclId": 7}]});
        assert_eq!(RegionAcls::described("eu-west-1", &document).network_acl_ids, ["acl-1"]);
        assert!(RegionAcls::described("eu-west-1", &json!({})).network_acl_ids.is_empty());
    }
}
