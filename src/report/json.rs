//! The `json` format: the whole diagnosis as one document, two spaces deep. Refuses to change a value.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::PrettyFormatter;

use super::escape::VisibleJson;
use super::view::{Diagnosis, Report};

/// Writes the document and a newline.
pub fn write_json(diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
    document(diagnosis, out)
}

/// Writes a report: the members of a diagnosis, and its own.
pub fn write_report_json(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    document(report, out)
}

fn document(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    let layout = VisibleJson(PrettyFormatter::new());
    value.serialize(&mut Serializer::with_formatter(&mut *out, layout))?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::sample;
    use super::*;

    fn document(diagnosis: &Diagnosis) -> (String, Value) {
        let mut out = Vec::new();
        write_json(diagnosis, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let value = serde_json::from_str(&text).unwrap();
        (text, value)
    }

    #[test]
    fn has_the_contract_keys_and_ends_with_a_newline() {
        let (text, value) = document(&sample::incident());
        assert!(text.starts_with("{\n  \"schema_version\": 1,\n  \"generator\": {\n"), "{text}");
        assert!(text.ends_with("}\n"));
        let finding = &value["findings"][0];
        assert_eq!(finding["direction"], "ingress");
        assert_eq!(finding["rule_number"], 32767);
        assert_eq!(finding["first_seen"], "2026-11-20T14:24:02Z");
        assert_eq!(finding["change"], Value::Null);
        assert_eq!(finding["near_misses"][2]["mismatch"], "port, source");
        assert_eq!(value["input"]["incomplete"][0]["error"], "unexpected end of gzip stream");
        assert!(value.get("rows").is_none());
    }

    #[test]
    fn hostile_text_is_the_same_value_but_shows_no_raw_control() {
        let diagnosis = sample::hostile();
        let (text, value) = document(&diagnosis);
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text}");
        assert!(!text.contains('\u{202e}'));
        let name = diagnosis.names.values().next().unwrap();
        let id = diagnosis.names.keys().next().unwrap();
        assert_eq!(value["names"][id], **name);
    }

    #[test]
    fn an_empty_diagnosis_has_empty_lists() {
        let (_, value) = document(&sample::empty());
        assert_eq!(value["findings"], Value::Array(vec![]));
        assert_eq!(value["other_rejects"]["records"], 0);
    }
}
