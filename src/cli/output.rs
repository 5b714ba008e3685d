//! Printing: data on stdout, messages on stderr. With `--json`, exactly one document on stdout, also of a failure.

use std::cell::Cell;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use serde::Serialize;
use serde_json::json;

use super::error::CliError;

/// Where and how a command prints.
#[derive(Debug)]
pub(super) struct Output {
    json: bool,
    quiet: bool,
    /// Whether the one document was printed.
    has_printed: Cell<bool>,
}

impl Output {
    pub(super) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet, has_printed: Cell::new(false) }
    }

    /// Whether a program reads along.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// The result of a command: the document with `--json`, else the text.
    pub(super) fn data(&self, document: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), CliError> {
        if self.json {
            let json = serde_json::to_string_pretty(document).map_err(CliError::internal)?;
            self.has_printed.set(true);
            print(&json)
        } else {
            let text = text();
            if text.is_empty() { Ok(()) } else { print(&text) }
        }
    }

    /// Something for people only.
    pub(super) fn message(&self, text: impl Display) {
        if !self.quiet {
            say(&text);
        }
    }

    /// Why a command failed.
    pub(super) fn error(&self, error: &CliError) {
        say(&format_args!("brevet: {error}"));
        self.failure(error);
    }

    /// The same in the document only, unless the command has printed its own: a check that failed says more.
    pub(super) fn failure(&self, error: &CliError) {
        if self.json && !self.has_printed.get() {
            let failure = json!({ "error": { "code": error.code(), "message": error.to_string() } });
            // The exit code tells it as well.
            let _unprinted = print(&format!("{failure:#}"));
        }
    }
}

fn say(text: &dyn Display) {
    // If stderr is gone there is nobody left to tell.
    let _unsaid = writeln!(io::stderr().lock(), "{text}");
}

/// Writes text and a line feed to stdout. A reader that has gone away, such as `head`, is no error.
pub(super) fn print(text: &str) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.write_all(b"\n")).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(CliError::io(format!("stdout: {error}"))),
        _ => Ok(()),
    }
}

/// A table with columns as wide as they need be.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let column = |at: usize| rows.iter().filter_map(move |row| row.get(at)).map(String::as_str);
    let width = |at: usize, title: &str| {
        column(at).map(|cell| cell.chars().count()).max().unwrap_or(0).max(title.chars().count())
    };
    let widths: Vec<usize> = head.iter().enumerate().map(|(at, title)| width(at, title)).collect();
    let line = |cells: Vec<&str>| {
        let padded: Vec<String> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let head = line(head.to_vec());
    let rows = rows.iter().map(|row| line(row.iter().map(String::as_str).collect()));
    std::iter::once(head).chain(rows).collect::<Vec<_>>().join("\n")
}
