//! Credentials, region and endpoints as the AWS CLI finds them, and the runtime that calls run on.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::identity::IdentityCache;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_types::service_config::ServiceConfigKey;

use super::credentials::Resolved;
use super::json::{JsonClient, Pace};
use super::query::QueryClient;
use super::service::Service;
use super::{AwsError, credentials, http};

/// How long renewing credentials may take: a process behind a profile may ask someone for a code.
const RENEWAL_TIMEOUT: Duration = Duration::from_mins(1);

/// How to connect, as the options of the command line say it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AwsOptions {
    /// `--profile`.
    pub profile: Option<String>,
    /// `--region`; empty means the one that the environment or the profile gives.
    pub regions: Vec<String>,
    /// `--role-arn`.
    pub role_arn: Option<String>,
    /// `--external-id`.
    pub external_id: Option<String>,
    /// `--endpoint-url`.
    pub endpoint_url: Option<String>,
    /// `--no-sign-request`.
    pub no_sign_request: bool,
}

/// Asked to end early (Ctrl-C). Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks everything that looks at it to end.
    pub fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked for.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The flag itself, for a signal handler.
    #[must_use]
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

/// A session: credentials that were found, regions, endpoints, and the runtime. Cheap to clone.
#[derive(Clone)]
pub struct Aws {
    inner: Arc<Inner>,
}

struct Inner {
    /// Always there, until it is shut down.
    runtime: Option<tokio::runtime::Runtime>,
    handle: tokio::runtime::Handle,
    config: SdkConfig,
    regions: Vec<String>,
    account_id: OnceLock<String>,
    stop: Stop,
}

impl Drop for Inner {
    /// Does not wait for anything, such as a name that is being looked up. The last clone may go in a task of the
    /// runtime itself, which could not wait for its own end.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl std::fmt::Debug for Aws {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Aws").field("regions", &self.inner.regions).finish_non_exhaustive()
    }
}

impl Aws {
    /// Finds credentials and regions. Fails when there are none, with what the user can do about it.
    pub fn connect(options: &AwsOptions, stop: &Stop) -> Result<Self, AwsError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("aws")
            .enable_all()
            .build()
            .map_err(|error| AwsError::Credentials {
                problem: format!("cannot start the network runtime: {error}"),
                fix: "see whether this process may create threads and sockets".to_owned(),
            })?;
        if let Some(region) = options.regions.iter().find(|region| !is_region(region)) {
            return Err(AwsError::Region { region: region.clone() });
        }
        let config = runtime.block_on(load(options))?;
        let mut regions = options.regions.clone();
        if regions.is_empty() {
            let region = config.region().ok_or(AwsError::NoRegion)?.to_string();
            if !is_region(&region) {
                return Err(AwsError::Region { region });
            }
            regions.push(region);
        }
        let mut seen = std::collections::BTreeSet::new();
        regions.retain(|region| seen.insert(region.clone()));
        let handle = runtime.handle().clone();
        let (account_id, stop) = (OnceLock::new(), stop.clone());
        let inner = Inner { runtime: Some(runtime), handle, config, regions, account_id, stop };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The regions asked for, at least one, each once.
    #[must_use]
    pub fn regions(&self) -> &[String] {
        &self.inner.regions
    }

    /// What an SDK client for `region` is made from.
    #[must_use]
    pub fn sdk_config(&self, region: &str) -> SdkConfig {
        self.inner.config.to_builder().region(Region::new(region.to_owned())).build()
    }

    /// Whether a custom endpoint serves `service` (`S3`, `CloudWatch Logs`, `EC2`, `STS` …: service ids as in a
    /// profile's `services` section): then regions are not looked up and buckets are addressed by path.
    #[must_use]
    pub fn has_custom_endpoint(&self, service: &str) -> bool {
        self.custom_endpoint(service).is_some()
    }

    /// The URL that serves `service` instead of AWS's own: `--endpoint-url`, then `AWS_ENDPOINT_URL_EC2` and the
    /// profile's `services` section, then `AWS_ENDPOINT_URL` and the profile's `endpoint_url`.
    pub(super) fn custom_endpoint(&self, service: &str) -> Option<String> {
        let config = &self.inner.config;
        let general = config.endpoint_url().map(ToOwned::to_owned);
        if config.get_origin("endpoint_url").is_client_config() {
            return general;
        }
        let key =
            ServiceConfigKey::builder().service_id(service).env("AWS_ENDPOINT_URL").profile("endpoint_url");
        let own = key.build().ok().and_then(|key| config.service_config()?.load_config(key));
        own.or(general)
    }

    /// EC2 in a region.
    pub(super) fn ec2_client(&self, region: &str) -> QueryClient {
        QueryClient::ec2(&self.inner.config, region, self.endpoint(Service::Ec2, region))
    }

    /// STS in a region.
    pub(super) fn sts_client(&self, region: &str) -> QueryClient {
        QueryClient::sts(&self.inner.config, region, self.endpoint(Service::Sts, region))
    }

    /// CloudTrail in a region.
    pub(super) fn cloudtrail_client(&self, region: &str, pace: Pace) -> JsonClient {
        JsonClient::cloudtrail(&self.inner.config, region, self.endpoint(Service::CloudTrail, region), pace)
    }

    /// AWS Config in a region.
    pub(super) fn config_client(&self, region: &str, pace: Pace) -> JsonClient {
        JsonClient::config(&self.inner.config, region, self.endpoint(Service::Config, region), pace)
    }

    fn endpoint(&self, service: Service, region: &str) -> String {
        let config = &self.inner.config;
        self.custom_endpoint(service.id()).unwrap_or_else(|| {
            let (fips, dual_stack) = (config.use_fips(), config.use_dual_stack());
            service.endpoint(region, fips.unwrap_or_default(), dual_stack.unwrap_or_default())
        })
    }

    pub(super) fn first_region(&self) -> &str {
        self.inner.regions.first().map_or("", String::as_str)
    }

    pub(super) fn known_account_id(&self) -> Option<String> {
        self.inner.account_id.get().cloned()
    }

    pub(super) fn remember_account_id(&self, account_id: &str) -> String {
        self.inner.account_id.get_or_init(|| account_id.to_owned()).clone()
    }

    /// Set when the run is to end early.
    #[must_use]
    pub fn stop(&self) -> &Stop {
        &self.inner.stop
    }

    /// Runs a call to its end on this thread.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.inner.handle.block_on(future)
    }

    /// Runs a task beside this thread.
    pub fn spawn<F>(&self, future: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.inner.handle.spawn(future)
    }
}

/// A region's name becomes part of a host's.
fn is_region(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Regions and credentials, resolved once.
async fn load(options: &AwsOptions) -> Result<SdkConfig, AwsError> {
    let (http, imds) = (http::client(), credentials::imds_client());
    let profile = options.profile.as_deref();
    // The AWS CLI refuses an unknown profile even where keys in the environment would do.
    let from_environment = std::env::var("AWS_PROFILE").ok().filter(|name| !name.is_empty());
    if let Some(name) = options.profile.as_ref().or(from_environment.as_ref()) {
        credentials::known_profile(name).await?;
    }
    let region = match options.regions.first() {
        Some(region) => Some(Region::new(region.clone())),
        None => default_region(profile, imds.clone()).await,
    };
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(region.clone())
        .http_client(http.clone())
        .identity_cache(IdentityCache::lazy().load_timeout(RENEWAL_TIMEOUT).build());
    if let Some(profile) = profile {
        loader = loader.profile_name(profile);
    }
    if let Some(url) = &options.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    if options.no_sign_request {
        return Ok(loader.no_credentials().load().await);
    }
    let base = loader.credentials_provider(credentials::provider(profile, region, http, imds)).load().await;
    let mut provider = base.credentials_provider();
    if let Some(role_arn) = &options.role_arn {
        let mut role = AssumeRoleProvider::builder(role_arn).session_name("flowcheck").configure(&base);
        if let Some(external_id) = &options.external_id {
            role = role.external_id(external_id);
        }
        provider = Some(SharedCredentialsProvider::new(role.build().await));
    }
    let Some(provider) = provider else { return Ok(base) };
    let found = provider
        .provide_credentials()
        .await
        .map_err(|error| credentials::error(&error, profile, options.role_arn.as_deref()))?;
    let provider = SharedCredentialsProvider::new(Resolved::new(found, provider));
    Ok(base.into_builder().credentials_provider(provider).build())
}

/// Environment, then profile, then the instance's own: the order of the AWS CLI.
async fn default_region(profile: Option<&str>, imds: aws_config::imds::Client) -> Option<Region> {
    let mut file = ProfileFileRegionProvider::builder();
    if let Some(profile) = profile {
        file = file.profile_name(profile);
    }
    RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(file.build())
        .or_else(ImdsRegionProvider::builder().imds_client(imds).build())
        .region()
        .await
}
