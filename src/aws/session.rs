//! Credentials, region and endpoints as the AWS CLI finds them, and the runtime that calls run on.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};

use super::AwsError;

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
    runtime: tokio::runtime::Runtime,
    config: SdkConfig,
    regions: Vec<String>,
    stop: Stop,
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
        let config = runtime.block_on(load(options));
        let mut regions = options.regions.clone();
        if regions.is_empty() {
            regions.push(config.region().ok_or(AwsError::NoRegion)?.to_string());
        }
        Ok(Self { inner: Arc::new(Inner { runtime, config, regions, stop: stop.clone() }) })
    }

    /// The regions asked for, at least one.
    #[must_use]
    pub fn regions(&self) -> &[String] {
        &self.inner.regions
    }

    /// What an SDK client for `region` is made from.
    #[must_use]
    pub fn sdk_config(&self, region: &str) -> SdkConfig {
        self.inner.config.to_builder().region(Region::new(region.to_owned())).build()
    }

    /// Whether a custom endpoint serves `service` (`S3`, `CloudWatch Logs`, `EC2`): then regions are not looked up
    /// and buckets are addressed by path.
    #[must_use]
    pub fn has_custom_endpoint(&self, _service: &str) -> bool {
        self.inner.config.endpoint_url().is_some()
    }

    /// Set when the run is to end early.
    #[must_use]
    pub fn stop(&self) -> &Stop {
        &self.inner.stop
    }

    /// Runs a call to its end on this thread.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.inner.runtime.block_on(future)
    }

    /// Runs a task beside this thread.
    pub fn spawn<F>(&self, future: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.inner.runtime.spawn(future)
    }
}

async fn load(options: &AwsOptions) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest());
    if let Some(profile) = &options.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = options.regions.first() {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(url) = &options.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    if options.no_sign_request {
        loader = loader.no_credentials();
    }
    let base = loader.load().await;
    let Some(role_arn) = &options.role_arn else { return base };
    let mut role = AssumeRoleProvider::builder(role_arn).session_name("flowcheck").configure(&base);
    if let Some(external_id) = &options.external_id {
        role = role.external_id(external_id);
    }
    let provider = role.build().await;
    base.into_builder()
        .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(provider))
        .build()
}
