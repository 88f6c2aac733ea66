//! What the name of a delivered object says: account, region, flow log and the five minutes of its records.
//!
//! Source: VPC User Guide, "Flow log files". The time in the name is the start of a five-minute bucket; the records
//! inside have their `end` in it. That is what lets a reader who goes by these names forget what is long past.

use crate::net::Timestamp;

/// The parts of `{account}_vpcflowlogs_{region}_{flow-log-id}_{YYYYMMDD}T{HHmm}Z_{hash}.log.gz`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectName {
    /// The flow log's owner.
    pub account_id: String,
    /// Region.
    pub region: String,
    /// `fl-…`.
    pub flow_log_id: String,
    /// Start of the five-minute bucket that the records' `end` times lie in.
    pub bucket: Timestamp,
}

impl ObjectName {
    /// Reads a file name without its folders; `None` when it is not of that form.
    #[must_use]
    pub fn parse(file_name: &str) -> Option<Self> {
        let mut parts = file_name.split('_');
        let (account, kind, region) = (parts.next()?, parts.next()?, parts.next()?);
        let (flow_log_id, time, hash) = (parts.next()?, parts.next()?, parts.next()?);
        if kind != "vpcflowlogs" || hash.is_empty() || parts.next().is_some() {
            return None;
        }
        Some(Self {
            account_id: account.to_owned(),
            region: region.to_owned(),
            flow_log_id: flow_log_id.to_owned(),
            bucket: bucket(time)?,
        })
    }
}

impl ObjectName {
    /// No record in it started before this moment.
    #[must_use]
    pub fn earliest_start(&self) -> Timestamp {
        self.bucket.plus_seconds(-super::NAME_SLACK_SECONDS)
    }
}

/// Whether AWS gives this name to files of CloudTrail or AWS Config: `{account}_CloudTrail_{region}_…`, also
/// `CloudTrail-Digest` and the like (CloudTrail User Guide, "CloudTrail log file name format").
pub(super) fn is_of_another_service(file_name: &str) -> bool {
    let mut parts = file_name.split('_');
    let (account, kind) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    is_account && (kind == "Config" || kind == "CloudTrail" || kind.starts_with("CloudTrail-"))
}

/// `20261120T1400Z` as a moment.
fn bucket(time: &str) -> Option<Timestamp> {
    let digits = |range: std::ops::Range<usize>| {
        time.get(range).filter(|part| part.bytes().all(|b| b.is_ascii_digit()))
    };
    if time.len() != 14 || time.get(8..9)? != "T" || time.get(13..)? != "Z" {
        return None;
    }
    let (year, month, day) = (digits(0..4)?, digits(4..6)?, digits(6..8)?);
    let (hour, minute) = (digits(9..11)?, digits(11..13)?);
    format!("{year}-{month}-{day}T{hour}:{minute}:00Z").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_aws_writes_them() {
        let name = ObjectName::parse(
            "123456789012_vpcflowlogs_us-east-1_fl-1234abcd_20180620T1620Z_fe123456.log.gz",
        )
        .expect("name");
        assert_eq!(name.flow_log_id, "fl-1234abcd");
        assert_eq!(name.bucket.to_string(), "2018-06-20T16:20:00Z");
        assert!(ObjectName::parse("123_vpcflowlogs_us-east-1_fl-1_20181320T1620Z_fe.log.parquet").is_none());
        assert!(ObjectName::parse("access.log").is_none());
    }
    #[test]
    fn names_of_what_lies_beside_flow_logs() {
        for name in [
            "111122223333_CloudTrail_eu-west-1_20261120T1430Z_Jd8sKq2LxZ0aVb7N.json.gz",
            "111122223333_CloudTrail-Digest_eu-west-1_trail_eu-west-1_20261120T143000Z.json.gz",
            "111122223333_Config_eu-west-1_ConfigHistory_AWS::EC2::NetworkAcl_20261120T060000Z_20261120T115959Z_1.json.gz",
        ] {
            assert!(is_of_another_service(name), "{name}");
        }
        for name in [
            "111122223333_vpcflowlogs_eu-west-1_fl-1_20261120T1430Z_aa.log.gz",
            "my_CloudTrail_flow.log.gz",
            "111122223333_CloudTrailing.gz",
            "111122223333",
            "",
        ] {
            assert!(!is_of_another_service(name), "{name}");
        }
    }
}
