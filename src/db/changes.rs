//! The change table: what every node must forget or reload. Written in the transaction of the change itself, tailed by
//! the hot view of every node.

use std::time::Duration;

use diesel::dsl::{max, min};
use diesel::{BoolExpressionMethods, ExpressionMethods, QueryDsl, RunQueryDsl};

use super::conn::AnyConnection;
use super::error::DbError;
use super::schema::changes;
use crate::clock::Timestamp;

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// An app, its keys or its scopes.
    App,
    /// An API or its scopes.
    Api,
    /// An organisation.
    Organisation,
    /// The signing keys.
    SigningKeys,
    /// The revoked tokens.
    Revocations,
    /// The cut-off that concerns every token.
    CutOff,
    /// A trusted issuer.
    TrustedIssuer,
    /// Who is a user of an organisation, or whether that person may do anything.
    Member,
}

impl ChangeKind {
    const ALL: [Self; 8] = [
        Self::App,
        Self::Api,
        Self::Organisation,
        Self::SigningKeys,
        Self::Revocations,
        Self::CutOff,
        Self::TrustedIssuer,
        Self::Member,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Api => "api",
            Self::Organisation => "organisation",
            Self::SigningKeys => "signing-keys",
            Self::Revocations => "revocations",
            Self::CutOff => "cut-off",
            Self::TrustedIssuer => "trusted-issuer",
            Self::Member => "member",
        }
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its place in the order of commits.
    pub seq: i64,
    /// What changed; `None` for a kind that only a newer program knows.
    pub kind: Option<ChangeKind>,
    /// Which one.
    pub id: String,
}

/// How long a row stays for nodes that fall behind; a node that missed more forgets everything it holds.
pub const KEPT: Duration = Duration::from_secs(3_600);

/// Notes a change for every node.
///
/// # Errors
/// When the database does not take it.
pub fn record(conn: &mut AnyConnection, kind: ChangeKind, id: &str, now: Timestamp) -> Result<(), DbError> {
    let row = (changes::kind.eq(kind.name()), changes::id.eq(id), changes::at.eq(now.seconds()));
    diesel::insert_into(changes::table).values(row).execute(conn)?;
    Ok(())
}

/// The rows after `seq`, in order.
///
/// # Errors
/// When the database does not answer.
pub fn list_after(conn: &mut AnyConnection, seq: i64) -> Result<Vec<Change>, DbError> {
    let rows: Vec<(i64, String, String)> = changes::table
        .filter(changes::seq.gt(seq))
        .order(changes::seq)
        .select((changes::seq, changes::kind, changes::id))
        .load(conn)?;
    let kind = |name: &str| ChangeKind::ALL.into_iter().find(|kind| kind.name() == name);
    Ok(rows.into_iter().map(|(seq, name, id)| Change { seq, kind: kind(&name), id }).collect())
}

/// The first and last row there are; zeros when there are none.
///
/// # Errors
/// When the database does not answer.
pub fn span(conn: &mut AnyConnection) -> Result<(i64, i64), DbError> {
    // Two questions: asked for both at once, SQLite reads the whole table.
    let first: Option<i64> = changes::table.select(min(changes::seq)).first(conn)?;
    let last: Option<i64> = changes::table.select(max(changes::seq)).first(conn)?;
    Ok((first.unwrap_or(0), last.unwrap_or(0)))
}

/// Deletes rows that are older than [`KEPT`], but never the last, which holds the place.
///
/// # Errors
/// When the database does not take it.
pub fn delete_old(conn: &mut AnyConnection, now: Timestamp) -> Result<usize, DbError> {
    let (_, last) = span(conn)?;
    let old = changes::table.filter(changes::at.lt((now - KEPT).seconds()).and(changes::seq.lt(last)));
    Ok(diesel::delete(old).execute(conn)?)
}
