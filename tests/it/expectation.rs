//! Comparing what came out with the part of it that a test names.
//!
//! Members not named are not compared. `"null"` stands for `null`. A member `X_contains` wants `X` to contain a text.
//! A text where a rule object stands is compared with the rule in words (see [`in_words`]).

use std::fmt::Write;

use serde_json::Value;

/// What is wrong, one line a difference; empty when everything expected is there.
pub fn differences(at: &str, expected: &Value, actual: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(at, expected, actual, &mut found);
    found
}

fn compare(at: &str, expected: &Value, actual: &Value, found: &mut Vec<String>) {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            for (name, wanted) in expected {
                if let Some(name) = name.strip_suffix("_contains") {
                    contains(&format!("{at}.{name}"), wanted, actual.get(name), found);
                } else {
                    let nothing = Value::String("(absent)".to_owned());
                    compare(&format!("{at}.{name}"), wanted, actual.get(name).unwrap_or(&nothing), found);
                }
            }
        }
        (Value::Array(expected), Value::Array(actual)) => {
            if expected.len() != actual.len() {
                found.push(format!(
                    "{at}: {} expected, {} found: {}",
                    expected.len(),
                    actual.len(),
                    Value::Array(actual.clone())
                ));
                return;
            }
            for (index, (expected, actual)) in expected.iter().zip(actual).enumerate() {
                compare(&format!("{at}[{index}]"), expected, actual, found);
            }
        }
        (Value::String(null), Value::Null) if null == "null" => {}
        (Value::String(text), Value::Object(_)) if in_words(actual) == *text => {}
        _ if expected == actual => {}
        (_, Value::Object(_)) => {
            found.push(format!("{at}: expected {expected}, found {:?}", in_words(actual)));
        }
        _ => found.push(format!("{at}: expected {expected}, found {actual}")),
    }
}

fn contains(at: &str, wanted: &Value, actual: Option<&Value>, found: &mut Vec<String>) {
    let text = actual.and_then(Value::as_str).unwrap_or_default();
    let wanted = wanted.as_str().unwrap_or_default();
    if !text.contains(wanted) {
        found.push(format!("{at}: expected a text with {wanted:?}, found {actual:?}"));
    }
}

/// An entry of a fix as `90 TCP 1024-65535 0.0.0.0/0 ALLOW`, a near miss as `110 TCP 443 0.0.0.0/0 ALLOW: port`, a candidate as `acl-1 ingress 90 ICMP … DENY`, a step as
/// `110 TCP … ALLOW: matched`.
fn in_words(value: &Value) -> String {
    let text = |name: &str| value[name].as_str();
    let rule = text("rule").unwrap_or_default();
    match (text("mismatch").or(text("outcome")), text("network_acl_id"), text("direction")) {
        (Some(outcome), ..) => format!("{rule}: {outcome}"),
        (None, Some(acl), Some(direction)) => format!("{acl} {direction} {rule}"),
        _ if !rule.is_empty() => rule.to_owned(),
        _ => value.to_string(),
    }
}

/// Each expected value fits one actual value of its own, in any order, and none is left over.
pub fn differences_in_any_order(what: &str, expected: &[Value], actual: &[Value]) -> Vec<String> {
    let mut left: Vec<&Value> = actual.iter().collect();
    let mut found = Vec::new();
    for (index, wanted) in expected.iter().enumerate() {
        let best = left
            .iter()
            .enumerate()
            .map(|(place, candidate)| (differences(&format!("{what}[{index}]"), wanted, candidate), place))
            .min_by_key(|(differences, _)| differences.len());
        match best {
            Some((differences, place)) if differences.is_empty() => {
                left.remove(place);
            }
            Some((differences, _)) => found.extend(differences),
            None => found.push(format!("{what}[{index}]: expected {wanted}, found nothing more")),
        }
    }
    if expected.len() != actual.len() {
        let mut text = format!("{what}: {} expected, {} found:", expected.len(), actual.len());
        for one in actual {
            let _ = write!(text, "\n    {one}");
        }
        found.push(text);
    }
    found
}
