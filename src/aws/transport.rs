//! One call over HTTP, by the SDK's own parts.
//!
//! Owns how a call is signed, retried, timed and its failure told, as the SDKs do it; only the generated code is missing,
//! because a service's crate takes minutes to build for the one or two operations that are wanted of it. Refuses to know
//! how a request's body is written and an answer's is read: each protocol has a file of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
use aws_runtime::auth::{SigV4OperationSigningConfig, SigningOptions};
use aws_runtime::invocation_id::InvocationIdInterceptor;
use aws_runtime::request_info::RequestInfoInterceptor;
use aws_runtime::retries::classifiers::AwsErrorCodeClassifier;
use aws_runtime::service_clock_skew::{ServiceClockSkewClassifier, ServiceClockSkewInterceptor};
use aws_runtime::user_agent::{ApiMetadata, UserAgentInterceptor};
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime::client::retries::classifiers::{HttpStatusCodeClassifier, TransientErrorClassifier};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::auth::{AuthSchemeOptionResolverParams, SharedAuthSchemeOptionResolver};
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, SharedInterceptor, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::{RuntimeComponents, RuntimeComponentsBuilder};
use aws_smithy_runtime_api::client::runtime_plugin::{SharedRuntimePlugin, StaticRuntimePlugin};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::{ConfigBag, Layer};
use aws_smithy_types::error::ErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SigningName;
use aws_types::region::SigningRegion;

use super::error::Call;
use super::service::Service;
use super::{Action, AwsError};

/// The most that one attempt may take. A page of a thousand resources is there in a few seconds.
const ATTEMPT_TIMEOUT: Duration = Duration::from_mins(1);

/// Who waits and tries again when a service throttles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Throttling {
    /// The SDK's parts, as for any other fault that passes.
    Retried,
    /// Whoever calls, at a pace of its own.
    Told,
}

/// What a protocol puts into a request.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) media_type: &'static str,
    /// `X-Amz-Target`, in protocols that name the operation there.
    pub(super) target: Option<String>,
    pub(super) body: String,
}

/// What an answer that is none is made of.
pub(super) type Unanswered = OrchestratorError<ErrorMetadata>;

/// A call that failed.
#[derive(Debug)]
pub(super) struct Failure {
    error: SdkError<ErrorMetadata, HttpResponse>,
    attempts: u32,
}

impl Failure {
    /// The code of a service's refusal.
    pub(super) fn code(&self) -> Option<&str> {
        match &self.error {
            SdkError::ServiceError(refusal) => refusal.err().code(),
            _ => None,
        }
    }

    /// The HTTP status of a service's refusal.
    pub(super) fn status(&self) -> Option<u16> {
        match &self.error {
            SdkError::ServiceError(refusal) => Some(refusal.raw().status().as_u16()),
            _ => None,
        }
    }

    /// How often it was sent.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }
}

/// A service in a region, ready to be called. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    service: Service,
    region: String,
    endpoint: String,
    signed: bool,
    plugin: SharedRuntimePlugin,
}

impl Transport {
    pub(super) fn new(
        config: &SdkConfig,
        service: Service,
        region: &str,
        endpoint: String,
        throttling: Throttling,
    ) -> Self {
        let plugin = StaticRuntimePlugin::new()
            .with_config(settings(config, service, region).freeze())
            .with_runtime_components(components(config, throttling));
        let signed = config.credentials_provider().is_some();
        let plugin = SharedRuntimePlugin::new(plugin);
        Self { service, region: region.to_owned(), endpoint, signed, plugin }
    }

    /// The region, which is what messages name.
    pub(super) fn region(&self) -> &str {
        &self.region
    }

    /// Makes one call; `read` makes of an answer what is wanted of it.
    pub(super) async fn send<T>(
        &self,
        action: Action,
        content: Content,
        read: impl Fn(&HttpResponse) -> Result<T, Unanswered> + Send + Sync + 'static,
    ) -> Result<T, Failure>
    where
        T: std::fmt::Debug + Send + Sync + 'static,
    {
        let attempts = Arc::new(AtomicU32::new(0));
        let mut operation = Operation::builder()
            .service_name(self.service.id())
            .operation_name(action.operation())
            .endpoint_url(&self.endpoint)
            .runtime_plugin(self.plugin.clone())
            .with_connection_poisoning()
            .interceptor(SharedInterceptor::permanent(CountAttempts(Arc::clone(&attempts))));
        if !self.signed {
            operation = operation.no_auth();
        }
        let operation = operation.serializer(request).deserializer(read).build();
        let sent = operation.invoke(content).await;
        sent.map_err(|error| Failure { error, attempts: attempts.load(Ordering::Relaxed) })
    }

    /// What a failure means, after so many attempts.
    pub(super) fn error(&self, action: Action, failure: &Failure, attempts: u32) -> AwsError {
        let (endpoint, attempts) = (Some(self.endpoint.as_str()), Some(attempts));
        Call { action, resource: &self.region, endpoint, attempts }.error(&failure.error)
    }
}

/// What an SDK client puts into its configuration.
fn settings(config: &SdkConfig, service: Service, region: &str) -> Layer {
    let region = Region::new(region.to_owned());
    let mut layer = Layer::new("call");
    layer.store_put(AuthSchemeOptionResolverParams::new(()));
    layer.store_put(SigningName::from_static(service.signing_name()));
    layer.store_put(SigningRegion::from(region.clone()));
    layer.store_put(region);
    layer.store_put(SigV4OperationSigningConfig {
        signing_options: SigningOptions::default(),
        ..SigV4OperationSigningConfig::default()
    });
    layer.store_put(ApiMetadata::new(service.signing_name(), env!("CARGO_PKG_VERSION")));
    layer.store_put(config.retry_config().cloned().unwrap_or_else(RetryConfig::standard));
    let mut timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
    if let Some(configured) = config.timeout_config() {
        let mut configured = configured.clone();
        configured.take_defaults_from(&timeouts);
        timeouts = configured;
    }
    layer.store_put(timeouts);
    layer
}

/// What an SDK client is put together from.
fn components(config: &SdkConfig, throttling: Throttling) -> RuntimeComponentsBuilder {
    let mut components = RuntimeComponentsBuilder::new("call")
        .with_http_client(config.http_client())
        .with_sleep_impl(config.sleep_impl())
        .with_time_source(config.time_source())
        .with_identity_cache(config.identity_cache())
        .with_retry_classifier(TransientErrorClassifier::<ErrorMetadata>::new())
        .with_retry_classifier(HttpStatusCodeClassifier::default())
        .with_retry_classifier(ServiceClockSkewClassifier::<ErrorMetadata>::new())
        .with_interceptor(ServiceClockSkewInterceptor::new())
        .with_interceptor(RequestInfoInterceptor::new())
        .with_interceptor(UserAgentInterceptor::new())
        .with_interceptor(InvocationIdInterceptor::new());
    if throttling == Throttling::Retried {
        components.push_retry_classifier(AwsErrorCodeClassifier::<ErrorMetadata>::new());
    }
    if let Some(provider) = config.credentials_provider() {
        let schemes = StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID]);
        components
            .set_auth_scheme_option_resolver(Some(SharedAuthSchemeOptionResolver::new(schemes)))
            .push_auth_scheme(SigV4AuthScheme::new())
            .set_identity_resolver(SCHEME_ID, provider);
    }
    components
}

fn request(content: Content) -> Result<HttpRequest, BoxError> {
    let mut request = HttpRequest::new(SdkBody::from(content.body));
    request.set_method("POST")?;
    request.set_uri("/")?;
    request.headers_mut().try_insert("content-type", content.media_type)?;
    if let Some(target) = content.target {
        request.headers_mut().try_insert("x-amz-target", target)?;
    }
    Ok(request)
}

/// Counts how often a call is tried.
#[derive(Debug)]
struct CountAttempts(Arc<AtomicU32>);

#[dyn_dispatch_hint]
impl Intercept for CountAttempts {
    fn name(&self) -> &'static str {
        "CountAttempts"
    }

    fn read_before_attempt(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
