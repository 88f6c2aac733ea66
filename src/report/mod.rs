//! One writer per output format, over view types of its own. Refuses to know stages, standard output or options.

use std::io::{self, Write};

mod compared;
mod escape;
mod html;
mod json;
mod markdown;
mod parquet;
mod phrase;
mod rows;
#[cfg(test)]
pub(crate) mod sample;
mod text;
pub mod view;
mod wording;

pub use escape::terminal as escape_for_terminal;
pub use html::write_html;
pub use json::write_json;
pub use markdown::{write_markdown, write_report_markdown};
pub use parquet::write_parquet;
pub use rows::{write_csv, write_jsonl};
pub use text::{TextStyle, write_report_text, write_text};

/// A finding in one line, for whoever waits for the whole report.
#[must_use]
pub fn brief(diagnosis: &Diagnosis, finding: &view::Finding) -> String {
    wording::Wording::new(diagnosis).brief(finding)
}

use view::Diagnosis;

/// What a diagnosis is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For a person at a terminal.
    #[default]
    Text,
    /// One document with everything.
    Json,
    /// One JSON object a line for each rejected conversation.
    Jsonl,
    /// The same rows for a spreadsheet.
    Csv,
    /// Markdown for a ticket or a chat.
    Md,
}

impl Format {
    /// Whether it is one row for each rejected conversation.
    #[must_use]
    pub fn has_rows(self) -> bool {
        matches!(self, Self::Jsonl | Self::Csv)
    }
}

/// Writes `diagnosis` in `format`. Of `style`, Markdown heeds `top` alone; the machine formats heed nothing.
pub fn write(
    diagnosis: &Diagnosis,
    format: Format,
    style: &TextStyle,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Text => write_text(diagnosis, style, out),
        Format::Json => write_json(diagnosis, out),
        Format::Jsonl => write_jsonl(diagnosis, out),
        Format::Csv => write_csv(diagnosis, out),
        Format::Md => write_markdown(diagnosis, style.top, out),
    }
}

/// Writes a report in a format that a diagnosis has too.
pub fn write_report(
    report: &view::Report,
    format: Format,
    style: &TextStyle,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Text => write_report_text(report, style, out),
        Format::Json => json::write_report_json(report, out),
        Format::Md => write_report_markdown(report, style.top, out),
        Format::Jsonl | Format::Csv => write(&report.diagnosis, format, style, out),
    }
}
