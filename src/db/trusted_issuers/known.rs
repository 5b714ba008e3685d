//! Issuers of all organisations by where their keys are, for whoever looks after the server.

use std::collections::BTreeMap;

use diesel::{BoolExpressionMethods, ExpressionMethods, QueryDsl, RunQueryDsl, TextExpressionMethods};
use uuid::Uuid;

use super::super::conn::AnyConnection;
use super::super::error::DbError;
use super::super::organisations::parse_id;
use super::super::schema::{organisations, trusted_issuers};
use crate::oauth::ClientId;
use crate::oauth::trust::{IssuerKeys, TrustPolicy};

/// Where keys are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPlace {
    /// In certificates that stand in the entry.
    Certificates,
    /// Behind a URL.
    Elsewhere,
}

/// An enabled issuer and its keys.
#[derive(Debug, Clone)]
pub struct KnownIssuer {
    /// Its id.
    pub id: ClientId,
    /// Where it is trusted.
    pub organisation_id: Uuid,
    /// The slug of that.
    pub organisation: String,
    /// Its name for people.
    pub name: String,
    /// `iss`
    pub issuer: String,
    /// Its keys.
    pub keys: IssuerKeys,
}

/// Enabled issuers whose keys are there, of one organisation or of all, in the order of their ids, at most `limit`, those
/// after `after`.
///
/// # Errors
/// When the database does not answer.
pub fn list_known(
    conn: &mut AnyConnection,
    place: KeyPlace,
    organisation_id: Option<Uuid>,
    after: Option<ClientId>,
    limit: i64,
) -> Result<Vec<KnownIssuer>, DbError> {
    // What the policy says in JSON; a value in which the same stands has other quotation marks.
    let (one, other) = match place {
        KeyPlace::Certificates => ("%\"certificates\":%", "%\"authorities\":%"),
        KeyPlace::Elsewhere => ("%\"jwks_uri\":%", "%\"keys\":\"discovery\"%"),
    };
    let mut query = trusted_issuers::table
        .filter(trusted_issuers::disabled_at.is_null())
        .filter(trusted_issuers::policy.like(one).or(trusted_issuers::policy.like(other)))
        .order(trusted_issuers::id)
        .limit(limit)
        .select((
            trusted_issuers::id,
            trusted_issuers::organisation_id,
            trusted_issuers::name,
            trusted_issuers::issuer,
            trusted_issuers::policy,
        ))
        .into_boxed();
    if let Some(organisation_id) = organisation_id {
        query = query.filter(trusted_issuers::organisation_id.eq(organisation_id.to_string()));
    }
    if let Some(after) = after {
        query = query.filter(trusted_issuers::id.gt(after.to_string()));
    }
    let rows: Vec<(String, String, String, String, String)> = query.load(conn)?;
    let mut slugs: BTreeMap<String, String> = BTreeMap::new();
    for (_, organisation_id, ..) in &rows {
        if !slugs.contains_key(organisation_id) {
            let slug = organisations::table.find(organisation_id).select(organisations::slug).first(conn)?;
            slugs.insert(organisation_id.clone(), slug);
        }
    }
    let known = rows.into_iter().map(|(id, organisation_id, name, issuer, policy)| {
        let corrupt = |column| DbError::Corrupt { table: "trusted_issuers", column, id: id.clone() };
        let policy: TrustPolicy = serde_json::from_str(&policy).map_err(|_not_a_policy| corrupt("policy"))?;
        Ok(KnownIssuer {
            id: ClientId::parse(&id).ok_or_else(|| corrupt("id"))?,
            organisation_id: parse_id(&organisation_id, "trusted_issuers")?,
            organisation: slugs.get(&organisation_id).cloned().unwrap_or_default(),
            name,
            issuer,
            keys: policy.keys,
        })
    });
    known.collect()
}
