//! What went wrong with a call, in the terms of what the caller can do about it.

use super::Action;

/// An error from AWS or on the way to it. Messages are lowercase fragments, then `hint:` with what would help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AwsError {
    /// No credentials, or ones that do not serve any more: nothing else can succeed either.
    #[error("{problem}\nhint: {fix}")]
    Credentials {
        /// What is wrong with them.
        problem: String,
        /// What the user can do.
        fix: String,
    },
    /// No region is known.
    #[error("no AWS region is known\nhint: give --region, or set AWS_REGION, or `region` in the profile")]
    NoRegion,
    /// The credentials are good, and a permission is missing.
    #[error("{resource}: not allowed: {action} is missing for {resource}", action = action.iam_name())]
    Denied {
        /// The permission.
        action: Action,
        /// What it is missing for: a bucket, a log group, a region.
        resource: String,
    },
    /// What was asked for does not exist.
    #[error("{resource}: does not exist")]
    NotFound {
        /// The bucket, object or log group.
        resource: String,
    },
    /// Anything else: throttled to the end of all retries, unreachable, a fault of the service.
    #[error("{resource}: {action} failed: {message}", action = action.iam_name())]
    Failed {
        /// The call.
        action: Action,
        /// What it was about.
        resource: String,
        /// The service's or the connection's own words.
        message: String,
    },
}

impl AwsError {
    /// Whether no other call with these credentials can succeed.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Credentials { .. } | Self::NoRegion)
    }
}
