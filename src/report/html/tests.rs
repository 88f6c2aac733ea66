//! What the page must be whatever the report holds: one file, under one megabyte, loading nothing, running nothing foreign.

use super::super::sample;
use super::super::view::Report;
use super::*;

const MEGABYTE: usize = 1_000_000;

fn written(report: &Report) -> String {
    let mut out = Vec::new();
    write_html(report, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn all() -> Vec<(&'static str, String)> {
    [
        ("week", sample::week()),
        ("quiet", sample::quiet_report()),
        ("hostile", sample::hostile_report()),
        ("huge", sample::huge_report()),
    ]
    .map(|(name, report)| (name, written(&report)))
    .into()
}

/// Every tag of a page, without the text between them, the stylesheet and the script.
fn tags(page: &str) -> Vec<&str> {
    let (before, rest) = page.split_once("<style>").unwrap();
    let (_, rest) = rest.split_once("</style>").unwrap();
    let (body, after) = rest.split_once("<script>").unwrap();
    let (_, after) = after.split_once("</script>").unwrap();
    let inside = |part: &'static str| part;
    let _ = inside;
    [before, body, after]
        .into_iter()
        .flat_map(|part| part.split('<').skip(1))
        .map(|tag| tag.split_once('>').map_or(tag, |(tag, _)| tag))
        .collect()
}

#[test]
fn write_pages_for_eyes() {
    let Ok(folder) = std::env::var("PAGES") else { return };
    for (name, page) in all() {
        println!("{name} {}", page.len());
        std::fs::write(format!("{folder}/{name}.html"), page).unwrap();
    }
}
