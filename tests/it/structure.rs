//! The shape of `src/`: no two top-level modules import each other, every file says what it owns.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::run::repository;

#[test]
fn there_is_no_import_cycle_between_top_level_modules() {
    let imports = imports(&repository().join("src"));
    assert!(imports.len() > 8, "modules found: {:?}", imports.keys());
    if let Some(cycle) = cycle(&imports) {
        panic!("import cycle: {}", cycle.join(" → "));
    }
}

#[test]
fn every_file_begins_by_saying_what_it_is() {
    let silent: Vec<_> = files(&repository().join("src"))
        .into_iter()
        .filter(|path| !read(path).starts_with("//!"))
        .map(|path| path.display().to_string())
        .collect();
    assert!(silent.is_empty(), "without `//!` in the first line: {silent:#?}");
}

#[test]
fn a_cycle_is_found_through_grouped_imports_and_not_through_tests() {
    let source = "use crate::{net::Port, nacl::{self, model}};\n// crate::cli is only talked about\nfn f() { crate::record::g(); }\n\
                  #[cfg(test)]\nmod tests {\n    use crate::report::view;\n}\nconst S: &str = \"crate::source\";";
    assert_eq!(modules_named(source), BTreeSet::from(["nacl", "net", "record"].map(str::to_owned)));
    let graph = |edges: &[(&str, &str)]| {
        let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in edges {
            graph.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        graph
    };
    assert_eq!(cycle(&graph(&[("a", "b"), ("b", "c"), ("a", "c")])), None);
    let found = cycle(&graph(&[("a", "b"), ("b", "c"), ("c", "b")])).expect("a cycle");
    assert_eq!(found, ["b", "c", "b"]);
}

/// Top-level module → the top-level modules it names.
fn imports(src: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let paths = files(src);
    let module_of = |path: &Path| {
        let first = path.strip_prefix(src).ok()?.components().next()?;
        Some(Path::new(first.as_os_str()).file_stem()?.to_string_lossy().into_owned())
    };
    let known: BTreeSet<String> = paths
        .iter()
        .filter_map(|path| module_of(path))
        .filter(|module| !matches!(module.as_str(), "lib" | "main"))
        .collect();
    let mut imports: BTreeMap<String, BTreeSet<String>> =
        known.iter().map(|module| (module.clone(), BTreeSet::new())).collect();
    // A module's own `tests.rs` is compiled for tests only.
    for path in paths.iter().filter(|path| !path.ends_with("tests.rs")) {
        if let Some(module) = module_of(path)
            && let Some(named) = imports.get_mut(&module)
        {
            let others = modules_named(&read(path));
            named.extend(others.into_iter().filter(|other| *other != module && known.contains(other)));
        }
    }
    imports
}

/// The first segments of every `crate::…` path outside comments, texts and `#[cfg(test)]` modules.
fn modules_named(source: &str) -> BTreeSet<String> {
    let code = code_only(source);
    let mut named = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let is_whole = code[..at].chars().next_back().is_none_or(|before| !is_word(before) && before != '$');
        if is_whole {
            first_segments(&code[at + "crate::".len()..], &mut named);
        }
    }
    named
}

/// `net::Port…` gives `net`; `{net::Port, nacl::{self, model}}` gives `net` and `nacl`.
fn first_segments(path: &str, named: &mut BTreeSet<String>) {
    let Some(group) = path.strip_prefix('{') else {
        named.insert(path.chars().take_while(|letter| is_word(*letter)).collect());
        return;
    };
    let (mut depth, mut start) = (0_u32, 0);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                let segment = group[start..at].trim();
                named.insert(segment.chars().take_while(|letter| is_word(*letter)).collect());
                start = at + 1;
                if letter == '}' {
                    return;
                }
            }
            _ => {}
        }
    }
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The source without line comments, without one-line texts, without `#[cfg(test)]` modules. Relies on rustfmt: such a
/// module ends with a `}` indented as its `mod` is.
fn code_only(source: &str) -> String {
    let mut code = String::new();
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            let item = lines.next().unwrap_or_default();
            if item.trim_end().ends_with('{') {
                let indent = &item[..item.len() - item.trim_start().len()];
                let end = format!("{indent}}}");
                lines.by_ref().find(|line| *line == end);
            }
            continue;
        }
        code.push_str(&without_texts(line));
        code.push('\n');
    }
    code
}

fn without_texts(line: &str) -> String {
    let line = line.split("//").next().unwrap_or_default();
    line.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
}

/// A cycle, its first module repeated at the end.
fn cycle(imports: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn walk(
        module: &str,
        imports: &BTreeMap<String, BTreeSet<String>>,
        path: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> Option<Vec<String>> {
        if let Some(at) = path.iter().position(|known| known == module) {
            let mut cycle = path[at..].to_vec();
            cycle.push(module.to_owned());
            return Some(cycle);
        }
        if done.contains(module) {
            return None;
        }
        path.push(module.to_owned());
        for next in imports.get(module).into_iter().flatten() {
            if let Some(cycle) = walk(next, imports, path, done) {
                return Some(cycle);
            }
        }
        path.pop();
        done.insert(module.to_owned());
        None
    }
    let mut done = BTreeSet::new();
    imports.keys().find_map(|module| walk(module, imports, &mut Vec::new(), &mut done))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(folder).sort_by_file_name();
    let paths = entries.into_iter().map(|entry| entry.expect("entry").into_path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("source")
}
