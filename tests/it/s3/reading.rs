//! The bytes of objects, whatever happens to them on the way.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use flowcheck::aws::Stop;
use flowcheck::source::Object;
use flowcheck::source::s3::{Patience, S3, S3Limits};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{BUCKET, QUICK, WIDE, connect, content, list, read, s3};
use crate::proxy::{Answer, Fault, Proxy};
use crate::s3_server::S3Server;

const MIB: usize = 1024 * 1024;

/// A server with one object, `a.log`, whose downloads meet these faults one after another and then none.
fn with_faults(length: usize, faults: Vec<Fault>) -> (S3Server, Proxy, Vec<u8>) {
    let server = S3Server::start(&[BUCKET]);
    let content = content(length, 7);
    server.put(BUCKET, "a.log", &content);
    let faults = Mutex::new(VecDeque::from(faults));
    let proxy = Proxy::start(server.address, move |request| {
        if request.path().ends_with("/a.log") {
            faults.lock().expect("faults").pop_front().unwrap_or(Fault::None)
        } else {
            Fault::None
        }
    });
    (server, proxy, content)
}

fn only(s3: &S3) -> Object {
    list(s3, "").objects.pop().expect("an object")
}

/// Fails unless the read failed and said so.
#[track_caller]
fn expect_failure(read: std::io::Result<Vec<u8>>, parts: &[&str]) {
    let error = read.expect_err("a failure");
    for part in parts {
        assert!(error.to_string().contains(part), "`{error}` lacks `{part}`");
    }
}

#[test]
fn an_object_is_read_whole_prepared_or_not_and_again() {
    let (_server, proxy, content) = with_faults(3 * MIB, vec![]);
    let s3 = s3(&proxy);
    let object = only(&s3);
    assert_eq!(read(&object).expect("content"), content);
    object.prepare();
    object.prepare();
    assert_eq!(read(&object).expect("content"), content);
    assert_eq!(read(&object).expect("content"), content);
    assert_eq!((s3.traffic().retries, s3.traffic().resumed), (0, 0));
    assert_eq!(s3.traffic().requests, 4, "one list and one request a reading");
}

#[test]
fn a_body_that_breaks_off_is_continued_where_it_did() {
    for cut in [0, 1, 4095, 700_000, MIB - 1] {
        let (_server, proxy, content) = with_faults(MIB, vec![Fault::CutAfter(cut)]);
        let s3 = s3(&proxy);
        assert_eq!(read(&only(&s3)).expect("content"), content, "cut after {cut}");
        assert_eq!(s3.traffic().resumed, 1, "cut after {cut}");
        let requests = proxy.requests();
        let last = requests.last().expect("requests");
        // What had arrived is not asked for again, and nothing but the same object is accepted.
        if cut > 0 {
            assert!(last.header("range").is_some_and(|range| range.starts_with("bytes=")), "{last:?}");
            assert_ne!(last.header("range"), Some("bytes=0-"));
        }
        assert!(last.header("if-match").is_some(), "{last:?}");
    }
}

#[test]
fn slow_bodies_are_whole() {
    let (_server, proxy, content) = with_faults(200_000, vec![Fault::Trickle(997)]);
    let s3 = s3(&proxy);
    assert_eq!(read(&only(&s3)).expect("content"), content);
    assert_eq!(s3.traffic().resumed, 0);
}

#[test]
fn a_body_that_hangs_is_continued() {
    let (_server, proxy, content) = with_faults(200_000, vec![Fault::HangAfter(50_000)]);
    let patience = Patience { stalled_after: Duration::from_secs(2), ..QUICK };
    let s3 = S3::with_patience(&connect(&proxy, &Stop::default()), WIDE, patience);
    assert_eq!(read(&only(&s3)).expect("content"), content);
    assert!(s3.traffic().resumed >= 1);
}

#[test]
fn a_short_body_with_a_matching_length_is_not_taken_for_whole() {
    let (_server, proxy, content) = with_faults(200_000, vec![Fault::Shorten(150_000)]);
    let s3 = s3(&proxy);
    assert_eq!(read(&only(&s3)).expect("content"), content);
    assert_eq!(s3.traffic().resumed, 1);
    let (_server, proxy, _) = with_faults(200_000, vec![Fault::Shorten(0); 20]);
    expect_failure(read(&only(&super::s3(&proxy))), &["broke off after 0 bytes", "before the object does"]);
}

#[test]
fn an_object_that_breaks_off_for_ever_is_given_up_with_the_reason() {
    let (_server, proxy, _) = with_faults(MIB, vec![Fault::CutAfter(0); 50]);
    let s3 = s3(&proxy);
    expect_failure(read(&only(&s3)), &["broke off after 0 bytes, 5 times in a row"]);
}

#[test]
fn throttling_is_waited_out_and_for_ever_is_an_error() {
    let slow_down = Fault::Answer(Answer::s3_error(503, "SlowDown", "Please reduce your request rate."));
    let (_server, proxy, content) = with_faults(1000, vec![slow_down.clone(); 3]);
    let s3 = s3(&proxy);
    assert_eq!(read(&only(&s3)).expect("content"), content);
    assert_eq!((s3.traffic().retries, s3.traffic().resumed), (3, 0));
    let (_server, proxy, _) = with_faults(1000, vec![slow_down; 100]);
    expect_failure(read(&only(&super::s3(&proxy))), &["s3:GetObject failed", "SlowDown"]);
}

#[test]
fn what_cannot_be_read_says_why_in_one_fragment() {
    let answer = |status, code, message| vec![Fault::Answer(Answer::s3_error(status, code, message)); 10];
    let kms = "User: a is not authorized to perform: kms:Decrypt on resource: b";
    for (faults, part) in [
        (answer(403, "AccessDenied", "Access Denied"), "s3:GetObject is missing, or kms:Decrypt"),
        (answer(403, "AccessDenied", kms), "kms:Decrypt is missing"),
        (answer(403, "InvalidObjectState", "no"), "is archived"),
        (answer(400, "ExpiredToken", "The provided token has expired."), "expired"),
        (answer(404, "NoSuchKey", "no"), "does not exist any more: deleted after it was listed"),
    ] {
        let (_server, proxy, _) = with_faults(1000, faults);
        let error = read(&only(&s3(&proxy))).expect_err("refused").to_string();
        assert!(error.contains(part), "`{error}` lacks `{part}`");
        assert!(!error.contains(BUCKET) && !error.contains('\n'), "one fragment without a name: `{error}`");
    }
}

#[test]
fn a_checksum_is_held_against_what_it_is_of() {
    let wrong = Fault::Header("x-amz-checksum-crc32", "AAAAAA==");
    let (_server, proxy, _) = with_faults(200_000, vec![wrong.clone()]);
    expect_failure(read(&only(&s3(&proxy))), &["does not match the checksum"]);
    // With a part of an object some servers send the checksum of the whole.
    let (_server, proxy, content) = with_faults(200_000, vec![Fault::CutAfter(100_000), wrong]);
    assert_eq!(read(&only(&s3(&proxy))).expect("content"), content);
}

#[test]
fn prepared_objects_are_fetched_at_the_same_time_and_before_they_are_opened() {
    let server = S3Server::start(&[BUCKET]);
    for number in 0..4 {
        server.put(BUCKET, &format!("{number}.log"), &content(10_000, number));
    }
    // Each answer waits for the other requests, and for nothing else.
    let together = Barrier::new(4);
    let (sender, begun) = std::sync::mpsc::channel();
    let proxy = Proxy::start(server.address, move |request| {
        if request.is_download() {
            together.wait();
            sender.send(()).expect("the test");
        }
        Fault::None
    });
    let s3 = s3(&proxy);
    let objects = list(&s3, "").objects;
    objects.iter().for_each(Object::prepare);
    assert_eq!(begun.iter().take(4).count(), 4, "nothing was opened yet");
    for (number, object) in objects.iter().enumerate() {
        assert_eq!(read(object).expect("content"), content(10_000, number as u64));
    }
    assert_eq!(s3.traffic().requests, 5, "one list, and each object once");
}

#[test]
fn an_object_deleted_between_list_and_get_is_said_to_be() {
    let (server, proxy, _) = with_faults(1000, vec![]);
    let s3 = s3(&proxy);
    let object = only(&s3);
    std::fs::remove_file(server.path(BUCKET, "a.log")).expect("deleted");
    expect_failure(read(&object), &["deleted after it was listed"]);
}

#[test]
fn parts_of_two_objects_are_never_put_together() {
    let replaced = Answer::s3_error(412, "PreconditionFailed", "no");
    let (_server, proxy, _) = with_faults(MIB, vec![Fault::CutAfter(1000), Fault::Answer(replaced)]);
    expect_failure(read(&only(&s3(&proxy))), &["was replaced by another object while it was being read"]);
    // Also where the server does not know If-Match.
    let server = S3Server::start(&[BUCKET]);
    server.put(BUCKET, "a.log", &content(MIB, 1));
    let (path, asked) = (server.path(BUCKET, "a.log"), Mutex::new(0));
    let proxy = Proxy::start(server.address, move |request| {
        let mut asked = asked.lock().expect("count");
        *asked += usize::from(request.path().ends_with("/a.log"));
        if *asked == 2 {
            std::fs::write(&path, content(MIB, 2)).expect("replaced");
        }
        if *asked == 1 { Fault::CutAfter(1000) } else { Fault::None }
    });
    expect_failure(read(&only(&s3(&proxy))), &["was replaced by another object while it was being read"]);
}

#[test]
fn a_truncated_gzip_is_passed_on_as_it_is() {
    let server = S3Server::start(&[BUCKET]);
    let proxy = Proxy::start(server.address, |_| Fault::None);
    let mut gzip = crate::run::gzip(content(10_000, 3));
    gzip.truncate(5_000);
    server.put(BUCKET, "a.log.gz", &gzip);
    server.put(BUCKET, "empty.log", b"");
    let objects = list(&s3(&proxy), "").objects;
    assert_eq!(read(&objects[0]).expect("content"), gzip);
    assert_eq!(read(&objects[1]).expect("content"), b"");
}

#[test]
fn an_object_larger_than_the_budget_streams_through_it() {
    let (_server, proxy, content) = with_faults(24 * MIB, vec![]);
    let limits = S3Limits { in_flight: 4, buffered_bytes: 4 * MIB };
    let s3 = S3::with_patience(&connect(&proxy, &Stop::default()), limits, QUICK);
    let object = only(&s3);
    object.prepare();
    assert!(read(&object).expect("content") == content, "content differs");
    assert!(read(&object).expect("content") == content, "content differs without preparing");
    let most = s3.buffered_most();
    assert!(most <= limits.buffered_bytes, "{most} bytes held");
}

/// Prepares all in order, opens them in another order with several readers open at the same time.
fn read_out_of_order(objects: &[Object], order: &[usize], readers: usize) -> Vec<Vec<u8>> {
    objects.iter().for_each(Object::prepare);
    let mut contents = vec![Vec::new(); objects.len()];
    for group in order.chunks(readers) {
        // All are open and begun before the first is read to its end: each may hold what it has.
        let mut open: Vec<_> =
            group.iter().map(|index| (*index, objects[*index].open().expect("open"))).collect();
        for (index, reader) in &mut open {
            let mut byte = [0];
            assert_eq!(reader.read(&mut byte).expect("a byte"), 1);
            contents[*index].push(byte[0]);
        }
        for (index, mut reader) in open.into_iter().rev() {
            reader.read_to_end(&mut contents[index]).expect("content");
        }
    }
    contents
}

#[test]
fn five_hundred_objects_in_a_tiny_budget_are_read_in_any_order() {
    const OBJECTS: usize = 500;
    let server = S3Server::start(&[BUCKET]);
    let proxy = Proxy::start(server.address, |_| Fault::None);
    let expected: Vec<_> =
        (0..OBJECTS).map(|number| content(1 + (number * 7919) % 40_000, number as u64)).collect();
    for (number, content) in expected.iter().enumerate() {
        server.put(BUCKET, &format!("{number:03}.log"), content);
    }
    // A quarter is for readers out of turn: three of the largest objects at the same time.
    let limits = S3Limits { in_flight: 4, buffered_bytes: 500_000 };
    let s3 = S3::with_patience(&connect(&proxy, &Stop::default()), limits, QUICK);
    let objects = list(&s3, "").objects;
    assert_eq!(objects.len(), OBJECTS);
    let strategy = (Just((0..OBJECTS).collect::<Vec<_>>()).prop_shuffle(), 1_usize..4);
    let mut runner = TestRunner::new(Config { cases: 2, failure_persistence: None, ..Config::default() });
    let result = runner.run(&strategy, |(order, readers)| {
        prop_assert!(read_out_of_order(&objects, &order, readers) == expected);
        Ok(())
    });
    result.expect("any order");
    let most = s3.buffered_most();
    assert!(most <= limits.buffered_bytes, "{most} bytes held");
}

#[test]
fn readers_that_are_dropped_give_back_what_they_held() {
    let server = S3Server::start(&[BUCKET]);
    let proxy = Proxy::start(server.address, |_| Fault::None);
    for number in 0..20 {
        server.put(BUCKET, &format!("{number:02}.log"), &content(300_000, number));
    }
    let limits = S3Limits { in_flight: 2, buffered_bytes: 800_000 };
    let s3 = S3::with_patience(&connect(&proxy, &Stop::default()), limits, QUICK);
    let objects = list(&s3, "").objects;
    objects.iter().for_each(Object::prepare);
    for object in &objects {
        let mut reader = object.open().expect("open");
        assert_eq!(reader.read(&mut [0]).expect("a byte"), 1);
    }
    // Another pass, as after a name that lied: it begins at the front while what lies behind it was fetched before.
    objects.iter().for_each(Object::prepare);
    for (number, object) in objects.iter().enumerate() {
        assert!(read(object).expect("content") == content(300_000, number as u64));
    }
}

#[test]
fn a_run_that_is_to_end_does_not_wait_for_a_body_that_hangs() {
    let (_server, proxy, _) = with_faults(200_000, vec![Fault::HangAfter(50_000); 5]);
    let stop = Stop::default();
    let s3 = S3::with_patience(&connect(&proxy, &stop), WIDE, QUICK);
    let object = only(&s3);
    let mut reader = object.open().expect("open");
    let mut begun = vec![0; 50_000];
    reader.read_exact(&mut begun).expect("the first bytes");
    let waiting = std::thread::spawn(move || reader.read(&mut [0]).expect_err("ended early"));
    stop.request();
    assert_eq!(waiting.join().expect("the reader").kind(), ErrorKind::ConnectionAborted);
    // Nothing new is begun either.
    assert_eq!(read(&object).expect_err("ended early").kind(), ErrorKind::ConnectionAborted);
}

#[test]
fn the_connection_outlives_what_was_made_from_it() {
    let (_server, proxy, content) = with_faults(1000, vec![]);
    let object = {
        let s3 = s3(&proxy);
        only(&s3)
    };
    let object = Arc::new(object);
    assert_eq!(read(&object).expect("content"), content);
}
