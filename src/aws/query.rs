//! Calls in the AWS Query protocol, by the SDK's own parts.
//!
//! Owns how such a call is made: form-encoded, signed, retried, timed and its error read as the SDKs do it; only the
//! generated code is missing, because the EC2 crate alone takes longer to build than all else together. Refuses to
//! know what the calls are for. Protocols: Smithy `ec2Query` and `awsQuery`.

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
use aws_smithy_runtime_api::client::runtime_components::{RuntimeComponents, RuntimeComponentsBuilder};
use aws_smithy_runtime_api::client::runtime_plugin::{SharedRuntimePlugin, StaticRuntimePlugin};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::{ConfigBag, Layer};
use aws_smithy_types::error::ErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SigningName;
use aws_types::region::SigningRegion;
use serde_json::{Map, Value};

use super::error::Call;
use super::xml::{self, Member};
use super::{Action, AwsError};

/// The most that one attempt may take. A page of a thousand resources is there in a few seconds.
const ATTEMPT_TIMEOUT: Duration = Duration::from_mins(1);

/// A service that is called so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    /// Amazon EC2, whose API has the VPC's parts.
    Ec2,
    /// AWS Security Token Service.
    Sts,
}

impl Service {
    /// Its id in a profile's `services` section and in `AWS_ENDPOINT_URL_…`.
    pub(super) fn id(self) -> &'static str {
        match self {
            Self::Ec2 => "EC2",
            Self::Sts => "STS",
        }
    }

    fn signing_name(self) -> &'static str {
        match self {
            Self::Ec2 => "ec2",
            Self::Sts => "sts",
        }
    }

    fn version(self) -> &'static str {
        match self {
            Self::Ec2 => "2016-11-15",
            Self::Sts => "2011-06-15",
        }
    }

    /// Where AWS serves it in `region`.
    pub(super) fn endpoint(self, region: &str, fips: bool, dual_stack: bool) -> String {
        let suffix = domain(region, dual_stack);
        let fips = if fips { "-fips" } else { "" };
        format!("https://{}{fips}.{region}.{suffix}", self.signing_name())
    }
}

/// The domain of a region's partition. Source: the `partitions` of the SDKs' endpoint rules.
fn domain(region: &str, dual_stack: bool) -> &'static str {
    match (region.split('-').next().unwrap_or_default(), dual_stack) {
        ("cn", false) => "amazonaws.com.cn",
        ("cn", true) => "api.amazonwebservices.com.cn",
        ("eusc", _) => "amazonaws.eu",
        _ if region.starts_with("us-iso-") => "c2s.ic.gov",
        _ if region.starts_with("us-isob-") => "sc2s.sgov.gov",
        _ if region.starts_with("us-isof-") => "csp.hci.ic.gov",
        _ if region.starts_with("eu-isoe-") => "cloud.adc-e.uk",
        (_, false) => "amazonaws.com",
        (_, true) => "api.aws",
    }
}

/// A service in a region, ready to be called. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct QueryClient {
    service: Service,
    region: String,
    endpoint: String,
    signed: bool,
    plugin: SharedRuntimePlugin,
}

impl QueryClient {
    pub(super) fn new(config: &SdkConfig, service: Service, region: &str, endpoint: String) -> Self {
        let plugin = StaticRuntimePlugin::new()
            .with_config(settings(config, service, region).freeze())
            .with_runtime_components(components(config));
        let signed = config.credentials_provider().is_some();
        Self {
            service,
            region: region.to_owned(),
            endpoint,
            signed,
            plugin: SharedRuntimePlugin::new(plugin),
        }
    }

    /// The region, which is what messages name.
    pub(super) fn region(&self) -> &str {
        &self.region
    }

    /// Makes one call and reads its answer. `members` are those below the answer's root element.
    pub(super) async fn call(
        &self,
        action: Action,
        parameters: &[(String, String)],
        members: &'static [Member],
    ) -> Result<Map<String, Value>, AwsError> {
        let (_, name) = action.iam_name().split_once(':').unwrap_or_default();
        let root = format!("{name}Response");
        let attempts = Arc::new(AtomicU32::new(0));
        let mut operation = Operation::builder()
            .service_name(self.service.id())
            .operation_name(name)
            .endpoint_url(&self.endpoint)
            .runtime_plugin(self.plugin.clone())
            .with_connection_poisoning()
            .interceptor(SharedInterceptor::permanent(CountAttempts(Arc::clone(&attempts))));
        if !self.signed {
            operation = operation.no_auth();
        }
        let operation = operation
            .serializer(request)
            .deserializer(move |response: &HttpResponse| answer(response, &root, members))
            .build();
        let body = form(name, self.service.version(), parameters);
        operation.invoke(body).await.map_err(|error| {
            let (endpoint, attempts) = (Some(self.endpoint.as_str()), Some(attempts.load(Ordering::Relaxed)));
            Call { action, resource: &self.region, endpoint, attempts }.error(&error)
        })
    }
}

/// What an SDK client puts into its configuration.
fn settings(config: &SdkConfig, service: Service, region: &str) -> Layer {
    let region = Region::new(region.to_owned());
    let mut layer = Layer::new("query");
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
fn components(config: &SdkConfig) -> RuntimeComponentsBuilder {
    let mut components = RuntimeComponentsBuilder::new("query")
        .with_http_client(config.http_client())
        .with_sleep_impl(config.sleep_impl())
        .with_time_source(config.time_source())
        .with_identity_cache(config.identity_cache())
        .with_retry_classifier(TransientErrorClassifier::<ErrorMetadata>::new())
        .with_retry_classifier(AwsErrorCodeClassifier::<ErrorMetadata>::new())
        .with_retry_classifier(HttpStatusCodeClassifier::default())
        .with_retry_classifier(ServiceClockSkewClassifier::<ErrorMetadata>::new())
        .with_interceptor(ServiceClockSkewInterceptor::new())
        .with_interceptor(RequestInfoInterceptor::new())
        .with_interceptor(UserAgentInterceptor::new())
        .with_interceptor(InvocationIdInterceptor::new());
    if let Some(provider) = config.credentials_provider() {
        let schemes = StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID]);
        components
            .set_auth_scheme_option_resolver(Some(SharedAuthSchemeOptionResolver::new(schemes)))
            .push_auth_scheme(SigV4AuthScheme::new())
            .set_identity_resolver(SCHEME_ID, provider);
    }
    components
}

fn request(body: String) -> Result<HttpRequest, BoxError> {
    let mut request = HttpRequest::new(SdkBody::from(body));
    request.set_method("POST")?;
    request.set_uri("/")?;
    request.headers_mut().try_insert("content-type", "application/x-www-form-urlencoded; charset=utf-8")?;
    Ok(request)
}

/// Broken answers are errors of the response, which are retried.
fn answer(
    response: &HttpResponse,
    root: &str,
    members: &'static [Member],
) -> Result<Map<String, Value>, OrchestratorError<ErrorMetadata>> {
    let body = response.body().bytes().unwrap_or_default();
    if response.status().is_success() {
        return xml::read(body, root, members).map_err(|error| OrchestratorError::response(error.into()));
    }
    let (code, message) = xml::read_error(body);
    let mut metadata = ErrorMetadata::builder();
    if let Some(code) = code {
        metadata = metadata.code(code);
    }
    if let Some(message) = message {
        metadata = metadata.message(message);
    }
    Err(OrchestratorError::operation(metadata.build()))
}

/// `Action=DescribeVpcs&Version=2016-11-15&Filter.1.Name=vpc-id…`
fn form(action: &str, version: &str, parameters: &[(String, String)]) -> String {
    let mut form = format!("Action={action}&Version={version}");
    for (name, value) in parameters {
        form.push('&');
        percent_encode(&mut form, name);
        form.push('=');
        percent_encode(&mut form, value);
    }
    form
}

/// RFC 3986: everything but the unreserved characters.
fn percent_encode(form: &mut String, text: &str) {
    use std::fmt::Write;
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => form.push(byte.into()),
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(form, "%{byte:02X}");
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_by_partition() {
        let endpoint = |region| Service::Ec2.endpoint(region, false, false);
        assert_eq!(endpoint("eu-west-1"), "https://ec2.eu-west-1.amazonaws.com");
        assert_eq!(endpoint("us-gov-west-1"), "https://ec2.us-gov-west-1.amazonaws.com");
        assert_eq!(endpoint("cn-north-1"), "https://ec2.cn-north-1.amazonaws.com.cn");
        assert_eq!(endpoint("us-iso-east-1"), "https://ec2.us-iso-east-1.c2s.ic.gov");
        assert_eq!(endpoint("us-isob-east-1"), "https://ec2.us-isob-east-1.sc2s.sgov.gov");
        assert_eq!(
            Service::Sts.endpoint("us-east-1", true, false),
            "https://sts-fips.us-east-1.amazonaws.com"
        );
        assert_eq!(Service::Ec2.endpoint("us-east-1", false, true), "https://ec2.us-east-1.api.aws");
    }

    #[test]
    fn forms_are_encoded() {
        let parameters = [("Filter.1.Value.1".to_owned(), "a b&c=d/é~".to_owned())];
        let wanted = "Action=A&Version=1&Filter.1.Value.1=a%20b%26c%3Dd%2F%C3%A9~";
        assert_eq!(form("A", "1", &parameters), wanted);
    }
}
