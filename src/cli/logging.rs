//! The log: lines with fields on stderr, for people or as JSON.

use std::io::Write;

use env_logger::fmt::Formatter;
use env_logger::{Builder, Target};
use log::Record;
use log::kv::{Error, Key, Value, VisitSource};
use serde_json::Map;

use crate::config::{Config, LogFormat};

/// Starts the log. Commands other than `serve` only warn.
pub(super) fn start(config: &Config, quiet: bool, verbose: bool, serving: bool) {
    let filter = match (quiet, verbose) {
        (true, _) => "error",
        (_, true) => "debug",
        _ if serving => &config.log,
        _ => "warn",
    };
    let mut builder = Builder::new();
    builder.parse_filters(filter).target(Target::Stderr);
    match config.log_format {
        LogFormat::Text => builder.format(text),
        LogFormat::Json => builder.format(json),
    };
    // Started already: only in tests that run two commands in one process.
    let _started = builder.try_init();
}

fn text(out: &mut Formatter, record: &Record<'_>) -> std::io::Result<()> {
    write!(
        out,
        "{} {:<5} {}",
        out.timestamp_millis(),
        record.level(),
        escaped(&record.args().to_string())
    )?;
    let mut fields = TextFields(String::new());
    if record.key_values().visit(&mut fields).is_err() {
        fields.0.push_str(" (fields lost)");
    }
    writeln!(out, "{}", fields.0)
}

struct TextFields(String);

impl<'kvs> VisitSource<'kvs> for TextFields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let value = value.to_string();
        let plain = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
        self.0.push(' ');
        self.0.push_str(key.as_str());
        self.0.push('=');
        if plain {
            self.0.push_str(&value);
        } else {
            self.0.push('"');
            self.0.push_str(&escaped(&value));
            self.0.push('"');
        }
        Ok(())
    }
}

/// One record is one line, whatever is in it.
fn escaped(text: &str) -> String {
    if text.chars().any(|c| c.is_control() || c == '"') {
        text.escape_debug().to_string()
    } else {
        text.to_owned()
    }
}

fn json(out: &mut Formatter, record: &Record<'_>) -> std::io::Result<()> {
    let mut fields = JsonFields(Map::new());
    fields
        .0
        .insert("time".to_owned(), out.timestamp_millis().to_string().into());
    fields
        .0
        .insert("level".to_owned(), record.level().as_str().to_lowercase().into());
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
