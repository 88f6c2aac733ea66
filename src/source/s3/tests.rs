//! The selection held against records, and finding a bucket's region.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use proptest::prelude::*;

use super::layout::{Choice, Folder, Keys, choose, folders_of};
use super::*;
use crate::aws::AwsOptions;

const ACCOUNT: &str = "111122223333";
const REGION: &str = "eu-west-1";

fn moment(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn flow_log(hive_compatible_partitions: bool, per_hour_partition: bool) -> FlowLogDelivery {
    FlowLogDelivery {
        account_id: Some(ACCOUNT.to_owned()),
        region: REGION.to_owned(),
        flow_log_id: "fl-1".to_owned(),
        hive_compatible_partitions,
        per_hour_partition,
    }
}

/// The key of an object whose records end in the five minutes from `bucket` on.
fn key(bucket: Timestamp, hive: bool, hourly: bool) -> String {
    let account = if hive { "aws-account-id=111122223333/aws-service=" } else { "111122223333/" };
    let region = if hive { "aws-region=" } else { "" };
    let date = bucket.strftime(match (hive, hourly) {
        (false, false) => "%Y/%m/%d/",
        (false, true) => "%Y/%m/%d/%H/",
        (true, false) => "year=%Y/month=%m/day=%d/",
        (true, true) => "year=%Y/month=%m/day=%d/hour=%H/",
    });
    let time = bucket.strftime("%Y%m%dT%H%MZ");
    let name = format!("{ACCOUNT}_vpcflowlogs_{REGION}_fl-1_{time}_0a1b.log.gz");
    format!("own/AWSLogs/{account}vpcflowlogs/{region}{REGION}/{date}{name}")
}

/// Whether a walk from the root comes by this key.
fn is_reached(key: &str, wanted: &Wanted) -> bool {
    let folders: Vec<_> = key.match_indices('/').map(|(at, _)| &key[..=at]).collect();
    let last = folders.last().expect("a folder");
    folders.iter().all(|folder| Folder::parse(folder).may_hold(wanted))
        && is_listed(key, &Keys::of_folder(last, wanted))
}

fn is_listed(key: &str, keys: &Keys) -> bool {
    key.starts_with(&keys.prefix)
        && keys.after.as_ref().is_none_or(|after| key > after.as_str())
        && keys.before.as_ref().is_none_or(|before| key < before.as_str())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// The oracle knows records, not names: an object that holds a useful one must be found, in every layout, by a
    /// walk and by names made up; one whose times are all out of reach must not be read.
    #[test]
    fn what_holds_a_useful_record_is_found(
        bucket in 0..4 * 288_i64,
        end_after in -60..360_i64,
        lasted in 0..=660_i64,
        earliest in proptest::option::of(-90_000..400_000_i64),
        length in proptest::option::of(1..200_000_i64),
        (hive, hourly, known) in any::<(bool, bool, bool)>(),
    ) {
        // Four days around a new year.
        let origin = moment("2026-12-30T00:00:00Z");
        let bucket = origin.plus_seconds(bucket * 300);
        let (end, start) = (bucket.plus_seconds(end_after), bucket.plus_seconds(end_after - lasted));
        let earliest = earliest.map(|seconds| origin.plus_seconds(seconds));
        let latest = length.map(|length| earliest.unwrap_or(origin).plus_seconds(length));
        let flow_log = known.then(|| flow_log(hive, hourly));
        let wanted = Wanted { earliest, latest, flow_log: flow_log.clone() };
        let key = key(bucket, hive, hourly);

        let useful = earliest.is_none_or(|earliest| end >= earliest) && latest.is_none_or(|latest| start < latest);
        let choice = choose(&key, None, &wanted);
        if useful {
            let Choice::Read { earliest_start: Some(earliest_start) } = choice else {
                return Err(TestCaseError::fail(format!("{key} is left out: {choice:?}")));
            };
            prop_assert!(earliest_start <= start);
            prop_assert!(is_reached(&key, &wanted), "{key} is not come by");
            if let Some(flow_log) = &flow_log {
                let made_up = folders_of("own", flow_log, &wanted);
                let listed = made_up.iter().any(|folder| {
                    // Without bounds it is walked from there, which the lines above cover.
                    key.starts_with(folder) && is_listed(&key, &Keys::of_folder(folder, &wanted))
                });
                prop_assert!(listed, "{key} is in none of {made_up:?}");
            }
        }
        let too_early = earliest.is_some_and(|earliest| bucket.plus_seconds(360) < earliest);
        let too_late = latest.is_some_and(|latest| bucket.plus_seconds(-900) >= latest);
        if too_early || too_late {
            prop_assert_eq!(choice, Choice::Leave);
        }
    }
}

#[test]
fn only_what_aws_lays_out_is_pruned_by_its_name() {
    let wanted = Wanted {
        earliest: Some(moment("2026-11-20T10:00:00Z")),
        latest: Some(moment("2026-11-20T11:00:00Z")),
        flow_log: None,
    };
    let may_hold = |path: &str| Folder::parse(path).may_hold(&wanted);
    for open in [
        "2020/01/01/",
        "AWSLogs/",
        "AWSLogs/o-abc/",
        "AWSLogs/111122223333/",
        "AWSLogs/backup/CloudTrail/",
        "vpcflowlogs/team/2020/01/",
        "AWSLogs/111122223333/vpcflowlogs/eu-west-1/2026/11/20/10/more/",
        "AWSLogs/111122223333/vpcflowlogs/eu-west-1/old/",
        "AWSLogs/111122223333/vpcflowlogs/eu-west-1/2026/13/",
        "copy/vpcflowlogs/eu-west-1/2026/11/20/",
    ] {
        assert!(may_hold(open), "{open}");
    }
    for closed in [
        "AWSLogs/111122223333/CloudTrail/",
        "AWSLogs/o-abc/111122223333/elasticloadbalancing/eu-west-1/",
        "AWSLogs/aws-account-id=111122223333/aws-service=other/",
        "AWSLogs/111122223333/vpcflowlogs/eu-west-1/2025/",
        "AWSLogs/111122223333/vpcflowlogs/eu-west-1/2026/12/",
        "AWSLogs/111122223333/vpcflowlogs/us-gov-east-1/2026/11/20/12/",
        "AWSLogs/aws-account-id=1/service=vpcflowlogs/aws-region=eu-west-1/year=2026/month=11/day=20/hour=08/",
        "copy/vpcflowlogs/us-gov-east-1/2026/11/19/",
    ] {
        assert!(!may_hold(closed), "{closed}");
    }
}

#[test]
fn locations_row_by_row() {
    let parse = |text: &str| S3Location::parse(text).map(|it| (it.bucket, it.prefix)).ok();
    let parts = |bucket: &str, prefix: &str| Some((bucket.to_owned(), prefix.to_owned()));
    assert_eq!(parse("s3://b"), parts("b", ""));
    assert_eq!(parse("s3://b/"), parts("b", ""));
    assert_eq!(parse("s3://b/a/b c/"), parts("b", "a/b c/"));
    let access_point = "arn:aws:s3:us-west-2:111122223333:accesspoint/logs";
    assert_eq!(parse(&format!("s3://{access_point}")), parts(access_point, ""));
    assert_eq!(parse(&format!("s3://{access_point}/AWSLogs/")), parts(access_point, "AWSLogs/"));
    for wrong in ["s3://", "s3:///a", "s3:b", "b/a", "s3://a b"] {
        assert_eq!(parse(wrong), None, "{wrong}");
    }
    assert_eq!(S3Location::parse("s3://b/a/").expect("a location").to_string(), "s3://b/a/");
}

/// A server that answers everything with this, and says what it was asked.
fn stub(answer: &'static str) -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (sender, asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut lines = BufReader::new(&stream).lines().map(|line| line.expect("a line"));
            let first = lines.next().unwrap_or_default();
            lines.find(String::is_empty);
            let _ = sender.send(first);
            stream.write_all(answer.as_bytes()).expect("answered");
        }
    });
    (url, asked)
}

#[test]
fn a_bucket_is_asked_for_in_its_own_region_whatever_the_answer_says_besides() {
    for status in ["200 OK", "301 Moved Permanently", "400 Bad Request", "403 Forbidden"] {
        let head = format!(
            "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\nx-amz-bucket-region: ap-south-1\r\n\r\n"
        );
        let (url, asked) = stub(head.leak());
        let s3 = s3_of_aws(&url);
        let bucket = s3.inner.aws.block_on(s3.inner.buckets.find("logs"));
        assert_eq!(bucket.client.config().region().map(AsRef::as_ref), Some("ap-south-1"), "{status}");
        assert!(asked.recv().is_ok_and(|line| line.starts_with("HEAD /logs")), "{status}");
    }
    // An access point says where it is; nothing is asked.
    let (url, asked) = stub("HTTP/1.1 500 x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    let s3 = s3_of_aws(&url);
    let name = "arn:aws:s3:us-west-2:111122223333:accesspoint/logs";
    let bucket = s3.inner.aws.block_on(s3.inner.buckets.find(name));
    assert_eq!(bucket.client.config().region().map(AsRef::as_ref), Some("us-west-2"));
    assert!(asked.try_recv().is_err());
}

#[test]
fn the_region_is_also_read_from_the_body_of_a_refusal() {
    const BODY: &str = "<?xml version=\"1.0\"?><Error><Code>AuthorizationHeaderMalformed</Code><Message>wrong</Message><Region>eu-north-1</Region></Error>";
    let answer =
        format!("HTTP/1.1 400 x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{BODY}", BODY.len());
    let (url, _asked) = stub(answer.leak());
    let s3 = s3_of_aws(&url);
    let client = s3.inner.aws.block_on(s3.inner.buckets.find("logs")).client.clone();
    let error = s3.inner.aws.block_on(client.list_objects_v2().bucket("logs").send()).expect_err("refused");
    assert!(bucket::is_misdirected(&error));
    assert_eq!(bucket::named_region(&error).as_deref(), Some("eu-north-1"));
}

/// As against AWS itself, though it is elsewhere.
fn s3_of_aws(url: &str) -> S3 {
    let options = AwsOptions {
        endpoint_url: Some(url.to_owned()),
        regions: vec![REGION.to_owned()],
        no_sign_request: true,
        ..AwsOptions::default()
    };
    let aws = Aws::connect(&options, &Stop::default()).expect("a connection");
    let patience =
        Patience { first_backoff: Duration::from_millis(1), stalled_after: Duration::from_mins(1) };
    S3::at(&aws, S3Limits::for_cores(2, 1 << 30), patience, false)
}

#[test]
fn limits_follow_the_machine_within_bounds() {
    const MIB: usize = 1 << 20;
    let limits = |cores, memory| {
        let limits = S3Limits::for_cores(cores, memory);
        (limits.in_flight, limits.buffered_bytes)
    };
    assert_eq!(limits(1, 64 * MIB), (16, 16 * MIB));
    assert_eq!(limits(4, 512 * MIB), (32, 64 * MIB));
    assert_eq!(limits(96, 64 << 30), (64, 128 * MIB));
}
