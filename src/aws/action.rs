//! Every action this program asks of AWS, by its IAM name.
//!
//! A call that is not in this list is not made: `docs/iam-policy.json` is tested against it.

/// An IAM action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "named as AWS names them")]
pub enum Action {
    DescribeFlowLogs,
    DescribeNetworkAcls,
    DescribeSubnets,
    DescribeNetworkInterfaces,
    DescribeNatGateways,
    DescribeVpcs,
    ListBucket,
    GetObject,
    DescribeLogGroups,
    FilterLogEvents,
    StartQuery,
    GetQueryResults,
    StopQuery,
    LookupEvents,
    GetResourceConfigHistory,
    GetCallerIdentity,
    AssumeRole,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::DescribeFlowLogs,
        Self::DescribeNetworkAcls,
        Self::DescribeSubnets,
        Self::DescribeNetworkInterfaces,
        Self::DescribeNatGateways,
        Self::DescribeVpcs,
        Self::ListBucket,
        Self::GetObject,
        Self::DescribeLogGroups,
        Self::FilterLogEvents,
        Self::StartQuery,
        Self::GetQueryResults,
        Self::StopQuery,
        Self::LookupEvents,
        Self::GetResourceConfigHistory,
        Self::GetCallerIdentity,
        Self::AssumeRole,
    ];

    /// The name in a policy: `ec2:DescribeNetworkAcls`.
    #[must_use]
    pub fn iam_name(self) -> &'static str {
        match self {
            Self::DescribeFlowLogs => "ec2:DescribeFlowLogs",
            Self::DescribeNetworkAcls => "ec2:DescribeNetworkAcls",
            Self::DescribeSubnets => "ec2:DescribeSubnets",
            Self::DescribeNetworkInterfaces => "ec2:DescribeNetworkInterfaces",
            Self::DescribeNatGateways => "ec2:DescribeNatGateways",
            Self::DescribeVpcs => "ec2:DescribeVpcs",
            Self::ListBucket => "s3:ListBucket",
            Self::GetObject => "s3:GetObject",
            Self::DescribeLogGroups => "logs:DescribeLogGroups",
            Self::FilterLogEvents => "logs:FilterLogEvents",
            Self::StartQuery => "logs:StartQuery",
            Self::GetQueryResults => "logs:GetQueryResults",
            Self::StopQuery => "logs:StopQuery",
            Self::LookupEvents => "cloudtrail:LookupEvents",
            Self::GetResourceConfigHistory => "config:GetResourceConfigHistory",
            Self::GetCallerIdentity => "sts:GetCallerIdentity",
            Self::AssumeRole => "sts:AssumeRole",
        }
    }
    /// The name of the operation: `DescribeNetworkAcls`.
    pub(super) fn operation(self) -> &'static str {
        self.iam_name().split_once(':').map_or("", |(_, operation)| operation)
    }
}
