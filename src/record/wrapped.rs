//! Records inside JSON: Firehose lines, CloudWatch subscription batches, `filter-log-events` output, field-per-key.

use std::sync::Arc;

use serde_json::Value;

use super::field::Field;
use super::format::LogFormat;
use super::parse::{Seen, finish, set_field};
use super::{FlowRecord, Malformed};

/// The most text one JSON value may take over several lines.
const MAX_COLLECTED_BYTES: usize = 32 * 1024 * 1024;

/// What a collected line takes besides its text.
const LINE_OVERHEAD_BYTES: usize = 48;

/// Top-level keys of JSON that AWS writes and that holds no flow logs.
const FOREIGN_KEYS: [&str; 12] = [
    "Records",
    "Events",
    "configurationItems",
    "NetworkAcls",
    "Subnets",
    "NetworkInterfaces",
    "NatGateways",
    "Vpcs",
    "SecurityGroups",
    "FlowLogs",
    "flowcheck",
    "generator",
];

/// Finds whole JSON values in lines; a value may run over several of them (pretty-printed) or share one.
#[derive(Debug, Default)]
pub(super) struct JsonLines {
    collected: Vec<(u64, Vec<u8>)>,
    bytes: usize,
    depth: Depth,
    /// Collecting failed once: from then on every line stands for itself.
    one_line_only: bool,
    format: Option<Arc<LogFormat>>,
}

/// What a line of JSON gave.
#[derive(Debug)]
pub(super) enum Unwrapped {
    /// The value goes on in the next line.
    More,
    /// Whole values, with the number of their first line.
    Values(u64, Vec<Value>),
    /// Not JSON: the first line is at fault, the others are to be read again.
    Broken(Vec<(u64, Vec<u8>)>),
}

impl JsonLines {
    pub(super) fn is_collecting(&self) -> bool {
        !self.collected.is_empty()
    }

    pub(super) fn line(&mut self, number: u64, line: &[u8]) -> Unwrapped {
        if !self.is_collecting() {
            match values(line) {
                Ok(values) => return Unwrapped::Values(number, values),
                Err(error) if error.is_eof() && !self.one_line_only => {}
                Err(_) => return Unwrapped::Broken(vec![(number, line.to_vec())]),
            }
            self.depth = Depth::default();
        }
        self.depth.add(line);
        self.bytes += line.len() + LINE_OVERHEAD_BYTES;
        self.collected.push((number, line.to_vec()));
        // JSON has no raw line feed inside a string, so an open string means a cut-off value.
        if self.depth.in_string || self.bytes > MAX_COLLECTED_BYTES {
            return Unwrapped::Broken(self.give_up().unwrap_or_default());
        }
        if self.depth.open > 0 {
            return Unwrapped::More;
        }
        let mut text = Vec::with_capacity(self.bytes);
        for (_, line) in &self.collected {
            text.extend_from_slice(line);
            text.push(b'\n');
        }
        match values(&text) {
            Ok(values) => {
                let first = self.collected[0].0;
                self.collected.clear();
                self.bytes = 0;
                Unwrapped::Values(first, values)
            }
            Err(_) => Unwrapped::Broken(self.give_up().unwrap_or_default()),
        }
    }

    /// The lines collected so far, if any, to be read one by one.
    pub(super) fn give_up(&mut self) -> Option<Vec<(u64, Vec<u8>)>> {
        if self.collected.is_empty() {
            return None;
        }
        self.one_line_only = true;
        self.bytes = 0;
        Some(std::mem::take(&mut self.collected))
    }

    /// The format that a record's keys amount to; the last one is kept, since records come in runs.
    pub(super) fn format_of(&mut self, fields: &[(Field, &str, String)]) -> &Arc<LogFormat> {
        let names = fields.iter().map(|(_, name, _)| *name).collect::<Vec<_>>().join(" ");
        let same = self.format.as_ref().is_some_and(|format| {
            format.columns().len() == fields.len()
                && fields.iter().enumerate().all(|(column, (_, name, _))| format.column_name(column) == *name)
        });
        let format = if same { self.format.take() } else { None };
        self.format.insert(format.unwrap_or_else(|| {
            Arc::new(LogFormat::parse(&names).unwrap_or_else(|_| (*LogFormat::default_v2()).clone()))
        }))
    }
}

fn values(text: &[u8]) -> serde_json::Result<Vec<Value>> {
    serde_json::Deserializer::from_slice(text).into_iter().collect()
}

/// How many braces and brackets are open.
#[derive(Debug, Default)]
struct Depth {
    open: i64,
    in_string: bool,
}

impl Depth {
    fn add(&mut self, line: &[u8]) {
        let mut escaped = false;
        for &byte in line {
            match (self.in_string, byte) {
                (true, _) if escaped => escaped = false,
                (true, b'\\') => escaped = true,
                (_, b'"') => self.in_string = !self.in_string,
                (false, b'{' | b'[') => self.open += 1,
                (false, b'}' | b']') => self.open -= 1,
                _ => {}
            }
        }
    }
}

/// What a JSON value holds.
pub(super) enum Content<'a> {
    /// A control message of a subscription: nothing.
    Control,
    /// Texts that are records.
    Messages(Vec<&'a str>),
    /// Values to be looked at one by one.
    Values(&'a [Value]),
    /// One record, a field a key: field, key, text.
    Fields(Vec<(Field, &'a str, String)>),
    /// One transit gateway record, a field a key.
    TransitGateway,
    /// JSON that AWS writes and that holds no flow logs; the key that tells.
    Foreign(&'static str),
    /// None of these.
    Nothing,
}

pub(super) fn content(value: &Value) -> Content<'_> {
    let object = match value {
        Value::Object(object) => object,
        Value::Array(values) => return Content::Values(values),
        _ => return Content::Nothing,
    };
    if object.get("messageType").and_then(Value::as_str) == Some("CONTROL_MESSAGE") {
        return Content::Control;
    }
    for key in ["logEvents", "events"] {
        if let Some(Value::Array(events)) = object.get(key) {
            return Content::Values(events);
        }
    }
    for key in ["message", "@message"] {
        if let Some(Value::String(message)) = object.get(key) {
            return Content::Messages(vec![message]);
        }
    }
    if let Some(key) = FOREIGN_KEYS.into_iter().find(|key| object.contains_key(*key)) {
        return Content::Foreign(key);
    }
    let fields: Vec<_> =
        object.iter().map(|(key, value)| (Field::from_name(key), key.as_str(), text_of(value))).collect();
    let known = fields.iter().filter(|(field, ..)| *field != Field::Unknown).count();
    if known < 2 {
        Content::Nothing
    } else if fields.iter().any(|(field, ..)| *field == Field::TransitGateway) {
        Content::TransitGateway
    } else {
        Content::Fields(fields)
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Builds the record of a field-per-key object and hands it on, since it borrows from the texts.
pub(super) fn with_record(
    fields: &[(Field, &str, String)],
    format: &LogFormat,
    then: impl FnOnce(Result<FlowRecord<'_>, Malformed>),
) {
    let mut record = FlowRecord::default();
    let mut seen = Seen::default();
    for (field, _, text) in fields {
        if let Err(problem) = set_field(&mut record, &mut seen, *field, text.as_bytes()) {
            then(Err(Malformed::new(field.name(), text.as_bytes(), problem)));
            return;
        }
    }
    then(finish(record, &seen, format));
}
