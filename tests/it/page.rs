//! The report as a page, in a real browser: that it shows, sorts, filters and prints, that anyone can use it, and that
//! it does nothing else. `tests/with-servers` says where Chromium and axe-core are; plain `cargo test` passes these over.

mod browser;
// The reports of the unit tests, which the library shows to its own tests only. Their modules are named as there.
#[expect(clippy::assigning_clones, reason = "fixtures are built once")]
#[path = "../../src/report/sample.rs"]
mod fixture;

use std::path::{Path, PathBuf};
use std::process::Command;

use flowcheck::report::view;
use serde_json::{Value, json};

use crate::run::Scratch;
use browser::{Browser, DESKTOP, Look};

const DARK: Look = Look { dark: true, ..DESKTOP };
const UNSCRIPTED: Look = Look { scripts: false, ..DESKTOP };
const TELEPHONE: Look = Look { width: 360, ..DESKTOP };

/// Writes the page of a report.
fn page(folder: &Scratch, report: &view::Report) -> PathBuf {
    let mut html = Vec::new();
    flowcheck::report::write_html(report, &mut html).expect("written");
    folder.file("report.html", html).into()
}

fn told(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run tests/with-servers"))
}

fn chromium() -> Browser {
    Browser::start(&told("FLOWCHECK_TEST_CHROMIUM"))
}

fn reports() -> [(&'static str, view::Report); 4] {
    [
        ("week", fixture::week()),
        ("quiet", fixture::quiet_report()),
        ("hostile", fixture::hostile_report()),
        ("huge", fixture::huge_report()),
    ]
}

/// What is wrong for people who use a keyboard, a screen reader, or eyes that need contrast.
fn barriers(browser: &mut Browser) -> Value {
    browser.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)");
    let axe = std::fs::read_to_string(told("FLOWCHECK_TEST_AXE")).expect("axe-core");
    browser.evaluate(&format!("{axe}\n;0"));
    browser.evaluate(
        "axe.run(document, {resultTypes: ['violations']}).then(({violations}) => violations.map(one =>
         ({rule: one.id, help: one.help, where: one.nodes.slice(0, 3).map(node => node.html.slice(0, 300)),
           why: one.nodes[0].failureSummary})))",
    )
}

#[test]
#[ignore = "needs the servers that tests/with-servers starts"]
fn it_loads_nothing_and_has_nothing_to_complain_about() {
    let (folder, mut browser) = (Scratch::new(), chromium());
    for (name, report) in reports() {
        let page = page(&folder, &report);
        for look in [DESKTOP, UNSCRIPTED] {
            browser.open(&page, look);
            assert_eq!(browser.complaints(&page), [""; 0], "{name}, {look:?}");
            assert_eq!(browser.evaluate("document.querySelectorAll('h1').length"), 1, "{name}");
        }
    }
}

#[test]
#[ignore = "needs the servers that tests/with-servers starts"]
fn the_policy_holds_what_is_put_into_the_page_later() {
    let (folder, mut browser) = (Scratch::new(), chromium());
    let page = page(&folder, &fixture::week());
    browser.open(&page, DESKTOP);
    browser.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=\"https://example.com/x.png\"><p style=\"color:red\" onclick=\"1\">x</p>')",
    );
    let complaints = browser.complaints(&page).join("\n");
    assert!(complaints.contains("img-src") || complaints.contains("default-src"), "{complaints}");
    assert!(complaints.contains("style-src"), "{complaints}");
}

#[test]
#[ignore = "needs the servers that tests/with-servers starts"]
fn nobody_is_kept_out() {
    let (folder, mut browser) = (Scratch::new(), chromium());
    for (name, report) in reports().into_iter().take(3) {
        let page = page(&folder, &report);
        for look in [DESKTOP, DARK, TELEPHONE] {
            browser.open(&page, look);
            assert_eq!(barriers(&mut browser), json!([]), "{name}, {look:?}");
        }
        // axe-core is a script itself, so here the page's own one is taken out.
        let html = std::fs::read_to_string(&page).expect("page");
        let (before, script) = html.split_once("<script>").expect("a script");
        let (_, after) = script.split_once("</script>").expect("its end");
        let unscripted = PathBuf::from(folder.file("unscripted.html", format!("{before}{after}")));
        browser.open(&unscripted, DESKTOP);
        assert_eq!(barriers(&mut browser), json!([]), "{name}, without its script");
    }
}

#[test]
#[ignore = "needs the servers that tests/with-servers starts"]
fn a_narrow_window_scrolls_tables_and_not_the_page() {
    let (folder, mut browser) = (Scratch::new(), chromium());
    for (name, report) in reports() {
        let page = page(&folder, &report);
        browser.open(&page, TELEPHONE);
        browser.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)");
        let widths = browser.evaluate(
            "(({scrollWidth, clientWidth}) => [scrollWidth, clientWidth])(document.documentElement)",
        );
        assert_eq!(widths[0], widths[1], "{name}");
    }
}

/// The texts of a column, from the top of the screen down, of the rows that are to be seen.
fn column(browser: &mut Browser, table: &str, at: usize) -> Vec<String> {
    browser.texts(&format!(
        "[...document.querySelectorAll('#{table} tbody tr')].filter(row => row.getClientRects().length)
         .sort((one, other) => one.getBoundingClientRect().top - other.getBoundingClientRect().top)
         .map(row => row.cells[{at}].textContent)"
    ))
}

fn sorted(texts: &[String]) -> Vec<String> {
    let mut sorted = texts.to_vec();
    sorted.sort();
    sorted
}

fn figures(texts: &[String]) -> Vec<u64> {
    let digits = |text: &String| text.chars().filter(char::is_ascii_digit).collect::<String>();
    texts.iter().map(|text| digits(text).parse().expect("a number")).collect()
}

#[test]
#[ignore = "needs the servers that tests/with-servers starts"]
fn a_click_on_a_head_sorts() {
    let (folder, mut browser) = (Scratch::new(), chromium());
    browser.open(&page(&folder, &fixture::week()), DESKTOP);
    let before = column(&mut browser, "talkers-table", 2);
    browser.click("#talkers-table th:nth-child(3) button");
    let services = column(&mut browser, "talkers-table", 2);
    assert_ne!(services, before);
    assert_eq!(services.first().map(String::as_str), Some("443/tcp"), "numbers count as numbers");
    let told = "document.querySelector('#talkers-table th:nth-child(3)').getAttribute('aria-sort')";
    assert_eq!(browser.evaluate(told), "ascending");
    for direction in ["descending", "ascending"] {
        browser.click("#talkers-table th:nth-child(5) button");
        let mut packets = figures(&column(&mut browser, "talkers-table", 4));
        if direction == "descending" {
            packets.reverse();
        }
        assert!(packets.is_sorted(), "{direction}: {packets:?}");
    }
    assert_eq!(browser.evaluate(told), Value::Null, "one head at a time");
    assert_eq!(browser.evaluate("document.querySelectorAll('.order').length"), 0, "the other way is gone");
}

#[test]
#[ignore = "needs the servers that tests/with-servers starts"]
fn a_word_typed_filters() {
    let (folder, mut browser) = (Scratch::new(), chromium());
    browser.open(&page(&folder, &fixture::week()), DESKTOP);
    let all = column(&mut browser, "talkers-table", 0).len();
    browser.click("#talkers-table-box input[type=search]");
    browser.type_text("5432 10.9");
    let left = column(&mut browser, "talkers-table", 1);
    assert!(
        !left.is_empty() && left.len() < all && left.iter().all(|responder| responder == "10.9.0.15"),
        "{left:?}"
    );
    let said = browser.evaluate("document.querySelector('#talkers-table-box [role=status]').textContent");
    assert_eq!(said, format!("{} of {all} rows", left.len()));
}

#[test]
#[ignore = "needs the servers that tests/with-servers starts"]
fn without_a_script_buttons_sort_and_filter() {
    let (folder, mut browser) = (Scratch::new(), chromium());
    browser.open(&page(&folder, &fixture::week()), UNSCRIPTED);
    assert_eq!(
        browser.evaluate("document.querySelectorAll('th button, input[type=search], .copy button').length"),
        0
    );
    let before = column(&mut browser, "interfaces-table", 0);
    browser.click("label[for=interfaces-table-by-0]");
    let after = column(&mut browser, "interfaces-table", 0);
    assert_eq!(sorted(&before), sorted(&after));
    assert_ne!(before, after);
    browser.click("label[for=interfaces-table-by-5]");
    let mut packets = figures(&column(&mut browser, "interfaces-table", 5));
    packets.reverse();
    assert!(packets.is_sorted(), "{packets:?}");
    // Heads stay above their columns when the table becomes a grid.
    let off = "(() => { const left = row => [...row.cells].map(cell => Math.round(cell.getBoundingClientRect().left));
               const table = document.querySelector('#interfaces-table');
               return left(table.tHead.rows[0]).join() === left(table.tBodies[0].rows[3]).join(); })()";
    assert_eq!(browser.evaluate(off), true);

    let all = column(&mut browser, "compared-table", 0);
    browser.click("label[for=compared-table-became-4]");
    assert_eq!(column(&mut browser, "compared-table", 0), ["resolved"], "of {all:?}");
    browser.click("label[for=findings-table-acl-1]");
    let acls = column(&mut browser, "findings-table", 1);
    assert!(!acls.is_empty() && acls.iter().all(|acl| acl.starts_with("edge")), "{acls:?}");
}

#[test]
#[ignore = "needs the servers that tests/with-servers starts"]
fn the_commands_can_be_copied() {
    let (folder, mut browser) = (Scratch::new(), chromium());
    browser.open(&page(&folder, &fixture::week()), DESKTOP);
    browser.click("#finding-1-fix summary");
    let block = "#finding-1-fix .copy pre";
    let command = browser.evaluate(&format!("document.querySelector('{block}').textContent"));
    let command = command.as_str().unwrap_or_default();
    assert!(
        command.starts_with("aws ec2 create-network-acl-entry ") && command.lines().count() == 2,
        "{command}"
    );
    // What would go to the clipboard, since a headless browser may have none.
    browser.evaluate("Object.defineProperty(navigator, 'clipboard', {value: {writeText: async text => { window.copied = text; }}}); 0");
    browser.click("#finding-1-fix .copy button");
    assert_eq!(browser.evaluate("window.copied"), command);
    assert_eq!(
        browser.evaluate("document.querySelector('#finding-1-fix .copy button').textContent"),
        "Copied"
    );
}

#[test]
#[ignore = "needs the servers that tests/with-servers starts"]
fn paper_has_everything_and_the_fix() {
    let (folder, mut browser) = (Scratch::new(), chromium());
    for look in [DESKTOP, UNSCRIPTED, DARK] {
        browser.open(&page(&folder, &fixture::week()), look);
        let printed =
            browser.call("Page.printToPDF", &json!({"preferCSSPageSize": true, "printBackground": true}));
        let pdf = folder.file("report.pdf.base64", printed["data"].as_str().unwrap_or_default());
        let text = pdf_text(&folder, Path::new(&pdf));
        assert!((3..40).contains(&text.matches('\u{c}').count()), "{look:?}: pages");
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [
            "aws ec2 create-network-acl-entry --network-acl-id acl-0abc1234def567890 --ingress",
            "aws ec2 delete-network-acl-entry",
            "Examples of conversations",
            "10.0.1.23:64214",
            "Data quality",
        ] {
            assert!(words.contains(part), "{look:?}: {part}\n{text}");
        }
        assert!(!words.contains("Sort by") && !words.contains("file://"), "{look:?}");
    }
}

fn pdf_text(folder: &Scratch, encoded: &Path) -> String {
    let pdf = folder.at("report.pdf");
    let script = "base64 -d \"$0\" > \"$1\" && pdftotext -layout \"$1\" -";
    let output = Command::new("sh").args(["-c", script]).arg(encoded).arg(pdf).output().expect("sh");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
#[ignore = "needs the servers that tests/with-servers starts"]
fn tables_say_what_they_are_and_a_keyboard_reaches_them() {
    let (folder, mut browser) = (Scratch::new(), chromium());
    browser.open(&page(&folder, &fixture::week()), DESKTOP);
    let nameless = "[...document.querySelectorAll('table')].filter(table => !table.caption?.textContent.trim()).map(table => table.id)";
    assert_eq!(browser.texts(nameless), [""; 0]);
    for kind in ["rawKeyDown", "keyUp"] {
        let key = json!({"type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9});
        browser.call("Input.dispatchKeyEvent", &key);
    }
    assert_eq!(browser.evaluate("document.activeElement.textContent"), "Skip to the report");
    assert_eq!(browser.evaluate("document.activeElement.getBoundingClientRect().top >= 0"), true);
    for kind in ["rawKeyDown", "keyUp"] {
        let key =
            json!({"type": kind, "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"});
        browser.call("Input.dispatchKeyEvent", &key);
    }
    assert_eq!(browser.evaluate("document.activeElement.id"), "main");
}

/// The pages above are made of values; this one is made of logs, by the program.
#[test]
#[ignore = "needs the servers that tests/with-servers starts"]
fn the_report_of_the_sample_is_such_a_page() {
    let (folder, mut browser) = (Scratch::new(), chromium());
    let [logs, option, snapshot] = crate::run::sample("allow-all-removed");
    let (history, path) = ("sample-logs/allow-all-removed/cloudtrail", folder.at("report.html"));
    let arguments =
        ["report", &logs, &option, &snapshot, "--history", history, "--group-by", "service", "-o", &path];
    crate::run::flowcheck(&arguments).expect(0, &[]).expect_no_output();
    let page = PathBuf::from(path);
    for look in [DESKTOP, DARK, TELEPHONE] {
        browser.open(&page, look);
        assert_eq!(browser.complaints(&page), [""; 0], "{look:?}");
        assert_eq!(barriers(&mut browser), json!([]), "{look:?}");
    }
    browser.open(&page, UNSCRIPTED);
    let headline = browser.texts("[document.querySelector('h1').textContent]").join("");
    for part in ["acl-0f3c9d2e8b7a61540", "conversations got no answer"] {
        assert!(headline.contains(part), "{headline}");
    }
}
