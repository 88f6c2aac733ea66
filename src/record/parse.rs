//! One text line to one [`FlowRecord`], by a format's columns. Every field that is read is also checked.

use std::net::IpAddr;

use memchr::memchr;

use super::field::Field;
use super::format::LogFormat;
use super::scan::{Cursor, Unusual};
use super::{Action, FlowRecord, LogStatus, Malformed, Problem, RejectReason};
use crate::net::{Direction, Protocol, TcpFlags, Timestamp};

/// The longest line that is taken for a record; AWS lines stay under 2 KiB.
pub const MAX_LINE_BYTES: usize = 64 * 1024;

/// Epoch values from here on are milliseconds: the year 5138 in seconds, March 1973 in milliseconds.
const FIRST_MILLISECOND_VALUE: u64 = 100_000_000_000;

/// Reads one line (without its line feed) whose columns are those of `format`.
#[expect(clippy::inline_always, reason = "as a call, the record is copied: 7 % of a run")]
#[inline(always)]
pub fn parse_record<'a>(line: &'a [u8], format: &LogFormat) -> Result<FlowRecord<'a>, Malformed> {
    parse_ordinary(line, format).or_else(|Unusual| parse_any(line, format))
}

/// The ordinary case: single spaces, as many tokens as columns, nothing wrong with any field.
#[expect(clippy::inline_always, reason = "as for parse_record")]
#[inline(always)]
fn parse_ordinary<'a>(line: &'a [u8], format: &LogFormat) -> Result<FlowRecord<'a>, Unusual> {
    let mut record = FlowRecord::default();
    let mut cursor = Cursor::new(line);
    let mut has_status = false;
    for field in format.columns() {
        match field {
            Field::Carried | Field::TransitGateway | Field::Unknown => {
                cursor.skip()?;
            }
            Field::Version => {
                cursor.number()?.ok_or(Unusual)?;
            }
            Field::LogStatus => {
                record.log_status = cursor.text()?.and_then(|text| log_status(text).ok()).ok_or(Unusual)?;
                has_status = true;
            }
            Field::InterfaceId => record.interface_id = cursor.text()?,
            Field::VpcId => record.vpc_id = cursor.text()?,
            Field::SubnetId => record.subnet_id = cursor.text()?,
            Field::ResourceId => record.resource_id = cursor.text()?,
            Field::Srcaddr => record.srcaddr = cursor_address(&mut cursor)?,
            Field::Dstaddr => record.dstaddr = cursor_address(&mut cursor)?,
            Field::PktSrcaddr => record.pkt_srcaddr = cursor_address(&mut cursor)?,
            Field::PktDstaddr => record.pkt_dstaddr = cursor_address(&mut cursor)?,
            Field::Srcport => record.srcport = narrow(cursor.number()?)?,
            Field::Dstport => record.dstport = narrow(cursor.number()?)?,
            Field::Protocol => record.protocol = narrow(cursor.number()?)?.map(Protocol),
            Field::TcpFlags => record.tcp_flags = narrow(cursor.number()?)?.map(TcpFlags),
            Field::Packets => record.packets = cursor.number()?,
            Field::Bytes => record.bytes = cursor.number()?,
            Field::Start => record.start = moment(cursor.number()?)?,
            Field::End => record.end = moment(cursor.number()?)?,
            Field::Action => {
                record.action = cursor.text()?.map(action).transpose().map_err(|_| Unusual)?;
            }
            Field::FlowDirection => {
                record.flow_direction = cursor.text()?.map(direction).transpose().map_err(|_| Unusual)?;
            }
            Field::RejectReason => record.reject_reason = cursor.text()?.map(RejectReason::from_field),
        }
    }
    // Without a status it has to be inferred: the general way does that.
    if has_status && cursor.is_at_end() && is_whole(&record) { Ok(record) } else { Err(Unusual) }
}

/// A number in a smaller type, if it fits.
#[inline]
fn narrow<T: TryFrom<u64>>(number: Option<u64>) -> Result<Option<T>, Unusual> {
    number.map(T::try_from).transpose().map_err(|_| Unusual)
}

#[inline]
fn moment(number: Option<u64>) -> Result<Option<Timestamp>, Unusual> {
    number.map(from_epoch).transpose().map_err(|_| Unusual)
}

/// An address of either family; `None` for `-`.
#[inline]
fn cursor_address(cursor: &mut Cursor<'_>) -> Result<Option<IpAddr>, Unusual> {
    match cursor.ipv4() {
        Ok(address) => Ok(address.map(IpAddr::V4)),
        Err(Unusual) => cursor.text()?.map(address).transpose().map_err(|_| Unusual),
    }
}

/// Nothing is left to infer or to object to: an ordinary flow with all that pairing needs, or an idle interface.
#[inline]
fn is_whole(record: &FlowRecord<'_>) -> bool {
    let (Some(start), Some(end)) = (record.start, record.end) else { return false };
    start <= end
        && if record.log_status == LogStatus::Ok {
            record.action.is_some()
                && record.srcaddr.is_some()
                && record.dstaddr.is_some()
                && record.protocol.is_some()
                && record.srcport.is_some()
                && record.dstport.is_some()
        } else {
            record.pkt_srcaddr.is_none() && record.pkt_dstaddr.is_none() && start.0 != 0
        }
}

/// The same for any spacing, with what is wrong.
#[cold]
fn parse_any<'a>(line: &'a [u8], format: &LogFormat) -> Result<FlowRecord<'a>, Malformed> {
    let columns = format.columns();
    let mut record = FlowRecord::default();
    let mut seen = Seen::default();
    let mut start = 0;
    for (column, &field) in columns.iter().enumerate() {
        let token = next_token(line, &mut start);
        if token.is_empty() {
            return Err(wrong_field_count(line, format));
        }
        if let Err(problem) = set_field(&mut record, &mut seen, field, token) {
            return Err(field_error(line, format, column, token, problem));
        }
    }
    if !next_token(line, &mut start).is_empty() {
        return Err(wrong_field_count(line, format));
    }
    finish(record, &seen, format)
}

/// The token at `start` or after the spaces there, empty at the end of the line; `start` moves behind it.
fn next_token<'a>(line: &'a [u8], start: &mut usize) -> &'a [u8] {
    let rest = line.get(*start..).unwrap_or_default();
    let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
    let rest = &rest[spaces..];
    let token = &rest[..memchr(b' ', rest).unwrap_or(rest.len())];
    *start += spaces + token.len();
    token
}

/// What was said in the columns besides the values themselves.
#[derive(Default)]
pub(super) struct Seen {
    log_status: Option<LogStatus>,
}

/// Whether a line holds something other than single spaces between its tokens, so that it must be rewritten first.
pub(super) fn needs_respacing(line: &[u8]) -> bool {
    memchr(b'\t', line).is_some()
}

#[inline]
pub(super) fn set_field<'a>(
    record: &mut FlowRecord<'a>,
    seen: &mut Seen,
    field: Field,
    token: &'a [u8],
) -> Result<(), Problem> {
    let absent = token == b"-";
    match field {
        Field::Carried | Field::TransitGateway | Field::Unknown => {}
        Field::Version => {
            number(token)?;
        }
        Field::LogStatus => seen.log_status = Some(log_status(token)?),
        _ if absent => {}
        Field::InterfaceId => record.interface_id = Some(token),
        Field::VpcId => record.vpc_id = Some(token),
        Field::SubnetId => record.subnet_id = Some(token),
        Field::ResourceId => record.resource_id = Some(token),
        Field::Srcaddr => record.srcaddr = Some(address(token)?),
        Field::Dstaddr => record.dstaddr = Some(address(token)?),
        Field::PktSrcaddr => record.pkt_srcaddr = Some(address(token)?),
        Field::PktDstaddr => record.pkt_dstaddr = Some(address(token)?),
        Field::Srcport => record.srcport = Some(port(token)?),
        Field::Dstport => record.dstport = Some(port(token)?),
        Field::Protocol => record.protocol = Some(Protocol(small_number(token)?)),
        Field::TcpFlags => record.tcp_flags = Some(TcpFlags(small_number(token)?)),
        Field::Packets => record.packets = Some(number(token)?),
        Field::Bytes => record.bytes = Some(number(token)?),
        Field::Start => record.start = Some(timestamp(token)?),
        Field::End => record.end = Some(timestamp(token)?),
        Field::Action => record.action = Some(action(token)?),
        Field::FlowDirection => record.flow_direction = Some(direction(token)?),
        Field::RejectReason => record.reject_reason = Some(RejectReason::from_field(token)),
    }
    Ok(())
}

/// Checks what only the whole record can show, and settles what a format leaves out.
#[inline]
pub(super) fn finish<'a>(
    mut record: FlowRecord<'a>,
    seen: &Seen,
    format: &LogFormat,
) -> Result<FlowRecord<'a>, Malformed> {
    // Without the log-status field, a record without an action is one of an idle interface.
    record.log_status = seen.log_status.unwrap_or({
        let columns = format.columns();
        let would_say =
            [Field::Action, Field::Srcaddr, Field::PktSrcaddr].iter().any(|f| columns.contains(f));
        let says = record.action.is_some() || record.srcaddr.is_some() || record.pkt_srcaddr.is_some();
        if would_say && !says { LogStatus::NoData } else { LogStatus::Ok }
    });
    if record.srcaddr.is_none() && !format.columns().contains(&Field::Srcaddr) {
        record.srcaddr = record.pkt_srcaddr;
    }
    if record.dstaddr.is_none() && !format.columns().contains(&Field::Dstaddr) {
        record.dstaddr = record.pkt_dstaddr;
    }
    if record.log_status != LogStatus::Ok {
        // Columns of numbers may hold 0 where a text has `-`.
        record.start = record.start.filter(|start| start.0 != 0);
        record.end = record.end.filter(|end| end.0 != 0);
    }
    // With only one of the two times, the record is a moment.
    let columns = format.columns();
    if record.start.is_none() && !columns.contains(&Field::Start) {
        record.start = record.end;
    }
    if record.end.is_none() && !columns.contains(&Field::End) {
        record.end = record.start;
    }
    if let (Some(start), Some(end)) = (record.start, record.end)
        && end < start
    {
        return Err(Malformed::new("end", end.0.to_string().as_bytes(), Problem::EndBeforeStart));
    }
    if record.log_status == LogStatus::Ok {
        require(&record, format)?;
        // Protocols without ports are logged with 0; some tools that rewrite logs put `-`.
        if !record.protocol.is_some_and(Protocol::has_ports) {
            record.srcport = record.srcport.or(Some(0));
            record.dstport = record.dstport.or(Some(0));
        }
    }
    Ok(record)
}

/// A record with status OK must have a value in each of these columns, if the format has the column.
fn require(record: &FlowRecord<'_>, format: &LogFormat) -> Result<(), Malformed> {
    let complete = record.action.is_some()
        && record.srcaddr.is_some()
        && record.dstaddr.is_some()
        && record.protocol.is_some()
        && record.srcport.is_some()
        && record.dstport.is_some()
        && record.start.is_some()
        && record.end.is_some();
    if complete {
        return Ok(());
    }
    let portless = record.protocol.is_some_and(|protocol| !protocol.has_ports());
    for (field, present) in [
        (Field::Action, record.action.is_some()),
        (Field::Srcaddr, record.srcaddr.is_some()),
        (Field::Dstaddr, record.dstaddr.is_some()),
        (Field::Protocol, record.protocol.is_some()),
        (Field::Srcport, record.srcport.is_some() || portless),
        (Field::Dstport, record.dstport.is_some() || portless),
        (Field::Start, record.start.is_some()),
        (Field::End, record.end.is_some()),
    ] {
        if !present && format.columns().contains(&field) {
            return Err(Malformed::new(field.name(), b"-", Problem::Absent));
        }
    }
    if record.action.is_none() {
        // The format has no action column: counted, and said once by the name of the field.
        return Err(Malformed::new("action", b"", Problem::NoActionField));
    }
    Ok(())
}

#[cold]
fn field_error(line: &[u8], format: &LogFormat, column: usize, token: &[u8], problem: Problem) -> Malformed {
    if token_count(line) == format.columns().len() {
        Malformed::new(format.columns()[column].name(), token, problem)
    } else {
        wrong_field_count(line, format)
    }
}

#[cold]
fn wrong_field_count(line: &[u8], format: &LogFormat) -> Malformed {
    let problem = Problem::FieldCount { expected: format.columns().len(), found: token_count(line) };
    Malformed::new("line", line, problem)
}

/// Number of tokens in a line.
pub(super) fn token_count(line: &[u8]) -> usize {
    line.split(|byte| *byte == b' ').filter(|token| !token.is_empty()).count()
}

/// A decimal number without sign, at most 19 digits.
fn number(token: &[u8]) -> Result<u64, Problem> {
    if token.is_empty() || token.len() > 19 {
        return Err(if token.iter().all(u8::is_ascii_digit) {
            Problem::OutOfRange
        } else {
            Problem::NotANumber
        });
    }
    token.iter().try_fold(0_u64, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 { Err(Problem::NotANumber) } else { Ok(value * 10 + u64::from(digit)) }
    })
}

fn small_number(token: &[u8]) -> Result<u8, Problem> {
    u8::try_from(number(token)?).map_err(|_| Problem::OutOfRange)
}

fn port(token: &[u8]) -> Result<u16, Problem> {
    u16::try_from(number(token)?).map_err(|_| Problem::OutOfRange)
}

fn timestamp(token: &[u8]) -> Result<Timestamp, Problem> {
    from_epoch(number(token)?)
}

/// A moment given as seconds or, when it can only be that, as milliseconds of the Unix epoch.
#[inline]
fn from_epoch(value: u64) -> Result<Timestamp, Problem> {
    let seconds = if value >= FIRST_MILLISECOND_VALUE { value / 1000 } else { value };
    // Row layouts hold 32 bits of seconds: until 2106.
    u32::try_from(seconds).map(|seconds| Timestamp(i64::from(seconds))).map_err(|_| Problem::OutOfRange)
}

fn address(token: &[u8]) -> Result<IpAddr, Problem> {
    std::str::from_utf8(token).ok().and_then(|text| text.parse().ok()).ok_or(Problem::NotAnAddress)
}

fn log_status(token: &[u8]) -> Result<LogStatus, Problem> {
    match token {
        b"OK" => Ok(LogStatus::Ok),
        b"NODATA" => Ok(LogStatus::NoData),
        b"SKIPDATA" => Ok(LogStatus::SkipData),
        _ => Err(Problem::NotOneOf("OK, NODATA, SKIPDATA")),
    }
}

fn action(token: &[u8]) -> Result<Action, Problem> {
    match token {
        b"ACCEPT" => Ok(Action::Accept),
        b"REJECT" => Ok(Action::Reject),
        _ => Err(Problem::NotOneOf("ACCEPT, REJECT")),
    }
}

fn direction(token: &[u8]) -> Result<Direction, Problem> {
    match token {
        b"ingress" => Ok(Direction::Ingress),
        b"egress" => Ok(Direction::Egress),
        _ => Err(Problem::NotOneOf("ingress, egress")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(line: &str) -> Result<FlowRecord<'_>, Malformed> {
        parse_record(line.as_bytes(), &LogFormat::default_v2())
    }

    const EVERY_READ_FIELD: [&str; 22] = [
        "version",
        "interface-id",
        "srcaddr",
        "dstaddr",
        "srcport",
        "dstport",
        "protocol",
        "packets",
        "bytes",
        "start",
        "end",
        "action",
        "log-status",
        "vpc-id",
        "subnet-id",
        "tcp-flags",
        "pkt-srcaddr",
        "pkt-dstaddr",
        "flow-direction",
        "reject-reason",
        "resource-id",
        "type",
    ];

    /// A value of that field, mostly a good one.
    fn some_value(name: &str, choice: u8) -> String {
        let bad = ["-", "x", "", "70000", "99999999999999999999"];
        if choice >= 240 {
            return bad[usize::from(choice) % bad.len()].to_owned();
        }
        match name {
            "srcaddr" | "dstaddr" | "pkt-srcaddr" | "pkt-dstaddr" if choice.is_multiple_of(7) => {
                format!("2001:db8::{choice:x}")
            }
            "srcaddr" | "dstaddr" | "pkt-srcaddr" | "pkt-dstaddr" => format!("10.{choice}.0.1"),
            "action" => ["ACCEPT", "REJECT"][usize::from(choice % 2)].to_owned(),
            "log-status" => ["OK", "OK", "NODATA", "SKIPDATA"][usize::from(choice % 4)].to_owned(),
            "flow-direction" => ["ingress", "egress", "-"][usize::from(choice % 3)].to_owned(),
            "reject-reason" => ["-", "BPA", "EC", "NEW"][usize::from(choice % 4)].to_owned(),
            "start" => "1418530010".to_owned(),
            "end" => format!("14185300{choice:02}").chars().take(10).collect(),
            "interface-id" => "eni-1".to_owned(),
            _ => choice.to_string(),
        }
    }

    #[test]
    fn reads_the_default_format() {
        let line = "2 123456789010 eni-1 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK";
        let record = parse(line).expect("record");
        assert_eq!(record.interface_id, Some(b"eni-1".as_slice()));
        assert_eq!((record.srcport, record.dstport), (Some(20641), Some(22)));
        assert_eq!((record.packets, record.bytes), (Some(20), Some(4249)));
        assert_eq!(record.action, Some(Action::Accept));
        assert_eq!(record.log_status, LogStatus::Ok);
    }

    #[test]
    fn a_bad_field_is_named_with_its_value() {
        for (line, field, value) in [
            (
                "2 1 eni-1 10.0.0.1 10.0.0.2 80 NaN 6 20 1000 1418530010 1418530070 ACCEPT OK",
                "dstport",
                "NaN",
            ),
            (
                "2 1 eni-1 10.0.0.1 10.0.0.2 65543 80 6 20 1000 1418530010 1418530070 ACCEPT OK",
                "srcport",
                "65543",
            ),
            ("2 1 eni-1 10.0.0.1 10.0.0.2 80 80 6 20 1000 1418530010 - ACCEPT OK", "end", "-"),
            (
                "2 1 eni-1 10.0.0.1 10.0.0.256 80 80 6 20 1 1418530010 1418530070 ACCEPT OK",
                "dstaddr",
                "10.0.0.256",
            ),
            (
                "2 1 eni-1 10.0.0.1 10.0.0.2 80 80 6 20 1000 1418530010 1418530070 accept OK",
                "action",
                "accept",
            ),
            (
                "2 1 eni-1 10.0.0.1 10.0.0.2 80 80 300 20 1000 1418530010 1418530070 ACCEPT OK",
                "protocol",
                "300",
            ),
            (
                "2 1 eni-1 10.0.0.1 10.0.0.2 80 80 6 20 1000 1418530090 1418530070 ACCEPT OK",
                "end",
                "1418530070",
            ),
        ] {
            let error = parse(line).expect_err(line);
            assert_eq!((error.field, error.value.as_str()), (field, value), "{line}");
        }
        let short = parse("2 1 eni-1 - - - - - - - 1742570089 1742570142 -").expect_err("13 fields");
        assert_eq!(short.problem, Problem::FieldCount { expected: 14, found: 13 });
    }

    #[test]
    fn milliseconds_become_seconds() {
        let record = parse("2 1 eni-1 - - - - - - - 1512564058000 1512564059000 - SKIPDATA").expect("record");
        assert_eq!(record.start, Some(Timestamp(1_512_564_058)));
        assert_eq!(record.log_status, LogStatus::SkipData);
    }

    #[test]
    fn bpa_rejects_have_no_bytes() {
        let format =
            LogFormat::parse("action srcaddr dstaddr bytes reject-reason log-status").expect("format");
        let record = parse_record(b"REJECT 1.2.3.4 10.0.0.1 - BPA OK", &format).expect("record");
        assert_eq!((record.bytes, record.reject_reason), (None, Some(RejectReason::BlockPublicAccess)));
    }

    proptest! {
        #[test]
        fn the_ordinary_way_and_the_general_way_agree(
            tokens in proptest::collection::vec("[0-9]{1,10}|-|OK|ACCEPT|REJECT|10\\.0\\.0\\.[0-9]{1,3}|NODATA|::1| ", 12..16),
            valid in any::<bool>(),
        ) {
            let format = LogFormat::default_v2();
            let line = if valid {
                let last = tokens[0].len();
                format!("2 1 eni-1 10.0.0.{last} 10.0.0.2 {last} 2 6 1 1 1000000000 1000000001 ACCEPT OK")
            } else {
                tokens.join(" ")
            };
            match parse_ordinary(line.as_bytes(), &format) {
                Ok(record) => prop_assert_eq!(Ok(record), parse_any(line.as_bytes(), &format)),
                Err(Unusual) => prop_assert!(!valid),
            }
        }

        #[test]
        fn they_agree_on_any_format(
            columns in Just(EVERY_READ_FIELD.to_vec()).prop_shuffle(),
            kept in 4..=EVERY_READ_FIELD.len(),
            choices in proptest::collection::vec(any::<u8>(), EVERY_READ_FIELD.len()),
        ) {
            let format = LogFormat::parse(&columns[..kept].join(" ")).expect("known fields");
            let tokens = columns[..kept].iter().zip(&choices).map(|(name, choice)| some_value(name, *choice));
            let line = tokens.collect::<Vec<_>>().join(" ");
            if let Ok(record) = parse_ordinary(line.as_bytes(), &format) {
                prop_assert_eq!(Ok(record), parse_any(line.as_bytes(), &format));
            }
        }

        #[test]
        fn numbers_read_as_the_standard_library_reads_them(text in "[0-9x]{0,21}") {
            let expected = text.parse::<u64>().ok().filter(|_| text.len() <= 19);
            prop_assert_eq!(number(text.as_bytes()).ok(), expected);
        }

        #[test]
        fn no_line_panics(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_record(&line, &LogFormat::default_v2());
        }
    }
}
