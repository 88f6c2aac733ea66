//! The account's own network configuration and flow logs, from EC2.
//!
//! Owns the Describe calls: every page, all kinds at the same time, and what is known when a kind is not allowed.
//! Refuses to know what the configuration means: it is handed on as the documents that the AWS CLI prints, so that
//! live and saved configuration are read alike.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::query::QueryClient;
use super::xml::Member;
use super::{Action, Aws, AwsError, Stop, shape};

/// The most that these calls allow on a page.
const PAGE_SIZE: &str = "1000";

/// The most values that EC2 allows in one filter.
const FILTER_VALUES: usize = 200;

/// How often it is looked whether the run is to end.
const STOP_INTERVAL: Duration = Duration::from_millis(100);

/// A kind of resource that can be described.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "named as the keys of the documents are")]
pub enum Description {
    NetworkAcls,
    Subnets,
    NetworkInterfaces,
    NatGateways,
    Vpcs,
    FlowLogs,
}

impl Description {
    /// What the network is: everything but the flow logs.
    pub const CONFIGURATION: [Self; 5] =
        [Self::NetworkAcls, Self::Subnets, Self::NetworkInterfaces, Self::NatGateways, Self::Vpcs];

    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::NetworkAcls,
        Self::Subnets,
        Self::NetworkInterfaces,
        Self::NatGateways,
        Self::Vpcs,
        Self::FlowLogs,
    ];

    /// The key of its document: `NetworkAcls`.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::NetworkAcls => "NetworkAcls",
            Self::Subnets => "Subnets",
            Self::NetworkInterfaces => "NetworkInterfaces",
            Self::NatGateways => "NatGateways",
            Self::Vpcs => "Vpcs",
            Self::FlowLogs => "FlowLogs",
        }
    }

    /// The permission that describing it needs.
    #[must_use]
    pub fn action(self) -> Action {
        match self {
            Self::NetworkAcls => Action::DescribeNetworkAcls,
            Self::Subnets => Action::DescribeSubnets,
            Self::NetworkInterfaces => Action::DescribeNetworkInterfaces,
            Self::NatGateways => Action::DescribeNatGateways,
            Self::Vpcs => Action::DescribeVpcs,
            Self::FlowLogs => Action::DescribeFlowLogs,
        }
    }

    fn members(self) -> &'static [Member] {
        match self {
            Self::NetworkAcls => shape::NETWORK_ACLS,
            Self::Subnets => shape::SUBNETS,
            Self::NetworkInterfaces => shape::NETWORK_INTERFACES,
            Self::NatGateways => shape::NAT_GATEWAYS,
            Self::Vpcs => shape::VPCS,
            Self::FlowLogs => shape::FLOW_LOGS,
        }
    }
}

/// What could be described, and what could not.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkDescription {
    /// One object with a key for each kind that was allowed.
    pub document: Value,
    /// For each kind that could not be described, why. None of these is fatal.
    pub missing: Vec<AwsError>,
}

/// A flow log, as `DescribeFlowLogs` tells of it. What EC2 leaves out is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct FlowLog {
    /// `fl-…`.
    pub flow_log_id: String,
    /// The VPC, subnet, interface, transit gateway or NAT gateway whose traffic it logs.
    #[serde(default)]
    pub resource_id: String,
    /// `ALL`, `ACCEPT` or `REJECT`; for a transit gateway there is none.
    pub traffic_type: Option<String>,
    /// `ACTIVE`.
    #[serde(rename = "FlowLogStatus")]
    pub status: Option<String>,
    /// `SUCCESS` or `FAILED`.
    pub deliver_logs_status: Option<String>,
    /// `Rate limited`, `Access error` or `Unknown error`.
    #[serde(rename = "DeliverLogsErrorMessage")]
    pub deliver_logs_error: Option<String>,
    /// `cloud-watch-logs`, `s3` or `kinesis-data-firehose`.
    #[serde(rename = "LogDestinationType")]
    pub destination_type: Option<String>,
    /// The ARN of the destination. May be absent for CloudWatch Logs, where the name of the group says enough.
    #[serde(rename = "LogDestination")]
    pub destination: Option<String>,
    /// The CloudWatch Logs group.
    pub log_group_name: Option<String>,
    /// `${version} ${account-id} …`.
    pub log_format: Option<String>,
    /// Seconds, 60 or 600.
    pub max_aggregation_interval: Option<u32>,
    /// How files in S3 are laid out.
    #[serde(default)]
    pub destination_options: DestinationOptions,
    /// When it was created, as EC2 writes it (ISO 8601, UTC).
    pub creation_time: Option<String>,
}

/// How a flow log's files in S3 are laid out. Absent means plain text in the plain layout.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DestinationOptions {
    /// `plain-text` or `parquet`.
    pub file_format: Option<String>,
    /// Folders named `year=2026` and so on.
    pub hive_compatible_partitions: bool,
    /// A folder for each hour.
    pub per_hour_partition: bool,
}

impl FlowLog {
    /// Whether its files are Parquet.
    #[must_use]
    pub fn is_parquet(&self) -> bool {
        self.destination_options.file_format.as_deref() == Some("parquet")
    }
}

impl Aws {
    /// Describes one kind of resource in `region`, all pages, as the AWS CLI prints it: `{"NetworkAcls": […]}`.
    /// With `vpc_ids` only what is in these VPCs; flow logs cannot be chosen so, and are all there.
    pub fn describe(
        &self,
        region: &str,
        description: Description,
        vpc_ids: &[String],
    ) -> Result<Value, AwsError> {
        let mut found = self.describe_all(region, &[description], vpc_ids)?;
        match found.missing.pop() {
            Some(error) => Err(error),
            None => Ok(found.document),
        }
    }

    /// Describes the whole configuration in `region`, all kinds at the same time. Fails only when nothing else can
    /// succeed either.
    pub fn network_config(&self, region: &str, vpc_ids: &[String]) -> Result<NetworkDescription, AwsError> {
        self.describe_all(region, &Description::CONFIGURATION, vpc_ids)
    }

    /// The flow logs in `region`.
    pub fn flow_logs(&self, region: &str) -> Result<Vec<FlowLog>, AwsError> {
        let mut document = self.describe(region, Description::FlowLogs, &[])?;
        serde_json::from_value(document["FlowLogs"].take()).map_err(|error| AwsError::Failed {
            action: Action::DescribeFlowLogs,
            resource: region.to_owned(),
            message: format!("an answer that cannot be read: {error}"),
        })
    }

    /// The account that the credentials belong to. Asked for once.
    pub fn account_id(&self) -> Result<String, AwsError> {
        if let Some(account_id) = self.known_account_id() {
            return Ok(account_id);
        }
        let client = self.sts_client(self.first_region());
        let answer = self.finish(Action::GetCallerIdentity, async move {
            client.call(Action::GetCallerIdentity, &[], shape::CALLER_IDENTITY).await
        })?;
        let account_id = answer.get("GetCallerIdentityResult").and_then(|result| result["Account"].as_str());
        match account_id {
            Some(account_id) => Ok(self.remember_account_id(account_id)),
            None => Err(AwsError::Failed {
                action: Action::GetCallerIdentity,
                resource: self.first_region().to_owned(),
                message: "an answer without an account".to_owned(),
            }),
        }
    }

    /// Describes several kinds at the same time. Fails only when nothing else can succeed either.
    pub fn describe_all(
        &self,
        region: &str,
        descriptions: &[Description],
        vpc_ids: &[String],
    ) -> Result<NetworkDescription, AwsError> {
        let client = self.ec2_client(region);
        let calls: Vec<_> = descriptions
            .iter()
            .map(|&description| {
                let (client, vpc_ids, stop) = (client.clone(), vpc_ids.to_vec(), self.stop().clone());
                self.spawn(async move { every_page(&client, description, &vpc_ids, &stop).await })
            })
            .collect();
        let (mut document, mut missing) = (Map::new(), Vec::new());
        for (description, call) in descriptions.iter().zip(calls) {
            match self.join(description.action(), call) {
                Ok(resources) => {
                    document.insert(description.key().to_owned(), Value::Array(resources));
                }
                Err(error) if error.is_fatal() => return Err(error),
                Err(error) => missing.push(error),
            }
        }
        Ok(NetworkDescription { document: Value::Object(document), missing })
    }

    /// Runs a call to its end, or until the run is to end.
    pub(super) fn finish<T: Send + 'static>(
        &self,
        action: Action,
        call: impl Future<Output = Result<T, AwsError>> + Send + 'static,
    ) -> Result<T, AwsError> {
        let call = self.spawn(call);
        self.join(action, call)
    }

    fn join<T>(
        &self,
        action: Action,
        mut call: tokio::task::JoinHandle<Result<T, AwsError>>,
    ) -> Result<T, AwsError> {
        self.block_on(async {
            loop {
                match tokio::time::timeout(STOP_INTERVAL, &mut call).await {
                    Ok(Ok(result)) => return result,
                    Err(_) if !self.stop().is_requested() => {}
                    _ => {
                        call.abort();
                        return Err(AwsError::Interrupted { action });
                    }
                }
            }
        })
    }
}

/// All resources of a kind.
async fn every_page(
    client: &QueryClient,
    description: Description,
    vpc_ids: &[String],
    stop: &Stop,
) -> Result<Vec<Value>, AwsError> {
    let mut resources = Vec::new();
    if vpc_ids.is_empty() || description == Description::FlowLogs {
        pages(client, description, &[], stop, &mut resources).await?;
    } else {
        for chunk in vpc_ids.chunks(FILTER_VALUES) {
            pages(client, description, chunk, stop, &mut resources).await?;
        }
    }
    Ok(resources)
}

/// Follows tokens to the end; a page may be empty and still have one.
async fn pages(
    client: &QueryClient,
    description: Description,
    vpc_ids: &[String],
    stop: &Stop,
    resources: &mut Vec<Value>,
) -> Result<(), AwsError> {
    let action = description.action();
    let failed = |message: &str| AwsError::Failed {
        action,
        resource: client.region().to_owned(),
        message: message.to_owned(),
    };
    let mut parameters = vec![("MaxResults".to_owned(), PAGE_SIZE.to_owned())];
    if !vpc_ids.is_empty() {
        parameters.push(("Filter.1.Name".to_owned(), "vpc-id".to_owned()));
        let values =
            vpc_ids.iter().zip(1..).map(|(id, number)| (format!("Filter.1.Value.{number}"), id.clone()));
        parameters.extend(values);
    }
    let first = parameters.len();
    loop {
        if stop.is_requested() {
            return Err(AwsError::Interrupted { action });
        }
        let mut page = client.call(action, &parameters, description.members()).await?;
        match page.remove(description.key()) {
            Some(Value::Array(found)) => resources.extend(found),
            _ => return Err(failed(&format!("an answer without {}", description.key()))),
        }
        let token = match page.remove("NextToken") {
            Some(Value::String(token)) if !token.is_empty() => token,
            _ => return Ok(()),
        };
        if parameters.get(first).is_some_and(|(_, last)| *last == token) {
            return Err(failed("the same page again and again"));
        }
        parameters.truncate(first);
        parameters.push(("NextToken".to_owned(), token));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_flow_log_without_options_is_plain_text_in_the_plain_layout() {
        let cloudwatch = json!({
            "FlowLogId": "fl-1", "ResourceId": "vpc-1", "TrafficType": "ALL", "FlowLogStatus": "ACTIVE",
            "DeliverLogsStatus": "FAILED", "DeliverLogsErrorMessage": "Access error", "LogGroupName": "flow",
            "LogFormat": "${version}", "MaxAggregationInterval": 600, "CreationTime": "2026-01-02T03:04:05.000Z",
        });
        let flow_log: FlowLog = serde_json::from_value(cloudwatch).expect("a flow log");
        assert_eq!(flow_log.deliver_logs_error.as_deref(), Some("Access error"));
        assert_eq!(
            (flow_log.status.as_deref(), flow_log.max_aggregation_interval),
            (Some("ACTIVE"), Some(600))
        );
        assert!(!flow_log.is_parquet() && !flow_log.destination_options.hive_compatible_partitions);

        let s3 = json!({
            "FlowLogId": "fl-2", "LogDestinationType": "s3", "LogDestination": "arn:aws:s3:::logs/prefix/",
            "DestinationOptions": {"FileFormat": "parquet", "HiveCompatiblePartitions": true, "PerHourPartition": true},
        });
        let flow_log: FlowLog = serde_json::from_value(s3).expect("a flow log");
        assert!(flow_log.is_parquet() && flow_log.destination_options.per_hour_partition);
        assert_eq!(flow_log.destination.as_deref(), Some("arn:aws:s3:::logs/prefix/"));
        assert_eq!(flow_log.traffic_type, None, "a transit gateway's has none");
    }
}
