//! What went wrong with a call, in the terms of what the caller can do about it.
//!
//! Owns the one classification of errors from AWS, whichever client made the call. Refuses to know what a caller makes
//! of an error, and to repeat what could hold a secret: a refused signature is answered with the signed headers, the
//! session token among them.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::{Action, credentials};

/// The most of a service's words that is repeated, in characters.
const MESSAGE_CHARS: usize = 300;

/// Codes by which services say that the session is over.
const EXPIRED: [&str; 5] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "TokenRefreshRequired",
    "UnauthorizedException",
];

/// Codes by which services say that they do not know the keys, or not this use of them.
const REFUSED: [&str; 14] = [
    "AuthFailure",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSecurity",
    "InvalidSecurityToken",
    "InvalidSignatureException",
    "InvalidToken",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "MissingSecurityHeader",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

/// Codes by which services say that this machine's clock is wrong. Only seen when the correction the SDK makes does
/// not help.
const SKEWED: [&str; 3] = ["RequestTimeTooSkewed", "RequestInTheFuture", "InvalidSignatureTime"];

const DENIED: [&str; 6] = [
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "NotAuthorized",
    "UnauthorizedAccess",
    "UnauthorizedOperation",
];

const NOT_FOUND: [&str; 5] =
    ["NoSuchBucket", "NoSuchKey", "NoSuchVersion", "NotFound", "ResourceNotFoundException"];

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
    /// What was given as a region is none.
    #[error("`{region}` is no AWS region\nhint: such as us-east-1")]
    Region {
        /// What was given.
        region: String,
    },
    /// The run was asked to end before the answer came.
    #[error("{action}: interrupted", action = action.iam_name())]
    Interrupted {
        /// The call.
        action: Action,
    },
    /// The credentials are good, and a permission is missing.
    #[error("{resource}: not allowed: {action} is missing", action = action.iam_name())]
    Denied {
        /// The permission.
        action: Action,
        /// What it is missing for: a bucket, a log group, a region.
        resource: String,
    },
    /// The call itself is allowed, and a permission that it needs on the way is missing, such as `kms:Decrypt` for
    /// an object that is encrypted with a key of the customer.
    #[error("{resource}: not allowed: {permission} is missing, which {action} needs here", action = action.iam_name())]
    DeniedOnTheWay {
        /// The call.
        action: Action,
        /// The permission that the service names.
        permission: String,
        /// What the call was about.
        resource: String,
    },
    /// What was asked for does not exist.
    #[error("{resource}: does not exist")]
    NotFound {
        /// The bucket, object or log group.
        resource: String,
    },
    /// The past of something, where AWS Config keeps none of it.
    #[error("{resource}: not recorded by AWS Config")]
    NotRecorded {
        /// Network ACLs, with their region.
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
        matches!(
            self,
            Self::Credentials { .. } | Self::NoRegion | Self::Region { .. } | Self::Interrupted { .. }
        )
    }

    /// The call that failed, where it was one.
    #[must_use]
    pub fn action(&self) -> Option<Action> {
        match self {
            Self::Denied { action, .. }
            | Self::DeniedOnTheWay { action, .. }
            | Self::Failed { action, .. }
            | Self::Interrupted { action } => Some(*action),
            Self::Credentials { .. }
            | Self::NoRegion
            | Self::Region { .. }
            | Self::NotFound { .. }
            | Self::NotRecorded { .. } => None,
        }
    }

    /// Whether a permission is missing.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Denied { .. } | Self::DeniedOnTheWay { .. })
    }

    /// What an SDK client's error means. `resource` is what the call was about: `s3://bucket/key`, a log group, a
    /// region.
    pub fn from_sdk<E>(error: &SdkError<E, HttpResponse>, action: Action, resource: impl Into<String>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        Call { action, resource: &resource.into(), endpoint: None, attempts: None }.error(error)
    }
}

/// A call that failed, as far as its error tells of it.
pub(super) struct Call<'a> {
    pub(super) action: Action,
    pub(super) resource: &'a str,
    /// The URL it went to, where it is known.
    pub(super) endpoint: Option<&'a str>,
    /// How often it was tried, where that is known.
    pub(super) attempts: Option<u32>,
}

impl Call<'_> {
    pub(super) fn error<E>(&self, error: &SdkError<E, HttpResponse>) -> AwsError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        if let Some(cause) = causes(error).find_map(|cause| cause.downcast_ref::<CredentialsError>()) {
            return credentials::error(cause, None, None);
        }
        match error {
            SdkError::ServiceError(refusal) => {
                let (answer, status) = (refusal.err(), refusal.raw().status().as_u16());
                self.refused(answer.code(), answer.message(), status)
            }
            SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) => {
                let endpoint = self.endpoint.map_or_else(|| "AWS".to_owned(), without_user);
                self.failed(&format!("cannot reach {endpoint}: {}", root_causes(error)))
            }
            SdkError::ResponseError(broken) => {
                let status = broken.raw().status().as_u16();
                self.failed(&format!("an answer ({status}) that cannot be read: {}", root_causes(error)))
            }
            // Identity that does not resolve in time, an endpoint that is no URL.
            _ => self.failed(&root_causes(error)),
        }
    }

    /// What an answer of the service means, by its code. A status decides only where there is no code and no body
    /// to hold one, as for HEAD: a 403 also stands for an archived object, and for what a proxy says.
    fn refused(&self, code: Option<&str>, message: Option<&str>, status: u16) -> AwsError {
        let is_s3 = matches!(self.action, Action::ListBucket | Action::GetObject);
        match code.filter(|code| !code.is_empty()) {
            Some(code) if EXPIRED.contains(&code) => credentials::expired(code),
            Some(code) if REFUSED.contains(&code) => credentials::refused(code),
            Some(code) if SKEWED.contains(&code) => credentials::skewed(code),
            Some(code) if DENIED.contains(&code) => self.denied(message),
            Some(code) if NOT_FOUND.contains(&code) => self.not_found(),
            None if is_s3 && status == 403 => self.denied(None),
            None if is_s3 && status == 404 => self.not_found(),
            Some(code) => self.failed(&match one_line(message.unwrap_or_default()) {
                message if message.is_empty() => code.to_owned(),
                message => format!("{message} ({code})"),
            }),
            None => self.failed(&format!("the answer was HTTP status {status}")),
        }
    }

    /// Services name the permission: `User: … is not authorized to perform: kms:Decrypt on resource: …`.
    fn denied(&self, message: Option<&str>) -> AwsError {
        let resource = self.resource.to_owned();
        let named = message
            .and_then(|message| message.split_once("to perform: "))
            .map(|(_, rest)| rest.split_whitespace().next().unwrap_or_default().trim_end_matches(['.', ',']));
        match named {
            Some(permission) if is_iam_name(permission) && permission != self.action.iam_name() => {
                AwsError::DeniedOnTheWay { action: self.action, permission: permission.to_owned(), resource }
            }
            _ => AwsError::Denied { action: self.action, resource },
        }
    }

    fn not_found(&self) -> AwsError {
        AwsError::NotFound { resource: self.resource.to_owned() }
    }

    pub(super) fn failed(&self, message: &str) -> AwsError {
        let attempts = match self.attempts {
            Some(attempts) if attempts > 1 => format!(" (after {attempts} attempts)"),
            _ => String::new(),
        };
        AwsError::Failed {
            action: self.action,
            resource: self.resource.to_owned(),
            message: format!("{message}{attempts}"),
        }
    }
}

/// `kms:Decrypt`.
fn is_iam_name(text: &str) -> bool {
    let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    text.split_once(':').is_some_and(|(service, name)| word(service) && word(name))
}

/// The error and what caused it, outermost first.
pub(super) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The two innermost causes: `tcp connect error: Connection refused`. What lies around them only repeats that a
/// request failed.
fn root_causes(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    for text in causes(error).map(|cause| one_line(&cause.to_string())) {
        // Some errors print what caused them, too.
        if let Some(last) = texts.last_mut()
            && last.contains(&text)
        {
            *last = text;
        } else {
            texts.push(text);
        }
    }
    texts.split_off(texts.len().saturating_sub(2)).join(": ")
}

/// The first line of a text, cut to a printable length.
pub(super) fn one_line(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    match line.char_indices().nth(MESSAGE_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// A URL without the name and the password that it may hold.
fn without_user(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let host = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..host].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::client::result::ConnectorError;
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::ErrorMetadata;

    use super::*;

    type Result = SdkError<ErrorMetadata, HttpResponse>;

    fn answer(status: u16, code: Option<&str>, message: &str) -> Result {
        let mut metadata = ErrorMetadata::builder().message(message);
        if let Some(code) = code {
            metadata = metadata.code(code);
        }
        let status = StatusCode::try_from(status).expect("a status");
        SdkError::service_error(metadata.build(), HttpResponse::new(status, SdkBody::empty()))
    }

    fn object(error: &Result) -> AwsError {
        AwsError::from_sdk(error, Action::GetObject, "s3://logs/a.gz")
    }

    #[test]
    fn codes_row_by_row() {
        let denied = AwsError::Denied { action: Action::GetObject, resource: "s3://logs/a.gz".into() };
        let not_found = AwsError::NotFound { resource: "s3://logs/a.gz".into() };
        assert_eq!(object(&answer(403, Some("AccessDenied"), "Access Denied")), denied);
        assert_eq!(object(&answer(400, Some("AccessDeniedException"), "no")), denied);
        assert_eq!(object(&answer(403, None, "")), denied, "HEAD has no body and so no code");
        assert_eq!(object(&answer(404, Some("NoSuchKey"), "")), not_found);
        assert_eq!(object(&answer(404, None, "")), not_found);
        for code in
            ["ExpiredToken", "RequestExpired", "InvalidClientTokenId", "AuthFailure", "RequestTimeTooSkewed"]
        {
            assert!(object(&answer(403, Some(code), "")).is_fatal(), "{code}");
        }
    }

    #[test]
    fn an_archived_object_and_a_proxy_are_not_taken_for_a_missing_permission() {
        let archived = object(&answer(403, Some("InvalidObjectState"), "The object is archived"));
        let text = "s3://logs/a.gz: s3:GetObject failed: The object is archived (InvalidObjectState)";
        assert_eq!(archived.to_string(), text);
        let proxy = answer(403, None, "");
        let error = AwsError::from_sdk(&proxy, Action::DescribeSubnets, "us-east-1");
        assert_eq!(
            error.to_string(),
            "us-east-1: ec2:DescribeSubnets failed: the answer was HTTP status 403"
        );
    }

    #[test]
    fn a_permission_needed_on_the_way_is_named_instead_of_the_call() {
        let message =
            "User: arn:aws:iam::111122223333:user/a is not authorized to perform: kms:Decrypt on resource: x";
        let error = object(&answer(403, Some("AccessDenied"), message));
        let text = "s3://logs/a.gz: not allowed: kms:Decrypt is missing, which s3:GetObject needs here";
        assert_eq!(error.to_string(), text);
        assert!(error.is_denied() && !error.is_fatal());
        let own = "is not authorized to perform: s3:GetObject on resource";
        assert!(matches!(object(&answer(403, Some("AccessDenied"), own)), AwsError::Denied { .. }));
    }

    #[test]
    fn a_refused_signature_is_not_repeated() {
        let message = "The Canonical String should have been 'POST\n/\nx-amz-security-token:SECRETTOKEN'";
        for code in ["SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature"] {
            let one_line = message.replace('\n', " ");
            let error = object(&answer(403, Some(code), &one_line)).to_string();
            assert!(error.contains(code) && !error.contains("SECRETTOKEN"), "{error}");
        }
    }

    #[test]
    fn a_connection_that_fails_says_what_cannot_be_reached_and_why() {
        let refused = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "connection refused");
        let error: Result = SdkError::dispatch_failure(ConnectorError::io(refused.into()));
        let call = Call {
            action: Action::DescribeVpcs,
            resource: "eu-west-1",
            endpoint: Some("https://who:secret@ec2.example"),
            attempts: Some(3),
        };
        let text = call.error(&error).to_string();
        assert!(
            text.starts_with("eu-west-1: ec2:DescribeVpcs failed: cannot reach https://ec2.example: "),
            "{text}"
        );
        assert!(text.ends_with("connection refused (after 3 attempts)"), "{text}");
    }

    #[test]
    fn credentials_that_do_not_resolve_are_found_below_the_error_of_the_call() {
        let source = CredentialsError::not_loaded("nothing configured");
        let error: Result = SdkError::dispatch_failure(ConnectorError::other(source.into(), None));
        assert!(object(&error).is_fatal());
    }
}
