//! What is drawn on a terminal while a run goes on, and that it is gone when the result is there.

use std::process::{Command, Stdio};

use crate::live_s3::{Live, SINCE};
use crate::proxy::Fault;

const ERASE: &str = "\x1b[J";

/// Everything that a terminal was sent by this run, and its exit code.
fn on_a_terminal(live: &Live, arguments: &[&str]) -> (Option<i32>, String) {
    let inner = live.command(arguments);
    let words = std::iter::once(inner.get_program()).chain(inner.get_args());
    let quoted: Vec<String> = words.map(|word| format!("'{}'", word.to_str().expect("UTF-8"))).collect();
    let mut script = Command::new("script");
    script.args(["-qec", &quoted.join(" "), "/dev/null"]).env_clear().env("PATH", "/usr/bin:/bin");
    script.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    script.env("SHELL", "/bin/sh").env("TERM", "xterm").current_dir(crate::run::repository());
    let output = script.stdin(Stdio::null()).output().expect("script runs");
    (output.status.code(), String::from_utf8(output.stdout).expect("UTF-8"))
}

#[test]
fn what_is_drawn_is_erased_before_the_result() {
    let live = Live::start(|request| if request.is_download() { Fault::Trickle(64) } else { Fault::None });
    let (code, seen) = on_a_terminal(&live, &["s3://flow-logs", SINCE[0], SINCE[1]]);
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.starts_with("listing s3://flow-logs"), "{seen}");
    let (_, result) = seen.rsplit_once(ERASE).expect("erased");
    assert!(result.contains("flowcheck") && result.contains("ingress"), "{seen}");
    assert!(!result.contains("inputs") && !result.contains("found so far"), "{seen}");
    // Each drawing begins by erasing the one before.
    let inputs = format!("of {} inputs", crate::live_s3::sample_objects().len());
    let drawn = seen.matches(&inputs).count() + seen.matches("listing").count();
    assert!(drawn > 1, "{seen}");
    assert!(seen.matches(ERASE).count() >= drawn, "{seen}");
}

#[test]
fn what_is_drawn_is_erased_before_an_error() {
    let live = Live::start(|_| Fault::None);
    let (code, seen) = on_a_terminal(&live, &["s3://flow-log"]);
    assert_eq!(code, Some(2), "{seen}");
    let (before, error) = seen.rsplit_once(ERASE).expect("erased");
    assert_eq!(before, "listing s3://flow-log\r");
    assert!(error.starts_with("error: s3://flow-log/: does not exist\r\nhint: "), "{seen}");
}

#[test]
fn nothing_is_drawn_where_it_is_not_wanted_or_not_seen() {
    let live = Live::start(|_| Fault::None);
    for option in ["--no-progress", "-q"] {
        let (code, seen) = on_a_terminal(&live, &["s3://flow-logs", option, SINCE[0], SINCE[1]]);
        assert_eq!(code, Some(0), "{seen}");
        assert!(
            !seen.contains(ERASE) && !seen.contains("listing") && seen.starts_with('\x1b'),
            "{option}: {seen}"
        );
    }
    let piped = live.run(&["s3://flow-logs", SINCE[0], SINCE[1]]);
    piped.expect(0, &[]);
    assert_eq!(piped.stderr, "");
}
