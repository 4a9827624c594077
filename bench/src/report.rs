//! What was measured, each figure beside its budget and beside what the machine itself can do.

use std::fmt::Write as _;

use serde::Serialize;

/// What a figure counts. Every value is kept in the unit its name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    Bytes,
    Milliseconds,
    PerSecond,
    BytesPerSecond,
    Count,
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::Bytes => scaled(value, ["B", "KB", "MB", "GB"]),
            Self::Milliseconds if value < 0.1 => format!("{:.1} µs", value * 1e3),
            Self::Milliseconds if value < 10.0 => format!("{value:.2} ms"),
            Self::Milliseconds => format!("{value:.1} ms"),
            Self::Count => scaled(value, ["", "k", "M", "G"]),
            Self::PerSecond => scaled(value, ["/s", "k/s", "M/s", "G/s"]),
            Self::BytesPerSecond => scaled(value, ["B/s", "KB/s", "MB/s", "GB/s"]),
        }
    }
}

/// Three digits and a prefix; thousands, not 1,024.
fn scaled(value: f64, units: [&str; 4]) -> String {
    let mut value = value;
    let mut unit = units[0];
    for larger in &units[1..] {
        if value.abs() < 1_000.0 {
            break;
        }
        value /= 1_000.0;
        unit = larger;
    }
    let digits = if value.abs() < 10.0 { 2 } else { usize::from(value.abs() < 100.0) };
    format!("{value:.digits$} {unit}").trim_end().to_owned()
}

/// What a figure should be.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Budget {
    AtMost(f64),
    AtLeast(f64),
}

/// What the machine does without us, measured in the same run.
#[derive(Debug, Clone, Serialize)]
struct Limit {
    what: String,
    value: f64,
}

/// One measured value.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    what: String,
    /// `None` if it could not be measured here.
    value: Option<f64>,
    unit: Unit,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<Budget>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    limits: Vec<Limit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl Figure {
    pub(crate) fn new(what: impl Into<String>, value: f64, unit: Unit) -> Self {
        Self { what: what.into(), value: Some(value), unit, budget: None, limits: Vec::new(), note: None }
    }

    /// A figure that cannot be measured here, and why.
    pub(crate) fn missing(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { value: None, ..Self::new(what, 0.0, Unit::Count).note(why) }
    }

    pub(crate) fn at_most(self, budget: f64) -> Self {
        Self { budget: Some(Budget::AtMost(budget)), ..self }
    }

    pub(crate) fn at_least(self, budget: f64) -> Self {
        Self { budget: Some(Budget::AtLeast(budget)), ..self }
    }

    /// The value of a limit, in the figure's own unit.
    pub(crate) fn beside(mut self, what: impl Into<String>, value: f64) -> Self {
        self.limits.push(Limit { what: what.into(), value });
        self
    }

    pub(crate) fn note(self, note: impl Into<String>) -> Self {
        Self { note: Some(note.into()), ..self }
    }

    fn budget(&self) -> String {
        let show = |sign, budget, within| {
            let verdict = if within { "" } else { "  over" };
            format!("{sign} {}{verdict}", self.unit.show(budget))
        };
        match self.budget {
            Some(Budget::AtMost(most)) => show('≤', most, self.value.is_none_or(|value| value <= most)),
            Some(Budget::AtLeast(least)) => show('≥', least, self.value.is_none_or(|value| value >= least)),
            None => String::new(),
        }
    }

    fn limits(&self) -> String {
        let show = |limit: &Limit| {
            let ratio = self.value.map(|value| format!(" (×{:.2})", value / limit.value));
            format!("{} {}{}", limit.what, self.unit.show(limit.value), ratio.unwrap_or_default())
        };
        self.limits.iter().map(show).collect::<Vec<_>>().join(", ")
    }
}

/// The figures of one row.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) row: String,
    pub(crate) figures: Vec<Figure>,
}

/// Where it was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Host {
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) binary: String,
    pub(crate) data: String,
    /// How long the disk takes to flush 256 bytes, in milliseconds, as the median.
    pub(crate) flush_ms: f64,
}

impl Host {
    pub(crate) fn show(&self) -> String {
        let Self { cores, kernel, binary, data, flush_ms } = self;
        format!(
            "{binary}, data in {data}\n{cores} cores, shared by the daemon and by this client; {kernel}; \
             the disk flushes 256 bytes in {flush_ms:.2} ms (median)\n"
        )
    }
}

impl Row {
    pub(crate) fn show(&self) -> String {
        let mut out = format!("\n{}\n", self.row);
        for figure in &self.figures {
            let measured = figure.value.map_or_else(|| "–".to_owned(), |value| figure.unit.show(value));
            let budget = figure.budget();
            let line = format!("  {:<46} {measured:>11}  {budget:<20} {}", figure.what, figure.limits());
            writeln!(out, "{}", line.trim_end()).expect("writing to a string cannot fail");
            if let Some(note) = &figure.note {
                writeln!(out, "      {note}").expect("writing to a string cannot fail");
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_three_digits() {
        let shown = [0.0, 9.994, 12_345.0, 999_999.0, 3.2e9].map(|value| Unit::Bytes.show(value));
        assert_eq!(shown, ["0.00 B", "9.99 B", "12.3 KB", "1000 KB", "3.20 GB"]);
        assert_eq!(Unit::Milliseconds.show(0.123), "0.12 ms");
        assert_eq!(Unit::Milliseconds.show(0.0123), "12.3 µs");
    }

    #[test]
    fn a_row_shows_budget_limit_and_ratio() {
        let over =
            Figure::new("start", 60.0, Unit::Milliseconds).at_most(50.0).beside("exec", 2.0).note("why");
        let within = Figure::new("rate", 2e6, Unit::PerSecond).at_least(1e6);
        let row = Row { row: "start".to_owned(), figures: vec![over, within] };
        let lines: Vec<_> =
            row.show().lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines,
            [
                "",
                "start",
                "start 60.0 ms ≤ 50.0 ms over exec 2.00 ms (×30.00)",
                "why",
                "rate 2.00 M/s ≥ 1.00 M/s"
            ]
        );
    }
}
