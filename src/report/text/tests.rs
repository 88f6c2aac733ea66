//! What the text format prints: whole, at every width, with and without colours.

use insta::assert_snapshot;
use unicode_width::UnicodeWidthStr;

use super::super::sample;
use super::super::view::InputSummary;
use super::*;

fn printed(diagnosis: &Diagnosis, style: TextStyle) -> String {
    let mut out = Vec::new();
    write_text(diagnosis, &style, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn wide(width: usize) -> TextStyle {
    TextStyle { width, ..TextStyle::default() }
}

#[test]
fn an_incident_at_a_glance() {
    assert_snapshot!(printed(&sample::incident(), wide(100)), @"");
}

#[test]
fn a_narrow_terminal_breaks_between_ids() {
    let text = printed(&sample::incident(), TextStyle { width: 60, verbose: true, ..TextStyle::default() });
    assert_snapshot!(text, @"");
}

#[test]
fn nothing_found_says_what_was_looked_at() {
    assert_snapshot!(printed(&sample::healthy(), wide(100)), @"");
    assert_snapshot!(printed(&sample::empty(), wide(100)), @"");
    let mut blind = sample::healthy();
    blind.network_config.network_acls = 0;
    blind.summary.complete = false;
    blind.input = InputSummary { accepted: 0, records: 42, skip_data: 2, filtered: 9, ..blind.input };
    assert_snapshot!(printed(&blind, wide(100)), @"");
}

#[test]
fn only_replies_that_the_acl_let_through() {
    let mut diagnosis = sample::incident();
    diagnosis.findings.retain(|finding| finding.cause == "not_nacl");
    let text = printed(&diagnosis, wide(100));
    assert!(
        text.contains("\n✓ No network ACL rule dropped return traffic here.\nnot the network ACL\n"),
        "{text}"
    );
    assert!(!text.contains('✗'), "{text}");
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for width in [60, 72, 80, 100, 120, 160] {
        for verbose in [false, true] {
            for diagnosis in [sample::incident(), sample::healthy(), sample::empty()] {
                for line in printed(&diagnosis, TextStyle { verbose, ..wide(width) }).lines() {
                    assert!(line.width() <= width, "{} > {width}: {line}", line.width());
                    assert_eq!(line, line.trim_end());
                }
            }
        }
    }
    for line in printed(&sample::hostile(), wide(160)).lines() {
        assert!(line.width() <= 160, "{line}");
    }
}

#[test]
fn ids_stay_whole_on_the_narrowest_terminal() {
    let diagnosis = sample::incident();
    let text = printed(&diagnosis, TextStyle { verbose: true, ..wide(0) });
    for finding in &diagnosis.findings {
        for id in finding.interface_ids.iter().chain(&finding.subnet_ids).chain(&finding.network_acl_id) {
            assert!(text.contains(id.as_str()), "{id}\n{text}");
        }
    }
}

#[test]
fn colours_change_nothing_but_the_look() {
    for diagnosis in [sample::incident(), sample::hostile(), sample::healthy(), sample::empty()] {
        let plain = printed(&diagnosis, wide(100));
        assert!(!plain.contains(|c: char| c.is_control() && c != '\n'), "{plain}");
        let mut colored = printed(&diagnosis, TextStyle { color: true, ..wide(100) });
        assert!(colored.contains("\x1b["));
        for code in ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m"] {
            colored = colored.replace(code, "");
        }
        assert_eq!(colored, plain);
    }
}

#[test]
fn hostile_text_stays_inside_its_line() {
    let text = printed(&sample::hostile(), wide(160));
    assert!(!text.contains(['\u{202e}', '\u{200b}', '\u{9b}', '\x1b']), "{text}");
    assert!(text.contains("acl-\\x1b[31m0|`x`") && text.contains("subnet-\\n|0"), "{text}");
}

#[test]
fn top_limits_the_examples() {
    let one = printed(&sample::incident(), TextStyle { top: 1, ..wide(100) });
    assert!(!one.contains("also") && one.contains("reply "), "{one}");
    let all = printed(&sample::incident(), TextStyle { top: 0, ..wide(100) });
    assert_eq!(all, printed(&sample::incident(), wide(100)));
}

#[test]
fn several_days_are_said_with_their_dates() {
    let mut diagnosis = sample::incident();
    diagnosis.window.last_record = Some(sample::at(2 * 86_400));
    let text = printed(&diagnosis, wide(120));
    assert!(text.starts_with("flowcheck · 2026-11-20 14:00 – 2026-11-22 14:00 UTC · "), "{text}");
    assert!(text.contains("since 2026-11-20 14:24:02, still going"), "{text}");
}

#[test]
fn a_long_acl_is_cut_to_the_entries_next_to_the_decision() {
    let mut diagnosis = sample::incident();
    let miss = diagnosis.findings[0].near_misses[0].clone();
    diagnosis.findings[0].near_misses = vec![miss; 40];
    let text = printed(&diagnosis, wide(100));
    assert!(text.contains("  rules    +31 more that did not match either\n"), "{text}");
    assert!(text.contains("* ALL ALL 0.0.0.0/0 DENY     ← matched\n"), "{text}");
}
