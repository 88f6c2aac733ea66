//! The whole way from a bucket to the join: the same result as from the same files on disk, whatever happens on the way.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use flowcheck::aws::Stop;
use flowcheck::correlate::{Options, Selection};
use flowcheck::decode::Limits;
use flowcheck::pipeline::{ReadOptions, Reading, read};
use flowcheck::source::s3::{S3, S3Limits};
use flowcheck::source::{Object, discover};

use super::{BUCKET, QUICK, connect, list};
use crate::proxy::{Fault, Proxy};
use crate::s3_server::S3Server;

/// 2026-11-20T00:00:00Z.
const BEGIN: i64 = 1_795_132_800;

/// Requests and rejected replies whose `end` lies in the five minutes from `bucket` on.
fn records(bucket: i64) -> Vec<u8> {
    let mut text = String::from(
        "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n",
    );
    for n in 0..200 {
        let end = BEGIN + bucket * 300 + n;
        let (start, port, size) = (end - 50, 40_000 + n / 2 + bucket * 100, n % 7 + 1);
        let _ = if n % 2 == 0 {
            writeln!(text, "2 1 eni-1 10.0.0.1 192.0.2.1 {port} 443 6 {size} 60 {start} {end} ACCEPT OK")
        } else {
            writeln!(text, "2 1 eni-1 192.0.2.1 10.0.0.1 443 {port} 6 {size} 60 {start} {end} REJECT OK")
        };
    }
    crate::run::gzip(text)
}

fn join(objects: &[Object], threads: usize) -> Reading {
    let options = ReadOptions {
        threads,
        limits: Limits::default(),
        log_formats: Vec::new(),
        selection: Selection::default(),
        correlate: Options { match_window_seconds: 300, memory_limit_bytes: usize::MAX },
        gateways: std::sync::Arc::default(),
        coverage: false,
        is_last: false,
        stop: Stop::default(),
    };
    read(objects, &options, &mut |_, _| {})
}

#[test]
fn a_bucket_gives_what_the_same_files_give_through_broken_bodies_tiny_budgets_and_names_that_lie() {
    let server = S3Server::start(&[BUCKET]);
    for bucket in 0..100 {
        // One name says that its records are hours younger than they are: everything is then read once more.
        let named = if bucket == 3 { 99 } else { bucket };
        let time = format!("{:02}{:02}", named * 5 / 60, named * 5 % 60);
        let name = format!("1_vpcflowlogs_eu-west-1_fl-1_20261120T{time}Z_{bucket:08x}.log.gz");
        let folder = "AWSLogs/111122223333/vpcflowlogs/eu-west-1/2026/11/20";
        server.put(BUCKET, &format!("{folder}/{name}"), &records(bucket));
    }
    let local = discover(&[server.path(BUCKET, "").display().to_string()], &Stop::default()).expect("files");
    let expected = join(&local.objects, 2);
    assert_eq!(expected.correlated.conversations.len(), 100 * 100);
    assert!(expected.incomplete.is_empty(), "{:?}", expected.incomplete);
    for (threads, buffered_bytes) in [(1, 20_000), (4, 20_000), (4, 1 << 20)] {
        let downloads = AtomicUsize::new(0);
        let proxy = Proxy::start(server.address, move |request| {
            let begins = request.is_download() && request.header("range").is_none();
            if begins && downloads.fetch_add(1, Ordering::SeqCst).is_multiple_of(5) {
                Fault::CutAfter(700)
            } else {
                Fault::None
            }
        });
        let limits = S3Limits { in_flight: 3, buffered_bytes };
        let s3 = S3::with_patience(&connect(&proxy, &Stop::default()), limits, QUICK);
        let objects = list(&s3, "").objects;
        let joined = join(&objects, threads);
        assert!(joined.incomplete.is_empty(), "{:?}", joined.incomplete);
        assert_eq!(joined.bytes_read, expected.bytes_read);
        let conversations = |reading: &Reading| format!("{:?}", reading.correlated.conversations);
        assert!(
            conversations(&joined) == conversations(&expected),
            "{threads} threads, {buffered_bytes} bytes"
        );
        assert!(s3.traffic().resumed >= 20, "{:?}", s3.traffic());
    }
}

#[test]
fn an_object_that_cannot_be_read_costs_only_itself_and_is_named() {
    let server = S3Server::start(&[BUCKET]);
    for bucket in 0..6 {
        server.put(BUCKET, &format!("{bucket}.log.gz"), &records(bucket));
    }
    let proxy = Proxy::start(server.address, |_| Fault::None);
    let s3 = S3::with_patience(&connect(&proxy, &Stop::default()), super::WIDE, QUICK);
    let objects = list(&s3, "").objects;
    std::fs::remove_file(server.path(BUCKET, "2.log.gz")).expect("deleted");
    let joined = join(&objects, 2);
    assert_eq!(joined.correlated.conversations.len(), 5 * 100);
    let incomplete: Vec<_> = joined.incomplete.iter().collect();
    let [(name, reason)] = incomplete[..] else { panic!("{incomplete:?}") };
    assert_eq!(*name, format!("s3://{BUCKET}/2.log.gz"));
    assert!(reason.ends_with("does not exist any more: deleted after it was listed"), "{reason}");
}
