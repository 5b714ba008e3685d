//! Apps and their keys: found, made, shown, changed, switched off and deleted.

mod activity;
mod danger;
mod head;
mod key_forms;
mod keys;
mod list;
mod networks;
mod new;
mod overview;
mod query;
mod routes;
pub(super) mod scope_groups;
mod scopes;
mod settings;
mod shown_once;
mod spans;
mod transfer;

#[cfg(test)]
pub(super) mod tests;

use serde::Serialize;

pub(super) use self::head::{AppHead, Tab};
pub(super) use self::overview::IssuerOfApp;
pub(super) use self::routes::routes;

/// One of several values in a form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Choice {
    value: String,
    label: String,
    is_chosen: bool,
}

impl Choice {
    fn new(value: &str, label: &str, chosen: &str) -> Self {
        Self { value: value.to_owned(), label: label.to_owned(), is_chosen: value == chosen }
    }
}
