//! What the page must be whatever the report holds: one file, under one megabyte, loading nothing, running nothing foreign.

use std::collections::BTreeSet;

use super::super::sample;
use super::super::view::Report;
use super::*;

fn page(report: &Report) -> String {
    let mut out = Vec::new();
    write_html(report, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn all() -> [(&'static str, String); 4] {
    [
        ("week", sample::week()),
        ("quiet", sample::quiet_report()),
        ("hostile", sample::hostile_report()),
        ("huge", sample::huge_report()),
    ]
    .map(|(name, report)| (name, page(&report)))
}

fn between<'a>(page: &'a str, from: &str, to: &str) -> &'a str {
    page.split_once(from).unwrap().1.split_once(to).unwrap().0
}

/// The page without what is between the tags of the stylesheet and of the script.
fn markup(page: &str) -> String {
    let (head, rest) = page.split_once("<style>").unwrap();
    let (_, rest) = rest.split_once("</style>").unwrap();
    let (body, rest) = rest.split_once("<script>").unwrap();
    let (_, end) = rest.split_once("</script>").unwrap();
    format!("{head}{body}{end}")
}

/// Names of elements, and names and values of their attributes.
fn elements(page: &str) -> Vec<(String, Vec<(String, String)>)> {
    let markup = markup(page);
    let tags =
        markup.split('<').skip(1).map(|part| part.split_once('>').expect("a tag that ends").0.to_owned());
    tags.filter(|tag| !tag.starts_with(['/', '!']))
        .map(|tag| {
            let (name, mut rest) = tag.split_once(' ').unwrap_or((&tag, ""));
            let mut attributes = Vec::new();
            while let Some((name, after)) = rest.trim_start().split_once("=\"") {
                let (value, after) = after.split_once('"').expect("a value that ends");
                attributes.push((name.to_owned(), value.to_owned()));
                rest = after;
            }
            assert!(matches!(rest.trim(), "" | "/"), "attributes without quotes: {tag}");
            (name.to_owned(), attributes)
        })
        .collect()
}

#[test]
fn pages_are_small_and_always_the_same() {
    for (name, text) in all() {
        println!("{name}: {} bytes", text.len());
        assert!(text.len() < 1_000_000, "{name}: {} bytes", text.len());
    }
    assert_eq!(page(&sample::week()), page(&sample::week()));
}

#[test]
fn the_policy_names_the_stylesheet_and_the_script_and_nothing_else() {
    for (name, page) in all() {
        let style = between(&page, "<style>", "</style>");
        let script = between(&page, "<script>", "</script>");
        let policy = escape_back(between(&page, "Content-Security-Policy\" content=\"", "\""));
        assert_eq!(policy, policy::policy(style, script), "{name}");
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert_eq!(page.matches("<style").count() + page.matches("<script").count(), 2, "{name}");
    }
}

fn escape_back(text: &str) -> String {
    text.replace("&#39;", "'").replace("&amp;", "&")
}

#[test]
fn nothing_is_loaded_run_or_styled_by_an_attribute() {
    for (name, page) in all() {
        for (element, attributes) in elements(&page) {
            let loads =
                ["img", "link", "iframe", "object", "embed", "base", "form", "image", "use", "foreignObject"];
            assert!(!loads.contains(&element.as_str()), "{name}: {element}");
            for (attribute, value) in attributes {
                assert!(
                    !attribute.starts_with("on") && attribute != "style",
                    "{name}: {element} {attribute}"
                );
                assert!(attribute != "src" && attribute != "xmlns", "{name}: {element} {attribute}");
                assert!(attribute != "href" || value.starts_with('#'), "{name}: {value}");
            }
        }
        let own = [between(&page, "<style>", "</style>"), between(&page, "<script>", "</script>")];
        assert!(own.iter().all(|text| !text.contains("http") && !text.contains("url(")), "{name}");
    }
}

#[test]
fn hostile_text_is_text() {
    let page = page(&sample::hostile_report());
    let markup = markup(&page);
    assert!(markup.contains("&lt;script&gt;alert(1)"), "it is there, as text");
    assert!(!markup.contains("<script") && !markup.contains("<img") && !markup.contains("-->"), "no markup");
    assert!(!markup.contains(']') || !markup.contains("]]>"), "no end of a section");
    let acts = |c: char| {
        (c.is_control() && c != '\n') || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
    };
    assert!(!page.contains(acts), "a control or bidi character");
    assert!(!page.contains("<td>=cmd()"), "a cell that is a formula");
    assert!(
        between(&page, "<style>", "</style>").len() < STYLE.len() + 20_000,
        "no foreign text in the rules"
    );
    assert!(!between(&page, "<style>", "</style>").contains("alert("));
}

#[test]
fn ids_are_unique_and_every_link_leads_to_one() {
    for (name, page) in all() {
        let attributes: Vec<_> = elements(&page).into_iter().flat_map(|(_, attributes)| attributes).collect();
        let values = |wanted: &str| {
            let wanted = wanted.to_owned();
            attributes.iter().filter(move |(name, _)| *name == wanted).map(|(_, value)| value.as_str())
        };
        let ids: BTreeSet<&str> = values("id").collect();
        assert_eq!(ids.len(), values("id").count(), "{name}");
        let targets = values("href").map(|href| href.trim_start_matches('#')).chain(values("for"));
        let labels = values("aria-labelledby").flat_map(str::split_whitespace);
        let lost: Vec<_> = targets.chain(labels).filter(|target| !ids.contains(target)).collect();
        assert!(lost.is_empty(), "{name}: {lost:?}");
    }
}

#[test]
fn every_element_is_closed_and_headings_are_in_order() {
    let empty = ["meta", "input", "br", "rect", "line", "polyline"];
    for (name, page) in all() {
        let (markup, mut open, mut heading) = (markup(&page), Vec::new(), 0);
        for tag in markup.split('<').skip(1).map(|part| part.split_once('>').unwrap().0) {
            let word = tag.split(' ').next().unwrap();
            if let Some(word) = word.strip_prefix('/') {
                assert_eq!(open.pop(), Some(word), "{name}");
            } else if !word.starts_with('!') && !empty.contains(&word) {
                open.push(word);
            }
            if let Some(level) = word.strip_prefix('h').and_then(|level| level.parse::<u32>().ok()) {
                assert!(level <= heading + 1, "{name}: h{level} after h{heading}");
                heading = level;
            }
        }
        assert!(open.is_empty(), "{name}: {open:?}");
        let all = |tag: &str| elements(&page).iter().filter(|(name, _)| name == tag).count();
        assert_eq!(all("table"), all("caption"), "{name}: tables without a caption");
        assert_eq!(all("h1"), 1, "{name}");
    }
}

#[test]
fn the_first_screen_has_the_answer() {
    let page = page(&sample::week());
    let head = between(&page, "<header>", "</header>");
    for answer in [
        "drops replies to ports 1024–65535/tcp",
        "7\u{a0}057 connections timed out",
        "NetworkAdmin/change-4711",
        "32000 ALL ALL 0.0.0.0/0 ALLOW",
        "restores 7\u{a0}057 of 7\u{a0}057",
        "Incomplete.",
        "1 new, 1 worse, 1 unchanged, 1 resolved",
    ] {
        assert!(head.contains(answer), "{answer}\n{head}");
    }
    assert!(
        page.contains("aws ec2 create-network-acl-entry --network-acl-id acl-0abc1234def567890 --ingress")
    );
}

#[test]
fn what_was_not_found_is_said_with_what_was_not_read() {
    let mut report = sample::quiet_report();
    let head = |report: &Report| between(&page(report), "<header>", "</header>").to_owned();
    assert!(head(&report).contains("<h1 class=\"clear\">No rejected return traffic found"));
    report.diagnosis.summary.complete = false;
    let said = head(&report);
    assert!(said.contains("<h1 class=\"unclear\">") && said.contains("Incomplete."), "{said}");
    assert!(said.contains("what is missing may hold rejected replies"), "{said}");
    report.diagnosis.input.rejects_unrecorded = true;
    report.diagnosis.input.rejected = 0;
    assert!(head(&report).contains("Nothing to judge"));
}

#[test]
fn what_there_is_no_room_for_is_counted() {
    let page = page(&sample::huge_report());
    for counted in
        ["+1\u{a0}900 more, with fewer conversations each", "in the table above only", "more findings"]
    {
        assert!(page.contains(counted), "{counted}");
    }
}

#[test]
fn without_a_script_a_checked_button_orders_and_hides_rows() {
    let page = page(&sample::week());
    let style = between(&page, "<style>", "</style>");
    assert!(style.contains("#talkers-table-box:has(#talkers-table-by-3:checked) tbody tr{order:var(--by3)}"));
    assert!(style.contains("#talkers-table tbody tr:nth-child(1){--by0:"));
    assert!(style.contains(
        "#compared-table-box:has(#compared-table-became-0:checked) tbody tr:not(.became0){display:none}"
    ));
}

#[test]
fn what_is_not_known_is_called_that() {
    let mut report = sample::week();
    report.diagnosis.findings.retain(|finding| finding.cause == "nacl_default");
    report.diagnosis.findings.truncate(1);
    report.hourly.findings.truncate(1);
    let finding = &mut report.diagnosis.findings[0];
    (finding.cause, finding.change, finding.fix) = ("undetermined", None, None);
    report.coverage.unknown = Some("filters leave records out, so that gaps cannot be told".to_owned());
    report.diagnosis.summary.complete = false;
    let page = page(&report);
    assert!(page.contains("Not known: which rule denied is undetermined."), "{page}");
    assert!(page.contains("Gaps in the records: not known, because filters leave records out"), "{page}");
    assert!(
        !page.contains("have records all the time") && page.contains("Figures may be too low."),
        "{page}"
    );
}
