use serde_json::{Value, json};

use super::*;

const NOW: i64 = 1_800_000_000;

fn policy() -> TrustPolicy {
    TrustPolicy {
        keys: IssuerKeys::Discovery,
        certificate_names: Vec::new(),
        algorithms: vec![SigningAlgorithm::Rs256],
        audiences: vec!["https://id.example".to_owned(), "urn:brevet".to_owned()],
        subject_claim: ClaimName::sub(),
        rules: vec![ClaimRule::parse("repository=octo/*").unwrap()],
        max_age: Some(Duration::from_secs(600)),
        single_use: true,
        accept_directly: false,
        ticket_lifetime: None,
        limits_scopes: false,
    }
}

fn claims() -> Value {
    json!({
        "iss": "https://ci.example", "sub": "repo:octo/app", "aud": "urn:brevet", "exp": NOW + 300, "nbf": NOW, "iat": NOW,
        "jti": "1", "repository": "octo/app",
    })
}

fn check(claims: &Value, typ: Option<&str>, way: Way) -> Result<(), TrustError> {
    let claims = ForeignClaims::read(claims.to_string().as_bytes())?;
    let now = Timestamp::from_seconds(NOW);
    policy().check(typ, &claims, way, now).find_map(|(_, result)| result.err()).map_or(Ok(()), Err)
}

#[test]
fn each_claim_is_checked() {
    let at = |seconds: i64| Timestamp::from_seconds(NOW + seconds);
    let day = 86_400;
    for (member, value, expected) in [
        ("aud", json!(["other", "urn:brevet"]), Ok(())),
        ("aud", json!("https://id.example"), Ok(())),
        ("nbf", json!(NOW + 60), Ok(())),
        ("iat", json!(NOW + 60), Ok(())),
        ("iat", json!(NOW - 660), Ok(())),
        ("exp", json!(NOW - 59), Ok(())),
        ("exp", json!(NOW + day + 60), Ok(())),
        ("exp", json!(1_800_000_000.5), Ok(())),
        ("repository", json!(["other/app", "octo/app"]), Ok(())),
        ("iss", json!(null), Err(TrustError::Malformed)),
        ("iss", json!(""), Err(TrustError::Malformed)),
        ("iss", json!(7), Err(TrustError::Malformed)),
        ("iss", json!(["https://ci.example"]), Err(TrustError::Malformed)),
        ("aud", json!([]), Err(TrustError::Audience)),
        ("aud", json!("urn:brevet2"), Err(TrustError::Audience)),
        ("aud", json!("urn:breve"), Err(TrustError::Audience)),
        ("aud", json!("*"), Err(TrustError::Audience)),
        ("aud", json!("https://id.example/"), Err(TrustError::Audience)),
        ("aud", json!("https://user@id.example"), Err(TrustError::Audience)),
        ("aud", json!({ "urn:brevet": 1 }), Err(TrustError::Malformed)),
        ("aud", json!([["urn:brevet"]]), Err(TrustError::Malformed)),
        ("aud", json!(null), Err(TrustError::Malformed)),
        ("exp", json!(NOW - 60), Err(TrustError::Expired(at(-60)))),
        ("exp", json!(0), Err(TrustError::Expired(Timestamp::from_seconds(0)))),
        ("exp", json!(-5), Err(TrustError::Expired(Timestamp::from_seconds(-5)))),
        ("exp", json!(NOW + day + 61), Err(TrustError::TooLong(at(day + 61)))),
        ("exp", json!(i64::MAX), Err(TrustError::TooLong(Timestamp::from_seconds(i64::MAX)))),
        ("exp", json!(u64::MAX), Err(TrustError::Malformed)),
        ("exp", json!(1e300), Err(TrustError::Malformed)),
        ("exp", json!(NOW.to_string()), Err(TrustError::Malformed)),
        ("exp", json!(true), Err(TrustError::Malformed)),
        ("exp", json!(null), Err(TrustError::Malformed)),
        ("nbf", json!(NOW + 61), Err(TrustError::NotYetValid(at(61)))),
        ("nbf", json!("now"), Err(TrustError::Malformed)),
        ("nbf", json!(null), Err(TrustError::Malformed)),
        ("iat", json!(NOW + 61), Err(TrustError::IssuedAhead(at(61)))),
        ("iat", json!(NOW - 661), Err(TrustError::Stale(at(-661)))),
        ("jti", json!(""), Err(TrustError::Malformed)),
        ("jti", json!(7), Err(TrustError::Malformed)),
        ("jti", json!("a\u{0}"), Err(TrustError::Malformed)),
        ("jti", json!("a".repeat(257)), Err(TrustError::Malformed)),
        ("repository", json!("octopus/app"), Err(TrustError::Rule(0))),
        ("repository", json!({ "octo/": 1 }), Err(TrustError::Rule(0))),
        ("repository", json!(null), Err(TrustError::Rule(0))),
        ("sub", json!(""), Err(TrustError::Subject)),
        ("sub", json!({ "sub": "x" }), Err(TrustError::Subject)),
        ("sub", json!("a\u{0}b"), Err(TrustError::Subject)),
    ] {
        let mut claims = claims();
        claims[member] = value.clone();
        assert_eq!(check(&claims, Some("JWT"), Way::Grant), expected, "{member}: {value}");
    }
    for (member, expected) in [
        ("iss", TrustError::Malformed),
        ("aud", TrustError::Malformed),
        ("exp", TrustError::Malformed),
        ("iat", TrustError::NoIssuedAt),
        ("jti", TrustError::Id),
        ("repository", TrustError::Rule(0)),
        ("sub", TrustError::Subject),
    ] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(member);
        assert_eq!(check(&claims, None, Way::Grant), Err(expected), "without {member}");
    }
}

#[test]
fn the_types_of_other_jwts_are_refused_on_every_way() {
    for way in [Way::Grant, Way::ClientAssertion, Way::Ticket, Way::Bearer, Way::Subject] {
        for typ in [None, Some("JWT"), Some("jwt"), Some("client-authentication+jwt"), Some("JOSE")] {
            assert_eq!(check(&claims(), typ, way), Ok(()), "{typ:?}");
        }
        for typ in ["at+jwt", "application/at+jwt", "dpop+jwt", "logout+jwt", "secevent+jwt", ""] {
            assert_eq!(check(&claims(), Some(typ), way), Err(TrustError::Type), "{typ}");
        }
    }
}

#[test]
fn a_client_proves_itself_with_a_jwt_that_is_for_us_alone() {
    let mut shared = claims();
    shared["aud"] = json!(["urn:brevet", "https://other.example"]);
    assert_eq!(check(&shared, None, Way::Grant), Ok(()));
    assert_eq!(check(&shared, None, Way::ClientAssertion), Err(TrustError::Audience));
}

#[test]
fn rules_are_read_as_they_are_written() {
    let claims = json!({
        "iss": "i", "aud": "a", "exp": 1, "run": 7, "protected": true, "groups": ["a", "b"], "a/b": "x",
        "kubernetes.io": { "namespace": "prod", "pod": { "name": "p" } },
    });
    let claims = ForeignClaims::read(claims.to_string().as_bytes()).unwrap();
    for (text, expected) in [
        ("run=7", true),
        ("run=8", false),
        ("protected=true", true),
        ("groups=b", true),
        ("groups=c", false),
        ("groups=c,b", true),
        ("a/b=x", true),
        ("/a~1b=x", true),
        ("/kubernetes.io/namespace=prod", true),
        ("/kubernetes.io/pod/name=p*", true),
        ("/kubernetes.io/pod=p", false),
        ("/kubernetes.io/none/name=p", false),
        ("none=*x", false),
    ] {
        let rule = ClaimRule::parse(text).unwrap();
        assert_eq!(claims.value(&rule.claim).is_some_and(|value| rule.matches(value)), expected, "{text}");
        let stored = serde_json::to_string(&rule).unwrap();
        assert_eq!(serde_json::from_str::<ClaimRule>(&stored).unwrap(), rule, "{stored}");
    }
    for wrong in ["", "sub", "=x", "sub=", "sub=*", "sub=**?", "sub=a,,b", "sub=a\nb"] {
        assert!(ClaimRule::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_pattern_that_is_built_to_be_slow_is_not() {
    let pattern = format!("sub={}b", "*a".repeat(200));
    let rule = ClaimRule::parse(&pattern).unwrap();
    assert!(!rule.matches(&json!("a".repeat(LONGEST_VALUE))));
}

#[test]
fn a_policy_is_stored_whole() {
    let stored = serde_json::to_string(&policy()).unwrap();
    assert_eq!(serde_json::from_str::<TrustPolicy>(&stored).unwrap(), policy());
}
