//! Reaching a bucket: the region it is in, who pays for requests, and the client that asks.
//!
//! Owns the SDK clients, one a region, their retries and time limits. Refuses to know what is asked for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{Region, StalledStreamProtectionConfig};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::RequestPayer;
use aws_smithy_runtime::client::retries::{RetryPartition, TokenBucket};

use super::traffic::{Counters, Counting};
use super::{Patience, lock};

/// How often one request is sent before it counts as failed.
const ATTEMPTS: u32 = 5;

/// What all retries of a run together may use up before failures are final at once. A retry takes 5 and a success gives
/// some back; many requests are under way at once here, so that one bad second takes what one client rarely needs.
const RETRY_TOKENS: usize = 10_000;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);

/// The header in which S3 says where a bucket is, whatever else it answers.
const REGION_HEADER: &str = "x-amz-bucket-region";

/// A bucket, and how to ask it for something.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    pub(super) name: String,
    pub(super) client: Client,
    /// Set when this account has to accept the charges.
    pub(super) payer: Option<RequestPayer>,
}

/// The clients of a run and the buckets they reached.
pub(super) struct Buckets {
    base: SdkConfig,
    region: String,
    custom_endpoint: bool,
    patience: Patience,
    counters: Arc<Counters>,
    retries: RetryPartition,
    clients: Mutex<HashMap<String, Client>>,
    known: Mutex<HashMap<String, Arc<Bucket>>>,
}

impl Buckets {
    /// `custom_endpoint`: everything is at one place, addressed by path, and no region is looked up.
    pub(super) fn new(
        base: SdkConfig,
        region: &str,
        custom_endpoint: bool,
        patience: Patience,
        counters: &Arc<Counters>,
    ) -> Self {
        let tokens = TokenBucket::builder().capacity(RETRY_TOKENS).build();
        Self {
            base,
            region: region.to_owned(),
            custom_endpoint,
            patience,
            counters: Arc::clone(counters),
            retries: RetryPartition::custom("flowcheck-s3").token_bucket(tokens).build(),
            clients: Mutex::default(),
            known: Mutex::default(),
        }
    }

    /// The bucket as it was reached before; else in the region that it is in, as far as that can be told.
    pub(super) async fn find(&self, name: &str) -> Arc<Bucket> {
        if let Some(bucket) = lock(&self.known).get(name) {
            return Arc::clone(bucket);
        }
        let region = if self.custom_endpoint {
            None
        } else if let Some(region) = region_of_arn(name) {
            Some(region)
        } else {
            self.look_up(name).await
        };
        let client = self.client(region.as_deref().unwrap_or(&self.region));
        Arc::new(Bucket { name: name.to_owned(), client, payer: None })
    }

    /// Remembers how the bucket was reached.
    pub(super) fn remember(&self, bucket: &Arc<Bucket>) {
        lock(&self.known).insert(bucket.name.clone(), Arc::clone(bucket));
    }

    /// The same bucket in another region.
    pub(super) fn in_region(&self, bucket: &Bucket, region: &str) -> Arc<Bucket> {
        Arc::new(Bucket { client: self.client(region), ..bucket.clone() })
    }

    /// Needs `s3:ListBucket`; but the region is in the answer even when that is missing or the bucket elsewhere.
    async fn look_up(&self, name: &str) -> Option<String> {
        match self.client(&self.region).head_bucket().bucket(name).send().await {
            Ok(answer) => answer.bucket_region().map(str::to_owned),
            Err(error) => named_region(&error),
        }
    }

    fn client(&self, region: &str) -> Client {
        let mut clients = lock(&self.clients);
        let client =
            clients.entry(region.to_owned()).or_insert_with(|| Client::from_conf(self.config(region)));
        client.clone()
    }

    fn config(&self, region: &str) -> aws_sdk_s3::Config {
        let patience = self.patience;
        let retry =
            RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(patience.first_backoff);
        let timeouts =
            TimeoutConfig::builder().connect_timeout(CONNECT).read_timeout(patience.stalled_after).build();
        let stalls = StalledStreamProtectionConfig::enabled().grace_period(patience.stalled_after).build();
        aws_sdk_s3::config::Builder::from(&self.base)
            .region(Region::new(region.to_owned()))
            .force_path_style(self.custom_endpoint)
            .use_arn_region(true)
            .retry_config(retry)
            .retry_partition(self.retries.clone())
            .timeout_config(timeouts)
            .stalled_stream_protection(stalls)
            .interceptor(Counting(Arc::clone(&self.counters)))
            .build()
    }
}

/// Access points are named by ARN, and that says where they are.
fn region_of_arn(name: &str) -> Option<String> {
    let mut parts = name.strip_prefix("arn:")?.split(':');
    let region = parts.nth(2)?;
    (!region.is_empty()).then(|| region.to_owned())
}

/// The region that a refusal sends us to: S3 names it in a header, and in the body of a 301 or of
/// `AuthorizationHeaderMalformed`.
pub(super) fn named_region<E>(error: &SdkError<E, HttpResponse>) -> Option<String> {
    let response = error.raw_response()?;
    if let Some(region) = response.headers().get(REGION_HEADER) {
        return Some(region.to_owned());
    }
    let body = std::str::from_utf8(response.body().bytes()?).ok()?;
    let (_, rest) = body.split_once("<Region>")?;
    let (region, _) = rest.split_once("</Region>")?;
    Some(region.to_owned())
}

/// Whether the request went to the wrong region.
pub(super) fn is_misdirected<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let status = error.raw_response().map(|response| response.status().as_u16());
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    status == Some(301)
        || matches!(
            code,
            Some("PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException")
        )
}
