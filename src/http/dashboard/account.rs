//! `/account`: how a person is called, and how the person proves who it is.

pub(super) mod connections;
pub(super) mod passkeys;
pub(super) mod second_factor;

use actix_web::http::StatusCode;
use actix_web::web::Path;
use serde::Serialize;

use super::device::device;
use super::error::{PageError, PageResult};
use super::faults::Faults;
use super::page::{Section, View};
use super::visitor::{Admission, Anyone, Unprotected, Visitor};
use super::when::When;
use crate::db::passkeys::PasskeyRecord;
use crate::db::sessions::SessionRecord;
use crate::service::second_factor::Status;
use crate::service::sign_in_elsewhere::Connection;
use crate::service::{ServiceError, accounts, sessions, sign_in, sign_in_elsewhere};

/// Fewer recovery codes than this are too few.
const FEW_CODES: u64 = 3;

/// Everything about the own account.
#[derive(Debug, Serialize)]
pub(super) struct AccountView {
    email: String,
    name: String,
    /// Whether the person must set up a second factor before anything else.
    is_demanded: bool,
    second_factor: ShownSecondFactor,
    /// Whether this server can have passkeys at all.
    has_passkeys: bool,
    passkeys: Vec<ShownPasskey>,
    /// Where else the person may sign in.
    connections: Vec<ShownConnection>,
    sessions: Vec<ShownSession>,
    has_other_sessions: bool,
    faults: Faults,
}

#[derive(Debug, Serialize)]
struct ShownSecondFactor {
    enabled_at: Option<When>,
    is_pending: bool,
    codes_left: u64,
    has_few_codes: bool,
}

#[derive(Debug, Serialize)]
struct ShownPasskey {
    id: String,
    name: String,
    created_at: When,
    last_used_at: Option<When>,
}

#[derive(Debug, Serialize)]
struct ShownConnection {
    name: String,
    label: String,
    connected_at: Option<When>,
}

#[derive(Debug, Serialize)]
struct ShownSession {
    id: String,
    device: String,
    address: String,
    is_this: bool,
    created_at: When,
    seen_at: When,
}

impl View for AccountView {
    const TEMPLATE: &'static str = "dashboard/account";
    const SECTION: Section = Section::None;

    fn title(&self) -> String {
        "Your account".to_owned()
    }

    fn is_refused(&self) -> bool {
        !self.faults.is_empty()
    }
}

impl AccountView {
    /// The account of the person who asks.
    async fn load<D: Admission>(visitor: &Visitor<D>, faults: Faults) -> Result<Self, PageError> {
        let (person, session) = (visitor.person().person.clone(), visitor.person().session.clone());
        let (id, this) = (person.id, session.id);
        let (status, all, passkeys, connections) = visitor
            .look(move |m| {
                let status = crate::service::second_factor::status(m, &session)?;
                let connections = sign_in_elsewhere::connections(m, id)?;
                Ok((status, sessions::list(m, id)?, crate::service::passkeys::list(m, id)?, connections))
            })
            .await?;
        let has_passkeys = visitor.site().authority.has_passkeys();
        let view = Self::new(person.email, person.name, status, &all, this, faults);
        let connections = connections.into_iter().map(shown_connection).collect();
        let passkeys = passkeys.into_iter().map(shown_passkey).collect();
        let is_demanded = visitor.person().lacks_second_factor;
        Ok(Self { is_demanded, has_passkeys, passkeys, connections, ..view })
    }

    fn new(
        email: String,
        name: String,
        status: Status,
        all: &[SessionRecord],
        this: uuid::Uuid,
        faults: Faults,
    ) -> Self {
        let shown = |session: &SessionRecord| ShownSession {
            id: session.id.to_string(),
            device: device(&session.user_agent),
            address: session.address.clone(),
            is_this: session.id == this,
            created_at: When::of(session.created_at),
            seen_at: When::of(session.seen_at),
        };
        let second_factor = ShownSecondFactor {
            enabled_at: status.enabled_at.map(When::of),
            is_pending: status.is_pending,
            codes_left: status.recovery_codes_left,
            has_few_codes: status.enabled_at.is_some() && status.recovery_codes_left < FEW_CODES,
        };
        let sessions: Vec<ShownSession> = all.iter().map(shown).collect();
        let has_other_sessions = sessions.iter().any(|session| !session.is_this);
        Self {
            email,
            name,
            is_demanded: false,
            second_factor,
            has_passkeys: false,
            passkeys: Vec::new(),
            connections: Vec::new(),
            sessions,
            has_other_sessions,
            faults,
        }
    }
}

fn shown_passkey(passkey: PasskeyRecord) -> ShownPasskey {
    ShownPasskey {
        id: passkey.id.to_string(),
        name: passkey.name,
        created_at: When::of(passkey.created_at),
        last_used_at: passkey.last_used_at.map(When::of),
    }
}

fn shown_connection(connection: Connection) -> ShownConnection {
    let Connection { name, label, connected_at } = connection;
    ShownConnection { name, label, connected_at: connected_at.map(When::of) }
}

/// The page.
pub(super) async fn show(visitor: Visitor<Unprotected>) -> PageResult {
    let view = AccountView::load(&visitor, Faults::default()).await?;
    visitor.page(&view)
}

/// Changes what the person is called.
pub(super) async fn rename(visitor: Visitor<Anyone>) -> PageResult {
    let form = visitor.form(&[])?;
    let (id, name) = (visitor.person().person.id, form.trimmed("name").to_owned());
    let entered = name.clone();
    match visitor.change(move |m| accounts::rename(m, id, &name)).await {
        Ok(()) => Ok(visitor.go("/account", "account-saved")),
        Err(error) => {
            let faults = Faults::of_service(error).map_err(|error| PageError::service(&visitor, &error))?;
            let view = AccountView { name: entered, ..AccountView::load(&visitor, faults).await? };
            visitor.page_with(StatusCode::UNPROCESSABLE_ENTITY, &view)
        }
    }
}

/// Changes the password: every other session ends.
pub(super) async fn change_password(visitor: Visitor<Unprotected>) -> PageResult {
    let form = visitor.form(&[])?;
    let (current, new) = (form.secret("current-password"), form.secret("new-password"));
    let authority = &visitor.site().authority;
    let faults = match sign_in::change_password(authority, visitor.caller(), visitor.person(), &current, &new).await {
        Ok(Some(session)) => {
            visitor.show_session(session);
            return Ok(visitor.go("/account", "password-changed"));
        }
        Ok(None) => Faults::one("current-password", "That is not your current password."),
        Err(ServiceError::InvalidField { field: "password", .. }) => {
            Faults::one("current-password", "That is not your current password.")
        }
        Err(error) => Faults::of_service(error).map_err(|error| PageError::service(&visitor, &error))?,
    };
    let view = AccountView::load(&visitor, faults).await?;
    visitor.page_with(StatusCode::UNPROCESSABLE_ENTITY, &view)
}

/// Ends one of the person's sessions.
pub(super) async fn end_session(visitor: Visitor<Anyone>, id: Path<String>) -> PageResult {
    visitor.form(&[])?;
    let (id, person) = (visitor.id(&id)?, visitor.person().person.id);
    let ended = visitor.change(move |m| sessions::end(m, person, id)).await;
    ended.map_err(|error| PageError::service(&visitor, &error))?;
    if id == visitor.person().session.id {
        visitor.forget_session();
        return Ok(visitor.go("/login", "signed-out"));
    }
    Ok(visitor.go("/account", "session-ended"))
}

/// Ends all of the person's sessions but this one.
pub(super) async fn end_other_sessions(visitor: Visitor<Anyone>) -> PageResult {
    visitor.form(&[])?;
    let (person, this) = (visitor.person().person.id, visitor.person().session.id);
    let ended = visitor.change(move |m| sessions::end_others(m, person, this)).await;
    ended.map_err(|error| PageError::service(&visitor, &error))?;
    Ok(visitor.go("/account", "other-sessions-ended"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::dashboard::samples::{Sample, sample};

    use crate::clock::Timestamp;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_305_600);

    fn session(id: u128) -> SessionRecord {
        SessionRecord {
            id: uuid::Uuid::from_u128(id),
            developer_id: uuid::Uuid::nil(),
            organisation_id: None,
            awaits_second_factor: false,
            created_at: NOW,
            seen_at: NOW,
            confirmed_at: NOW,
            expires_at: NOW,
            address: "192.0.2.1".to_owned(),
            user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0".to_owned(),
        }
    }

    fn view(status: Status, sessions: &[SessionRecord], faults: Faults) -> AccountView {
        let this = uuid::Uuid::from_u128(1);
        AccountView::new("ana@acme.example".to_owned(), "Ana Lima".to_owned(), status, sessions, this, faults)
    }

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        let without = Status { enabled_at: None, is_pending: false, recovery_codes_left: 0 };
        let pending = Status { is_pending: true, ..without };
        let with = Status { enabled_at: Some(NOW), is_pending: false, recovery_codes_left: 10 };
        let few = Status { recovery_codes_left: 1, ..with };
        let shown = |last_used_at: Option<When>| {
            let (id, name) = (uuid::Uuid::nil().to_string(), "Telephone".to_owned());
            ShownPasskey { id, name, created_at: When::of(NOW), last_used_at }
        };
        let passkeys = vec![shown(None), shown(Some(When::of(NOW)))];
        let with_passkeys =
            AccountView { has_passkeys: true, passkeys, ..view(without, &[session(1)], Faults::default()) };
        let connection = |connected_at: Option<When>| ShownConnection {
            name: "corp".to_owned(),
            label: "Example Corp".to_owned(),
            connected_at,
        };
        let connections = vec![connection(None), connection(Some(When::of(NOW)))];
        let with_connections = AccountView { connections, ..view(without, &[session(1)], Faults::default()) };
        let demanded = AccountView { is_demanded: true, ..view(without, &[session(1)], Faults::default()) };
        vec![
            sample(demanded),
            sample(view(without, &[session(1)], Faults::default())),
            sample(view(pending, &[session(1)], Faults::one("new-password", "No."))),
            sample(view(with, &[session(1), session(2)], Faults::one("name", "No."))),
            sample(with_passkeys),
            sample(with_connections),
            sample(view(few, &[session(1), session(2)], Faults::default())),
        ]
    }
}
