//! The README's commands: each one that runs `flowcheck` does so from the repository's root and ends as it says.

use std::process::Command;

use crate::run::{Scratch, flowcheck, repository, sample};

/// How the README may call the program, beside `cargo run … --`; the built binary stands in for all of them.
const PROGRAM: [&str; 2] = ["./target/release/flowcheck", "flowcheck"];

#[test]
fn every_command_ends_as_it_says() {
    let path = repository().join("README.md");
    let readme = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("there is no README.md yet whose commands could be run: {error}"));
    let commands = commands(&readme);
    assert!(!commands.is_empty(), "README.md has no `flowcheck` command in a ```sh or ```console block");
    let scratch = Scratch::new();
    let mut failures = Vec::new();
    for Line { text, exit } in commands {
        let output = Command::new("bash")
            .args(["-c", &format!("set -o pipefail; flowcheck() {{ \"$FLOWCHECK\" \"$@\"; }}; {text}")])
            .env("FLOWCHECK", env!("CARGO_BIN_EXE_flowcheck"))
            .env("TMPDIR", scratch.path())
            .current_dir(repository())
            .output()
            .expect("bash runs");
        if output.status.code() != Some(exit) {
            let stderr = String::from_utf8_lossy(&output.stderr);
            failures
                .push(format!("$ {text}\n  exit {:?}, expected {exit}\n  {stderr}", output.status.code()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_answer_shown_is_the_answer() {
    let readme = std::fs::read_to_string(repository().join("README.md")).expect("README.md");
    let (_, rest) = readme.split_once("The answer begins:").expect("the first answer");
    let shown = rest.split("```").nth(1).and_then(|block| block.strip_prefix("text\n")).expect("a block");
    let history = "sample-logs/allow-all-removed/cloudtrail";
    let [logs, option, snapshot] = sample("allow-all-removed");
    let answer = flowcheck(&[logs.as_str(), &option, &snapshot, "--history", history]);
    assert!(answer.stdout.starts_with(shown), "shown:\n{shown}\nis:\n{answer}");
}

/// The options in docs/scheduled are ones that there are: with `--help` behind them, nothing is read.
#[test]
fn the_schedules_call_the_program_as_it_can_be_called() {
    let folder = repository().join("docs/scheduled");
    let mut found = 0;
    for entry in std::fs::read_dir(folder).expect("docs/scheduled") {
        let path = entry.expect("an entry").path();
        for line in std::fs::read_to_string(&path).expect("text").lines() {
            let Some((_, call)) = line.split_once("flowcheck report ") else { continue };
            // What the shell puts in the name of a file.
            let call = call.replace("$$(date -u +%%F)", "day");
            let mut arguments = vec!["report"];
            arguments.extend(call.trim_end_matches('\'').split_whitespace());
            arguments.push("--help");
            let ended = flowcheck(&arguments);
            assert!(
                ended.expect(0, &[]).stdout.contains("Usage: flowcheck report"),
                "{}: {ended}",
                path.display()
            );
            found += 1;
        }
    }
    assert_eq!(found, 2, "the service and the workflow");
}

#[derive(Debug, PartialEq, Eq)]
struct Line {
    text: String,
    exit: i32,
}

/// The commands that run the program and read nothing that a fresh checkout lacks. In a `console` block a command
/// follows `$ `; `\` at the end continues a line; `# exit 1` names the code it ends with.
fn commands(readme: &str) -> Vec<Line> {
    let mut found = Vec::new();
    let mut block = None;
    let mut open = String::new();
    for line in readme.lines() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            block = if block.is_some() { None } else { Some(language.trim().to_owned()) };
            continue;
        }
        let text = match block.as_deref() {
            Some("sh" | "bash" | "shell") => line.trim(),
            Some("console") if open.is_empty() => match line.trim().strip_prefix("$ ") {
                Some(text) => text,
                None => continue,
            },
            Some("console") => line.trim().trim_start_matches("> "),
            _ => continue,
        };
        if let Some(text) = text.strip_suffix('\\') {
            open.push_str(text);
            continue;
        }
        open.push_str(text);
        found.extend(command(&std::mem::take(&mut open)));
    }
    found
}

fn command(line: &str) -> Option<Line> {
    let (text, comment) = line.split_once(" #").unwrap_or((line, ""));
    let by_cargo = || {
        let (cargo, rest) =
            text.trim().strip_prefix("cargo run")?.split_once(" --").filter(|(_, rest)| !rest.is_empty())?;
        let (options, rest) = if rest.starts_with(' ') { (cargo, rest) } else { rest.split_once(" --")? };
        (!options.contains("example") && !options.contains("bench")).then_some(rest)
    };
    let rest = PROGRAM.iter().find_map(|program| text.trim().strip_prefix(program)).or_else(by_cargo)?;
    let named = comment.split_once("exit ").map(|(_, code)| code.trim_start());
    let digits = named.map(|code| code.chars().take_while(char::is_ascii_digit).collect::<String>());
    let exit = digits.and_then(|digits| digits.parse().ok()).unwrap_or(0);
    (rest.is_empty() || rest.starts_with(' ')).then(|| Line { text: format!("flowcheck{rest}"), exit })
}

#[test]
fn commands_are_found_in_blocks_only() {
    let readme = "flowcheck not this\n```sh\ncargo run --release -- a \\\n  b   # exit 1\ncargo test\ncargo run --example x -- y\ncargo run -q -- z\nflowcheck c | head\n```\n\
                  ```console\n$ ./target/release/flowcheck d\nflowcheck · output\n```\n```text\nflowcheck e\n```\n";
    let line = |text: &str, exit| Line { text: text.to_owned(), exit };
    let expected = [
        line("flowcheck a b", 1),
        line("flowcheck z", 0),
        line("flowcheck c | head", 0),
        line("flowcheck d", 0),
    ];
    let found: Vec<_> = commands(readme)
        .into_iter()
        .map(|line| Line { text: line.text.split_whitespace().collect::<Vec<_>>().join(" "), ..line })
        .collect();
    assert_eq!(found, expected);
}
