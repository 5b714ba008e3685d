//! How a value is written down in each language.

use handlebars::{Handlebars, handlebars_helper};
use serde_json::Value;

fn json(text: &str) -> String {
    Value::from(text).to_string()
}

/// Like a component of a query, but what means nothing there stays readable.
fn query(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' | b'/' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// A word for a shell, in which nothing has a meaning.
pub(in crate::http) fn shell_word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

// A string in double quotes with the escapes of JSON: Python, JavaScript, Go, C#, Java, Rust, YAML.
handlebars_helper!(quoted: |value: str| json(value));
// The same several times, with commas between.
handlebars_helper!(list: |values: array| {
    values.iter().filter_map(Value::as_str).map(json).collect::<Vec<_>>().join(", ")
});
// A string in single quotes, in which nothing else has a meaning.
handlebars_helper!(sh: |value: str| shell_word(value));
handlebars_helper!(php: |value: str| format!("'{}'", value.replace('\\', r"\\").replace('\'', r"\'")));
handlebars_helper!(ps: |value: str| format!("'{}'", value.replace('\'', "''")));
handlebars_helper!(sql: |value: str| format!("'{}'", value.replace('\'', "''")));
// A part of a query string.
handlebars_helper!(in_query: |value: str| query(value));

pub(super) fn register(handlebars: &mut Handlebars<'_>) {
    handlebars.register_helper("text", Box::new(quoted));
    handlebars.register_helper("list", Box::new(list));
    handlebars.register_helper("sh", Box::new(sh));
    handlebars.register_helper("php", Box::new(php));
    handlebars.register_helper("ps", Box::new(ps));
    handlebars.register_helper("sql", Box::new(sql));
    handlebars.register_helper("query", Box::new(in_query));
}
