//! The field for the networks from which an app may ask for tokens.

use std::net::IpAddr;

use serde::Serialize;

use crate::http::dashboard::faults::{Faults, sentence};
use crate::http::dashboard::form::Form;
use crate::oauth::networks::{MOST_NETWORKS, Networks};

/// The hidden field with the networks of which the person was told that they leave out where the person is.
const SEEN: &str = "networks-seen";

/// The field, for the partial `networks`.
#[derive(Debug, Clone, Serialize)]
pub(super) struct NetworksField {
    text: String,
    most: usize,
    /// Where the person is.
    own: String,
    /// The networks, if they leave that out.
    outside: Option<String>,
    /// Whether nothing is saved until the person says it again.
    is_asked: bool,
}

impl NetworksField {
    /// What was entered, or stands there.
    pub(super) fn new(text: &str, own: IpAddr) -> Self {
        Self {
            text: text.to_owned(),
            most: MOST_NETWORKS,
            own: own.to_canonical().to_string(),
            outside: read(text).ok().filter(|networks| !networks.allow(own)).map(|networks| written(&networks)),
            is_asked: false,
        }
    }

    /// The same, and nothing is saved until the person says it again.
    pub(super) fn asked(self) -> Self {
        Self { is_asked: true, ..self }
    }
}

/// Reads what was entered: one on a line, or with commas between.
pub(super) fn read(text: &str) -> Result<Networks, Faults> {
    let named = text.split([',', '\n', ' ', '\t']).map(str::trim).filter(|part| !part.is_empty());
    Networks::read(named).map_err(|wrong| Faults::one("allowed-networks", sentence(&wrong.to_string())))
}

/// One on a line.
pub(super) fn written(networks: &Networks) -> String {
    networks.texts().join("\n")
}

/// Whether the person must be told that these networks leave out where the person is, because the page did not say so yet.
pub(super) fn must_be_told(form: &Form, networks: &Networks, own: IpAddr) -> bool {
    !networks.allow(own) && form.text(SEEN) != written(networks)
}
