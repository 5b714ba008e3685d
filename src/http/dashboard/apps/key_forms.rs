//! Adding, rotating and revoking keys.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::Path;
use serde::Serialize;

use super::head::AppHead;
use super::keys::{KeyRow, KeysView, find};
use super::shown_once::ShownOnce;
use super::{Choice, Tab};
use crate::clock::{Timestamp, parse_span};
use crate::db::app_keys::AppKeyRecord;
use crate::http::dashboard::error::{PageError, PageResult};
use crate::http::dashboard::faults::Faults;
use crate::http::dashboard::form::Form;
use crate::http::dashboard::page::{Section, View};
use crate::http::dashboard::visitor::{Developer, Visitor};
use crate::oauth::ClientId;
use crate::oauth::client::ClientAuthentication;
use crate::service::actors::ActorNames;
use crate::service::app_keys::{self, CreatedKey, Overlap};
use crate::service::apps::{self, AppDetails};
use crate::service::{Management, ServiceError};

/// How long the old key may stay, by the value in the form.
const OVERLAPS: &[(&str, &str)] = &[
    ("0s", "Not at all: it is refused at once"),
    ("1h", "For 1 hour"),
    ("24h", "For 24 hours"),
    ("7d", "For 7 days"),
    ("until-revoked", "Until I revoke it"),
];

/// Long enough to put the new key in place on a working day.
pub(super) const DEFAULT_OVERLAP: &str = "24h";

pub(super) fn overlap_choices(chosen: &str) -> Vec<Choice> {
    OVERLAPS.iter().map(|(value, label)| Choice::new(value, label, chosen)).collect()
}

fn overlap(form: &Form) -> Result<Overlap, Faults> {
    let wrong = || Faults::one("overlap", "Choose how long the old key stays valid");
    let given = form.text("overlap");
    let known = OVERLAPS.iter().any(|(value, _)| *value == given);
    match given {
        _ if !known => Err(wrong()),
        "until-revoked" => Ok(Overlap::UntilRevoked),
        span => parse_span(span).map(Overlap::For).map_err(|_wrong| wrong()),
    }
}

fn key_end(form: &Form) -> Result<Option<Duration>, Faults> {
    match form.text("key-expires-in") {
        "never" | "" => Ok(None),
        span => parse_span(span).map(Some).map_err(|_wrong| Faults::one("key-expires-in", "Choose when the key ends")),
    }
}

/// A key just made, and its app.
type Made = (CreatedKey, AppDetails);

fn with_app(m: &Management, client_id: ClientId, key: CreatedKey) -> Result<Made, ServiceError> {
    Ok((key, apps::show(m, client_id)?))
}

/// The page of the keys again, which says why nothing was made.
async fn refused(visitor: &Visitor<Developer>, client_id: ClientId, status: StatusCode, faults: Faults) -> PageResult {
    let organisation = visitor.organisation();
    let found = visitor.look(move |m| find(m, &organisation, client_id)).await?;
    visitor.page_with(status, &KeysView::new(&found, true, visitor.now()).refused(faults))
}

async fn refused_by(visitor: &Visitor<Developer>, client_id: ClientId, error: ServiceError) -> PageResult {
    let status = match &error {
        ServiceError::Conflict(_) | ServiceError::Repeated => StatusCode::CONFLICT,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    if matches!(error, ServiceError::Repeated) {
        let text = "This form was sent already and its key was made then. It was shown once and cannot be shown again; if you did not keep it, revoke it and make another.";
        return refused(visitor, client_id, status, Faults::one("", text)).await;
    }
    match Faults::of_service(error) {
        Ok(faults) => refused(visitor, client_id, status, faults).await,
        Err(error) => Err(PageError::service(visitor, &error)),
    }
}

/// Adds a key beside those there are, and shows it once.
pub(super) async fn add(visitor: Visitor<Developer>, sid: Path<String>) -> PageResult {
    let client_id = visitor.client_id(&sid)?;
    let form = visitor.confirmed_form(&[]).await?;
    let expires_in = match key_end(&form) {
        Ok(expires_in) => expires_in,
        Err(faults) => return refused(&visitor, client_id, StatusCode::UNPROCESSABLE_ENTITY, faults).await,
    };
    let made = visitor.create(&form, move |m| with_app(m, client_id, app_keys::add(m, client_id, expires_in)?)).await;
    match made {
        Ok((key, details)) => visitor.page(&ShownOnce::added(visitor.config(), &details.app, &key.client_secret)),
        Err(error) => refused_by(&visitor, client_id, error).await,
    }
}

/// Makes a key in place of those there are, and shows it once.
pub(super) async fn rotate(visitor: Visitor<Developer>, sid: Path<String>) -> PageResult {
    let client_id = visitor.client_id(&sid)?;
    let form = visitor.confirmed_form(&[]).await?;
    let (overlap, expires_in) = match (overlap(&form), key_end(&form)) {
        (Ok(overlap), Ok(expires_in)) => (overlap, expires_in),
        (Err(faults), _) | (_, Err(faults)) => {
            return refused(&visitor, client_id, StatusCode::UNPROCESSABLE_ENTITY, faults).await;
        }
    };
    let walk = move |m: &Management| with_app(m, client_id, app_keys::rotate(m, client_id, overlap, expires_in)?);
    match visitor.create(&form, walk).await {
        Ok((key, details)) => {
            let span = match overlap {
                Overlap::For(span) => Some(span),
                Overlap::UntilRevoked => None,
            };
            visitor.page(&ShownOnce::rotated(visitor.config(), &details.app, &key.client_secret, span))
        }
        Err(error) => refused_by(&visitor, client_id, error).await,
    }
}

/// Asks before a key is revoked, with what is known of its use.
#[derive(Debug, Serialize)]
struct RevokeView {
    app: AppHead,
    key: KeyRow,
    /// Why it cannot be revoked.
    is_last: bool,
    is_dead: bool,
}

impl View for RevokeView {
    const TEMPLATE: &'static str = "dashboard/apps/revoke-key";
    const SECTION: Section = Section::Apps;

    fn title(&self) -> String {
        "Revoke this key?".to_owned()
    }
}

impl RevokeView {
    fn new(details: &AppDetails, key: &AppKeyRecord, now: Timestamp) -> Self {
        let others = details.keys.iter().any(|other| other.id != key.id && other.is_live(now));
        let is_live = key.is_live(now);
        Self {
            app: AppHead::new(&details.app, Tab::Keys),
            // By whom it was made does not matter here.
            key: KeyRow::new(key, !others, &ActorNames::default(), now),
            is_last: is_live
                && !others
                && details.app.disabled_at.is_none()
                && details.app.authentication == ClientAuthentication::ClientSecret,
            is_dead: !is_live,
        }
    }
}

/// The question.
pub(super) async fn ask_to_revoke(visitor: Visitor<Developer>, path: Path<(String, String)>) -> PageResult {
    let (client_id, key_id) = (visitor.client_id(&path.0)?, visitor.id(&path.1)?);
    let details = visitor.look(move |m| apps::show(m, client_id)).await?;
    let key = details.keys.iter().find(|key| key.id == key_id).ok_or_else(|| PageError::not_found(&visitor))?;
    visitor.page(&RevokeView::new(&details, key, visitor.now()))
}

/// Revokes a key.
pub(super) async fn revoke(visitor: Visitor<Developer>, path: Path<(String, String)>) -> PageResult {
    let (client_id, key_id) = (visitor.client_id(&path.0)?, visitor.id(&path.1)?);
    visitor.confirmed_form(&[]).await?;
    match visitor.change(move |m| app_keys::revoke(m, client_id, key_id)).await {
        Ok(()) => Ok(visitor.go(&format!("/apps/{client_id}/keys"), "key-revoked")),
        Err(ServiceError::Conflict(_)) => {
            let text = "That is the last key that works: without it the app gets no token. Rotate it, or disable the app if that is what you want";
            refused(&visitor, client_id, StatusCode::CONFLICT, Faults::one("", text)).await
        }
        Err(error) => Err(PageError::service(&visitor, &error)),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::dashboard::apps::tests::{details, key, moment};
    use crate::http::dashboard::samples::{Sample, sample};

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let view = || RevokeView::new(&details(), &key(), moment());
        let mut unused = view();
        unused.key = KeyRow::new(
            &AppKeyRecord { last_used_at: None, last_used_from: None, ..key() },
            true,
            &ActorNames::default(),
            moment(),
        );
        vec![
            sample(view()),
            sample(unused),
            sample(RevokeView { is_last: true, ..view() }),
            sample(RevokeView { is_dead: true, ..view() }),
        ]
    }

    #[test]
    fn only_the_spans_of_the_form_are_taken() {
        let read = |body: &str| overlap(&Form::parse(body.as_bytes()).unwrap()).ok();
        assert_eq!(read("overlap=24h"), Some(Overlap::For(Duration::from_secs(86_400))));
        assert_eq!(read("overlap=0s"), Some(Overlap::For(Duration::ZERO)));
        assert_eq!(read("overlap=until-revoked"), Some(Overlap::UntilRevoked));
        for other in ["", "overlap=", "overlap=100d", "overlap=-1h", "overlap=' OR 1=1"] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
