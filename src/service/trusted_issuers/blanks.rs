//! Words that a template has where only the person knows what belongs there.

use super::IssuerSettings;
use crate::oauth::trust::{ClaimRule, ClaimTest};

/// The words of the forms and of the documents, with what stands around each: the name of somebody's role may be OWNER, that
/// of an account is not.
const BLANKS: &[(&str, &str, &str)] = &[
    ("", "OWNER/REPOSITORY", ""),
    ("", "OWNER", "/"),
    ("/", "REPOSITORY", ""),
    ("", "GROUP/PROJECT", ""),
    ("", "GROUP", "/"),
    ("/", "PROJECT", ""),
    ("", "TRUST-DOMAIN", ""),
    (":", "NAMESPACE", ""),
    ("/", "NAMESPACE", ""),
    (":", "NAME", ""),
    ("/", "NAME", ""),
    ("", "TENANT-ID", ""),
    ("", "TENANT_ID", ""),
    ("", "OBJECT-ID", ""),
    ("", "OBJECT_ID_OF_THE_MANAGED_IDENTITY", ""),
];

/// What still waits for the person to put something else there: the member, and what to do. Somebody else may have that name
/// where the JWTs come from, and would be let in. What stood there `before` may stay.
pub fn left_blank(settings: &IssuerSettings, before: Option<&IssuerSettings>) -> Vec<(&'static str, String)> {
    let is_new = |issuer: &&str| before.is_none_or(|before| before.issuer != *issuer);
    let is_new_audience = |text: &&String| before.is_none_or(|before| !before.policy.audiences.contains(text));
    let is_new_rule = |rule: &&ClaimRule| before.is_none_or(|before| !before.policy.rules.contains(rule));
    let (issuer, policy) = (Some(settings.issuer.as_str()).filter(is_new), &settings.policy);
    let audiences = policy.audiences.iter().filter(is_new_audience).map(String::as_str);
    let values = policy.rules.iter().filter(is_new_rule).flat_map(values);
    let fields = [
        ("issuer", issuer.unwrap_or_default().to_owned()),
        ("audiences", joined(audiences)),
        ("rules", joined(values)),
    ];
    let left = fields.map(|(field, text)| (field, blanks(&text))).into_iter().filter(|(_, blanks)| !blanks.is_empty());
    left.map(|(field, blanks)| (field, format!("put your own in place of {}", blanks.join(", ")))).collect()
}

fn values(rule: &ClaimRule) -> impl Iterator<Item = &str> {
    let values = match &rule.test {
        ClaimTest::Equals(value) | ClaimTest::Glob(value) => std::slice::from_ref(value),
        ClaimTest::OneOf(values) => values,
    };
    values.iter().map(String::as_str)
}

fn joined<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    texts.collect::<Vec<_>>().join("\n")
}

fn blanks(text: &str) -> Vec<&'static str> {
    let mut rest = text.to_owned();
    let mut found = Vec::new();
    for (before, blank, after) in BLANKS {
        let whole = format!("{before}{blank}{after}");
        let is_word = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
        let stands_alone = |at: usize| {
            let (left, right) = (rest.get(..at).unwrap_or_default(), rest.get(at + whole.len()..).unwrap_or_default());
            let (joins_left, joins_right) = (left.ends_with(is_word), right.starts_with(is_word));
            (!before.is_empty() || !joins_left) && (!after.is_empty() || !joins_right)
        };
        if rest.match_indices(&whole).any(|(at, _)| stands_alone(at)) {
            found.push(*blank);
            rest = rest.replace(&whole, &format!("{before}{after}"));
        }
    }
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::trust::{IssuerKeys, TrustPolicy};
    use crate::service::trusted_issuers::StandsFor;

    #[test]
    fn what_stands_in_for_ones_own_is_found_also_in_part() {
        for (text, left) in [
            ("OWNER/REPOSITORY", vec!["OWNER/REPOSITORY"]),
            ("OWNER/brevet", vec!["OWNER"]),
            ("acme/REPOSITORY", vec!["REPOSITORY"]),
            ("repo:OWNER/REPOSITORY:ref:refs/heads/main", vec!["OWNER/REPOSITORY"]),
            ("system:serviceaccount:billing:NAME", vec!["NAME"]),
            ("system:serviceaccount:NAMESPACE:NAME", vec!["NAMESPACE", "NAME"]),
            ("spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/NAME", vec!["TRUST-DOMAIN", "NAMESPACE", "NAME"]),
            ("https://login.microsoftonline.com/TENANT-ID/v2.0", vec!["TENANT-ID"]),
            ("https://sts.windows.net/TENANT_ID/", vec!["TENANT_ID"]),
            ("OBJECT_ID_OF_THE_MANAGED_IDENTITY", vec!["OBJECT_ID_OF_THE_MANAGED_IDENTITY"]),
            ("OWNER", vec![]),
            ("PROJECT\nGROUP", vec![]),
            ("THE-OWNER/x", vec![]),
            ("a:NAMES", vec![]),
            ("MY_TENANT_ID", vec![]),
            ("owner/repository", vec![]),
        ] {
            assert_eq!(blanks(text), left, "{text}");
        }
    }

    #[test]
    fn what_stood_there_before_may_stay() {
        let before = IssuerSettings {
            name: "Portal".to_owned(),
            issuer: "https://portal.example/NAME".to_owned(),
            policy: TrustPolicy {
                rules: vec![ClaimRule::parse("sub=a:NAME").unwrap()],
                ..TrustPolicy::new(IssuerKeys::Discovery, vec!["urn:NAME".to_owned()])
            },
            stands_for: StandsFor::Users,
            scopes: None,
        };
        let fields = |settings: &IssuerSettings, before| {
            left_blank(settings, before).into_iter().map(|(field, _)| field).collect::<Vec<_>>()
        };
        assert_eq!(fields(&before, None), ["issuer", "audiences", "rules"]);
        let mut now = before.clone();
        now.name = "Gate".to_owned();
        assert_eq!(fields(&now, Some(&before)), Vec::<&str>::new());
        now.policy.rules = vec![ClaimRule::parse("sub=b:NAME").unwrap()];
        assert_eq!(fields(&now, Some(&before)), ["rules"]);
    }
}
