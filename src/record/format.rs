//! Which field stands in which column: header lines, `--log-format` strings and the default format.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use super::field::{DEFAULT_FIELDS, Field};

/// The columns of one flow log, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFormat {
    columns: Vec<Field>,
    names: Vec<String>,
}

/// A `--log-format` that names no field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogFormatError {
    /// Nothing but blanks.
    #[error("the log format is empty")]
    Empty,
    /// None of the names is a flow log field.
    #[error("`{0}` names no flow log field")]
    NoKnownField(String),
    /// One field in two columns.
    #[error("`{0}` stands in the log format twice")]
    Twice(String),
}

static DEFAULT: LazyLock<Arc<LogFormat>> =
    LazyLock::new(|| Arc::new(LogFormat::from_names(DEFAULT_FIELDS.into_iter())));

impl LogFormat {
    /// The default format (version 2, 14 fields).
    #[must_use]
    pub fn default_v2() -> Arc<Self> {
        Arc::clone(&DEFAULT)
    }

    /// The format with these columns, known or not.
    pub(super) fn from_names<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let names: Vec<String> = names.map(|name| with_dashes(name).into_owned()).collect();
        let columns: Vec<_> = names.iter().map(|name| Field::from_name(name)).collect();
        Self { columns, names }
    }

    /// Reads `${version} ${account-id} …` as `DescribeFlowLogs` prints it, or bare names; commas may separate them.
    pub fn parse(text: &str) -> Result<Self, LogFormatError> {
        let format = Self::from_names(tokens(text));
        if format.columns.is_empty() {
            return Err(LogFormatError::Empty);
        }
        if !format.columns.iter().any(|field| *field != Field::Unknown) {
            return Err(LogFormatError::NoKnownField(text.to_owned()));
        }
        for (index, name) in format.names.iter().enumerate() {
            if format.names[..index].contains(name) {
                return Err(LogFormatError::Twice(name.clone()));
            }
        }
        Ok(format)
    }

    /// The format that a line of input names, if the line is a header: at least half of its words are field names.
    #[must_use]
    pub fn from_header(line: &str) -> Option<Self> {
        // Nearly every line that is asked about is a record: its words are not worth a copy.
        let (mut known, mut all) = (0, 0);
        for name in tokens(line) {
            all += 1;
            known += usize::from(Field::from_name(&with_dashes(name)) != Field::Unknown);
        }
        (known > 0 && known * 2 >= all).then(|| Self::from_names(tokens(line)))
    }

    /// The fields, in column order.
    #[must_use]
    pub fn columns(&self) -> &[Field] {
        &self.columns
    }

    /// The name of a column as the format spells it, with dashes.
    #[must_use]
    pub fn column_name(&self, column: usize) -> &str {
        self.names.get(column).map_or("field", String::as_str)
    }

    /// Whether these are transit gateway records: no action, no interface, nothing to pair.
    #[must_use]
    pub fn is_transit_gateway(&self) -> bool {
        self.columns.contains(&Field::TransitGateway) && !self.columns.contains(&Field::Action)
    }

    /// Names of the fields whose absence takes something from the analysis, and what it takes.
    #[must_use]
    pub fn missing(&self) -> Vec<MissingField> {
        let has = |field| self.columns.contains(&field);
        let mut missing = Vec::new();
        let mut need = |name: &'static str, present: bool, consequence: &'static str| {
            if !present {
                missing.push(MissingField { name, consequence });
            }
        };
        need("action", has(Field::Action), "cannot tell rejects");
        need(
            "interface-id",
            has(Field::InterfaceId),
            "cannot tell which interface's records belong together",
        );
        need("srcaddr", has(Field::Srcaddr) || has(Field::PktSrcaddr), "cannot pair requests with replies");
        need("dstaddr", has(Field::Dstaddr) || has(Field::PktDstaddr), "cannot pair requests with replies");
        need("srcport", has(Field::Srcport), "cannot pair requests with replies");
        need("dstport", has(Field::Dstport), "cannot pair requests with replies");
        need("protocol", has(Field::Protocol), "cannot pair requests with replies");
        need("start or end", has(Field::Start) || has(Field::End), "cannot place records in time");
        missing
    }

    /// Whether records say TCP flags.
    #[must_use]
    pub fn has_tcp_flags(&self) -> bool {
        self.columns.contains(&Field::TcpFlags)
    }

    /// The packet-level addresses, if the format lacks them: that matters only to interfaces with several addresses.
    #[must_use]
    pub fn missing_packet_addresses(&self) -> Option<MissingField> {
        let both = [Field::PktSrcaddr, Field::PktDstaddr].iter().all(|field| self.columns.contains(field));
        (!both).then_some(PACKET_ADDRESSES)
    }

    /// The names separated by spaces, as a header line has them.
    #[must_use]
    pub fn header(&self) -> String {
        let mut line = String::new();
        for name in &self.names {
            let gap = if line.is_empty() { "" } else { " " };
            let _ = write!(line, "{gap}{name}");
        }
        line
    }
}

/// A field that a format lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MissingField {
    /// Its name.
    pub name: &'static str,
    /// What cannot be done without it.
    pub consequence: &'static str,
}

/// Without them, what goes to or from a secondary address is logged under the interface's primary one (VPC User Guide,
/// "Flow log records").
pub const PACKET_ADDRESSES: MissingField = MissingField {
    name: "pkt-srcaddr and pkt-dstaddr",
    consequence: "cannot tell the addresses of one interface apart",
};

/// A field's name as the documentation spells it, of one in capitals or with underscores.
fn with_dashes(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte == b'_' || byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase().replace('_', "-"))
    } else {
        Cow::Borrowed(name)
    }
}

fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_ascii_whitespace() || c == ',')
        .map(|word| word.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).unwrap_or(word))
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_a_log_format_are_one() {
        let dollars = LogFormat::parse("${version} ${srcaddr} ${log-status}");
        assert_eq!(dollars, LogFormat::parse("version srcaddr log_status"));
        assert_eq!(dollars.map(|f| f.header()), Ok("version srcaddr log-status".to_owned()));
        assert!(LogFormat::parse("  ").is_err());
        assert!(LogFormat::parse("srcaddr srcaddr").is_err());
    }

    #[test]
    fn a_header_is_told_from_a_record() {
        assert!(LogFormat::from_header("version account_id interface_id").is_some());
        assert!(LogFormat::from_header("brand-new-field version action").is_some());
        assert!(LogFormat::from_header("2 123456789010 eni-1 10.0.0.1 10.0.0.2").is_none());
        assert!(LogFormat::from_header("").is_none());
    }

    #[test]
    fn what_a_format_lacks_is_named() {
        let format = LogFormat::parse("instance-id interface-id srcaddr dstaddr pkt-srcaddr pkt-dstaddr")
            .expect("format");
        let names: Vec<_> = format.missing().iter().map(|field| field.name).collect();
        assert_eq!(names, ["action", "srcport", "dstport", "protocol", "start or end"]);
        assert!(LogFormat::default_v2().missing().is_empty());
    }

    #[test]
    fn transit_gateway_formats_are_recognised() {
        let tgw =
            LogFormat::from_header("version resource-type account-id tgw-id srcaddr dstaddr log-status");
        assert!(tgw.is_some_and(|format| format.is_transit_gateway()));
        assert!(!LogFormat::default_v2().is_transit_gateway());
    }
}
