//! Issuers that are written almost like one that nobody trusts: mostly a slash at the end is all the difference.

use uuid::Uuid;

use crate::db::AnyConnection;
use crate::db::trusted_issuers::list_names;
use crate::service::ServiceError;
use crate::service::deed::Deed;

/// That are named.
const MOST_NAMED: usize = 3;
/// That are compared.
const MOST_COMPARED: i64 = 2_000;
/// Characters in which one may be different, besides slash, case and scheme.
const MOST_DIFFERENT: usize = 4;

/// Those of one organisation, or of all that may be seen, that are most like this one.
pub(super) fn nearest(
    conn: &mut AnyConnection,
    deed: &Deed,
    organisation_id: Option<Uuid>,
    issuer: &str,
) -> Result<Vec<String>, ServiceError> {
    let wanted = folded(issuer);
    let known = list_names(conn, organisation_id, MOST_COMPARED)?.into_iter();
    let mut near: Vec<(usize, String)> = known
        .filter(|(organisation_id, _)| deed.doer.reaches(Some(*organisation_id)))
        .filter_map(|(_, name)| distance(&wanted, &folded(&name)).map(|far| (far, name)))
        .collect();
    near.sort_unstable();
    near.dedup();
    near.truncate(MOST_NAMED);
    Ok(near.into_iter().map(|(_, name)| name).collect())
}

/// What is left of the name if the slash at the end, case and scheme do not matter.
fn folded(issuer: &str) -> String {
    let lower = issuer.to_lowercase();
    let bare = lower.split_once("://").map_or(&*lower, |(_, rest)| rest);
    bare.trim_end_matches('/').to_owned()
}

fn distance(one: &str, other: &str) -> Option<usize> {
    if one.len().abs_diff(other.len()) > MOST_DIFFERENT * 4 {
        return None;
    }
    Some(strsim::damerau_levenshtein(one, other)).filter(|far| *far <= MOST_DIFFERENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slash_case_and_scheme_make_no_distance() {
        for (one, other, expected) in [
            ("https://id.example/", "https://id.example", Some(0)),
            ("https://id.example", "id.example", Some(0)),
            ("https://ID.example", "http://id.example//", Some(0)),
            ("https://id.example", "https://id.exmaple", Some(1)),
            ("https://id.example", "https://id.example/v2", Some(3)),
            ("https://id.example", "https://elsewhere.test", None),
            ("urn:acme:portal", "urn:acme:portal:of:somebody:else", None),
        ] {
            assert_eq!(distance(&folded(one), &folded(other)), expected, "{one} {other}");
        }
    }
}
