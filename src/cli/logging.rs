//! The log: lines with fields on stderr, for people or as JSON.

mod sink;

use std::fmt::{self, Display, Write as _};
use std::io::Write;

use env_logger::fmt::Formatter;
use env_logger::{Builder, Target};
use log::kv::{Error, Key, Value, VisitSource};
use log::{LevelFilter, Record};
use serde_json::Map;

pub(super) use self::sink::LogWriter;

use crate::config::{Config, LogFormat};

/// Starts the log. Commands other than `serve` only warn. While serving, a thread of its own writes the lines; it must
/// be dropped last, so that it writes them all.
pub(super) fn start(config: &Config, quiet: bool, verbose: bool, serving: bool) -> Option<LogWriter> {
    let filter = match (quiet, verbose) {
        (true, _) => "error",
        (_, true) => "debug",
        _ if serving => &config.log,
        _ => "warn",
    };
    let mut builder = Builder::new();
    // Said by the banner, in fewer words.
    builder.filter_module("actix_server", LevelFilter::Warn).parse_filters(filter);
    let (target, writer) = match serving.then(sink::start).transpose() {
        Ok(Some((sink, writer))) => (Target::Pipe(Box::new(sink)), Some(writer)),
        Ok(None) | Err(_) => (Target::Stderr, None),
    };
    builder.target(target);
    match config.log_format {
        LogFormat::Text => builder.format(text),
        LogFormat::Json => builder.format(json),
    };
    // Started already: only in tests that run two commands in one process.
    let _started = builder.try_init();
    writer
}

fn text(out: &mut Formatter, record: &Record<'_>) -> std::io::Result<()> {
    let mut line = TextLine(String::with_capacity(256));
    let time = out.timestamp_millis();
    let fields = write!(line.0, "{time} {:<5} {}", record.level(), Escaped(record.args()))
        .map_err(|_full| Error::msg("the line"))
        .and_then(|()| record.key_values().visit(&mut line));
    if fields.is_err() {
        line.0.push_str(" (fields lost)");
    }
    line.0.push('\n');
    out.write_all(line.0.as_bytes())
}

struct TextLine(String);

impl<'kvs> VisitSource<'kvs> for TextLine {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        write!(self.0, " {}=", key.as_str())?;
        let begin = self.0.len();
        write!(self.0, "{value}")?;
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
        if !self.0.get(begin..).is_some_and(plain) {
            let value = self.0.split_off(begin);
            write!(self.0, "\"{}\"", value.escape_debug())?;
        }
        Ok(())
    }
}

/// One record is one line, whatever is in it.
struct Escaped<'a>(&'a fmt::Arguments<'a>);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_str() {
            Some(fixed) => f.write_str(fixed),
            None => self.0.to_string().chars().try_for_each(|c| match c {
                c if c.is_control() => write!(f, "{}", c.escape_debug()),
                c => f.write_char(c),
            }),
        }
    }
}

fn json(out: &mut Formatter, record: &Record<'_>) -> std::io::Result<()> {
    let mut fields = JsonFields(Map::new());
    fields.0.insert("time".to_owned(), out.timestamp_millis().to_string().into());
    fields.0.insert("level".to_owned(), record.level().as_str().to_lowercase().into());
    fields.0.insert("message".to_owned(), record.args().to_string().into());
    fields.0.insert("target".to_owned(), record.target().into());
    if record.key_values().visit(&mut fields).is_err() {
        fields.0.insert("fields_lost".to_owned(), true.into());
    }
    writeln!(out, "{}", serde_json::Value::Object(fields.0))
}

struct JsonFields(Map<String, serde_json::Value>);

impl<'kvs> VisitSource<'kvs> for JsonFields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let value = serde_json::to_value(&value).unwrap_or_else(|_unserialisable| value.to_string().into());
        self.0.insert(key.as_str().to_owned(), value);
        Ok(())
    }
}
