//! The bars: what was asked for, what was measured. Refuses to fail for a bar that is missed.

/// One of them.
#[derive(Debug)]
pub struct Bar {
    what: String,
    asked: String,
    measured: String,
    /// `None` when it was not measured, or not at the size of which it speaks.
    met: Option<bool>,
}

impl Bar {
    /// Met by a number that is at most so much.
    pub fn at_most(what: impl Into<String>, limit: f64, measured: f64, unit: &str) -> Self {
        Self::number(what.into(), "≤", limit, measured, unit, measured <= limit)
    }

    /// Met by a number that is at least so much.
    pub fn at_least(what: impl Into<String>, limit: f64, measured: f64, unit: &str) -> Self {
        Self::number(what.into(), "≥", limit, measured, unit, measured >= limit)
    }

    /// Met or not.
    pub fn holds(what: impl Into<String>, met: bool, measured: impl Into<String>) -> Self {
        Self { what: what.into(), asked: "holds".to_owned(), measured: measured.into(), met: Some(met) }
    }

    /// Not measured.
    pub fn missing(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), asked: String::new(), measured: why.into(), met: None }
    }

    fn number(what: String, sign: &str, limit: f64, measured: f64, unit: &str, met: bool) -> Self {
        let (asked, decimals) = match unit {
            "×" => (format!("{sign} {limit} {unit}"), 2),
            _ => (format!("{sign} {limit:.0} {unit}"), 0),
        };
        Self { what, asked, measured: format!("{measured:.decimals$} {unit}"), met: Some(met) }
    }
}

/// All of them.
pub fn print(bars: &[Bar]) {
    println!("{:<86} {:>10} {:>12}", "bar", "asked", "measured");
    for bar in bars {
        let verdict = match bar.met {
            Some(true) => "met",
            Some(false) => "not met",
            None => "not measured",
        };
        println!("{:<86} {:>10} {:>12}  {verdict}", bar.what, bar.asked, bar.measured);
    }
}
