//! Flow logs in S3, against a server in this process and a proxy that breaks what it says.

mod joined;
mod listing;
mod reading;

use std::io::Read;

use flowcheck::aws::{Aws, AwsOptions, Stop};
use flowcheck::net::Timestamp;
use flowcheck::source::Object;
use flowcheck::source::s3::{Patience, S3, S3Limits, S3Listing, S3Location, Wanted};

use crate::proxy::Proxy;

const BUCKET: &str = "flow-logs";

/// Limits in which nothing here has to wait.
const WIDE: S3Limits = S3Limits { in_flight: 16, buffered_bytes: 64 * 1024 * 1024 };

/// Waits hardly at all between attempts, and long for what is only slow.
const QUICK: Patience = Patience {
    first_backoff: std::time::Duration::from_millis(1),
    stalled_after: std::time::Duration::from_mins(1),
};

fn connect(proxy: &Proxy, stop: &Stop) -> Aws {
    let options = AwsOptions {
        endpoint_url: Some(proxy.url()),
        regions: vec!["eu-west-1".to_owned()],
        no_sign_request: true,
        ..AwsOptions::default()
    };
    Aws::connect(&options, stop).expect("a connection")
}

fn s3(proxy: &Proxy) -> S3 {
    S3::with_patience(&connect(proxy, &Stop::default()), WIDE, QUICK)
}

fn location(prefix: &str) -> S3Location {
    S3Location::parse(&format!("s3://{BUCKET}/{prefix}")).expect("a location")
}

fn list(s3: &S3, prefix: &str) -> S3Listing {
    s3.list(&location(prefix), &Wanted::default()).expect("a listing")
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// The keys of a listing.
fn keys(listing: &S3Listing) -> Vec<String> {
    let bucket = format!("s3://{BUCKET}/");
    listing
        .objects
        .iter()
        .map(|object| object.name.strip_prefix(&bucket).expect("a name").to_owned())
        .collect()
}

fn read(object: &Object) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    object.open()?.read_to_end(&mut content)?;
    Ok(content)
}

/// Bytes that are different everywhere, so that none can be lost, doubled or swapped unnoticed.
fn content(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}
