//! The lines of one input, whatever they are: headers, records, wrapped JSON, transit gateway records, junk.
//!
//! The fast way is one [`parse_record`] with the format in force; whatever that refuses is looked at again, slowly.

use std::borrow::Cow;
use std::sync::Arc;

use super::format::LogFormat;
use super::parse::{MAX_LINE_BYTES, needs_respacing, parse_record, token_count};
use super::plain::{Common, Layout, PlainRecords};
use super::wrapped::{JsonLines, Unwrapped};
#[cfg(target_arch = "x86_64")]
use super::x86::{self, permute::Moves};
use super::{FlowRecord, Malformed, Problem};

mod ordinary;

pub use ordinary::Room;

/// What a [`LineReader`] finds. Every non-blank line ends in exactly one call of `record`, `malformed`, `header` or
/// `transit_gateway`; a line of wrapped JSON in one call for each record inside.
pub trait Sink {
    /// A record, in the format last told to [`Sink::format`].
    fn record(&mut self, record: &FlowRecord<'_>);
    /// The same for ordinary records in a row.
    fn plain(&mut self, records: PlainRecords<'_>) {
        records.iter().for_each(|record| self.record(&record.widen()));
    }
    /// A line that is no record. `line` counts from 1.
    fn malformed(&mut self, line: u64, malformed: Malformed);
    /// A header line.
    fn header(&mut self);
    /// A transit gateway record.
    fn transit_gateway(&mut self);
    /// The format of the records that follow, whenever it changes.
    fn format(&mut self, format: &LogFormat);
    /// JSON of a kind that AWS writes and that holds no flow logs (a CloudTrail file, a saved configuration).
    fn foreign_json(&mut self, line: u64, key: &'static str);
}

/// Reads the lines of one input in order and remembers the format they are in.
#[expect(clippy::struct_excessive_bools, reason = "what is so of the input, each by itself")]
#[derive(Debug)]
pub struct LineReader {
    /// The header's format, once there is one.
    header: Option<Arc<LogFormat>>,
    /// For input without a header: `--log-format` first, then the default format.
    headerless: Headerless,
    /// The format last reported to the sink.
    reported: Option<Arc<LogFormat>>,
    /// The reported format is the default one without a header: its records begin with version 2.
    default_without_header: bool,
    /// How often a format was reported: whether it has changed.
    formats_reported: u64,
    /// Where the fields of an ordinary record in the reported format stand.
    layout: Option<Layout>,
    /// Whether lines are read by moving their bytes, which not every processor can do.
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "no other processor does"))]
    moves_bytes: bool,
    /// How they move into place; not where that fails for most lines.
    #[cfg(target_arch = "x86_64")]
    moves: Option<Box<Moves>>,
    common: Common,
    room: Option<Room>,
    /// Lines begin with the time at which CloudWatch Logs received them.
    timestamped: bool,
    /// Lines are rows of a table: never headers, JSON or anything else.
    rows: bool,
    json: JsonLines,
}

/// Formats that lines may be in when no header tells.
#[derive(Debug)]
struct Headerless {
    /// Those given, then the default format.
    formats: Vec<Arc<LogFormat>>,
    /// Two of those given have as many fields: the number of a line's fields does not tell which one it is in.
    has_rivals: bool,
}

impl Headerless {
    fn new(given: &[Arc<LogFormat>]) -> Self {
        let is_rival =
            |a: &Arc<LogFormat>, b: &Arc<LogFormat>| a != b && a.columns().len() == b.columns().len();
        let has_rivals = given.iter().any(|a| given.iter().any(|b| is_rival(a, b)));
        let formats = given.iter().cloned().chain([LogFormat::default_v2()]).collect();
        Self { formats, has_rivals }
    }

    /// Reads a line in the format that it fits. Among rivals it is what all those it fits agree on. An error is of the
    /// first format that has as many fields; `None` when there is none.
    fn read<'a>(&self, line: &'a [u8]) -> Result<(Arc<LogFormat>, FlowRecord<'a>), Option<Malformed>> {
        let found = token_count(line);
        let mut first_error = None;
        let mut fitting: Option<(Arc<LogFormat>, FlowRecord<'_>)> = None;
        for (at, format) in self.formats.iter().enumerate() {
            // What was given counts before the default.
            let is_last = !self.has_rivals || at + 1 == self.formats.len();
            if fitting.is_some() && is_last {
                break;
            }
            let is_default = **format == *LogFormat::default_v2();
            if format.columns().len() != found || is_default && !line.starts_with(b"2 ") {
                continue;
            }
            match (parse_record(line, format), fitting) {
                (Ok(record), None) => fitting = Some((Arc::clone(format), record)),
                (Ok(record), Some((known_format, known))) => {
                    let ambiguous = || Some(Malformed::new("line", line, Problem::Ambiguous));
                    fitting = Some((known_format, known.agreed(record).ok_or_else(ambiguous)?));
                }
                (Err(malformed), known) => {
                    fitting = known;
                    first_error = first_error.or(Some(malformed));
                }
            }
        }
        fitting.ok_or(first_error)
    }
}

impl LineReader {
    /// A reader of input whose records, without a header, are in one of `log_formats` or in the default format.
    #[must_use]
    pub fn new(log_formats: &[Arc<LogFormat>]) -> Self {
        Self::with_room(log_formats, None)
    }

    /// The same with the room of a reader that has done its work.
    #[must_use]
    pub fn with_room(log_formats: &[Arc<LogFormat>], room: Option<Room>) -> Self {
        Self {
            header: None,
            headerless: Headerless::new(log_formats),
            reported: None,
            default_without_header: false,
            formats_reported: 0,
            layout: None,
            #[cfg(target_arch = "x86_64")]
            moves_bytes: x86::permutes(),
            #[cfg(not(target_arch = "x86_64"))]
            moves_bytes: false,
            #[cfg(target_arch = "x86_64")]
            moves: None,
            common: Common::default(),
            room,
            timestamped: false,
            rows: false,
            json: JsonLines::default(),
        }
    }

    /// Its room, for the next reader.
    #[must_use]
    pub fn into_room(self) -> Option<Room> {
        self.room
    }

    /// The lines that follow are rows of a table with these columns; no header is counted for them.
    pub fn columns(&mut self, names: &[String]) {
        self.header = Some(Arc::new(LogFormat::from_names(names.iter().map(String::as_str))));
        self.rows = true;
    }

    /// Takes one line without its line feed. `number` counts from 1.
    #[inline]
    pub fn line(&mut self, number: u64, line: &[u8], sink: &mut impl Sink) {
        if !self.timestamped
            && !self.json.is_collecting()
            && let Some(format) = self.reported.as_ref()
            && !format.is_transit_gateway()
            && (!self.headerless.has_rivals || self.header.is_some())
            && line.len() <= MAX_LINE_BYTES
            && !line.ends_with(b"\t")
            && !line.ends_with(b"\t\r")
            && (!self.default_without_header || line.starts_with(b"2 "))
            && let Ok(record) = parse_record(line.strip_suffix(b"\r").unwrap_or(line), format)
        {
            sink.record(&record);
            return;
        }
        self.unusual_line(number, line, sink);
    }

    /// Takes what is left when the input ends.
    pub fn end(&mut self, sink: &mut impl Sink) {
        if let Some(lines) = self.json.give_up() {
            self.replay(lines, sink);
        }
    }

    #[cold]
    fn unusual_line(&mut self, number: u64, line: &[u8], sink: &mut impl Sink) {
        if self.rows {
            // A value that looks like JSON or a time is still only a value.
            self.formatted_line(number, line, sink);
            return;
        }
        let line = if number == 1 { line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line) } else { line };
        let line = line.trim_ascii();
        if line.is_empty() {
            return;
        }
        if self.json.is_collecting() || matches!(line[0], b'{' | b'[') {
            let unwrapped = self.json.line(number, line);
            self.unwrapped(unwrapped, sink);
            return;
        }
        self.text_line(number, line, sink);
    }

    fn text_line(&mut self, number: u64, line: &[u8], sink: &mut impl Sink) {
        if line.len() > MAX_LINE_BYTES {
            sink.malformed(number, Malformed::new("line", line, Problem::TooLong));
            return;
        }
        let line: Cow<'_, [u8]> = if needs_respacing(line) {
            line.iter().map(|byte| if *byte == b'\t' { b' ' } else { *byte }).collect::<Vec<u8>>().into()
        } else {
            line.into()
        };
        let stripped = strip_received_time(&line);
        self.timestamped = stripped.is_some();
        self.record_line(number, stripped.unwrap_or(&line), sink);
    }

    /// A header, a record in one of the possible formats, a transit gateway record, or malformed; in that order.
    fn record_line(&mut self, number: u64, line: &[u8], sink: &mut impl Sink) {
        if let Some(format) = std::str::from_utf8(line).ok().and_then(LogFormat::from_header) {
            sink.header();
            let format = Arc::new(format);
            self.header = Some(Arc::clone(&format));
            self.report(&format, sink);
            return;
        }
        self.formatted_line(number, line, sink);
    }

    /// A line in the format that is known, or in one of those it may have.
    fn formatted_line(&mut self, number: u64, line: &[u8], sink: &mut impl Sink) {
        let Some(header) = self.header.clone() else {
            self.headerless_line(number, line, sink);
            return;
        };
        if header.is_transit_gateway() {
            sink.transit_gateway();
            return;
        }
        if line.len() > MAX_LINE_BYTES {
            sink.malformed(number, Malformed::new("line", line, Problem::TooLong));
            return;
        }
        match parse_record(line, &header) {
            Ok(record) => {
                self.report(&header, sink);
                sink.record(&record);
            }
            Err(malformed) => sink.malformed(number, malformed),
        }
    }

    fn headerless_line(&mut self, number: u64, line: &[u8], sink: &mut impl Sink) {
        let error = match self.headerless.read(line) {
            Ok((format, record)) => {
                self.report(&format, sink);
                sink.record(&record);
                return;
            }
            Err(error) => error,
        };
        if looks_like_transit_gateway(line) {
            sink.transit_gateway();
            return;
        }
        let (found, default_columns) = (token_count(line), LogFormat::default_v2().columns().len());
        let malformed = error.unwrap_or_else(|| {
            if found == default_columns {
                // As many fields as the default format has, and another version: it is another format.
                let version = &line[..memchr::memchr(b' ', line).unwrap_or(line.len())];
                return Malformed::new(
                    "version",
                    version,
                    Problem::NotOneOf("2, the version of the default format"),
                );
            }
            let expected = self.headerless.formats[0].columns().len();
            Malformed::new("line", line, Problem::FieldCount { expected, found })
        });
        sink.malformed(number, malformed);
    }

    fn report(&mut self, format: &Arc<LogFormat>, sink: &mut impl Sink) {
        if self.reported.as_ref() != Some(format) {
            sink.format(format);
            self.reported = Some(Arc::clone(format));
            self.formats_reported += 1;
            self.default_without_header = self.header.is_none() && **format == *LogFormat::default_v2();
            self.layout = Layout::new(format);
            #[cfg(target_arch = "x86_64")]
            {
                let layout = self.layout.filter(|_| self.moves_bytes);
                let moves = layout.and_then(|layout| Moves::new(&layout, self.default_without_header));
                self.moves = moves.map(Box::new);
            }
        }
    }

    fn unwrapped(&mut self, unwrapped: Unwrapped, sink: &mut impl Sink) {
        match unwrapped {
            Unwrapped::More => {}
            Unwrapped::Values(number, values) => {
                for value in &values {
                    self.json_value(number, value, 0, sink);
                }
            }
            Unwrapped::Broken(lines) => self.replay(lines, sink),
        }
    }

    /// Lines collected for a JSON value that never became one: the first is malformed, the others are read again.
    fn replay(&mut self, lines: Vec<(u64, Vec<u8>)>, sink: &mut impl Sink) {
        let mut lines = lines.into_iter();
        if let Some((number, line)) = lines.next() {
            sink.malformed(number, Malformed::new("line", &line, Problem::NotJson));
        }
        for (number, line) in lines {
            self.unusual_line(number, &line, sink);
        }
    }

    fn json_value(&mut self, number: u64, value: &serde_json::Value, depth: u8, sink: &mut impl Sink) {
        use super::wrapped::{Content, content, with_record};
        match content(value) {
            Content::Control => {}
            Content::Messages(messages) => {
                for message in messages {
                    self.message(number, message, depth, sink);
                }
            }
            Content::Values(values) => {
                for value in values {
                    self.json_value(number, value, depth, sink);
                }
            }
            Content::Foreign(key) => sink.foreign_json(number, key),
            Content::TransitGateway => sink.transit_gateway(),
            Content::Fields(fields) => {
                let format = Arc::clone(self.json.format_of(&fields));
                self.report(&format, sink);
                with_record(&fields, &format, |parsed| match parsed {
                    Ok(record) => sink.record(&record),
                    Err(malformed) => sink.malformed(number, malformed),
                });
                // Lines of text are in a format of their own.
                (self.reported, self.layout) = (None, None);
            }
            Content::Nothing => {
                sink.malformed(
                    number,
                    Malformed::new("line", value.to_string().as_bytes(), Problem::NoRecordInJson),
                );
            }
        }
    }

    /// A record inside a JSON string; the string may itself be JSON, once.
    fn message(&mut self, number: u64, message: &str, depth: u8, sink: &mut impl Sink) {
        let text = message.trim();
        if depth == 0
            && text.starts_with('{')
            && let Ok(value) = serde_json::from_str(text)
        {
            self.json_value(number, &value, depth + 1, sink);
        } else {
            for line in text.lines().filter(|line| !line.trim().is_empty()) {
                self.text_line(number, line.trim().as_bytes(), sink);
            }
            if text.is_empty() {
                sink.malformed(number, Malformed::new("line", b"", Problem::NoRecordInJson));
            }
        }
    }
}

/// The rest of a line that begins with an RFC 3339 time, as CloudWatch Logs exports to S3 have it.
fn strip_received_time(line: &[u8]) -> Option<&[u8]> {
    let (time, rest) = line.split_at(memchr::memchr(b' ', line)?);
    let shaped = time.len() >= 20 && time[4] == b'-' && time[10] == b'T' && time[13] == b':';
    (shaped && time[..4].iter().all(u8::is_ascii_digit)).then(|| rest.trim_ascii_start())
}

/// Version 6, or a token that only transit gateway records have.
fn looks_like_transit_gateway(line: &[u8]) -> bool {
    let mut tokens = line.split(|byte| *byte == b' ').filter(|token| !token.is_empty());
    tokens.any(|token| token == b"TransitGateway" || token.starts_with(b"tgw-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default, Debug, PartialEq, Eq)]
    struct Tally {
        records: usize,
        headers: usize,
        transit_gateway: usize,
        malformed: Vec<(u64, String)>,
        foreign: usize,
        formats: usize,
    }

    impl Sink for Tally {
        fn record(&mut self, _: &FlowRecord<'_>) {
            self.records += 1;
        }
        fn malformed(&mut self, line: u64, malformed: Malformed) {
            self.malformed.push((line, malformed.to_string()));
        }
        fn header(&mut self) {
            self.headers += 1;
        }
        fn transit_gateway(&mut self) {
            self.transit_gateway += 1;
        }
        fn format(&mut self, _: &LogFormat) {
            self.formats += 1;
        }
        fn foreign_json(&mut self, _: u64, _: &'static str) {
            self.foreign += 1;
        }
    }

    const V2: &str =
        "2 123456789010 eni-1 10.0.0.1 10.0.0.2 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK";

    fn read_with(text: &str, log_formats: &[Arc<LogFormat>]) -> Tally {
        let mut reader = LineReader::new(log_formats);
        let mut tally = Tally::default();
        for (index, line) in text.split('\n').enumerate() {
            reader.line(index as u64 + 1, line.as_bytes(), &mut tally);
        }
        reader.end(&mut tally);
        tally
    }

    fn read(text: &str) -> Tally {
        read_with(text, &[])
    }

    #[test]
    fn blanks_crlf_bom_tabs_and_double_spaces_do_not_matter() {
        let text = format!(
            "\u{feff}{}\r\n\r\n{V2}\r\n   \n{}\n{}\n{V2}",
            LogFormat::default_v2().header(),
            V2.replace(' ', "  "),
            V2.replace(' ', "\t")
        );
        let tally = read(&text);
        assert_eq!((tally.records, tally.headers, tally.malformed), (4, 1, vec![]));
    }

    #[test]
    fn a_header_in_the_middle_changes_the_format() {
        let text = format!(
            "{V2}\nversion action log_status start\n3 REJECT OK 1418530010\n{}\n{V2}",
            LogFormat::default_v2().header()
        );
        let tally = read(&text);
        assert_eq!((tally.records, tally.headers, tally.formats), (3, 2, 3));
    }

    #[test]
    fn cloudwatch_export_times_are_stripped() {
        let tally = read(&format!("2014-12-14T04:06:50.000Z {V2}\n2014-12-14T04:06:50.000Z {V2}\n{V2}"));
        assert_eq!((tally.records, tally.malformed), (3, vec![]));
    }

    #[test]
    fn json_in_all_its_wrappings() {
        let message = format!("{{\"message\": \"{V2}\"}}");
        let subscription = format!(
            "{{\"messageType\":\"DATA_MESSAGE\",\"logEvents\":[{{\"id\":\"1\",\"message\":\"{V2}\"}},{{\"id\":\"2\",\"message\":\"{V2}\"}}]}}"
        );
        let control = "{\"messageType\":\"CONTROL_MESSAGE\",\"logEvents\":[{\"message\":\"checking\"}]}";
        let fields = "{\"version\":2,\"interface_id\":\"eni-1\",\"srcaddr\":\"10.0.0.1\",\"dstaddr\":\"10.0.0.2\",\
                      \"srcport\":1,\"dstport\":\"2\",\"protocol\":6,\"start\":1418530010,\"end\":1418530070,\
                      \"action\":\"REJECT\",\"log_status\":\"OK\",\"packets\":null}";
        let pretty = format!("{{\n  \"events\": [\n    {{\n      \"message\": \"{V2}\"\n    }}\n  ]\n}}");
        let tally =
            read(&format!("{message}{message}\n{subscription}\n{control}\n{fields}\n{pretty}\n{message}"));
        assert_eq!((tally.records, tally.malformed), (7, vec![]));
    }

    #[test]
    fn rows_of_a_table_are_never_headers_or_json_and_zeros_are_no_time() {
        let mut reader = LineReader::new(&[]);
        let mut tally = Tally::default();
        reader.columns(&["interface-id", "start", "end", "action", "log-status"].map(str::to_owned));
        let rows = [
            "eni-1 1418530010 1418530070 - NODATA",
            // An end before the start, if the zero were a time.
            "eni-1 1418530010 0 - SKIPDATA",
            "eni-1 0 0 - NODATA",
            "{\"a\": - - - NODATA",
            "interface-id start end action log-status",
            "- - - - -",
            "2014-12-14T04:06:50.000Z 1418530010 1418530070 - NODATA",
        ];
        for (row, number) in rows.iter().zip(1..) {
            reader.line(number, row.as_bytes(), &mut tally);
        }
        reader.end(&mut tally);
        assert_eq!((tally.records, tally.headers, tally.formats), (5, 0, 1));
        assert_eq!(tally.malformed.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [5, 6]);
    }

    #[test]
    fn broken_json_costs_one_line() {
        let tally =
            read(&format!("{{\"message\": \"2 12\n{{\"a\": 1,\n{V2}\n{{\"message\": \"{V2}\"}}\n{{}}"));
        assert_eq!(tally.records, 2);
        assert_eq!(tally.malformed.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 2, 5]);
    }

    #[test]
    fn two_formats_in_one_stream_without_headers() {
        let custom = Arc::new(LogFormat::parse("${action} ${log-status} ${srcaddr}").expect("format"));
        let tally = read_with(&format!("ACCEPT OK 10.0.0.1\n{V2}\nREJECT OK 10.0.0.1\n9 9 9 9"), &[custom]);
        assert_eq!(tally.records, 3);
        assert_eq!(tally.malformed.len(), 1);
    }

    /// Whichever comes first would decide who is the client: a guess.
    #[test]
    fn a_line_that_two_formats_read_differently_is_no_record() {
        let format = |text: &str| Arc::new(LogFormat::parse(text).expect("format"));
        let formats = [
            format(
                "interface-id srcaddr dstaddr srcport dstport protocol start end action log-status tcp-flags",
            ),
            format(
                "interface-id dstaddr srcaddr dstport srcport protocol start end action log-status tcp-flags",
            ),
            format(
                "version srcaddr dstaddr srcport dstport protocol start end action log-status interface-id",
            ),
        ];
        let swapped = "eni-1 10.0.0.1 10.0.0.2 1 2 6 0 59 REJECT OK 2";
        let of_the_third = "5 10.0.0.1 10.0.0.2 1 2 6 0 59 REJECT OK eni-1";
        let idle = "eni-1 - - - - - 0 59 - NODATA -";
        for order in [[0, 1, 2], [2, 1, 0]] {
            let formats = order.map(|at: usize| Arc::clone(&formats[at]));
            let tally = read_with(&[swapped, of_the_third, swapped, idle].join("\n"), &formats);
            let problem = |line| (line, format!("line={swapped}: {}", Problem::Ambiguous));
            assert_eq!((tally.records, tally.malformed), (2, vec![problem(1), problem(3)]));
        }
        // What both say is so: only a field that they name differently is not heard.
        let other = [
            Arc::clone(&formats[0]),
            format(
                "interface-id srcaddr dstaddr srcport dstport protocol start end action log-status traffic-path",
            ),
        ];
        assert_eq!(read_with(swapped, &other).records, 1);
        assert_eq!(read_with(swapped, &formats[..1]).records, 1);
    }

    #[test]
    fn transit_gateway_records_are_counted_apart() {
        let tally = read("version resource-type tgw-id log-status\n6 TransitGateway tgw-1 OK\n");
        assert_eq!((tally.transit_gateway, tally.headers, tally.records), (1, 1, 0));
        assert_eq!(read("6 TransitGateway 1 tgw-0 tgw-attach-0 OK").transit_gateway, 1);
    }

    #[test]
    fn other_json_files_of_aws_are_named() {
        let tally = read("{\"Records\":[{\"eventSource\":\"ec2.amazonaws.com\"}]}\n{\"NetworkAcls\":[]}");
        assert_eq!((tally.foreign, tally.malformed), (2, vec![]));
    }

    #[test]
    fn json_that_is_too_deep_or_too_large_a_number_is_one_malformed_line() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let nested = (0..5_000).fold("1".to_owned(), |inner, _| format!("{{\"events\":[{inner}]}}"));
        let huge = format!("{{\"version\":1e400,\"action\":{}}}", "9".repeat(5_000));
        for line in [deep, nested, huge] {
            let tally = read(&format!("{line}\n{V2}"));
            assert_eq!((tally.records, tally.malformed.len()), (1, 1), "{}", &line[..40]);
        }
    }

    #[test]
    fn the_format_told_last_is_that_of_the_records_that_follow() {
        #[derive(Default)]
        struct Last(String, Vec<String>);
        impl Sink for Last {
            fn record(&mut self, _: &FlowRecord<'_>) {
                self.1.push(self.0.clone());
            }
            fn malformed(&mut self, _: u64, _: Malformed) {}
            fn header(&mut self) {}
            fn transit_gateway(&mut self) {}
            fn format(&mut self, format: &LogFormat) {
                self.0 = format.header();
            }
            fn foreign_json(&mut self, _: u64, _: &'static str) {}
        }
        let mut reader = LineReader::new(&[]);
        let mut last = Last::default();
        let json = "{\"action\":\"REJECT\",\"start\":1,\"log_status\":\"OK\"}";
        for (line, number) in ["action start", "ACCEPT 5", json, "ACCEPT 6"].into_iter().zip(1..) {
            reader.line(number, line.as_bytes(), &mut last);
        }
        assert_eq!(last.1, ["action start", "action log-status start", "action start"]);
    }

    const PIECES: [&str; 12] = [
        V2,
        V2,
        "{\"message\": \"2 123456789010 eni-1 10.0.0.1 10.0.0.2 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK\"}",
        "{",
        "[",
        "]",
        "}",
        ",",
        "{\"a\": 1,",
        "\"b\": [2]}",
        "{\"unended",
        "junk",
    ];

    proptest::proptest! {
        #[test]
        fn no_record_is_lost_or_counted_twice_whatever_json_stands_around_it(
            pieces in proptest::collection::vec(0..PIECES.len(), 0..40),
        ) {
            let text: Vec<_> = pieces.iter().map(|piece| PIECES[*piece]).collect();
            let expected = pieces.iter().filter(|piece| **piece < 3).count();
            proptest::prop_assert_eq!(read(&text.join("\n")).records, expected);
        }

        #[test]
        fn every_line_of_text_ends_in_one_call(
            lines in proptest::collection::vec("[ -z\t\r\u{e9}]{0,60}|2 [0-9 .a-z-]{0,90}|(version|action|srcaddr| ){0,9}", 0..40),
        ) {
            let lines: Vec<_> =
                lines.into_iter().filter(|line| !line.trim().starts_with(['{', '['])).collect();
            let tally = read(&lines.join("\n"));
            let calls = tally.records + tally.headers + tally.transit_gateway + tally.malformed.len();
            let blank = |line: &&String| line.as_bytes().trim_ascii().is_empty();
            proptest::prop_assert_eq!(calls, lines.iter().filter(|line| !blank(line)).count());
        }

        #[test]
        fn no_bytes_panic(lines in proptest::collection::vec(proptest::collection::vec(proptest::num::u8::ANY, 0..80), 0..20)) {
            let mut reader = LineReader::new(&[]);
            let mut tally = Tally::default();
            for (line, number) in lines.iter().zip(1..) {
                reader.line(number, line, &mut tally);
            }
            reader.end(&mut tally);
        }
    }
}
