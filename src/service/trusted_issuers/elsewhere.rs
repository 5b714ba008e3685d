//! Keys that are somewhere else, looked at once for a person: what is there or, if they cannot be had, who must do something.

use serde_json::Value;

use super::trial::shown;
use crate::directory::outbound::Fetcher;
use crate::directory::{Directory, KeyPreview};
use crate::keys::key_set::read_fetched;
use crate::oauth::json::read_object;
use crate::oauth::trust::IssuerKeys;
use crate::service::Management;

/// With this the fetcher says that there was an answer, and another than one with a document.
const STATUS: &str = "the answer is ";

/// Why keys that are somewhere else cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyTrouble {
    /// Nobody answers there, or nobody may be asked; and why.
    Silent(String),
    /// Somebody answers, and something else; and what.
    Different(String),
}

/// Looks at the keys of an issuer once, and keeps nothing of them. `None` if they are in the entry itself. Blocks.
///
/// # Errors
/// Why they cannot be had.
pub fn look_at_keys(
    m: &Management,
    directory: &Directory,
    issuer: &str,
    keys: &IssuerKeys,
) -> Result<Option<KeyPreview>, KeyTrouble> {
    directory.preview_keys_now(issuer, keys).map_err(|why| {
        let fetcher = Fetcher::new(m.config.outbound_allow_private);
        let trouble = match keys {
            IssuerKeys::JwksUri(url) => of_keys(&fetcher, url),
            IssuerKeys::Discovery => of_configuration(&fetcher, issuer),
            _ => None,
        };
        // It went well this time: so it comes and goes.
        trouble.unwrap_or(KeyTrouble::Silent(why))
    })
}

fn of_fetch(url: &str, why: &str) -> KeyTrouble {
    match why.strip_prefix(STATUS) {
        Some(status) => KeyTrouble::Different(format!("{} answers {status}", shown(url))),
        None => KeyTrouble::Silent(format!("{}: {}", shown(url), shown(why))),
    }
}

fn of_keys(fetcher: &Fetcher, url: &str) -> Option<KeyTrouble> {
    match fetcher.fetch(url) {
        Err(why) => Some(of_fetch(url, &why)),
        Ok(fetched) => {
            let wrong = read_fetched(&fetched.body).err()?;
            Some(KeyTrouble::Different(format!("{} answers something else: {wrong}", shown(url))))
        }
    }
}

fn of_configuration(fetcher: &Fetcher, issuer: &str) -> Option<KeyTrouble> {
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let different = |what: String| Some(KeyTrouble::Different(format!("{} {what}", shown(&url))));
    let fetched = match fetcher.fetch(&url) {
        Ok(fetched) => fetched,
        Err(why) => return Some(of_fetch(&url, &why)),
    };
    let Ok(configuration) = read_object(&fetched.body) else {
        return different("answers something else: it is no JSON object".to_owned());
    };
    let text = |name: &str| configuration.get(name).and_then(Value::as_str);
    match (text("issuer"), text("jwks_uri")) {
        (Some(named), Some(keys)) if named == issuer => of_keys(fetcher, keys),
        (Some(named), None) if named == issuer => different("names no jwks_uri".to_owned()),
        (Some(named), _) => {
            different(format!("says that its issuer is {}, and registered is {}", shown(named), shown(issuer)))
        }
        (None, _) => different("names no issuer".to_owned()),
    }
}
