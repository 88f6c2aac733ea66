//! Which log group: its name, region and account, as users and flow logs write them. Refuses to know what is in it.

use std::fmt;

/// A log group. The region and the account are known when it was named by its ARN.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogGroup {
    /// `None`: the session's first region.
    pub region: Option<String>,
    /// `/vpc/flow-logs`.
    pub name: String,
    /// Twelve digits.
    pub account_id: Option<String>,
}

impl LogGroup {
    /// Reads `cloudwatch://GROUP`, `cloudwatch://ARN` or an ARN (`arn:aws:logs:REGION:ACCOUNT:log-group:GROUP`, with or
    /// without `:*`); `None` when it is none of these.
    #[must_use]
    pub fn parse(source: &str) -> Option<Self> {
        let name = source.strip_prefix("cloudwatch://");
        let group = name.unwrap_or(source);
        if group.starts_with("arn:") {
            return Self::from_arn(group);
        }
        let name = name.filter(|name| is_name(name))?;
        Some(Self { region: None, name: name.to_owned(), account_id: None })
    }

    fn from_arn(arn: &str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':').skip(2);
        let (service, region, account) = (parts.next()?, parts.next()?, parts.next()?);
        let name = parts.next()?.strip_prefix("log-group:")?;
        // `:*` and `:log-stream:…` stand for streams; a group's own name has no colon.
        let name = name.split(':').next().unwrap_or_default();
        let known = |part: &str| (!part.is_empty()).then(|| part.to_owned());
        (service == "logs" && is_name(name)).then(|| Self {
            region: known(region),
            name: name.to_owned(),
            account_id: known(account),
        })
    }

    /// The ARN without `:*`, as `logGroupIdentifier` takes it; `None` while the account is not known.
    pub(super) fn identifier(&self, region: &str) -> Option<String> {
        let partition = match region.split('-').next() {
            Some("cn") => "aws-cn",
            Some("us") if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        };
        let account = self.account_id.as_ref()?;
        Some(format!("arn:{partition}:logs:{region}:{account}:log-group:{}", self.name))
    }
}

impl fmt::Display for LogGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cloudwatch://{}", self.name)
    }
}

/// 1 to 512 of `a-zA-Z0-9_-/.#` (CloudWatch Logs API reference, `CreateLogGroup`).
fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-/.#".contains(&byte);
    (1..=512).contains(&name.len()) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_as_users_and_flow_logs_write_them() {
        let plain = LogGroup::parse("cloudwatch:///vpc/flow-logs").expect("group");
        assert_eq!(plain, LogGroup { region: None, name: "/vpc/flow-logs".into(), account_id: None });
        assert_eq!(plain.identifier("eu-west-1"), None);
        let full = LogGroup {
            region: Some("us-gov-west-1".into()),
            name: "vpc".into(),
            account_id: Some("123456789012".into()),
        };
        let arn = "arn:aws-us-gov:logs:us-gov-west-1:123456789012:log-group:vpc";
        for source in [arn.to_owned(), format!("{arn}:*"), format!("cloudwatch://{arn}:*")] {
            assert_eq!(LogGroup::parse(&source), Some(full.clone()), "{source}");
        }
        assert_eq!(full.identifier("us-gov-west-1").as_deref(), Some(arn));
    }

    #[test]
    fn what_is_no_log_group_is_not_taken_for_one() {
        for source in [
            "vpc",
            "cloudwatch://",
            "cloudwatch://a group",
            "s3://bucket",
            "arn:aws:s3:::bucket",
            "arn:aws:logs:eu-west-1:123456789012:log-stream:vpc",
            "arn:aws:logs:eu-west-1:123456789012:log-group:",
        ] {
            assert_eq!(LogGroup::parse(source), None, "{source}");
        }
    }
}
