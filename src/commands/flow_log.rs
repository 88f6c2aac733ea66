//! What `DescribeFlowLogs` says of one flow log, in the terms of what can be read of it.

use crate::aws::FlowLog;
use crate::source::cloudwatch::LogGroup;
use crate::source::s3::S3Location;

/// Where a flow log delivers to.
pub(super) enum Destination {
    S3(S3Location),
    LogGroup(String),
    Other(String),
}

impl Destination {
    pub(super) fn of(flow_log: &FlowLog) -> Self {
        let arn = flow_log.destination.as_deref().unwrap_or_default();
        match flow_log.destination_type.as_deref() {
            Some("s3") => {
                // arn:aws:s3:::BUCKET[/PREFIX/]; the partition differs.
                let path = arn.splitn(6, ':').nth(5).unwrap_or(arn);
                let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
                Self::S3(S3Location { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
            }
            None | Some("cloud-watch-logs") => {
                let named = flow_log.log_group_name.clone();
                let in_arn = || Some(LogGroup::parse(arn)?.name);
                named
                    .or_else(in_arn)
                    .map_or_else(|| Self::Other("a log group without a name".to_owned()), Self::LogGroup)
            }
            Some("kinesis-data-firehose") => Self::Other("Amazon Data Firehose".to_owned()),
            Some(other) => Self::Other(other.to_owned()),
        }
    }
}

/// `fl-… (vpc-…)`.
pub(super) fn name_of(flow_log: &FlowLog) -> String {
    format!("{} ({})", flow_log.flow_log_id, flow_log.resource_id)
}

/// Why a flow log cannot show everything, unless another one of `all` records the rest of the same resource.
pub(super) fn shortcomings(flow_log: &FlowLog, all: &[FlowLog]) -> Option<String> {
    let name = name_of(flow_log);
    let own = flow_log.traffic_type.as_deref();
    let completes = |other: &FlowLog| {
        other.resource_id == flow_log.resource_id
            && other.traffic_type.as_deref().is_some_and(|kind| Some(kind) != own)
    };
    if all.iter().any(completes) {
        return None;
    }
    match own {
        Some("REJECT") => Some(format!(
            "{name} records REJECT only: where no other flow log covers its interfaces, requests cannot be seen"
        )),
        Some("ACCEPT") => Some(format!(
            "{name} records ACCEPT only: where no other flow log covers its interfaces, rejects cannot be seen"
        )),
        _ => None,
    }
}

pub(super) fn delivery_failure(flow_log: &FlowLog) -> Option<String> {
    if flow_log.deliver_logs_status.as_deref() != Some("FAILED") {
        return None;
    }
    Some(match flow_log.deliver_logs_error.as_deref() {
        Some("Access error") => {
            let needs = match Destination::of(flow_log) {
                Destination::S3(_) => {
                    "the bucket policy must allow delivery.logs.amazonaws.com s3:PutObject and s3:GetBucketAcl"
                }
                _ => "its role needs logs:CreateLogStream, logs:PutLogEvents and logs:DescribeLogStreams",
            };
            format!("AWS cannot deliver its records (Access error): {needs}")
        }
        Some("Rate limited") => {
            "AWS drops some of its records (Rate limited): the log group is throttled".to_owned()
        }
        Some(error) => format!("AWS cannot deliver its records: {error}"),
        None => "AWS cannot deliver its records".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow_log(json: &str) -> FlowLog {
        serde_json::from_str(json).expect("flow log")
    }

    #[test]
    fn destinations_as_ec2_tells_them() {
        let s3 = r#"{"FlowLogId":"fl-1","LogDestinationType":"s3","LogDestination":"arn:aws-cn:s3:::logs/team/a/"}"#;
        let Destination::S3(location) = Destination::of(&flow_log(s3)) else { panic!("S3") };
        assert_eq!((location.bucket.as_str(), location.prefix.as_str()), ("logs", "team/a/"));
        let bucket = r#"{"FlowLogId":"fl-1","LogDestinationType":"s3","LogDestination":"arn:aws:s3:::logs"}"#;
        let Destination::S3(location) = Destination::of(&flow_log(bucket)) else { panic!("S3") };
        assert_eq!((location.bucket.as_str(), location.prefix.as_str()), ("logs", ""));
        for json in [
            r#"{"FlowLogId":"fl-1","LogGroupName":"/vpc"}"#,
            r#"{"FlowLogId":"fl-1","LogDestinationType":"cloud-watch-logs","LogDestination":"arn:aws:logs:eu-west-1:123456789012:log-group:/vpc:*"}"#,
        ] {
            assert!(
                matches!(Destination::of(&flow_log(json)), Destination::LogGroup(name) if name == "/vpc")
            );
        }
        let firehose = r#"{"FlowLogId":"fl-1","LogDestinationType":"kinesis-data-firehose","LogDestination":"arn:aws:firehose:x"}"#;
        assert!(matches!(Destination::of(&flow_log(firehose)), Destination::Other(_)));
    }

    #[test]
    fn what_is_not_recorded_is_said_unless_another_flow_log_of_the_resource_records_it() {
        let of = |resource: &str, kind: &str| {
            flow_log(&format!(r#"{{"FlowLogId":"fl-1","ResourceId":"{resource}","TrafficType":"{kind}"}}"#))
        };
        let (accept, reject, all) = (of("vpc-1", "ACCEPT"), of("vpc-1", "REJECT"), of("vpc-1", "ALL"));
        let elsewhere = of("vpc-2", "ALL");
        let said = |one: &FlowLog, others: &[&FlowLog]| {
            let all: Vec<_> = others.iter().map(|other| (*other).clone()).chain([one.clone()]).collect();
            shortcomings(one, &all)
        };
        assert!(said(&accept, &[&elsewhere]).is_some_and(|text| text.contains("ACCEPT only")));
        assert!(said(&reject, &[&reject]).is_some_and(|text| text.contains("REJECT only")));
        assert_eq!(said(&accept, &[&reject]), None);
        assert_eq!(said(&reject, &[&all]), None);
        assert_eq!(said(&all, &[]), None);
    }

    #[test]
    fn a_failed_delivery_names_what_it_needs() {
        let failed = |kind: &str, error: &str| {
            delivery_failure(&flow_log(&format!(
                r#"{{"FlowLogId":"fl-1","DeliverLogsStatus":"FAILED","DeliverLogsErrorMessage":"{error}","LogDestinationType":"{kind}","LogDestination":"arn:aws:s3:::b","LogGroupName":"g"}}"#
            )))
            .expect("a failure")
        };
        assert!(failed("s3", "Access error").contains("s3:PutObject"));
        assert!(failed("cloud-watch-logs", "Access error").contains("logs:PutLogEvents"));
        assert!(failed("cloud-watch-logs", "Rate limited").contains("throttled"));
        assert_eq!(
            delivery_failure(&flow_log(r#"{"FlowLogId":"fl-1","DeliverLogsStatus":"SUCCESS"}"#)),
            None
        );
    }
}
