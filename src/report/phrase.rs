//! How single values are said: grouped numbers, plurals, ports, endpoints, durations, clock times.
//!
//! Shared by the formats for people. Values come out raw; escaping is up to the format.

use crate::net::{Protocol, TcpFlags, Timestamp};

use super::view::{PortSpan, Service, Window};

/// `1204331` → `1 204 331`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(' ');
        }
        shown.push(digit);
    }
    shown
}

/// `1 record`, `4 812 records`; for nouns whose plural takes an s.
#[must_use]
pub fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(number))
}

/// [`counted`] for the length of a list.
#[must_use]
pub fn counted_len(length: usize, noun: &str) -> String {
    counted(u64::try_from(length).unwrap_or(u64::MAX), noun)
}

/// `1024–65535`, or `443` when there is only one.
#[must_use]
pub fn port_span(ports: PortSpan) -> String {
    if ports.min == ports.max { ports.min.to_string() } else { format!("{}–{}", ports.min, ports.max) }
}

/// `tcp`, or `protocol 143` where there is no common word.
#[must_use]
pub fn protocol(number: u8) -> String {
    Protocol(number).keyword().map_or_else(|| format!("protocol {number}"), str::to_owned)
}

/// `443/tcp`, `icmp`.
#[must_use]
pub fn service(service: &Service) -> String {
    let word = protocol(service.protocol);
    if carries_ports(service.protocol, service.port) { format!("{}/{word}", service.port) } else { word }
}

/// `10.0.1.23:64214`, `[2001:db8::1]:443`, and the bare address where the protocol has no ports.
#[must_use]
pub fn endpoint(address: &str, port: u16, protocol: u8) -> String {
    if !carries_ports(protocol, port) {
        address.to_owned()
    } else if address.contains(':') {
        format!("[{address}]:{port}")
    } else {
        format!("{address}:{port}")
    }
}

/// SCTP and others may carry ports that an ACL cannot test; show them when a record has one.
fn carries_ports(protocol: u8, port: u16) -> bool {
    Protocol(protocol).has_ports() || (port != 0 && !Protocol(protocol).is_icmp())
}

/// `SYN-ACK`, `SYN-ACK FIN`; `ACK` for 0, which is how a flow log writes ACK alone.
#[must_use]
pub fn tcp_flags(flags: TcpFlags) -> String {
    let mut words = Vec::new();
    if flags.has_syn_ack() {
        words.push("SYN-ACK");
    } else if flags.is_pure_syn() {
        words.push("SYN");
    }
    if flags.0 & 1 != 0 {
        words.push("FIN");
    }
    if flags.0 & 4 != 0 {
        words.push("RST");
    }
    if words.is_empty() { "ACK".to_owned() } else { words.join(" ") }
}

/// `45 s`, `26 min`, `3 h 20 min`, `2 d 4 h`: the two largest units, without zeros.
#[must_use]
pub fn duration(seconds: i64) -> String {
    const UNITS: [(i64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let seconds = seconds.max(0);
    let Some(first) = UNITS.iter().position(|(length, _)| seconds >= *length) else {
        return "0 s".to_owned();
    };
    let (length, unit) = UNITS[first];
    let shown = format!("{} {unit}", seconds / length);
    match UNITS.get(first + 1) {
        Some((smaller, name)) if seconds % length / smaller > 0 => {
            format!("{shown} {} {name}", seconds % length / smaller)
        }
        _ => shown,
    }
}

/// How often per slice of that length: `/s`, `/min`, `/h`, `per 5 min`.
#[must_use]
pub fn per_slice(seconds: u64) -> String {
    match seconds {
        1 => "/s".to_owned(),
        60 => "/min".to_owned(),
        3_600 => "/h".to_owned(),
        other => format!(" per {}", duration(i64::try_from(other).unwrap_or(i64::MAX))),
    }
}

/// How times are said in one report: with the date only when the clock alone would be ambiguous.
#[derive(Debug, Clone, Copy)]
pub struct Calendar {
    several_days: bool,
}

impl Calendar {
    /// For a report on `window`.
    #[must_use]
    pub fn new(window: &Window) -> Self {
        let days = [window.since, window.until, window.first_record, window.last_record];
        let mut days = days.into_iter().flatten().map(|moment| moment.strftime("%F"));
        let first = days.next();
        Self { several_days: days.any(|day| Some(day) != first) }
    }

    /// `14:24:02`, or `2026-11-20 14:24:02`.
    #[must_use]
    pub fn moment(self, moment: Timestamp) -> String {
        if self.several_days { moment.strftime("%F %T") } else { moment.clock() }
    }

    /// `14:24:02–14:50:10`; one moment when both are the same.
    #[must_use]
    pub fn span(self, first: Timestamp, last: Timestamp) -> String {
        if first == last {
            self.moment(first)
        } else if first.strftime("%F") == last.strftime("%F") {
            format!("{}–{}", self.moment(first), last.clock())
        } else {
            format!("{} – {}", first.strftime("%F %T"), last.strftime("%F %T"))
        }
    }

    /// The ends of an axis: `14:24`, or `11-20 14:24`.
    #[must_use]
    pub fn tick(self, moment: Timestamp) -> String {
        moment.strftime(if self.several_days { "%m-%d %H:%M" } else { "%H:%M" })
    }
}

/// `2026-11-20 14:00–16:00 UTC`: the time asked for where given, else what the records cover.
#[must_use]
pub fn window(window: &Window) -> Option<String> {
    let first = window.since.or(window.first_record);
    let last = window.until.or(window.last_record);
    match (first, last) {
        (Some(first), Some(last)) if first.strftime("%F") == last.strftime("%F") => {
            Some(format!("{}–{} UTC", first.strftime("%F %H:%M"), last.strftime("%H:%M")))
        }
        (Some(first), Some(last)) => {
            Some(format!("{} – {} UTC", first.strftime("%F %H:%M"), last.strftime("%F %H:%M")))
        }
        (Some(first), None) => Some(format!("since {} UTC", first.strftime("%F %H:%M"))),
        (None, Some(last)) => Some(format!("until {} UTC", last.strftime("%F %H:%M"))),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_plurals() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_204_331), "1 204 331");
        assert_eq!(counted(1, "record"), "1 record");
        assert_eq!(counted_len(4_812, "record"), "4 812 records");
    }

    #[test]
    fn endpoints_of_every_kind() {
        assert_eq!(endpoint("10.0.1.23", 64214, 6), "10.0.1.23:64214");
        assert_eq!(endpoint("2001:db8::1", 443, 6), "[2001:db8::1]:443");
        assert_eq!(endpoint("10.0.1.23", 0, 1), "10.0.1.23");
        assert_eq!(endpoint("2001:db8::1", 0, 58), "2001:db8::1");
        assert_eq!(endpoint("10.0.1.23", 38412, 132), "10.0.1.23:38412");
        assert_eq!(service(&Service { protocol: 143, port: 0, conversations: 1 }), "protocol 143");
    }

    #[test]
    fn durations_keep_two_units() {
        let shown: Vec<String> = [0, 45, 60, 1_568, 12_000, 187_200].into_iter().map(duration).collect();
        assert_eq!(shown, ["0 s", "45 s", "1 min", "26 min 8 s", "3 h 20 min", "2 d 4 h"]);
        assert_eq!(per_slice(60), "/min");
        assert_eq!(per_slice(300), " per 5 min");
    }

    #[test]
    fn flags_read_as_words() {
        let shown: Vec<String> = [0, 2, 3, 4, 18, 19, 22].map(TcpFlags).map(tcp_flags).into();
        assert_eq!(shown, ["ACK", "SYN", "SYN FIN", "RST", "SYN-ACK", "SYN-ACK FIN", "SYN-ACK RST"]);
    }

    #[test]
    fn the_date_is_said_when_the_clock_is_not_enough() {
        let (first, last) = (Timestamp(1_795_183_200), Timestamp(1_795_190_400));
        let mut one_day =
            Window { since: None, until: None, first_record: Some(first), last_record: Some(last) };
        assert_eq!(window(&one_day).as_deref(), Some("2026-11-20 14:00–16:00 UTC"));
        assert_eq!(Calendar::new(&one_day).span(first, last), "14:00:00–16:00:00");
        one_day.last_record = Some(last.plus_seconds(86_400));
        assert_eq!(window(&one_day).as_deref(), Some("2026-11-20 14:00 – 2026-11-21 16:00 UTC"));
        assert_eq!(Calendar::new(&one_day).span(first, last), "2026-11-20 14:00:00–16:00:00");
    }
}
