//! Why a token is good or not: each check of its own, in the order in which the verifier makes them, and when what ends it
//! came to be. Whether something holds is asked of what the guard asks; the database is only asked since when.

use std::time::Duration;

use serde_json::Value;

use super::pasted::Members;
use super::{Check, Outcome, Verdict};
use crate::clock::Timestamp;
use crate::db::{apps, audit, cut_offs, organisations, revocations};
use crate::keys::verify::{SignedToken, TokenError};
use crate::oauth::claims::ReadClaims;
use crate::oauth::{Client, ClientId};
use crate::service::access::{self, AccessError};
use crate::service::{Authority, Management, ServiceError};

/// What is asked.
pub(super) struct Asked<'a> {
    pub(super) token: &'a str,
    pub(super) header: &'a Members,
    pub(super) claims: Option<&'a Members>,
    pub(super) audience: Option<&'a str>,
    pub(super) now: Timestamp,
}

/// What is answered.
#[derive(Default)]
pub(super) struct Grounds {
    pub(super) verdicts: Vec<Verdict>,
    pub(super) app: Option<(ClientId, String)>,
    pub(super) fits_audience: Option<bool>,
}

impl Grounds {
    pub(super) fn add(&mut self, check: Check, outcome: Outcome, text: impl Into<String>) {
        self.verdicts.push(Verdict { check, outcome, text: text.into() });
    }

    pub(super) fn holds(&mut self, check: Check, text: impl Into<String>) {
        self.add(check, Outcome::Holds, text);
    }

    pub(super) fn fails(&mut self, check: Check, text: impl Into<String>) {
        self.add(check, Outcome::Fails, text);
    }

    pub(super) fn note(&mut self, check: Check, text: impl Into<String>) {
        self.add(check, Outcome::Note, text);
    }
}

/// Makes each check of its own.
pub(super) async fn collect(authority: &Authority, m: Management, asked: &Asked<'_>) -> Result<Grounds, ServiceError> {
    let mut grounds = Grounds::default();
    let ring = authority.directory.ring();
    match authority.verifier.verify(asked.token, |kid| ring.published(kid, asked.now)) {
        Ok(signed) => {
            grounds.holds(Check::Key, "Signed by this server, with a key that it publishes.");
            grounds.holds(Check::Issuer, format!("Issued by {}.", signed.claims.iss));
            time(&mut grounds, &signed, asked.now);
            ends(&mut grounds, authority, m, &signed, asked.now).await?;
            audience(&mut grounds, asked);
            binding(&mut grounds, asked, signed.claims.cnf.is_some());
        }
        Err(reason) => {
            unsigned(&mut grounds, authority, m, asked, reason).await?;
            unproved_time(&mut grounds, asked);
            audience(&mut grounds, asked);
        }
    }
    Ok(grounds)
}

/// A token that the verifier refused before it looked at the time: nothing in it is anybody's word but where that is said.
async fn unsigned(
    grounds: &mut Grounds,
    authority: &Authority,
    m: Management,
    asked: &Asked<'_>,
    reason: TokenError,
) -> Result<(), ServiceError> {
    let issuer = authority.issuer();
    let named = asked.claims.and_then(|claims| claims.text("iss"));
    let typ = asked.header.text("typ").map_or_else(|| "no typ".to_owned(), |typ| format!("the typ `{typ}`"));
    match reason {
        TokenError::UnknownKey => {
            unknown_key(grounds, authority, m, asked).await?;
            match named {
                Some(named) if named != issuer => grounds.note(
                    Check::Issuer,
                    format!("It says that it is from {named}, and this server is {issuer}: ask there."),
                ),
                Some(_) => grounds.note(Check::Issuer, "It says that it is from this server, which nothing proves."),
                None => grounds.note(Check::Issuer, "It does not say who issued it (no iss)."),
            }
        }
        TokenError::Algorithm => {
            let alg = asked.header.text("alg").unwrap_or("none");
            grounds.fails(
                Check::Signature,
                format!(
                    "Its header says alg `{alg}`, which is not that of the key it names, or demands something more (crit, b64, zip, enc): perhaps somebody changed it."
                ),
            );
        }
        TokenError::Signature => grounds.fails(
            Check::Signature,
            "It names a key of this server, but the signature is wrong: it was changed or cut off after it was signed, or made up.",
        ),
        TokenError::Type => {
            grounds.holds(Check::Key, "Signed by this server, with a key that it publishes.");
            grounds.fails(
                Check::Type,
                format!("It has {typ}, so it is not an access token; those have `at+jwt`, or `JWT` in the classic profile."),
            );
        }
        TokenError::Issuer => {
            grounds.holds(Check::Key, "Signed by this server, with a key that it publishes.");
            let named = named.unwrap_or("nobody");
            grounds.fails(
                Check::Issuer,
                format!("It says iss `{named}`, and this server is {issuer}: was the server's issuer changed?"),
            );
        }
        _ if asked.claims.is_none() => {
            grounds.fails(Check::Type, "What it holds is not a JSON object, so it is not an access token.");
        }
        other => grounds.fails(
            Check::Type,
            format!(
                "{other} It is not whole, perhaps it was cut off; or a part of its header or a claim is missing, stands twice or is of the wrong kind."
            ),
        ),
    }
    Ok(())
}

/// The key that a token names is not published. Whether it ever was one of ours stands in the audit.
async fn unknown_key(
    grounds: &mut Grounds,
    authority: &Authority,
    m: Management,
    asked: &Asked<'_>,
) -> Result<(), ServiceError> {
    let Some(kid) = asked.header.text("kid").map(str::to_owned) else {
        grounds.fails(Check::Key, "Its header names no key (no kid). Every token of this server names one.");
        return Ok(());
    };
    // Thumbprints have 43 characters: nothing longer is asked for or shown.
    let shown: String = kid.chars().take(43).collect();
    let now = asked.now;
    let fate = authority
        .look(m, move |m| {
            m.database.read_with(|conn| {
                let revoked = audit::find_last(conn, "key.revoke", &kid)?;
                Ok::<_, ServiceError>((revoked, audit::find_last(conn, "key.delete", &kid)?))
            })
        })
        .await?;
    grounds.fails(
        Check::Key,
        match fate {
            (Some(revoked_at), _) => format!(
                "The key {shown} was this server's and was revoked {}: every token that it signed is refused. Get a new one.",
                ago(revoked_at, now)
            ),
            (None, Some(gone_at)) => format!(
                "The key {shown} was this server's; its life ended {}, long after the last token that it signed.",
                ago(gone_at, now)
            ),
            (None, None) => format!("The key {shown} is not and was not this server's: another server signed it."),
        },
    );
    Ok(())
}

fn time(grounds: &mut Grounds, signed: &SignedToken, now: Timestamp) {
    match signed.check_time(now) {
        Ok(()) => grounds.holds(
            Check::Time,
            format!("Valid for another {}, until {}.", spoken(signed.claims.exp.since(now)), signed.claims.exp),
        ),
        Err(TokenError::NotYetValid(at)) => grounds.fails(
            Check::Time,
            format!(
                "Not valid before {at}, which is {} from now: a clock is wrong, or it was made for later.",
                spoken(at.since(now))
            ),
        ),
        Err(_expired) => {
            let exp = signed.claims.exp;
            grounds.fails(Check::Time, format!("Expired {}, at {exp}. Get a new one.", ago(exp, now)));
        }
    }
}

/// The same for a token that nobody vouches for.
fn unproved_time(grounds: &mut Grounds, asked: &Asked<'_>) {
    let moment = |name: &str| asked.claims.and_then(|claims| claims.get(name)).and_then(Value::as_i64);
    let Some(exp) = moment("exp").map(Timestamp::from_seconds) else { return };
    if exp <= asked.now {
        grounds.note(Check::Time, format!("It says that it expired {}, at {exp}.", ago(exp, asked.now)));
    } else {
        grounds.note(Check::Time, format!("It says that it is valid until {exp}."));
    }
}

/// What the memory says of a token's app and what ended it.
#[derive(Default)]
struct History {
    /// The asker reaches the organisation that the token names.
    is_own: bool,
    revoked_at: Option<Timestamp>,
    app: Option<apps::AppRecord>,
    deleted_at: Option<Timestamp>,
    organisation_disabled_at: Option<Timestamp>,
    organisation_not_before: Timestamp,
}

impl History {
    fn read(m: &Management, tenant: &str, client_id: ClientId, jti: &str) -> Result<Self, ServiceError> {
        m.database.read_with(|conn| {
            let Some(organisation) = organisations::find_by_slug(conn, tenant)? else { return Ok(Self::default()) };
            if !m.doer.reaches(Some(organisation.id)) {
                return Ok(Self::default());
            }
            let app = apps::find(conn, client_id)?.filter(|app| app.organisation_id == organisation.id);
            Ok(Self {
                is_own: true,
                revoked_at: revocations::find_moment(conn, jti)?,
                deleted_at: cut_offs::find_deleted(conn, client_id)?.filter(|_| app.is_none()),
                app,
                organisation_disabled_at: organisation.disabled_at,
                organisation_not_before: organisation.not_before,
            })
        })
    }
}

/// What ends a token before its time.
async fn ends(
    grounds: &mut Grounds,
    authority: &Authority,
    m: Management,
    signed: &SignedToken,
    now: Timestamp,
) -> Result<(), ServiceError> {
    let (claims, directory) = (&signed.claims, &authority.directory);
    let Some(client_id) = ClientId::parse(&claims.client_id) else {
        grounds.fails(Check::App, "Its client_id is not an App SID.");
        return Ok(());
    };
    let found = match directory.find_client(client_id).await {
        Ok(found) => found,
        Err(reason) => {
            grounds.note(Check::App, format!("Whether its app is enabled cannot be known at the moment: {reason}."));
            return Ok(());
        }
    };
    let (tenant, jti) = (claims.tenant.to_string(), claims.jti.to_string());
    let history = authority.look(m, move |m| History::read(m, &tenant, client_id, &jti)).await?;
    let is_revoked = directory.is_revoked(&claims.jti);
    let here = found.filter(|client| *client.organisation.slug == *claims.tenant);
    let cut_off = here.as_ref().map(|client| directory.cut_off(client)).filter(|cut_off| claims.iat < *cut_off);
    if !history.is_own {
        let is_dead = is_revoked || cut_off.is_some() || !here.is_some_and(|client| client.is_active());
        if is_dead {
            grounds.fails(
                Check::App,
                "A token of another organisation. It was revoked, or its app or organisation was disabled or deleted.",
            );
        } else {
            grounds.holds(Check::App, "A token of another organisation, of an app that is enabled.");
        }
        return Ok(());
    }
    let at = |moment: Option<Timestamp>| moment.map(|at| format!(" {}, at {at}", ago(at, now))).unwrap_or_default();
    if is_revoked {
        grounds.fails(Check::Revocation, format!("It was revoked{}. Get a new one.", at(history.revoked_at)));
    } else {
        grounds.holds(Check::Revocation, "It was not revoked.");
    }
    grounds.app = history.app.as_ref().map(|app| (client_id, app.name.clone()));
    let name = history.app.as_ref().map_or("", |app| app.name.as_str());
    match &here {
        None => {
            grounds.fails(Check::App, format!("Its app is not there any more: deleted{}.", at(history.deleted_at)));
        }
        Some(client) if !client.organisation.enabled => grounds.fails(
            Check::App,
            format!("Its organisation was disabled{}: no token of it is good.", at(history.organisation_disabled_at)),
        ),
        Some(client) if !client.enabled => {
            let disabled_at = history.app.as_ref().and_then(|app| app.disabled_at);
            grounds.fails(
                Check::App,
                format!("Its app, {name}, was disabled{}: enable it and the token is good again.", at(disabled_at)),
            );
        }
        Some(_) => grounds.holds(Check::App, format!("Issued to {name}, which is enabled.")),
    }
    if let Some(client) = &here {
        exchange(grounds, authority, client, claims).await;
    }
    if let Some(cut_off) = cut_off {
        let of_app = history.app.as_ref().is_some_and(|app| app.not_before == cut_off);
        let whose = match (of_app, history.organisation_not_before == cut_off) {
            (true, _) => "of this app",
            (_, true) => "of this organisation",
            _ => "of this server",
        };
        grounds.fails(
            Check::CutOff,
            format!("All tokens {whose} that were issued before {cut_off} were ended. Get a new one."),
        );
    }
    Ok(())
}

/// Whose token it was exchanged for, and whether they may still have tokens.
async fn exchange(grounds: &mut Grounds, authority: &Authority, client: &Client, claims: &ReadClaims) {
    let Some(actor) = &claims.act else { return };
    let actors: Vec<&str> = actor.chain().map(|actor| &*actor.sub).collect();
    let whose = format!("Exchanged for a token of {} by {}", claims.sub, actors.join(", before it by "));
    match access::check_delegation(authority, client, claims).await {
        Ok(()) => grounds.holds(Check::Exchange, format!("{whose}; all of them may have tokens.")),
        Err(AccessError::Refused(_) | AccessError::Foreign { .. }) => {
            grounds.fails(Check::Exchange, format!("{whose}; one of them may have no tokens any more."));
        }
        Err(AccessError::Unavailable(_)) => grounds.note(Check::Exchange, format!("{whose}.")),
    }
}

pub(super) fn audience(grounds: &mut Grounds, asked: &Asked<'_>) {
    let Some(claims) = asked.claims else { return };
    let named: Vec<&str> = match claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let shown = if named.is_empty() { "nothing".to_owned() } else { named.join(" and ") };
    match asked.audience {
        None => grounds.note(Check::Audience, format!("It is for {shown}.")),
        Some(expected) if named.contains(&expected) => {
            grounds.fits_audience = Some(true);
            grounds.holds(Check::Audience, format!("It is for {expected}, as you expect."));
        }
        Some(expected) => {
            grounds.fits_audience = Some(false);
            grounds.fails(Check::Audience, format!("It is for {shown}, and you expect {expected}."));
        }
    }
}

fn binding(grounds: &mut Grounds, asked: &Asked<'_>, is_bound: bool) {
    if !is_bound {
        return;
    }
    let thumbprint = asked.claims.and_then(|claims| claims.get("cnf")?.get("jkt")?.as_str()).unwrap_or_default();
    grounds.note(
        Check::Binding,
        format!(
            "It is bound to the DPoP key {thumbprint}: worth nothing as a bearer token, good only with a proof made with that key for each request."
        ),
    );
}

fn ago(moment: Timestamp, now: Timestamp) -> String {
    if moment > now {
        // The second after the present one, or a clock that went back.
        return "just now".to_owned();
    }
    match now.since(moment).as_secs() {
        0 => "just now".to_owned(),
        seconds => format!("{} ago", spoken(Duration::from_secs(seconds))),
    }
}

/// A span in one or two units, as people say it.
fn spoken(span: Duration) -> String {
    let seconds = span.as_secs();
    let units = [("day", seconds / 86_400), ("hour", seconds / 3_600 % 24), ("minute", seconds / 60 % 60)];
    let large: Vec<(&str, u64)> = units.into_iter().skip_while(|(_, count)| *count == 0).take(2).collect();
    let said = |(unit, count): &(&str, u64)| format!("{count} {unit}{}", if *count == 1 { "" } else { "s" });
    if large.is_empty() {
        return said(&("second", seconds));
    }
    large.iter().filter(|(_, count)| *count > 0).map(said).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_in_at_most_two_units() {
        for (seconds, said) in [
            (0, "0 seconds"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "1 minute"),
            (185, "3 minutes"),
            (3_600, "1 hour"),
            (4_800, "1 hour 20 minutes"),
            (86_400, "1 day"),
            (86_459, "1 day"),
            (200_000, "2 days 7 hours"),
        ] {
            assert_eq!(spoken(Duration::from_secs(seconds)), said);
        }
    }
}
