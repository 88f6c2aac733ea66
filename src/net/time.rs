//! Record time: whole seconds since the Unix epoch, UTC. Refuses to read the clock.

use std::fmt;
use std::str::FromStr;

/// A moment in Unix seconds, the resolution of flow logs. Prints as RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

/// A text that is neither an RFC 3339 time nor a date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an RFC 3339 time nor a date")]
pub struct ParseTimestampError(pub String);

impl Timestamp {
    /// This moment moved by a number of seconds; stops at the ends of the range.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds from `earlier` to this moment; negative when it is later.
    #[must_use]
    pub fn seconds_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// `14:24:02`, UTC.
    #[must_use]
    pub fn clock(self) -> String {
        self.strftime("%H:%M:%S")
    }

    /// Formats with a `strftime` pattern in UTC; a moment outside the calendar prints as its number of seconds.
    #[must_use]
    pub fn strftime(self, pattern: &str) -> String {
        match jiff::Timestamp::from_second(self.0) {
            Ok(moment) => moment.strftime(pattern).to_string(),
            Err(_) => self.0.to_string(),
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0) {
            Ok(moment) => f.pad(&moment.to_string()),
            Err(_) => self.0.fmt(f),
        }
    }
}

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    /// Reads an RFC 3339 time (fractions are cut off) or a date, which means its first second in UTC.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(moment) = text.parse::<jiff::Timestamp>() {
            return Ok(Self(moment.as_second()));
        }
        text.parse::<jiff::civil::Date>()
            .ok()
            .filter(|_| text.len() == 10)
            .and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC).ok())
            .map(|zoned| Self(zoned.timestamp().as_second()))
            .ok_or_else(|| ParseTimestampError(text.to_owned()))
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(|_| serde::de::Error::custom(format_args!("`{text}` is no RFC 3339 time")))
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_reads_rfc3339() {
        let moment = Timestamp(1_700_000_000);
        assert_eq!(moment.to_string(), "2023-11-14T22:13:20Z");
        assert_eq!(moment.to_string().parse(), Ok(moment));
        assert_eq!("2023-11-14T23:13:20+01:00".parse(), Ok(moment));
        assert_eq!("2023-11-14".parse(), Ok(Timestamp(1_699_920_000)));
        assert!("yesterday".parse::<Timestamp>().is_err());
        assert_eq!(moment.clock(), "22:13:20");
    }
}
