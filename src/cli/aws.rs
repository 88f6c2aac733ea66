//! The options that say how to reach AWS, named and meant as the AWS CLI has them.

use clap::Args;

use crate::aws::AwsOptions;

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "AWS")]
pub(super) struct AwsArgs {
    /// Profile from the shared configuration files
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Region; repeatable [default: `AWS_REGION` or the profile's]
    #[arg(long, value_name = "REGION")]
    region: Vec<String>,
    /// Role to assume
    #[arg(long, value_name = "ARN")]
    role_arn: Option<String>,
    /// External id that the role asks for
    #[arg(long, value_name = "ID", requires = "role_arn")]
    external_id: Option<String>,
    /// Endpoint to use in place of AWS's own
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// Do not sign requests: for public buckets
    #[arg(long, conflicts_with_all = ["profile", "role_arn"])]
    no_sign_request: bool,
}

impl AwsArgs {
    pub(super) fn into_options(self) -> AwsOptions {
        let mut regions = self.region;
        let mut seen = std::collections::HashSet::new();
        regions.retain(|region| seen.insert(region.clone()));
        AwsOptions {
            profile: self.profile,
            regions,
            role_arn: self.role_arn,
            external_id: self.external_id,
            endpoint_url: self.endpoint_url,
            no_sign_request: self.no_sign_request,
        }
    }
}
