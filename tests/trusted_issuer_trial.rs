//! A JWT that is tried: the trial says what the roads say, says why, and uses nothing up.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use brevet::clock::{Clock, SystemClock};
use brevet::oauth::ClientId;
use brevet::oauth::trust::{Check, ClaimRule, TrustError, Way};
use brevet::service::inspection::{InspectedToken, Inspection, Worth, inspect};
use brevet::service::trusted_issuers::trial::{Against, StepOutcome, Trial, try_jwt};
use brevet::service::trusted_issuers::{self, IssuerSettings, StandsFor};
use serde_json::{Value, json};

use crate::support::new_app;
use crate::support::process::brevet;
use crate::support::signer::Signer;
use crate::trusted_issuers::{AUD, ISS, Stage, edited, settings};

fn try_with(stage: &Stage, against: &Against, way: Way, jwt: &str) -> Trial {
    let (app, now) = (&stage.app, stage.app.clock.now());
    let trial = try_jwt(&app.authority.directory, &app.management, against, way, jwt, now);
    actix_web::rt::System::new().block_on(trial).unwrap()
}

fn of_acme() -> Against {
    Against::Organisation("acme".to_owned())
}

fn failing(trial: &Trial) -> Vec<Check> {
    let steps = trial.entries.iter().flat_map(|entry| &entry.steps);
    steps.filter(|step| step.outcome == StepOutcome::Fails).map(|step| step.check).collect()
}

/// What a JWT says besides, and the checks that it fails. `null` takes a claim away.
fn wrongs() -> Vec<(Value, Vec<Check>)> {
    vec![
        (json!({}), vec![]),
        (json!({ "iss": "https://stranger.example" }), vec![]),
        (json!({ "aud": "urn:other" }), vec![Check::Audience]),
        (json!({ "aud": ["urn:other", AUD] }), vec![]),
        (json!({ "exp": 1 }), vec![Check::Expiry]),
        (json!({ "nbf": 9_999_999_999_u64 }), vec![Check::NotBefore]),
        (json!({ "iat": 1 }), vec![Check::IssuedAt]),
        (json!({ "iat": null }), vec![Check::IssuedAt]),
        (json!({ "jti": null }), vec![Check::Id]),
        (json!({ "sub": "mallory" }), vec![Check::Rule(0), Check::Mapping]),
        (json!({ "sub": null }), vec![Check::Rule(0), Check::Subject]),
        (json!({ "aud": "urn:other", "exp": 1, "jti": null }), vec![Check::Audience, Check::Expiry, Check::Id]),
    ]
}

fn with(mut claims: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

fn strict(stage: &Stage, stands_for: StandsFor) -> IssuerSettings {
    edited(settings(&stage.signer, stands_for), |policy| {
        policy.rules = vec![ClaimRule::parse("sub=alice").unwrap()];
        policy.max_age = Some(Duration::from_secs(600));
    })
}

#[test]
fn a_trial_says_what_each_road_says() {
    let app = |stage: &Stage| StandsFor::App(stage.client.id());
    for stands_for in [app, |_: &Stage| StandsFor::Users] {
        let stage = Stage::new();
        stage.trust(strict(&stage, stands_for(&stage)));
        let stands_for_app = stands_for(&stage) != StandsFor::Users;
        let stranger = Signer::rsa("k1", "RS256");
        let elsewhere = Signer::rsa("k2", "RS256");
        for signer in [&stage.signer, &stranger, &elsewhere] {
            for (changes, fails) in wrongs() {
                for way in [Way::Grant, Way::Ticket, Way::ClientAssertion, Way::Bearer] {
                    let jwt = signer.sign(&with(stage.claims(), &changes));
                    let trial = try_with(&stage, &of_acme(), way, &jwt);
                    let again = try_with(&stage, &of_acme(), way, &jwt);
                    assert_eq!(trial.refusal, again.refusal, "a trial uses nothing up");
                    let answer = match way {
                        Way::Grant => stage.grant(&jwt),
                        Way::Ticket => stage.ticket(&jwt),
                        Way::ClientAssertion => stage.client_assertion(&jwt),
                        _ => stage.app.get_with_token("/api/v1/whoami", &jwt),
                    };
                    let what = format!("{changes} {way:?} {trial:?} {}", answer.body);
                    assert_eq!(trial.is_accepted(), answer.status.is_success(), "{what}");
                    if let (Some(refusal), Way::Grant | Way::Ticket) = (&trial.refusal, way) {
                        let said = &answer.json()["error_description"];
                        assert_eq!(said, refusal.public(), "{what}");
                    }
                    if std::ptr::eq(signer, &stage.signer) && way == Way::Grant {
                        let expected: Vec<Check> = fails
                            .iter()
                            .filter(|check| !(stands_for_app && **check == Check::Mapping))
                            .copied()
                            .collect();
                        assert_eq!(failing(&trial), expected, "{what}");
                    }
                }
            }
        }
    }
}

#[test]
fn what_was_used_on_a_road_is_said_to_be_used() {
    let stage = Stage::new();
    stage.trust(settings(&stage.signer, StandsFor::Users));
    let jwt = stage.jwt();
    assert!(try_with(&stage, &of_acme(), Way::Ticket, &jwt).is_accepted());
    stage.ticket(&jwt).assert_status(200);
    let trial = try_with(&stage, &of_acme(), Way::Ticket, &jwt);
    assert_eq!(trial.refusal, Some(TrustError::Replayed));
    assert_eq!(failing(&trial), [Check::SingleUse]);
}

#[test]
fn a_trial_counts_nothing() {
    let stage = Stage::new();
    let issuer = stage.trust(settings(&stage.signer, StandsFor::Users));
    try_with(&stage, &of_acme(), Way::Ticket, &stage.jwt());
    try_with(&stage, &of_acme(), Way::Ticket, &stage.signer.sign(&with(stage.claims(), &json!({ "exp": 1 }))));
    stage.app.authority.trust_counts.flush(stage.app.management.database(), stage.app.clock.now()).unwrap();
    assert!(trusted_issuers::outcomes(&stage.app.management, issuer).unwrap().is_empty());
}

#[test]
fn an_entry_that_is_off_or_has_another_iss_says_so_and_makes_the_other_checks() {
    let stage = Stage::new();
    let issuer = stage.trust(settings(&stage.signer, StandsFor::Users));
    let other = stage.signer.sign(&with(stage.claims(), &json!({ "iss": format!("{ISS}/"), "exp": 1 })));
    let trial = try_with(&stage, &Against::Entry(issuer), Way::Grant, &other);
    assert_eq!(failing(&trial), [Check::Issuer, Check::Expiry]);
    assert_eq!(trial.refusal, Some(TrustError::UnknownIssuer));
    trusted_issuers::set_enabled(&stage.app.management, issuer, false).unwrap();
    stage.app.catch_up();
    let trial = try_with(&stage, &of_acme(), Way::Grant, &stage.jwt());
    assert_eq!(trial.refusal, Some(TrustError::UnknownIssuer));
    assert!(failing(&trial).starts_with(&[Check::Issuer]));
    assert!(trial.entries[0].steps[0].text.contains("disabled"), "{:?}", trial.entries[0].steps);
}

#[test]
fn two_entries_for_two_apps_are_ambiguous_and_two_for_one_are_not() {
    let stage = Stage::new();
    let second = stage.app.create_app(&["billing:read"]);
    for (app, also, refusal) in [
        (stage.client.id(), "urn:a", None),
        (stage.client.id(), "urn:b", None),
        (second.id(), "urn:a", Some(TrustError::Ambiguous)),
    ] {
        stage.trust(edited(settings(&stage.signer, StandsFor::App(app)), |policy| {
            policy.single_use = false;
            policy.audiences.push(also.to_owned());
        }));
        let jwt = stage.jwt();
        let trial = try_with(&stage, &of_acme(), Way::Grant, &jwt);
        assert_eq!(trial.refusal, refusal);
        assert_eq!(trial.is_accepted(), stage.grant(&jwt).status.is_success());
    }
}

#[test]
fn what_is_no_jwt_is_refused_before_anything_else_and_an_unknown_entry_is_not_found() {
    let stage = Stage::new();
    for text in ["", "a.b.c", "eyJhbGciOiJSUzI1NiJ9.e30.c2ln", &"x".repeat(40_000)] {
        let trial = try_with(&stage, &of_acme(), Way::Grant, text);
        assert_eq!((trial.form.outcome, trial.is_accepted()), (StepOutcome::Fails, false), "{trial:?}");
    }
    let (app, now) = (&stage.app, stage.app.clock.now());
    let unknown = Against::Entry(ClientId::generate());
    for jwt in ["", &stage.jwt()] {
        let trial = try_jwt(&app.authority.directory, &app.management, &unknown, Way::Grant, jwt, now);
        assert!(actix_web::rt::System::new().block_on(trial).is_err());
    }
}

#[test]
fn what_a_jwt_says_does_not_reach_the_terminal_as_it_is() {
    let stage = Stage::new();
    stage.trust(settings(&stage.signer, StandsFor::Users));
    let nasty = with(stage.claims(), &json!({ "aud": format!("\u{1b}[2J{}", "x".repeat(5_000)) }));
    let trial = try_with(&stage, &of_acme(), Way::Grant, &stage.signer.sign(&nasty));
    for step in trial.entries.iter().flat_map(|entry| &entry.steps) {
        assert!(!step.text.contains('\u{1b}') && step.text.chars().count() < 800, "{}", step.text);
    }
}

#[test]
fn the_command_says_each_check_and_exits_with_1_if_one_fails() {
    let stage = Stage::new();
    let issuer = stage.trust(settings(&stage.signer, StandsFor::Users)).to_string();
    // A command has the clock of the machine.
    let now = SystemClock.now().seconds();
    let claims = with(stage.claims(), &json!({ "exp": now + 300, "nbf": now, "iat": now }));
    let late = stage.signer.sign(&with(claims.clone(), &json!({ "exp": now - 300 })));
    let good = stage.signer.sign(&claims);
    let test =
        |more: &[&str], jwt: &str| brevet(stage.app.data.path()).args(&["issuer", "test"]).args(more).stdin(jwt).run();
    for more in [&["--org", "acme"][..], &["--id", &issuer], &[], &["--way", "ticket", "-"]] {
        let shown = test(more, &good).assert_code(0).stdout;
        assert!(shown.contains("✔ Signature") && shown.contains("the user alice of acme"), "{shown}");
    }
    // As long as a JWT of a third party may be, and no longer.
    let of_length = |length: usize| {
        let mut long = claims.clone();
        long["groups"] = json!("x".repeat(length));
        stage.signer.sign(&long)
    };
    let (long, too_long) = (of_length(20 * 1_024), of_length(28 * 1_024));
    assert!(long.len() > 20 * 1_024 && too_long.len() > 32 * 1_024);
    test(&["--org", "acme"], &long).assert_code(0);
    assert_eq!(test(&["--json"], &too_long).assert_code(1).json()["form"]["outcome"], "fails");
    let refused = test(&["--org", "acme", "--json"], &late).assert_code(1);
    let document = refused.json();
    assert_eq!((&document["accepted"], &document["reason"]), (&json!(false), &json!("expiry")));
    assert!(!refused.stderr.contains(&late) && !refused.stdout.contains(&late), "the JWT is not shown again");
    assert!(test(&["--org", "acme"], &late).stdout.contains("✖ Expiry"));
    test(&["--org", "nowhere"], &good).assert_code(67);
    test(&["--id", "00000000-0000-4000-8000-000000000000"], "x").assert_code(67);
}

#[test]
fn a_jwt_is_read_from_where_people_have_it_and_what_it_lacks_is_named() {
    let stage = Stage::new();
    let issuer = stage.trust(settings(&stage.signer, StandsFor::Users)).to_string();
    stage.app.create_organisation("globex");
    let data = stage.app.data.path();
    let now = SystemClock.now().seconds();
    let claims = with(stage.claims(), &json!({ "exp": now + 300, "nbf": now, "iat": now }));
    let jwt = stage.signer.sign(&claims);
    let file = data.join("token.prod.jwt");
    std::fs::write(&file, format!("Bearer {jwt}\n")).unwrap();
    let test = |args: &[&str], stdin: &str| brevet(data).args(&["issuer", "test"]).args(args).stdin(stdin).run();
    for given in [file.to_str().unwrap(), &jwt, &format!("bearer {jwt}")] {
        test(&[given], "").assert_code(0);
    }
    test(&["-"], &format!("  Bearer {jwt}\r\n")).assert_code(0);
    test(&["--org", "acme", "--id", &issuer], &jwt).assert_code(0);
    let elsewhere = test(&["--org", "globex", "--id", &issuer], &jwt).assert_code(67);
    assert!(elsewhere.stderr.contains("globex has no trusted issuer"), "{elsewhere:?}");
    test(&["--org", "nowhere", "--id", &issuer], &jwt).assert_code(67);
    assert!(test(&[], " \n").assert_code(65).stderr.contains("there is no JWT"));
    test(&["no-such-file"], "").assert_code(66);
    for (without, lacks) in
        [(json!({ "exp": null }), "It lacks exp."), (json!({ "iss": null, "aud": null }), "It lacks iss and aud.")]
    {
        let said = test(&[], &stage.signer.sign(&with(claims.clone(), &without))).assert_code(1);
        assert!(said.stdout.contains(lacks), "{said:?}");
    }
}

#[test]
fn an_issuer_that_is_almost_one_that_is_trusted_is_told_which() {
    let stage = Stage::new();
    stage.trust(settings(&stage.signer, StandsFor::Users));
    let try_as = |iss: &str, against: &Against| {
        let jwt = stage.signer.sign(&with(stage.claims(), &json!({ "iss": iss })));
        try_with(&stage, against, Way::Grant, &jwt)
    };
    for iss in [format!("{ISS}/"), ISS.to_uppercase(), ISS.replacen("https://", "http://", 1) + "//"] {
        for against in [of_acme(), Against::Everyone] {
            let trial = try_as(&iss, &against);
            assert_eq!((&trial.refusal, &trial.nearest), (&Some(TrustError::UnknownIssuer), &vec![ISS.to_owned()]));
            assert!(trial.conclusion.contains(&iss) && trial.conclusion.contains(ISS), "{}", trial.conclusion);
        }
    }
    let far = try_as("https://somebody.example/else", &of_acme());
    assert_eq!(far.nearest, Vec::<String>::new());
    assert!(far.conclusion.contains("https://somebody.example/else"), "{}", far.conclusion);
    stage.app.create_organisation("globex");
    let globex = Against::Organisation("globex".to_owned());
    assert_eq!(try_as(&format!("{ISS}/"), &globex).nearest, Vec::<String>::new(), "that is none of theirs");
}

#[test]
fn the_inspector_says_who_signed_a_jwt_and_uses_it_up_for_nobody() {
    let stage = Stage::new();
    stage.trust(settings(&stage.signer, StandsFor::Users));
    stage.app.create_organisation("globex");
    let jwt = stage.jwt();
    let told = |organisation: &str, jwt: &str| {
        let asker = stage.app.create_app_with(organisation, new_app(&[]));
        actix_web::rt::System::new().block_on(async {
            let authority = &stage.app.authority;
            let client = authority.directory.find_client(asker.id()).await.unwrap().unwrap();
            let m = authority.management.on_behalf_of(&client, Vec::new(), IpAddr::V4(Ipv4Addr::LOCALHOST));
            match inspect(authority, m, jwt, None, stage.app.clock.now()).await.unwrap() {
                Inspection::Token(token) => *token,
                Inspection::NotAToken(what) => panic!("{what:?}"),
            }
        })
    };
    let says = |token: &InspectedToken, text: &str| token.verdicts.iter().any(|verdict| verdict.text.contains(text));
    let seen = told("acme", &jwt);
    assert_eq!(seen.worth, Worth::Good);
    assert!(says(&seen, "Signed by the trusted issuer Portal.") && says(&seen, "the user alice"), "{seen:?}");
    let elsewhere = told("globex", &jwt);
    assert_eq!(elsewhere.worth, Worth::Good);
    assert!(!says(&elsewhere, "Portal") && !says(&elsewhere, "alice"), "{elsewhere:?}");
    stage.app.get_with_token("/api/v1/whoami", &jwt).assert_status(200);
    let used = told("acme", &jwt);
    assert_eq!(used.worth, Worth::Refused);
    assert!(says(&used, "It was used before"), "{used:?}");
    let long = told("acme", &stage.signer.sign(&with(stage.claims(), &json!({ "groups": "x".repeat(20 * 1_024) }))));
    assert_eq!(long.worth, Worth::Good, "as long as it may be where it is used");
    let forged = told("acme", &Signer::rsa("k1", "RS256").sign(&stage.claims()));
    assert_eq!(forged.worth, Worth::Refused);
    assert!(says(&forged, "which nothing proves"), "{forged:?}");
}

#[test]
fn what_became_of_jwts_is_counted_by_way_and_result() {
    let stage = Stage::new();
    stage.trust(settings(&stage.signer, StandsFor::Users));
    let jwt = stage.jwt();
    stage.grant(&jwt).assert_status(200);
    stage.ticket(&jwt).assert_status(401);
    stage.ticket("a.b.c").assert_status(401);
    stage.app.get_with_token("/api/v1/whoami", "a.b.c").assert_status(401);
    let totals = stage.app.authority.trust_counts.totals();
    assert_eq!(totals, [(("grant", "accepted"), 1), (("ticket", "malformed"), 1), (("ticket", "replayed"), 1)]);
}
