//! `urn:ietf:params:oauth:grant-type:token-exchange` ([RFC 8693](https://www.rfc-editor.org/rfc/rfc8693)): a client that was
//! sent somebody's token gets one that is still theirs, says that the client acts, and is good for no more than both have.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::keys::verify::{SignedToken, TokenError};
use crate::oauth::claims::{Actor, Delegation, Person, ReadClaims};
use crate::oauth::client::GrantedScope;
use crate::oauth::request::SubjectToken;
use crate::oauth::trust::{RefusedJwt, TrustError, Way};
use crate::oauth::{Client, OAuthError, OAuthErrorCode, ThirdParty};
use crate::service::access::{self, AccessError};
use crate::service::foreign_jwt::{self, Narrowing, UnverifiedForeignJwt};
use crate::service::{Authority, Caller};

/// Somebody's token, and what of it bounds the one that is issued for it.
#[derive(Debug)]
pub(in crate::service) struct Exchanged {
    /// The client that acts, with no more scopes than the token has.
    pub(in crate::service) client: Client,
    /// The user, if it is a user's.
    pub(in crate::service) person: Option<Person>,
    /// `sub` and `act`
    pub(in crate::service) delegation: Delegation,
    /// The new token ends no later.
    pub(in crate::service) expires_at: Timestamp,
    /// The new token is dated no earlier: a cut-off before which the old one was good must not end it.
    pub(in crate::service) issued_at: Timestamp,
    /// Whose JWT it was, if it was one; for the log.
    pub(in crate::service) third_party: Option<Arc<ThirdParty>>,
}

/// What a client may have in exchange for a token. A token that is not good is `invalid_request`
/// ([RFC 8693 §2.2.2](https://www.rfc-editor.org/rfc/rfc8693#section-2.2.2)), not `invalid_grant`.
pub(in crate::service) async fn authorize(
    authority: &Authority,
    caller: &Caller,
    actor: &Client,
    subject: SubjectToken<'_>,
) -> Result<Exchanged, OAuthError> {
    if !actor.token_exchange {
        return Err(OAuthError::new(
            OAuthErrorCode::UnauthorizedClient,
            "This app may not exchange tokens. Allow it in its settings first.",
        ));
    }
    let subject = Subject::verify(authority, caller, actor, subject).await?;
    let Subject { claims, owner, longest, login_since, third_party } = subject;
    // Of another organisation: a stranger's token is worth nothing here, however good it is there.
    if owner.organisation.id != actor.organisation.id {
        return Err(refused("It is not of the organisation of this app."));
    }
    if claims.cnf.is_some() {
        return Err(refused(
            "It is bound to a key, so that only whoever holds the key may use it: it cannot be passed on.",
        ));
    }
    let before = claims.act.map(Box::new);
    if before.as_ref().is_some_and(|act| act.chain().count() >= Actor::MOST) {
        return Err(refused("It was exchanged as often as a token may be: 4 apps act one for the other already."));
    }
    // A third party's clock may be behind by more than what is left.
    let expires_at = longest.map_or(claims.exp, |longest| claims.exp.min(caller.now + longest));
    if expires_at <= caller.now {
        return Err(refused("It has expired."));
    }
    let scopes = claims.scope.to_text();
    let scopes: HashSet<&str> = scopes.split(' ').collect();
    let has = |granted: &&GrantedScope| scopes.contains(&*granted.name) && claims.aud.contains(&granted.api.identifier);
    let granted: Box<[GrantedScope]> = actor.granted.iter().filter(has).cloned().collect();
    if granted.is_empty() {
        return Err(OAuthError::new(
            OAuthErrorCode::InvalidScope,
            "Nothing is left: this app was granted none of the scopes of the subject_token.",
        ));
    }
    let person = claims.login.map(|login| Person { subject: claims.sub.clone(), login, since: login_since });
    let acting = Actor { sub: actor.client_id.to_string().into(), act: before };
    Ok(Exchanged {
        client: Client { granted, ..actor.clone() },
        person,
        delegation: Delegation { subject: claims.sub, actor: acting },
        expires_at,
        issued_at: claims.iat.max(authority.directory.cut_off(&owner)),
        third_party,
    })
}

/// A token that is good now.
struct Subject {
    claims: ReadClaims,
    /// Whose it is.
    owner: Arc<Client>,
    /// The longest that what is issued for it may live.
    longest: Option<Duration>,
    /// Since when the user is who that is now, if it is a user's.
    login_since: Timestamp,
    /// Whose JWT it is, if it is one; for the log.
    third_party: Option<Arc<ThirdParty>>,
}

impl Subject {
    async fn verify(
        authority: &Authority,
        caller: &Caller,
        actor: &Client,
        subject: SubjectToken<'_>,
    ) -> Result<Self, OAuthError> {
        match subject {
            SubjectToken::AccessToken(token) => match access::verify_signed(authority, token, caller.now) {
                Ok(signed) => Self::verify_own(authority, signed, caller.now).await,
                Err(refusal) => Self::verify_direct(authority, caller, actor, token, &refusal).await,
            },
            SubjectToken::ForeignJwt(jwt) => {
                let unverified = foreign_jwt::parse(authority, jwt, Way::Subject);
                let unverified = unverified.map_err(|error| refused_jwt(error.into()))?;
                Self::verify_foreign(authority, caller, actor, unverified, false).await.map_err(refused_jwt)
            }
        }
    }

    /// A token of this server, which is used here and was got before: from where is asked of whoever gets one.
    async fn verify_own(authority: &Authority, signed: Arc<SignedToken>, now: Timestamp) -> Result<Self, OAuthError> {
        let valid = access::check_own(authority, signed, now).await.map_err(|error| match error {
            AccessError::Refused(reason) => refused(&reason.to_string()),
            AccessError::Foreign { said, detail, .. } => refused(said).with_detail(detail),
            AccessError::Unavailable(reason) => OAuthError::unavailable(reason.to_string()),
        })?;
        let login_since = valid.person.map_or(Timestamp::NEVER, |holder| holder.since);
        let claims = valid.token.claims.clone();
        Ok(Self { claims, owner: valid.client, longest: None, login_since, third_party: None })
    }

    /// A third party's JWT that is an access token as it is. It is checked like one that is sent as what it is: nobody gets
    /// more for it by calling it something else. `refusal` is what is wrong with it as a token of this server.
    async fn verify_direct(
        authority: &Authority,
        caller: &Caller,
        actor: &Client,
        token: &str,
        refusal: &TokenError,
    ) -> Result<Self, OAuthError> {
        let no_token = || refused(&refusal.to_string());
        let unverified = UnverifiedForeignJwt::parse(token).map_err(|_no_jwt| no_token())?;
        let is_ours = access::claims_to_be_ours(authority, &unverified, refusal);
        let verified = Self::verify_foreign(authority, caller, actor, unverified, true).await;
        verified.map_err(|refusal| match refusal.error {
            TrustError::UnknownIssuer if is_ours => no_token(),
            TrustError::UnknownIssuer => {
                refused("It is not from this server, and its issuer's are not taken as they are here.")
            }
            _ => refused_jwt(refusal),
        })
    }

    async fn verify_foreign(
        authority: &Authority,
        caller: &Caller,
        actor: &Client,
        unverified: UnverifiedForeignJwt<'_>,
        directly: bool,
    ) -> Result<Self, RefusedJwt> {
        let tenant = Some(&*actor.organisation.slug);
        let narrowing = Narrowing { tenant, address: Some(caller.address), directly, ..Narrowing::default() };
        let verified = foreign_jwt::verify(authority, unverified, Way::Subject, narrowing, caller.now).await?;
        let claims = verified.read_claims(authority.directory.management_api())?;
        // A third party's clock may be ahead.
        let claims = ReadClaims { iat: claims.iat.min(caller.now), ..claims };
        let longest = verified.client.lifetime;
        let login_since = verified.person.map_or(Timestamp::NEVER, |person| person.since);
        let third_party = Some(verified.third_party);
        Ok(Self { claims, owner: verified.client, longest, login_since, third_party })
    }
}

fn refused(why: &str) -> OAuthError {
    OAuthError::new(OAuthErrorCode::InvalidRequest, format!("The subject_token is not accepted. {why}"))
}

fn refused_jwt(jwt: RefusedJwt) -> OAuthError {
    jwt.into_error(|error| refused(error.public()).with_detail(format!("the subject_token is refused: {error}")))
}
