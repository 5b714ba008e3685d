//! The first one-time code, with which a second factor begins to count.

use super::{attempt_code, change, opened, record_sign_in};
use crate::db::AnyConnection;
use crate::db::sessions::SessionRecord;
use crate::secret::Secret;
use crate::service::deed::Doer;
use crate::service::sessions::{self, Browser, SignedIn};
use crate::service::{Authority, Caller, Management, ServiceError, second_factor};

/// A person who has shown the second factor of the first time: the session, and the recovery codes, seen this once.
#[derive(Debug)]
pub struct Enrolled {
    /// The secret of the session.
    pub session: Secret,
    /// For when the authenticator app is lost.
    pub recovery_codes: Vec<Secret>,
}

/// Opens a session that awaits a second factor of somebody who had none, with the first code of it; nothing for a wrong one.
///
/// # Errors
/// `Conflict` if the person has one already, `NotFound` when the session is over or nothing was begun in it, `Throttled`.
pub async fn enrol(
    authority: &Authority,
    caller: Caller,
    browser: Browser,
    waiting: &SignedIn,
    code: Secret,
) -> Result<Option<Enrolled>, ServiceError> {
    let (id, session) = (waiting.person.id, waiting.session.clone());
    with_first_code(authority, caller, &waiting.session, code, move |conn, m, recovery_codes| {
        let session = sessions::renew(conn, m, &opened(m, session, caller.now))?;
        record_sign_in(conn, m, id, &browser, "first one-time code")?;
        Ok(Enrolled { session, recovery_codes })
    })
    .await
}

/// Lets one-time codes count for somebody who is signed in and shows the first: recovery codes, seen this once; nothing for
/// a wrong code.
///
/// # Errors
/// `Conflict` if they count already, `NotFound` if nothing was begun in this session, `Throttled`.
pub async fn confirm_authenticator(
    authority: &Authority,
    caller: Caller,
    signed_in: &SignedIn,
    code: Secret,
) -> Result<Option<Vec<Secret>>, ServiceError> {
    with_first_code(authority, caller, &signed_in.session, code, |_, _, codes| Ok(codes)).await
}

/// Does something in the transaction in which the first code of a seed is taken; nothing for a wrong one.
async fn with_first_code<T: Send + 'static>(
    authority: &Authority,
    caller: Caller,
    session: &SessionRecord,
    code: Secret,
    then: impl FnOnce(&mut AnyConnection, &Management, Vec<Secret>) -> Result<T, ServiceError> + Send + 'static,
) -> Result<Option<T>, ServiceError> {
    let attempt = attempt_code(authority, caller, session.developer_id, "first one-time code").await?;
    let session = session.clone();
    let done = change(authority, move |conn, m| {
        let m = Management { doer: Doer::unbounded_person(session.developer_id, caller.address), ..m.clone() };
        match second_factor::confirm(conn, &m, &session, code.reveal())? {
            Some(codes) => then(conn, &m, codes).map(Some),
            None => Ok(None),
        }
    })
    .await?;
    if done.is_some() {
        attempt.give_back();
    }
    Ok(done)
}
