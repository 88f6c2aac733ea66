//! What happens to objects on the way, at the level of the command.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{BUCKET, Live, SINCE, expect_all_lines_counted, from_disk, sample_objects, without_requests};
use crate::proxy::{Answer, Fault, Request};

/// The object that the faults are about: its key and content.
fn victim() -> (String, Vec<u8>) {
    let mut objects = sample_objects();
    objects.swap_remove(objects.len() / 2)
}

/// This fault for the first so many downloads of one object.
fn on_one(times: usize, fault: Fault) -> impl Fn(&Request) -> Fault + Send + Sync {
    let (key, met) = (victim().0, AtomicUsize::new(0));
    move |request| {
        let is_it = request.is_download() && request.path().ends_with(&key);
        if is_it && met.fetch_add(1, Ordering::SeqCst) < times { fault.clone() } else { Fault::None }
    }
}

#[test]
fn a_bucket_gives_the_answer_of_the_same_files_on_disk() {
    let live = Live::start(|_| Fault::None);
    let result = live.json(0);
    assert_eq!(result["input"]["requests"]["repeated"], 0);
    assert_eq!(without_requests(result), without_requests(from_disk()));
}

#[test]
fn what_passes_changes_nothing_and_is_counted() {
    let slow_down = Answer::s3_error(503, "SlowDown", "Please reduce your request rate.");
    for (fault, times, repeated, resumed) in [
        (Fault::Trickle(97), 1, 0, 0),
        (Fault::CutAfter(200), 1, 0, 1),
        (Fault::Shorten(100), 1, 0, 1),
        (Fault::Answer(slow_down), 2, 2, 0),
    ] {
        let case = format!("{fault:?}");
        let live = Live::start(on_one(times, fault));
        let result = live.json(0);
        let requests = &result["input"]["requests"];
        assert_eq!(
            (&requests["repeated"], &requests["resumed"]),
            (&repeated.into(), &resumed.into()),
            "{case}"
        );
        assert_eq!(without_requests(result), without_requests(from_disk()), "{case}");
    }
}

/// Runs a bucket in which one object cannot be read: that one is named with a part of the reason, the rest counts.
fn expect_named(live: &Live, reason: &str) {
    let result = live.json(3);
    let incomplete = result["input"]["incomplete"].as_array().expect("incomplete");
    let [one] = &incomplete[..] else { panic!("{reason}: {incomplete:?}") };
    assert_eq!(one["source"], format!("s3://{BUCKET}/{}", victim().0));
    let said = one["error"].as_str().expect("an error");
    assert!(said.contains(reason), "`{said}` lacks `{reason}`");
    assert_eq!(result["summary"]["complete"], false);
    let whole = from_disk();
    assert_eq!(result["input"]["objects"], whole["input"]["objects"]);
    assert!(result["input"]["records"].as_u64() > Some(0));
    assert!(result["input"]["records"].as_u64() < whole["input"]["records"].as_u64());
    expect_all_lines_counted(&result);
}

#[test]
fn what_stays_costs_one_object_and_names_it() {
    let refused = |status, code| Fault::Answer(Answer::s3_error(status, code, "no"));
    for (fault, reason) in [
        (refused(403, "AccessDenied"), "s3:GetObject is missing"),
        (refused(400, "ExpiredToken"), "expired"),
        (refused(503, "SlowDown"), "SlowDown"),
        (refused(404, "NoSuchKey"), "deleted after it was listed"),
    ] {
        let live = Live::start(on_one(usize::MAX, fault));
        expect_named(&live, reason);
    }
    let (key, content) = victim();
    let live = Live::start(|_| Fault::None);
    live.server.put(BUCKET, &key, &content[..content.len() / 2]);
    expect_named(&live, "");
    // On a person's screen the same, and no mark that all is well.
    let text = live.run(&["s3://flow-logs", SINCE[0], SINCE[1]]);
    text.expect(3, &[]);
    assert!(text.stdout.contains(&key) && !text.stdout.contains('✓'), "{text}");
    let strict = live.run(&["s3://flow-logs", "--strict", SINCE[0], SINCE[1]]);
    strict.expect(2, &[&format!("error: s3://{BUCKET}/{key}: ")]).expect_no_output();
}

#[test]
fn an_object_that_goes_between_list_and_get_is_named() {
    let server = crate::s3_server::S3Server::start(&[BUCKET]);
    let path = server.path(BUCKET, &victim().0);
    let live = Live::of(server, move |request| {
        // Deleted once the listing is over.
        if request.is_download() {
            let _ = std::fs::remove_file(&path);
        }
        Fault::None
    })
    .with_sample();
    expect_named(&live, "deleted after it was listed");
}

#[test]
fn a_session_that_is_over_when_listing_begins_is_one_line_and_the_fix() {
    let expired = Answer::s3_error(400, "ExpiredToken", "The provided token has expired.");
    let live = Live::start(move |_| Fault::Answer(expired.clone()));
    let ended = live.run(&["s3://flow-logs"]);
    ended.expect(2, &["error: the AWS session has expired", "\nhint: "]).expect_no_output();
    assert_eq!(ended.stderr.lines().count(), 2, "{ended}");
}

#[test]
fn a_bucket_that_is_denied_names_the_permission() {
    let live = Live::start(|_| Fault::Answer(Answer::s3_error(403, "AccessDenied", "Access Denied")));
    let ended = live.run(&["s3://flow-logs"]);
    ended.expect(
        2,
        &["error: s3://flow-logs/: not allowed: s3:ListBucket is missing\nhint: docs/iam-policy.json"],
    );
    ended.expect_no_output();
}
