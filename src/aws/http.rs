//! The HTTP client that every call shares.
//!
//! Owns connections: one pool and one set of trusted certificates for all services and regions, through the proxy that
//! `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` name, which the SDK on its own does not look at and the AWS CLI does.
//! Trusted are the system's certificates, or those in `SSL_CERT_FILE`.

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

pub(super) fn client() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = Connector::builder().proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build()
    })
}
