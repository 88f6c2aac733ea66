//! The options that say which account is asked, and how.

use clap::Args;

use crate::aws::AwsOptions;

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "AWS")]
pub(super) struct AwsArgs {
    /// The profile in the AWS configuration files
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// The region; repeatable
    #[arg(long, value_name = "REGION")]
    region: Vec<String>,
    /// Assume this role
    #[arg(long, value_name = "ARN")]
    role_arn: Option<String>,
    /// The external id that the role's trust policy asks for
    #[arg(long, value_name = "ID", requires = "role_arn")]
    external_id: Option<String>,
    /// Call this URL instead of AWS's own
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// Do not sign requests: for what is public
    #[arg(long, conflicts_with_all = ["profile", "role_arn"])]
    no_sign_request: bool,
}

impl AwsArgs {
    pub(super) fn into_options(self) -> AwsOptions {
        AwsOptions {
            profile: self.profile,
            regions: self.region,
            role_arn: self.role_arn,
            external_id: self.external_id,
            endpoint_url: self.endpoint_url,
            no_sign_request: self.no_sign_request,
        }
    }
}
