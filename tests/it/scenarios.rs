//! `tests/scenarios/*.toml`: one case a file, no Rust needed to add one (see `tests/scenarios/README.md`).
//!
//! Beside what a scenario expects, every one is held to what must always be true: each line is accounted for, the
//! rows agree with the findings, and neither threads nor the order of files or lines change the result.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::expectation::{differences, differences_in_any_order};
use crate::network::Snapshot;
use crate::run::{Ended, Scratch, flowcheck, gzip, repository};

/// The default format's field names; `v2` in a scenario's `header` stands for them.
const V2: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end \
                  action log-status";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    /// What is tested, and where it is written down.
    about: String,
    input: Vec<Input>,
    snapshot: Option<Snapshot>,
    /// Whole documents instead of (or beside) `snapshot`.
    #[serde(default)]
    snapshot_json: Vec<String>,
    /// Documents of changes.
    #[serde(default)]
    history_json: Vec<String>,
    #[serde(default)]
    arguments: Vec<String>,
    /// Give the folder instead of the files.
    #[serde(default)]
    as_folder: bool,
    #[serde(default)]
    expect: Expect,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    #[serde(default = "default_name")]
    name: String,
    /// A header line to begin with: field names, where `v2` stands for those of the default format.
    header: Option<String>,
    text: String,
    #[serde(default)]
    gzip: bool,
}

fn default_name() -> String {
    "flow.log".to_owned()
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    #[serde(default)]
    exit: i32,
    /// All rows, in any order.
    rows: Option<Vec<Value>>,
    /// All findings, in any order.
    findings: Option<Vec<Value>>,
    input: Option<Value>,
    other_rejects: Option<Value>,
    /// `"null"` where nothing is known.
    no_reply: Option<Value>,
    no_reply_unknown: Option<Value>,
    window: Option<Value>,
    network_config: Option<Value>,
    /// All warnings; of each a part.
    warnings: Option<Vec<String>>,
    /// Parts of standard error.
    #[serde(default)]
    stderr: Vec<String>,
}

#[test]
fn every_scenario() {
    let folder = repository().join("tests/scenarios");
    let only = std::env::var("SCENARIO").ok();
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .expect("tests/scenarios")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .filter(|path| only.as_ref().is_none_or(|only| path.to_string_lossy().contains(only)))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no scenario in {}", folder.display());
    let half = paths.len().div_ceil(2);
    let failures: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = paths
            .chunks(half)
            .map(|paths| scope.spawn(|| paths.iter().filter_map(|path| failure(path)).collect::<Vec<_>>()))
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no panic")).collect()
    });
    assert!(failures.is_empty(), "{} of {} failed\n\n{}", failures.len(), paths.len(), failures.join("\n"));
}

/// What is wrong with one scenario, readable.
fn failure(path: &Path) -> Option<String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let text = std::fs::read_to_string(path).expect("scenario");
    let scenario: Scenario = match toml::from_str(&text) {
        Ok(scenario) => scenario,
        Err(error) => return Some(format!("✗ {name}: not a scenario: {error}\n")),
    };
    let found = scenario.run();
    (!found.is_empty())
        .then(|| format!("✗ {name}: {}\n    {}\n", scenario.about.trim(), found.join("\n    ")))
}

impl Scenario {
    fn run(&self) -> Vec<String> {
        let scratch = Scratch::new();
        let files: Vec<_> = self
            .input
            .iter()
            .map(|input| scratch.file(&format!("in/{}", input.name), input.bytes()))
            .collect();
        let mut arguments = if self.as_folder { vec![scratch.at("in")] } else { files };
        let sources = arguments.len();
        arguments.extend(self.options(&scratch));
        let json = |arguments: &[String]| run_as("json", arguments);

        let ended = json(&arguments);
        if ended.code != Some(self.expect.exit) {
            return vec![format!("exit code {} expected: {ended}", self.expect.exit)];
        }
        let mut found: Vec<_> =
            self.expect.stderr.iter().filter(|part| !ended.stderr.contains(*part)).collect();
        if let Some(part) = found.pop() {
            return vec![format!("standard error lacks {part:?}: {ended}")];
        }
        if ended.stdout.is_empty() {
            return Vec::new();
        }
        let document = ended.json();
        let rows = run_as("jsonl", &arguments).rows();
        let mut found = self.unexpected(&document, &rows);
        found.extend(untruths(&document, &rows));

        let with = |threads: &str| {
            json(&[arguments.as_slice(), &["--threads".into(), threads.into()]].concat()).stdout
        };
        if with("1") != ended.stdout || with("4") != ended.stdout {
            found.push("the number of threads changes the result".to_owned());
        }
        arguments[..sources].reverse();
        if json(&arguments).stdout != ended.stdout {
            found.push("the order of the sources changes the result".to_owned());
        }
        found.extend(self.order_matters(&document, &rows));
        found
    }

    /// Files read in the opposite order, and lines in the opposite order, say the same.
    fn order_matters(&self, document: &Value, rows: &[Value]) -> Vec<String> {
        let scratch = Scratch::new();
        let options = self.options(&scratch);
        let count = self.input.len();
        for (index, input) in self.input.iter().enumerate() {
            let ending = input.name.rsplit('.').next().unwrap_or("log");
            scratch.file(&format!("files/{:03}.{ending}", count - index), input.bytes());
            scratch.file(&format!("lines/{index:03}.{ending}"), input.lines_reversed());
        }
        let mut found = Vec::new();
        for order in ["files", "lines"] {
            let arguments = [vec![scratch.at(order)], options.clone()].concat();
            let mut other = run_as("json", &arguments).json();
            if run_as("jsonl", &arguments).rows() != rows {
                found.push(format!("rows depend on the order of {order}"));
            }
            let named_by_file = ["malformed_examples", "incomplete", "bytes_read", "bytes_decoded"];
            let mut document = document.clone();
            for member in named_by_file {
                document["input"][member].take();
                other["input"][member].take();
            }
            for member in ["input", "summary", "findings", "other_rejects", "no_reply", "window"] {
                found.extend(differences(
                    &format!("with {order} in the opposite order, {member}"),
                    &document[member],
                    &other[member],
                ));
            }
        }
        found
    }

    fn options(&self, scratch: &Scratch) -> Vec<String> {
        let mut options = Vec::new();
        let whole = self.snapshot.iter().map(|snapshot| snapshot.to_json().to_string());
        for (index, document) in whole.chain(self.snapshot_json.iter().cloned()).enumerate() {
            let path = scratch.file(&format!("snapshot/{index}.json"), document);
            options.extend(["--snapshot".to_owned(), path]);
        }
        for (index, document) in self.history_json.iter().enumerate() {
            let path = scratch.file(&format!("history/{index}.json"), document);
            options.extend(["--history".to_owned(), path]);
        }
        options.extend(self.arguments.iter().cloned());
        options
    }

    fn unexpected(&self, document: &Value, rows: &[Value]) -> Vec<String> {
        let expect = &self.expect;
        let mut found = Vec::new();
        if let Some(expected) = &expect.rows {
            found.extend(differences_in_any_order("rows", expected, rows));
        }
        if let Some(expected) = &expect.findings {
            let findings = document["findings"].as_array().map_or(&[][..], Vec::as_slice);
            found.extend(differences_in_any_order("findings", expected, findings));
        }
        for (member, expected) in [
            ("input", &expect.input),
            ("other_rejects", &expect.other_rejects),
            ("no_reply", &expect.no_reply),
            ("no_reply_unknown", &expect.no_reply_unknown),
            ("window", &expect.window),
            ("network_config", &expect.network_config),
        ] {
            if let Some(expected) = expected {
                found.extend(differences(member, expected, &document[member]));
            }
        }
        if let Some(expected) = &expect.warnings {
            let warnings: Vec<_> =
                document["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            for part in expected {
                if !warnings.iter().any(|warning| warning.contains(part)) {
                    found.push(format!("no warning says {part:?}: {warnings:#?}"));
                }
            }
            if warnings.len() != expected.len() {
                found.push(format!("{} warnings expected: {warnings:#?}", expected.len()));
            }
        }
        found
    }
}

impl Input {
    fn plain(&self) -> String {
        let header = self.header.as_ref().map(|header| header.replace("v2", V2) + "\n");
        header.unwrap_or_default() + &self.text
    }

    fn bytes(&self) -> Vec<u8> {
        let text = self.plain();
        if self.gzip { gzip(text) } else { text.into_bytes() }
    }

    /// The lines in the opposite order, where a line means the same wherever it stands.
    fn lines_reversed(&self) -> Vec<u8> {
        let stands_alone =
            |line: &str| line.starts_with(|c: char| c.is_ascii_digit()) && !line.contains('\r');
        if !self.text.lines().all(stands_alone) {
            return self.bytes();
        }
        let text = self.plain();
        let mut lines: Vec<_> = text.lines().collect();
        let first = usize::from(self.header.is_some());
        lines[first..].reverse();
        lines.join("\n").into_bytes()
    }
}

fn run_as(format: &str, arguments: &[String]) -> Ended {
    let mut arguments = arguments.to_vec();
    arguments.extend(["--format".to_owned(), format.to_owned()]);
    flowcheck(&arguments)
}

/// What is true of every result (`CONTRACT`, 5.2) and is not of this one.
pub fn untruths(document: &Value, rows: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    let input = |name: &str| document["input"][name].as_u64().unwrap_or_default();
    let mut equal = |what: &str, left: u64, right: u64| {
        if left != right {
            found.push(format!("{what}: {left} ≠ {right}"));
        }
    };
    let places = [
        "headers",
        "accepted",
        "rejected",
        "no_data",
        "skip_data",
        "malformed",
        "filtered",
        "transit_gateway",
        "duplicates",
    ];
    equal("lines = sum of what became of them", input("lines"), places.map(input).iter().sum());
    equal("records = accepted + rejected", input("records"), input("accepted") + input("rejected"));

    let number = |value: &Value, name: &str| value[name].as_u64().unwrap_or_default();
    let findings = document["findings"].as_array().map_or(&[][..], Vec::as_slice);
    let sum = |values: &[Value], name: &str| values.iter().map(|value| number(value, name)).sum::<u64>();
    equal("rows = conversations of findings", rows.len() as u64, sum(findings, "conversations"));
    equal("summary.findings", number(&document["summary"], "findings"), findings.len() as u64);
    let packets = number(&document["summary"], "rejected_packets");
    equal("summary.rejected_packets = rows", packets, sum(rows, "rejected_packets"));
    for fix in findings.iter().map(|finding| (finding, &finding["fix"])).filter(|(_, fix)| fix.is_object()) {
        let (finding, fix) = fix;
        equal("fix.of = conversations of its finding", number(fix, "of"), number(finding, "conversations"));
        equal(
            "fix.restores, at most all",
            number(fix, "restores").min(number(fix, "of")),
            number(fix, "restores"),
        );
        let length = |name: &str| fix[name].as_array().map_or(0, Vec::len) as u64;
        equal("each call of a fix has its undo", length("aws_cli"), length("undo"));
    }
    let mut of_findings: BTreeMap<String, (u64, u64, u64)> = BTreeMap::new();
    for finding in findings {
        let sums = of_findings.entry(key(finding)).or_default();
        sums.0 += number(finding, "conversations");
        sums.1 += number(finding, "packets");
        sums.2 += number(finding, "bytes");
    }
    let mut of_rows: BTreeMap<String, (u64, u64, u64)> = BTreeMap::new();
    for row in rows {
        let sums = of_rows.entry(key(row)).or_default();
        sums.0 += 1;
        sums.1 += number(row, "rejected_packets");
        sums.2 += number(row, "rejected_bytes");
    }
    if of_findings != of_rows {
        found.push(format!("findings and rows differ: {of_findings:#?} {of_rows:#?}"));
    }
    let complete = document["input"]["incomplete"].as_array().is_some_and(Vec::is_empty);
    if document["summary"]["complete"] != complete {
        found.push("summary.complete is not what input.incomplete says".to_owned());
    }
    found
}

/// What both a finding and its rows name.
fn key(value: &Value) -> String {
    ["cause", "network_acl_id", "direction", "rule_number"].map(|name| value[name].to_string()).join(" ")
}
