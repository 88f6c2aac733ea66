//! Which objects a location stands for, and which lists that takes.

use flowcheck::aws::Stop;
use flowcheck::source::s3::{FlowLogDelivery, S3, S3Location, Wanted};

use super::{BUCKET, at, keys, list, location, s3};
use crate::proxy::{Answer, Fault, Proxy, Request};
use crate::s3_server::S3Server;

const ACCOUNT: &str = "111122223333";
const REGION: &str = "eu-west-1";

/// The object of five minutes, by its whole key.
fn key(trunk: &str, folder: &str, flow_log: &str, time: &str) -> String {
    format!("{trunk}{folder}/{ACCOUNT}_vpcflowlogs_{REGION}_{flow_log}_{time}Z_0a1b2c3d.log.gz")
}

/// A layout that AWS writes: what it is called, the folders above the date, and those of a date and hour.
type Layout = (&'static str, String, fn(&str, &str) -> String);

fn layouts() -> Vec<Layout> {
    let plain = |day: &str, _: &str| day.replace('-', "/");
    let hourly = |day: &str, hour: &str| format!("{}/{hour}", day.replace('-', "/"));
    let hive = |day: &str, _: &str| {
        let mut parts = day.split('-');
        let mut part = || parts.next().expect("a date");
        format!("year={}/month={}/day={}", part(), part(), part())
    };
    let hive_hourly = |day: &str, hour: &str| {
        let mut parts = day.split('-');
        let mut part = || parts.next().expect("a date");
        format!("year={}/month={}/day={}/hour={hour}", part(), part(), part())
    };
    let hive_trunk = format!("AWSLogs/aws-account-id={ACCOUNT}/aws-service=vpcflowlogs/aws-region={REGION}/");
    vec![
        ("plain", format!("AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/"), plain),
        ("hourly", format!("AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/"), hourly),
        ("organisation", format!("AWSLogs/o-abc123/{ACCOUNT}/vpcflowlogs/{REGION}/"), plain),
        ("own prefix", format!("network/prod/AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/"), hourly),
        ("hive", hive_trunk.clone(), hive),
        ("hive hourly", hive_trunk.clone(), hive_hourly),
        ("hive, transit gateway guide", hive_trunk.replace("aws-service=", "service="), hive),
    ]
}

/// 10:00 to 10:30 on 20 November.
fn half_an_hour() -> Wanted {
    Wanted {
        earliest: Some(at("2026-11-20T10:00:00Z")),
        latest: Some(at("2026-11-20T10:30:00Z")),
        flow_log: None,
    }
}

/// Times of objects: (day, hour, time in the name), and whether half an hour from 10:00 wants them.
const TIMES: [(&str, &str, &str, bool); 10] = [
    ("2025-11-20", "10", "20251120T1010", false),
    ("2026-10-20", "10", "20261020T1010", false),
    ("2026-11-19", "23", "20261119T2355", false),
    ("2026-11-20", "00", "20261120T0000", false),
    ("2026-11-20", "09", "20261120T0950", false),
    // Records that end at 09:59:59, with a clock up to a minute off.
    ("2026-11-20", "09", "20261120T0955", true),
    ("2026-11-20", "10", "20261120T1025", true),
    // Records that end at 10:40 may have started at 10:29.
    ("2026-11-20", "10", "20261120T1040", true),
    ("2026-11-20", "10", "20261120T1045", false),
    ("2026-11-21", "00", "20261121T0000", false),
];

/// What each request for a list asked for.
fn prefixes_listed(proxy: &Proxy) -> Vec<String> {
    let lists =
        |request: &Request| request.query("list-type").map(|_| request.query("prefix").unwrap_or_default());
    proxy.requests().iter().filter_map(lists).collect()
}

/// Every way to stop above the dates: nothing, each folder with and without its `/`, half a name.
fn depths(trunk: &str) -> Vec<String> {
    let mut depths = vec![String::new(), trunk[..trunk.len() - 3].to_owned()];
    for (at, _) in trunk.match_indices('/') {
        depths.extend([trunk[..at].to_owned(), trunk[..=at].to_owned()]);
    }
    depths
}

#[test]
fn every_layout_from_every_depth_gives_the_objects_of_the_window_from_the_folders_that_can_hold_it() {
    for (name, trunk, folder) in layouts() {
        let server = S3Server::start(&[BUCKET]);
        let proxy = Proxy::start(server.address, |_| Fault::None);
        let mut expected = Vec::new();
        for (day, hour, time, wanted) in TIMES {
            let key = key(&trunk, &folder(day, hour), "fl-1", time);
            server.put(BUCKET, &key, b"x");
            if wanted {
                expected.push(key);
            }
        }
        for other in [
            "CloudTrail/eu-west-1/2026/11/20/a.json.gz",
            "elasticloadbalancing/eu-west-1/2026/11/20/b.log.gz",
        ] {
            server.put(BUCKET, &format!("AWSLogs/{ACCOUNT}/{other}"), b"x");
        }
        for depth in depths(&trunk) {
            let before = prefixes_listed(&proxy).len();
            let listing = s3(&proxy).list(&location(&depth), &half_an_hour()).expect("a listing");
            assert_eq!(keys(&listing), expected, "{name} from `{depth}`");
            assert!(
                listing.passed_over.is_empty() && listing.unreadable.is_empty() && listing.notes.is_empty()
            );
            let lists = &prefixes_listed(&proxy)[before..];
            let bad = |asked: &&String| {
                // By day: one folder. By hour: the two that the window touches.
                let other_time =
                    ["2025", "/10/20", "month=10", "11/19", "day=19", "11/21", "day=21", "20/00", "hour=00"];
                asked.contains("CloudTrail")
                    || asked.contains("elastic")
                    || other_time.iter().any(|part| asked.contains(part))
            };
            assert_eq!(lists.iter().find(bad), None, "{name} from `{depth}` lists too much: {lists:#?}");
        }
    }
}

#[test]
fn a_window_over_midnight_and_new_year_takes_both_sides() {
    let server = S3Server::start(&[BUCKET]);
    let proxy = Proxy::start(server.address, |_| Fault::None);
    let trunk = format!("AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/");
    let both = [
        key(&trunk, "2026/12/31/23", "fl-1", "20261231T2355"),
        key(&trunk, "2027/01/01/00", "fl-1", "20270101T0000"),
    ];
    for key in &both {
        server.put(BUCKET, key, b"x");
    }
    let wanted = Wanted {
        earliest: Some(at("2026-12-31T23:58:00Z")),
        latest: Some(at("2026-12-31T23:59:00Z")),
        flow_log: None,
    };
    assert_eq!(keys(&s3(&proxy).list(&location(""), &wanted).expect("a listing")), both);
}

#[test]
fn a_known_flow_log_is_listed_alone_and_at_once() {
    for (name, trunk, folder) in layouts() {
        let (hive, hourly) = (trunk.contains("aws-account-id"), folder("2026-11-20", "10").contains("10"));
        if name == "organisation" {
            continue;
        }
        let server = S3Server::start(&[BUCKET]);
        let proxy = Proxy::start(server.address, |_| Fault::None);
        let mut expected = Vec::new();
        for (day, hour, time, wanted) in TIMES {
            let own = key(&trunk, &folder(day, hour), "fl-1", time);
            server.put(BUCKET, &own, b"x");
            server.put(BUCKET, &key(&trunk, &folder(day, hour), "fl-2", time), b"x");
            if wanted {
                expected.push(own);
            }
        }
        let flow_log = |account_id: Option<&str>| FlowLogDelivery {
            account_id: account_id.map(str::to_owned),
            region: REGION.to_owned(),
            flow_log_id: "fl-1".to_owned(),
            hive_compatible_partitions: hive,
            per_hour_partition: hourly,
        };
        let (prefix, _) = trunk.split_once("AWSLogs").expect("a trunk");
        let known = Wanted { flow_log: Some(flow_log(Some(ACCOUNT))), ..half_an_hour() };
        assert_eq!(keys(&s3(&proxy).list(&location(prefix), &known).expect("a listing")), expected, "{name}");
        let lists = prefixes_listed(&proxy);
        assert!(lists.iter().all(|asked| asked.ends_with("_fl-1_20261120T")), "{name}: {lists:#?}");
        assert_eq!(lists.len(), if hourly { 2 } else { 1 } * if hive { 2 } else { 1 }, "{name}: {lists:#?}");

        let unknown = Wanted { flow_log: Some(flow_log(None)), ..half_an_hour() };
        assert_eq!(
            keys(&s3(&proxy).list(&location(prefix), &unknown).expect("a listing")),
            expected,
            "{name}"
        );
        let lists = prefixes_listed(&proxy);
        assert!(lists.iter().all(|asked| !asked.contains("fl-2")), "{name}: {lists:#?}");
        // Without bounds it is walked, and still only this flow log's.
        let always = Wanted { flow_log: Some(flow_log(Some(ACCOUNT))), ..Wanted::default() };
        let all = keys(&s3(&proxy).list(&location(prefix), &always).expect("a listing"));
        assert_eq!(all.len(), TIMES.len(), "{name}: {all:#?}");
        assert!(all.iter().all(|key| key.contains("_fl-1_")), "{name}: {all:#?}");
    }
}

#[test]
fn all_pages_are_read() {
    let server = S3Server::start(&[BUCKET]);
    let proxy = Proxy::start(server.address, |_| Fault::None);
    let trunk = format!("AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/");
    for number in 0..2100 {
        let name = format!("{ACCOUNT}_vpcflowlogs_{REGION}_fl-1_20261120T1010Z_{number:08x}.log.gz");
        server.put(BUCKET, &format!("{trunk}2026/11/20/{name}"), b"x");
    }
    let listing = s3(&proxy).list(&location(&trunk), &half_an_hour()).expect("a listing");
    assert_eq!(listing.objects.len(), 2100);
    let day = format!("{trunk}2026/11/20/");
    assert_eq!(prefixes_listed(&proxy).iter().filter(|asked| **asked == day).count(), 3);
}

#[test]
fn a_location_is_an_object_or_a_folder_or_else_the_beginning_of_names() {
    let server = S3Server::start(&[BUCKET]);
    let proxy = Proxy::start(server.address, |_| Fault::None);
    for key in [
        "logs/a.log",
        "logs-old/b.log",
        "logs.gz",
        "export",
        "export/c.log",
        "x/.hidden.log",
        "x/d.json",
        "x/e.log.1",
    ] {
        // Where an object and a folder have one name the server cannot hold both.
        if key != "export" {
            server.put(BUCKET, key, b"x");
        }
    }
    let s3 = || s3(&proxy);
    assert_eq!(keys(&list(&s3(), "logs")), ["logs/a.log"]);
    assert_eq!(keys(&list(&s3(), "logs.gz")), ["logs.gz"]);
    assert_eq!(keys(&list(&s3(), "log")), ["logs-old/b.log", "logs.gz", "logs/a.log"]);
    assert_eq!(keys(&list(&s3(), "logs/a")), ["logs/a.log"]);
    // What is named is read whatever its name; what is found is not.
    assert_eq!(keys(&list(&s3(), "x/d.json")), ["x/d.json"]);
    let found = list(&s3(), "x/");
    assert_eq!((keys(&found), found.passed_over), (vec![], vec![format!("s3://{BUCKET}/x/e.log.1")]));
    let error = s3().list(&location("logz"), &Wanted::default()).expect_err("nothing there");
    assert_eq!(error.to_string(), format!("s3://{BUCKET}/logz: does not exist"));
    let nowhere = S3Location::parse("s3://no-such-bucket").expect("a location");
    let error = s3().list(&nowhere, &Wanted::default()).expect_err("nothing there");
    assert!(error.to_string().contains("does not exist"), "{error}");
}

#[test]
fn an_object_of_another_name_is_left_out_only_when_it_was_last_modified_before_the_window() {
    let server = S3Server::start(&[BUCKET]);
    let proxy = Proxy::start(server.address, |_| Fault::None);
    server.put(BUCKET, "export/one.log", b"x");
    let modified = std::fs::metadata(server.path(BUCKET, "export/one.log")).and_then(|it| it.modified());
    let modified = modified.expect("a time").duration_since(std::time::UNIX_EPOCH).expect("a time").as_secs();
    let modified = flowcheck::net::Timestamp(i64::try_from(modified).expect("a time"));
    let count =
        |wanted: Wanted| s3(&proxy).list(&location("export/"), &wanted).expect("a listing").objects.len();
    let from = |seconds| Wanted { earliest: Some(modified.plus_seconds(seconds)), ..Wanted::default() };
    assert_eq!((count(from(-10)), count(from(60)), count(from(62))), (1, 1, 0));
    let long_ago = Wanted { latest: Some(at("2020-01-01")), ..Wanted::default() };
    assert_eq!(count(long_ago), 1, "a file written later may hold old records");
}

#[test]
fn an_object_from_two_sources_is_given_once() {
    let server = S3Server::start(&[BUCKET]);
    let proxy = Proxy::start(server.address, |_| Fault::None);
    server.put(BUCKET, "a/1.log", b"x");
    server.put(BUCKET, "a/2.log", b"x");
    let s3 = s3(&proxy);
    assert_eq!(keys(&list(&s3, "a/1.log")), ["a/1.log"]);
    let again = list(&s3, "a/");
    assert_eq!((keys(&again), again.already_listed), (vec!["a/2.log".to_owned()], 1));
}

#[test]
fn a_folder_that_may_not_be_listed_costs_only_itself() {
    let server = S3Server::start(&[BUCKET]);
    let proxy = Proxy::start(server.address, |request| match request.query("prefix").as_deref() {
        Some("closed/") => Fault::Answer(Answer::s3_error(403, "AccessDenied", "Access Denied")),
        _ => Fault::None,
    });
    server.put(BUCKET, "closed/1.log", b"x");
    server.put(BUCKET, "open/1.log", b"x");
    let listing = list(&s3(&proxy), "");
    assert_eq!(keys(&listing), ["open/1.log"]);
    let reason = "not allowed: s3:ListBucket is missing".to_owned();
    assert_eq!(listing.unreadable, [(format!("s3://{BUCKET}/closed/"), reason)]);
    assert!(s3(&proxy).list(&location("closed/"), &Wanted::default()).expect_err("closed").is_denied());
}

#[test]
fn requester_pays_is_accepted_with_a_note_and_then_for_everything() {
    let server = S3Server::start(&[BUCKET]);
    let proxy = Proxy::start(server.address, |request| match request.header("x-amz-request-payer") {
        Some("requester") => Fault::None,
        _ => Fault::Answer(Answer::s3_error(403, "AccessDenied", "Access Denied")),
    });
    server.put(BUCKET, "a/1.log", b"content");
    let s3 = s3(&proxy);
    let listing = list(&s3, "a/");
    let note = format!("s3://{BUCKET}: requester pays: this account is charged for requests");
    assert_eq!(listing.notes, [note]);
    assert_eq!(super::read(&listing.objects[0]).expect("content"), b"content");
    assert_eq!(proxy.requests().iter().filter(|it| it.header("x-amz-request-payer").is_none()).count(), 1);
}

#[test]
fn a_bucket_in_another_region_is_followed_there() {
    let server = S3Server::start(&[BUCKET]);
    server.put(BUCKET, "a/1.log", b"content");
    // Without signatures nothing in a request names its region: what changes is that it comes again.
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let proxy = Proxy::start(server.address, move |_| {
        if asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 {
            let moved = Answer::s3_error(301, "PermanentRedirect", "The bucket is elsewhere.");
            Fault::Answer(moved.with_header("x-amz-bucket-region", "us-west-2"))
        } else {
            Fault::None
        }
    });
    assert_eq!(keys(&list(&s3(&proxy), "a/")), ["a/1.log"]);
    // A server that sends us in circles is not followed for ever.
    let proxy = Proxy::start(server.address, |_| {
        let moved = Answer::s3_error(301, "PermanentRedirect", "The bucket is elsewhere.");
        Fault::Answer(moved.with_header("x-amz-bucket-region", "us-west-2"))
    });
    let error = s3(&proxy).list(&location("a/"), &Wanted::default()).expect_err("in circles");
    assert!(error.to_string().contains("elsewhere"), "{error}");
}

#[test]
fn a_run_that_is_to_end_does_not_wait_for_a_list_that_hangs() {
    let server = S3Server::start(&[BUCKET]);
    server.put(BUCKET, "a/1.log", b"x");
    server.put(BUCKET, "b/1.log", b"x");
    let stop = Stop::default();
    let asked_to = stop.clone();
    let proxy = Proxy::start(server.address, move |request| {
        if request.query("prefix").as_deref() == Some("b/") {
            asked_to.request();
            Fault::HangAfter(0)
        } else {
            Fault::None
        }
    });
    let s3 = S3::with_patience(&super::connect(&proxy, &stop), super::WIDE, super::QUICK);
    let listing = list(&s3, "");
    assert_eq!(listing.unreadable.len(), 1, "{:?}", listing.unreadable);
    assert!(listing.unreadable[0].1.contains("the run was interrupted"), "{:?}", listing.unreadable);
}

#[test]
fn folders_are_listed_at_the_same_time() {
    let server = S3Server::start(&[BUCKET]);
    let together = std::sync::Barrier::new(3);
    let proxy = Proxy::start(server.address, move |request| {
        if request.query("prefix").is_some_and(|prefix| prefix.ends_with('/')) {
            together.wait();
        }
        Fault::None
    });
    for folder in ["a", "b", "c"] {
        server.put(BUCKET, &format!("{folder}/1.log"), b"x");
    }
    assert_eq!(keys(&list(&s3(&proxy), "")), ["a/1.log", "b/1.log", "c/1.log"]);
}

#[test]
fn a_throttled_list_is_tried_again_and_counted() {
    let server = S3Server::start(&[BUCKET]);
    server.put(BUCKET, "a/1.log", b"x");
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let proxy = Proxy::start(server.address, move |_| {
        if asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 3 {
            Fault::Answer(Answer::s3_error(503, "SlowDown", "Please reduce your request rate."))
        } else {
            Fault::None
        }
    });
    let s3: S3 = s3(&proxy);
    assert_eq!(keys(&list(&s3, "a/")), ["a/1.log"]);
    assert_eq!((s3.traffic().requests, s3.traffic().retries), (4, 3));
}

#[test]
fn a_list_that_breaks_off_is_asked_for_again_and_never_taken_for_whole() {
    let server = S3Server::start(&[BUCKET]);
    for number in 0..50 {
        server.put(BUCKET, &format!("a/{number:02}.log"), b"x");
    }
    let cuts = [0, 100, 200, 1000, 3000, 5000];
    for fault in cuts.into_iter().flat_map(|bytes| [Fault::CutAfter(bytes), Fault::Shorten(bytes)]) {
        let first = std::sync::Mutex::new(Some(fault.clone()));
        let proxy = Proxy::start(server.address, move |_| {
            first.lock().expect("the fault").take().unwrap_or(Fault::None)
        });
        match s3(&proxy).list(&location("a/"), &Wanted::default()) {
            Ok(listing) => {
                assert_eq!(listing.objects.len(), 50, "{fault:?}");
                assert!(listing.unreadable.is_empty(), "{fault:?}: {:?}", listing.unreadable);
            }
            // XML that ends inside a tag is no XML, and then that is said.
            Err(error) => assert!(error.to_string().contains("s3:ListBucket failed"), "{fault:?}: {error}"),
        }
    }
}
