//! What a person sent with a form, and whether it is really from one of our pages.

use actix_web::HttpRequest;
use actix_web::http::header::{HOST, HeaderName, ORIGIN};
use url::Url;

use super::private_keys::holds_private_key;
use crate::oauth::form::{FormError, parse_text_form};
use crate::secret::Secret;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The hidden field with the token against forged forms.
pub(super) const CSRF: &str = "csrf";
/// The hidden field that tells one rendering of a form from the next.
pub(super) const ONCE: &str = "once";
/// The hidden fields that the script for passkeys fills in.
pub(super) const PASSKEY: &str = "passkey";
pub(super) const PASSKEY_STATE: &str = "passkey-state";
/// The hidden field with the version that the person saw.
pub(super) const VERSION: &str = "version";

/// Fields whose values are never put back into a page.
const SECRETS: &[&str] = &[
    CSRF,
    "password",
    "current-password",
    "new-password",
    "confirm-password",
    "code",
    "confirm-code",
    "key",
    "token",
    PASSKEY,
    PASSKEY_STATE,
];

/// Fields for public keys.
const KEYS: &[&str] = &["jwks", "certificates"];

/// A form that was read. Fields that no handler asks for have no effect.
pub(in crate::http) struct Form {
    /// Wiped from memory when the form is dropped: any of them may be a secret.
    pairs: Vec<(String, Secret)>,
}

impl Form {
    /// Splits the octets of a form into fields. Browsers end lines with CR LF; here they end with LF.
    pub(super) fn parse(octets: &[u8]) -> Result<Self, FormError> {
        let pairs = parse_text_form(octets)?.into_iter();
        Ok(Self {
            pairs: pairs.map(|(name, value)| (name.into_owned(), Secret::new(value.replace("\r\n", "\n")))).collect(),
        })
    }

    /// Whether a field comes more often than once though it is not among those that may.
    pub(super) fn repeats(&self, may: &[&str]) -> bool {
        let mut seen = Vec::with_capacity(self.pairs.len());
        self.pairs.iter().any(|(name, _)| {
            let again = seen.contains(&name) && !may.contains(&name.as_str());
            seen.push(name);
            again
        })
    }

    /// The field's value as it was sent; empty if there is none.
    pub(in crate::http) fn text(&self, name: &str) -> &str {
        self.pairs.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.reveal())
    }

    /// The field's value without spaces around it.
    pub(in crate::http) fn trimmed(&self, name: &str) -> &str {
        self.text(name).trim()
    }

    /// The field's value, kept out of sight.
    pub(in crate::http) fn secret(&self, name: &str) -> Secret {
        Secret::new(self.text(name))
    }

    /// Whether the field was sent: a ticked box, a pressed button.
    pub(in crate::http) fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(known, _)| known == name)
    }

    /// All values of a field that may come several times.
    pub(in crate::http) fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.pairs.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.reveal())
    }

    /// Everything but secrets, to be put into hidden fields: what was entered is not lost while the person proves who it is.
    /// Nor is a private key kept that somebody pasted where a public one belongs.
    pub(super) fn kept(&self) -> impl Iterator<Item = (&str, &str)> {
        let is_private = |name: &str, value: &Secret| KEYS.contains(&name) && holds_private_key(value.reveal());
        let is_secret = move |name: &str, value: &Secret| SECRETS.contains(&name) || is_private(name, value);
        let kept = self.pairs.iter().filter(move |(name, value)| !is_secret(name, value));
        kept.map(|(name, value)| (name.as_str(), value.reveal()))
    }
}

/// Whether a browser says that a form comes from another site. A browser that says nothing is believed, because the token in the
/// form is what decides: this catches what a stolen token could do.
pub(super) fn is_foreign(request: &HttpRequest, issuer: &str) -> bool {
    let text = |name: HeaderName| request.headers().get(name).map(|value| value.to_str().unwrap_or("(unreadable)"));
    if let Some(site) = text(SEC_FETCH_SITE) {
        return !matches!(site, "same-origin" | "none");
    }
    // Our pages send no referrer, and then browsers say `null` here.
    let Some(origin) = text(ORIGIN).filter(|origin| *origin != "null") else { return false };
    let ours = Url::parse(issuer).map(|url| url.origin().ascii_serialization());
    let host = text(HOST).unwrap_or_default();
    let is_host = origin.split_once("://").is_some_and(|(_, rest)| rest == host);
    !(is_host || ours.is_ok_and(|ours| ours == origin))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_form_of_another_site_is_told_by_what_the_browser_says() {
        let issuer = "https://id.example.com";
        let cases: &[(&[(&str, &str)], bool)] = &[
            (&[], false),
            (&[("sec-fetch-site", "same-origin")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("sec-fetch-site", "cross-site"), ("origin", "https://id.example.com")], true),
            (&[("origin", "null")], false),
            (&[("origin", "https://id.example.com")], false),
            (&[("origin", "http://127.0.0.1:8080"), ("host", "127.0.0.1:8080")], false),
            (&[("origin", "https://id.example.com.evil.example")], true),
            (&[("origin", "https://evil.example"), ("host", "id.example.com")], true),
            (&[("origin", "id.example.com"), ("host", "id.example.com")], true),
        ];
        for (headers, foreign) in cases {
            let request = headers.iter().fold(TestRequest::post(), |request, header| request.insert_header(*header));
            assert_eq!(is_foreign(&request.to_http_request(), issuer), *foreign, "{headers:?}");
        }
    }

    #[test]
    fn what_is_kept_has_no_secrets() {
        let form = Form::parse(b"name=a&password=b&csrf=c&scope=d&scope=e&text=1%0D%0A2").unwrap();
        assert_eq!(form.kept().collect::<Vec<_>>(), [("name", "a"), ("scope", "d"), ("scope", "e"), ("text", "1\n2")]);
        assert!(form.repeats(&[]) && !form.repeats(&["scope"]));
        assert_eq!(form.all("scope").count(), 2);
    }
}
