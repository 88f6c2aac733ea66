//! Calls in the AWS Query protocol.
//!
//! Owns how such a request is written and its answer and its error are read. Refuses to know what the calls are for.
//! Protocols: Smithy `ec2Query` and `awsQuery`.

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, OrchestratorError};
use aws_smithy_types::error::ErrorMetadata;
use serde_json::{Map, Value};

use super::service::Service;
use super::transport::{Content, Throttling, Transport, Unanswered};
use super::xml::{self, Member};
use super::{Action, AwsError};

/// A service in a region, ready to be called. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct QueryClient {
    transport: Transport,
    version: &'static str,
}

impl QueryClient {
    /// EC2.
    pub(super) fn ec2(config: &SdkConfig, region: &str, endpoint: String) -> Self {
        Self::new(config, Service::Ec2, "2016-11-15", region, endpoint)
    }

    /// STS.
    pub(super) fn sts(config: &SdkConfig, region: &str, endpoint: String) -> Self {
        Self::new(config, Service::Sts, "2011-06-15", region, endpoint)
    }

    fn new(
        config: &SdkConfig,
        service: Service,
        version: &'static str,
        region: &str,
        endpoint: String,
    ) -> Self {
        let transport = Transport::new(config, service, region, endpoint, Throttling::Retried);
        Self { transport, version }
    }

    /// The region, which is what messages name.
    pub(super) fn region(&self) -> &str {
        self.transport.region()
    }

    /// Makes one call and reads its answer. `members` are those below the answer's root element.
    pub(super) async fn call(
        &self,
        action: Action,
        parameters: &[(String, String)],
        members: &'static [Member],
    ) -> Result<Map<String, Value>, AwsError> {
        let root = format!("{}Response", action.operation());
        let content = Content {
            media_type: "application/x-www-form-urlencoded; charset=utf-8",
            target: None,
            body: form(action.operation(), self.version, parameters),
        };
        let sent =
            self.transport.send(action, content, move |response| answer(response, &root, members)).await;
        sent.map_err(|failure| self.transport.error(action, &failure, failure.attempts()))
    }
}

/// Broken answers are errors of the response, which are retried.
fn answer(
    response: &HttpResponse,
    root: &str,
    members: &'static [Member],
) -> Result<Map<String, Value>, Unanswered> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_encoded() {
        let parameters = [("Filter.1.Value.1".to_owned(), "a b&c=d/é~".to_owned())];
        let wanted = "Action=A&Version=1&Filter.1.Value.1=a%20b%26c%3Dd%2F%C3%A9~";
        assert_eq!(form("A", "1", &parameters), wanted);
    }
}
