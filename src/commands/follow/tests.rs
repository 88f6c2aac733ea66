//! What is told once, whatever the rounds read again.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const WINDOW: i64 = 300;

fn row(finding: &str, port: u16, first: i64, last: i64) -> Row {
    Row {
        cause: "nacl_default",
        confidence: "proven",
        network_acl_id: None,
        direction: None,
        rule_number: None,
        interface_id: Some("eni-1".to_owned()),
        subnet_id: None,
        vpc_id: None,
        protocol: 6,
        srcaddr: "192.0.2.1".to_owned(),
        srcport: 443,
        dstaddr: "10.0.0.1".to_owned(),
        dstport: port,
        first_rejected: Timestamp(first),
        last_rejected: Timestamp(last),
        rejected_packets: None,
        rejected_bytes: None,
        request_first: None,
        request_last: None,
        request_packets: None,
        request_bytes: None,
        detail: None,
        finding_id: finding.to_owned(),
    }
}

/// New conversations and the total of each finding that has any.
fn taken(told: &mut Told, rows: &[Row]) -> Vec<(String, u64, u64)> {
    let findings = ["a", "b"];
    let news = told.take_in(&findings, rows);
    assert!(news.iter().all(|news| news.new == news.rows.len() as u64));
    news.iter().map(|news| (findings[news.finding].to_owned(), news.new, news.total)).collect()
}

#[test]
fn two_conversations_of_the_same_ports_are_told_once_each_however_often_they_are_read() {
    let rows = [row("a", 40_000, 0, 10), row("a", 40_000, 2000, 2010)];
    let mut told = Told::new(WINDOW);
    assert_eq!(taken(&mut told, &rows), [("a".to_owned(), 2, 2)]);
    assert_eq!(taken(&mut told, &rows), []);
    assert_eq!(taken(&mut told, &rows), []);
}

#[test]
fn what_is_delivered_late_is_told_though_something_younger_was() {
    let mut told = Told::new(WINDOW);
    assert_eq!(taken(&mut told, &[row("a", 40_000, 2000, 2010)]), [("a".to_owned(), 1, 1)]);
    let both = [row("a", 40_000, 0, 10), row("a", 40_000, 2000, 2010)];
    assert_eq!(taken(&mut told, &both), [("a".to_owned(), 1, 2)]);
}

#[test]
fn a_conversation_that_goes_on_is_not_another_one_and_two_causes_are_two() {
    let mut told = Told::new(WINDOW);
    taken(&mut told, &[row("a", 40_000, 0, 10)]);
    assert_eq!(taken(&mut told, &[row("a", 40_000, 310, 320)]), [], "within the match window");
    // Long enough that nothing but its end is read again.
    told.forget_before(Timestamp(321));
    assert_eq!(
        taken(&mut told, &[row("a", 40_000, 600, 610), row("b", 40_000, 600, 610)]),
        [("b".to_owned(), 1, 1)]
    );
    assert_eq!(taken(&mut told, &[row("a", 40_000, 911, 920)]), [("a".to_owned(), 1, 2)], "after a silence");
}

#[test]
fn rows_that_look_alike_in_one_round_are_conversations_apart() {
    // Pods behind one interface, told apart by packet-level addresses that rows do not have.
    let mut told = Told::new(WINDOW);
    let rows = [row("a", 40_000, 0, 10), row("a", 40_000, 5, 20)];
    assert_eq!(taken(&mut told, &rows), [("a".to_owned(), 2, 2)]);
    assert_eq!(taken(&mut told, &rows), []);
}

#[test]
fn what_is_past_is_forgotten() {
    let mut told = Told::new(WINDOW);
    let rows: Vec<_> =
        (0..100).map(|n| row("a", 40_000 + n, i64::from(n) * 100, i64::from(n) * 100)).collect();
    taken(&mut told, &rows);
    told.forget_before(Timestamp(9_000));
    let kept: usize = told.findings["a"].conversations.values().map(Vec::len).sum();
    assert_eq!((kept, told.findings["a"].total), (13, 100));
}

#[test]
fn counts_and_object_names_do_not_make_a_warning_new() {
    let name = |hash| format!("s3://b/AWSLogs/1_vpcflowlogs_eu-west-1_fl-1_20261120T1400Z_{hash}.log.gz");
    let same = |a: &str, b: &str| gist(a) == gist(b);
    assert!(same("12 were read and left out", "1300 were read and left out"));
    assert!(same("counted apart (12): they", "counted apart (7): they"));
    assert!(same(&format!("no x field in {}: y", name("aa")), &format!("no x field in {}: y", name("bb"))));
    assert!(!same("acl-1 is not in the configuration", "acl-2 is not in the configuration"));
    assert!(!same("s3://a holds no flow log object", "s3://b holds no flow log object"));
}

/// Rejects as `(finding, port, time)`, and the conversations that a reader of all of them sees.
fn joined(rejects: &[(usize, u16, i64)]) -> Vec<Row> {
    let mut rejects = rejects.to_vec();
    rejects.sort_unstable();
    let mut rows: Vec<Row> = Vec::new();
    for (finding, port, at) in rejects {
        let id = ["a", "b"][finding];
        match rows.last_mut() {
            Some(row)
                if row.finding_id == id && row.dstport == port && at - row.last_rejected.0 <= WINDOW =>
            {
                row.last_rejected = Timestamp(at);
            }
            _ => rows.push(row(id, port, at, at)),
        }
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn each_conversation_is_told_exactly_once_however_it_is_spread_over_rounds(
        rejects in vec((0..2_usize, 40_000..40_003_u16, 0..6000_i64), 1..60), rounds in vec(0..7000_i64, 1..8),
        overlap in 0..2000_i64,
    ) {
        let mut rounds = rounds;
        rounds.sort_unstable();
        rounds.push(7000);
        let mut told = Told::new(WINDOW);
        let (mut totals, mut rows_told, mut from) = ([0, 0], 0, 0);
        for until in rounds {
            // A round reads what is there by then, back to `from`.
            let read: Vec<_> = rejects.iter().copied().filter(|(_, _, at)| (from..until).contains(at)).collect();
            for news in told.take_in(&["a", "b"], &joined(&read)) {
                totals[news.finding] += news.new;
                rows_told += news.rows.len();
                prop_assert_eq!(totals[news.finding], news.total);
            }
            from = until - overlap;
            told.forget_before(Timestamp(from));
        }
        let whole = joined(&rejects);
        for (finding, id) in ["a", "b"].into_iter().enumerate() {
            let expected = whole.iter().filter(|row| row.finding_id == id).count();
            prop_assert_eq!(totals[finding], expected as u64);
        }
        prop_assert_eq!(rows_told, whole.len());
    }

    #[test]
    fn none_is_left_untold_in_whatever_order_it_arrives(
        rejects in vec((0..2_usize, 40_000..40_003_u16, 0..6000_i64, 0..5_usize), 1..60),
    ) {
        let mut told = Told::new(WINDOW);
        let (mut times, mut total) = (Vec::new(), 0);
        for round in 0..5 {
            let there: Vec<_> =
                rejects.iter().filter(|reject| reject.3 <= round).map(|reject| (reject.0, reject.1, reject.2)).collect();
            let rows = joined(&there);
            for news in told.take_in(&["a", "b"], &rows) {
                total += news.rows.len();
                times.extend(news.rows.iter().map(|at| rows[*at].clone()));
            }
            // All rounds read everything: told again is nothing.
            prop_assert_eq!(told.take_in(&["a", "b"], &rows), vec![]);
        }
        let whole = joined(&rejects.iter().map(|reject| (reject.0, reject.1, reject.2)).collect::<Vec<_>>());
        // One that was told in parts before a late reject joined them was told for each part.
        prop_assert!(total >= whole.len());
        for row in &whole {
            let is_told = times.iter().any(|told| {
                let is_of_it = told.finding_id == row.finding_id && told.dstport == row.dstport;
                is_of_it && (row.first_rejected..=row.last_rejected).contains(&told.first_rejected)
            });
            prop_assert!(is_told);
        }
    }
}
