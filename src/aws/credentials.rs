//! Where credentials come from, what is wrong with them when they do not come, and what would help.
//!
//! Owns the order in which sources are asked, which is the AWS CLI's, and the words. Never repeats more than the first
//! line of what a provider says, and never a key.

use std::error::Error;
use std::sync::Mutex;
use std::time::Duration;

use aws_config::Region;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::imds;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::{self, ProfileFileCredentialsProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::error::ErrorMetadata;
use aws_types::os_shim_internal::{Env, Fs};

use super::AwsError;
use super::error::{causes, one_line};

/// How long the instance metadata service may take to connect or to answer. It is asked once, as the AWS CLI does:
/// on a machine outside of EC2 its address answers nothing, and nobody is to wait for that.
const IMDS_TIMEOUT: Duration = Duration::from_secs(1);

const RENEW: &str = "renew the session (`aws sso login`, or new temporary keys in the environment or the profile), then run it again";

/// The client for the instance metadata service.
pub(super) fn imds_client() -> imds::Client {
    let client = imds::Client::builder().connect_timeout(IMDS_TIMEOUT).read_timeout(IMDS_TIMEOUT);
    client.operation_timeout(IMDS_TIMEOUT * 2).max_attempts(1).build()
}

/// Fails when the configuration files do not know the profile. What is wrong with the files themselves is said when
/// they are used.
pub(super) async fn known_profile(name: &str) -> Result<(), AwsError> {
    let loaded = profile::load(&Fs::real(), &Env::real(), &EnvConfigFiles::default(), None).await;
    match loaded {
        Ok(profiles) if profiles.get_profile(name).is_none() => Err(no_such_profile(name)),
        _ => Ok(()),
    }
}

/// The default chain. A profile that is asked for by name is not overruled by keys or a token in the environment, as
/// with the AWS CLI. What is on the machine itself is not asked through a proxy.
pub(super) fn provider(
    profile: Option<&str>,
    region: Option<Region>,
    http: SharedHttpClient,
    imds: imds::Client,
) -> SharedCredentialsProvider {
    let direct = ProviderConfig::without_region().with_region(region);
    let config = direct.clone().with_http_client(http);
    let file = ProfileFileCredentialsProvider::builder().configure(&config);
    let chain = match profile {
        Some(profile) => CredentialsProviderChain::first_try("Profile", file.profile_name(profile).build()),
        None => {
            CredentialsProviderChain::first_try("Environment", EnvironmentVariableCredentialsProvider::new())
                .or_else("Profile", file.build())
                .or_else(
                    "WebIdentityToken",
                    WebIdentityTokenCredentialsProvider::builder().configure(&config).build(),
                )
        }
    };
    let container = EcsCredentialsProvider::builder().configure(&direct).build();
    let instance = Instance(ImdsCredentialsProvider::builder().configure(&direct).imds_client(imds).build());
    SharedCredentialsProvider::new(
        chain.or_else("EcsContainer", container).or_else("Ec2InstanceMetadata", instance),
    )
}

/// The instance's own role, which is the last to be asked: that nothing, or something else, answers at the address of
/// the metadata service means that this is no instance with a role, and is no error.
#[derive(Debug)]
struct Instance(ImdsCredentialsProvider);

impl ProvideCredentials for Instance {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            self.0.provide_credentials().await.map_err(|error| match error {
                CredentialsError::InvalidConfiguration(_) => error,
                other => CredentialsError::not_loaded(other),
            })
        })
    }

    fn fallback_on_interrupt(&self) -> Option<Credentials> {
        self.0.fallback_on_interrupt()
    }
}

/// Gives credentials that were resolved already to whoever asks first, then asks their provider again: a process or
/// a login behind a profile is to run once.
#[derive(Debug)]
pub(super) struct Resolved {
    first: Mutex<Option<Credentials>>,
    provider: SharedCredentialsProvider,
}

impl Resolved {
    pub(super) fn new(first: Credentials, provider: SharedCredentialsProvider) -> Self {
        Self { first: Mutex::new(Some(first)), provider }
    }
}

impl ProvideCredentials for Resolved {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        match self.first.lock().ok().and_then(|mut first| first.take()) {
            Some(credentials) => future::ProvideCredentials::ready(Ok(credentials)),
            None => self.provider.provide_credentials(),
        }
    }
}

/// What it means that a provider has no credentials. `profile` and `role_arn` are those asked for.
pub(super) fn error(error: &CredentialsError, profile: Option<&str>, role_arn: Option<&str>) -> AwsError {
    // A role's provider fails with the error of the credentials it starts from.
    let error =
        causes(error).filter_map(|cause| cause.downcast_ref::<CredentialsError>()).last().unwrap_or(error);
    let texts: Vec<String> = causes(error).map(ToString::to_string).collect();
    let innermost = texts.iter().rev().map(|text| one_line(text)).find(|text| !text.is_empty());
    let innermost = innermost.unwrap_or_default();
    if let Some(command) = login_command(&texts) {
        let profile = profile.map_or_else(String::new, |name| format!(" --profile {name}"));
        let fix = format!("run `{command}{profile}`, then run it again");
        return credentials(format!("the AWS session is over: {innermost}"), fix);
    }
    if let Some(name) = texts.iter().find_map(|text| undefined_profile(text)) {
        return no_such_profile(name);
    }
    if let Some(code) = causes(error).find_map(service_code) {
        return from_service(&code, role_arn);
    }
    match error {
        CredentialsError::CredentialsNotLoaded(_) => credentials(
            match profile {
                Some(name) => format!("the AWS profile `{name}` gives no credentials"),
                None => "no AWS credentials were found".to_owned(),
            },
            "run `aws configure` or `aws sso login`, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; \
             saved logs need none: flowcheck LOGS --snapshot FILE",
        ),
        _ => credentials(
            format!("the AWS credentials cannot be used: {innermost}"),
            "see what `aws sts get-caller-identity` says with the same profile",
        ),
    }
}

/// The session is over, says a service by `code`.
pub(super) fn expired(code: &str) -> AwsError {
    credentials(format!("the AWS session has expired ({code})"), RENEW)
}

/// The keys are not accepted, says a service by `code`.
pub(super) fn refused(code: &str) -> AwsError {
    credentials(
        format!("AWS does not accept the credentials ({code})"),
        "see what `aws sts get-caller-identity` says; the keys may be deleted or mistyped, their session token missing \
         or over, or the region not enabled for the account",
    )
}

/// The time of the request is refused, says a service by `code`.
pub(super) fn skewed(code: &str) -> AwsError {
    credentials(format!("AWS refuses the time of the request ({code})"), "set this machine's clock")
}

fn no_such_profile(name: &str) -> AwsError {
    let fix = "see `aws configure list-profiles`, then give --profile or set AWS_PROFILE";
    credentials(format!("the AWS profile `{name}` does not exist"), fix)
}

fn credentials(problem: impl Into<String>, fix: impl Into<String>) -> AwsError {
    AwsError::Credentials { problem: problem.into(), fix: fix.into() }
}

/// What a service refused while credentials were made.
fn from_service(code: &str, role_arn: Option<&str>) -> AwsError {
    match code {
        "AccessDenied" | "AccessDeniedException" => {
            let role = role_arn.unwrap_or("the role of the profile");
            credentials(
                format!("cannot assume {role}: sts:AssumeRole is missing"),
                "allow the caller sts:AssumeRole on the role, and let the role's trust policy name the caller (and the \
                 --external-id, if it asks for one)",
            )
        }
        _ if code.starts_with("Expired") => expired(code),
        _ => refused(code),
    }
}

/// The command that begins a session again, where one is over.
fn login_command(texts: &[String]) -> Option<&'static str> {
    let says = |part: &str| texts.iter().any(|text| text.contains(part));
    if says("Login token") {
        Some("aws login")
    } else if says("SSO token") || says("UnauthorizedException") {
        Some("aws sso login")
    } else {
        None
    }
}

/// ``profile `NAME` was not defined: could not find …``, also where it is told along with what else was tried. That
/// there is no `default` is no mistake of anyone's.
fn undefined_profile(text: &str) -> Option<&str> {
    let (before, after) = text.split_once("` was not defined: could not find")?;
    let (_, name) = before.rsplit_once("profile `")?;
    (name != "default" || after.contains("referenced from `")).then_some(name)
}

/// The code in a service's refusal: of a modeled error its name, else that of the answer.
fn service_code(cause: &(dyn Error + 'static)) -> Option<String> {
    if let Some(metadata) = cause.downcast_ref::<ErrorMetadata>() {
        return metadata.code().map(ToOwned::to_owned);
    }
    let text = cause.to_string();
    let word = text.split(|letter: char| !letter.is_ascii_alphanumeric()).next()?;
    (word.len() < text.len() && word.ends_with("Exception")).then(|| word.to_owned())
}
