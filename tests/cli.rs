//! The command line, contract §7: what each command prints, and how it fails.

mod issuers;

use std::fs;
use std::path::Path;

use insta::assert_snapshot;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::process::{PATIENCE, Ran, brevet, create_app, data_directory, eventually, steady};
use crate::support::{Credentials, decode_jwt};

const UNKNOWN_SID: &str = "3f1c0c1e-6f0b-4a55-8d0e-2f7d3c0b9a2e";

fn run(data: &TempDir, command: &str) -> Ran {
    brevet(data.path()).args(&command.split(' ').collect::<Vec<_>>()).run()
}

/// The text of a command that succeeds.
fn text(data: &TempDir, command: &str) -> String {
    let ran = run(data, command).assert_code(0);
    steady(&ran.stdout)
}

/// The document of a command that succeeds.
fn document(data: &TempDir, command: &str) -> Value {
    run(data, &format!("{command} --json")).assert_code(0).json()
}

/// Exit code and message of a command that fails.
fn refusal(data: &TempDir, command: &str) -> String {
    let ran = run(data, command);
    let code = ran.code.unwrap();
    steady(&format!("{code}: {}", ran.refusal()))
}

fn members(document: &Value) -> Vec<&str> {
    document.as_object().unwrap().keys().map(String::as_str).collect()
}

fn write_file(data: &TempDir, name: &str, content: &str) -> String {
    let path = data.path().join(name);
    fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Every command line that leads to a help page, from the help pages themselves.
fn every_command(data: &Path, path: &[String], found: &mut Vec<Vec<String>>) {
    found.push(path.to_vec());
    let mut args: Vec<&str> = path.iter().map(String::as_str).collect();
    args.push("--help");
    let help = brevet(data).args(&args).ok();
    let commands =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| line.starts_with("  "));
    for name in commands.filter(|line| !line.starts_with("   ")) {
        let name = name.split_whitespace().next().unwrap();
        if name != "help" {
            every_command(data, &[path, &[name.to_owned()]].concat(), found);
        }
    }
}

#[test]
fn every_command_has_a_help_page_and_those_that_make_something_show_an_example() {
    let data = tempfile::tempdir().unwrap();
    let mut commands = Vec::new();
    every_command(data.path(), &[], &mut commands);
    assert!(commands.len() > 40, "{commands:?}");
    for command in &commands {
        let mut args: Vec<&str> = command.iter().map(String::as_str).collect();
        args.push("--help");
        let ran = brevet(data.path()).args(&args).run().assert_code(0);
        assert_eq!(ran.stderr, "", "{command:?}");
        assert!(ran.stdout.contains("Usage: brevet"), "{command:?}");
        assert!(!ran.stdout.contains('\u{1b}'), "{command:?} has colours in a pipe");
        let makes =
            matches!(command.last().map(String::as_str), Some("create" | "rotate" | "import" | "get" | "serve"));
        let of_key = command.first().is_some_and(|first| first == "key");
        if makes && !of_key {
            assert!(ran.stdout.contains("Example") || ran.stdout.contains("A line:"), "{command:?}");
        }
    }
    assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0, "help made files in the data directory");
}

#[test]
fn the_version_is_printed_on_stdout() {
    let data = tempfile::tempdir().unwrap();
    assert_eq!(run(&data, "--version").assert_code(0).stdout, concat!("brevet ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_command_written_wrongly_exits_with_64_and_names_the_mistake() {
    let data = data_directory();
    let cases = [
        ("", "requires a subcommand"),
        ("serv", "'serve'"),
        ("org create --slug acme", "--name <NAME>"),
        ("org create --slug a --nam b", "'--name'"),
        ("app show nope", "an App SID is a lower-case UUID with hyphens"),
        ("app show 3F1C0C1E-6F0B-4A55-8D0E-2F7D3C0B9A2E", "an App SID is a lower-case UUID with hyphens"),
        ("app create --org acme --name n --lifetime 1w", "such as 90s, 10m, 24h or 90d"),
        ("app create --org acme --name n --claim plan", "write URI=VALUE"),
        ("app list --org acme --limit 0", "'--limit <N>': write a whole number from 1 to 100000"),
        ("app list --org acme --limit x", "'--limit <N>': write a whole number from 1 to 100000"),
        ("registration-token create --org acme --uses -", "'--uses <N>': write a whole number from 1 to "),
        ("api create --org acme --name n --identifier urn:x --alg HS256", "write RS256, PS256, ES256 or EdDSA"),
        ("api create --org acme --name n --identifier urn:x --profile jwt", "write rfc9068 or classic"),
        ("user create --org acme --email a@b.c --role king", "owner, admin, developer, viewer"),
        ("-q -v org list", "cannot be used with"),
        ("key revoke", "<KID>"),
    ];
    for (command, expected) in cases {
        let args: Vec<&str> = command.split(' ').filter(|arg| !arg.is_empty()).collect();
        let ran = brevet(data.path()).args(&args).run().assert_code(64);
        assert!(ran.stderr.contains(expected), "{command}: {}", ran.stderr);
        assert!(ran.stderr.starts_with("error: "), "{command}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{command}");
        assert!(!ran.stderr.contains('\u{1b}'), "{command} has colours in a pipe");
    }
    assert_snapshot!(refusal(&data, &format!("app delete {UNKNOWN_SID}")), @"67: there is no app UUID................................; see: brevet app list --org SLUG");
    assert_snapshot!(refusal(&data, "user create --org acme --email ana@acme.example"), @"64: there is no terminal to ask for the password on; name a file with --password-file, or - for stdin");
}

#[test]
fn with_json_a_failure_is_one_document_as_well() {
    let data = data_directory();
    let failure = |command: &str, code: i32| {
        let ran = run(&data, &format!("{command} --json")).assert_code(code);
        assert_ne!(ran.stderr, "", "{command}: people are told as ever");
        let document = ran.json();
        assert_eq!(document["error"]["code"], code, "{command}");
        document["error"]["message"].as_str().unwrap().to_owned()
    };
    assert_snapshot!(failure("org disable nobody", 67), @"there is no organisation `nobody`; see: brevet org list");
    assert_snapshot!(failure("app list --org acme --limit x", 64), @"invalid value 'x' for '--limit <N>': write a whole number from 1 to 100000");
    assert_snapshot!(failure("org create --slug acme", 64), @"the following required arguments were not provided:   --name <NAME>");
    assert_snapshot!(failure("org list --config /nowhere.toml", 78), @"the configuration file /nowhere.toml cannot be read: No such file or directory (os error 2)");
    assert_eq!(run(&data, "org create --json --help").assert_code(0).stderr, "");
}

#[test]
fn what_is_not_there_exits_with_67_and_says_where_to_look() {
    let data = data_directory();
    assert_snapshot!(refusal(&data, "org disable nobody"), @"67: there is no organisation `nobody`; see: brevet org list");
    assert_snapshot!(refusal(&data, "app list --org nobody"), @"67: there is no organisation `nobody`; see: brevet org list");
    assert_snapshot!(refusal(&data, "app export --org nobody"), @"67: there is no organisation `nobody`; see: brevet org list");
    assert_snapshot!(refusal(&data, "user list --org nobody"), @"67: there is no organisation `nobody`; see: brevet org list");
    assert_snapshot!(refusal(&data, "user disable ana@acme.example"), @"67: there is no user ana@acme.example; see: brevet user list");
    assert_snapshot!(refusal(&data, "api show urn:nothing"), @"67: there is no API urn:nothing; see: brevet api list --org SLUG");
    assert_snapshot!(refusal(&data, "api scope add urn:nothing a"), @"67: there is no API urn:nothing; see: brevet api list --org SLUG");
    assert_snapshot!(refusal(&data, "api scope remove https://billing.example nothing"), @"67: https://billing.example has no scope `nothing`");
    assert_snapshot!(refusal(&data, "app create --org acme --name n --scope nothing"), @"67: no API of the organisation has a scope `nothing`; see: brevet api list --org SLUG");
    for command in ["show", "disable", "enable", "key list", "key add", "key rotate"] {
        let message = refusal(&data, &format!("app {command} {UNKNOWN_SID}"));
        assert!(message.starts_with("67: there is no app "), "{command}: {message}");
    }
    for command in ["retire kid", "revoke kid"] {
        let message = refusal(&data, &format!("key {command}"));
        assert_eq!(message, "67: there is no signing key kid; see: brevet key list");
    }
    let app = create_app(data.path());
    let message = refusal(&data, &format!("app key revoke {} {UNKNOWN_SID}", app.client_id));
    assert!(message.starts_with("67: the app has no key "), "{message}");
}

#[test]
fn data_that_cannot_be_used_exits_with_65_and_says_what_could_be() {
    let data = data_directory();
    assert_snapshot!(refusal(&data, "org create --slug acme --name Acme"), @"65: the slug `acme` is taken; choose another");
    assert_snapshot!(refusal(&data, "org create --slug Acme --name Acme"), @"65: `Acme` cannot be a slug: use 1 to 50 lower-case letters, digits and hyphens, no hyphen at either end");
    assert_snapshot!(refusal(&data, "org create --slug a --name="), @"65: a name needs 1 to 100 characters, none of them a control character or invisible");
    assert_snapshot!(refusal(&data, "api create --org acme --name n --identifier billing"), @"65: `billing` cannot be an API's identifier: write an absolute URI without a fragment, such as https://api.example.com");
    assert_snapshot!(refusal(&data, "api create --org acme --name n --identifier https://billing.example"), @"65: the identifier https://billing.example is taken on this server");
    assert_snapshot!(refusal(&data, "api create --org acme --name n --identifier http://127.0.0.1:8080/api/v1"), @"65: http://127.0.0.1:8080/api/v1 is the identifier of Brevet's own API");
    assert_snapshot!(refusal(&data, "api create --org acme --name n --identifier urn:x --scope billing:read"), @"65: a scope of that name belongs to an API of this organisation already; a name tells which API it is for, so put the API's name in front, such as billing:read");
    assert_snapshot!(refusal(&data, "api scope add https://billing.example apps:read"), @"65: the scope `apps:read` belongs to Brevet's own API");
    assert_snapshot!(refusal(&data, r#"api scope add https://billing.example a"b"#), @r#"65: `a"b` cannot be a scope: use 1 to 100 printable ASCII characters without space, quote or backslash"#);
    assert_snapshot!(refusal(&data, "app create --org acme --name n --lifetime 25h"), @"65: a lifetime of 25h is longer than the server's access-token-lifetime, 24h");
    assert_snapshot!(refusal(&data, "app create --org acme --name n --claim plan=gold"), @"65: `plan` cannot be the name of a claim: write an absolute URI, such as https://example.com/plan");
    let app = create_app(data.path());
    assert_snapshot!(refusal(&data, "api delete https://billing.example"), @"65: 1 app(s) have scopes of https://billing.example; take them away first");
    let keys = document(&data, &format!("app key list {}", app.client_id));
    let last = format!("app key revoke {} {}", app.client_id, keys[0]["id"].as_str().unwrap());
    assert!(refusal(&data, &last).starts_with("65: that is the app's last live key; rotate it"));
    for _ in 0..4 {
        text(&data, &format!("app key add {}", app.client_id));
    }
    assert_snapshot!(refusal(&data, &format!("app key add {}", app.client_id)), @"65: the app has 5 live keys, the most it may; revoke one first");
}

#[test]
fn organisations_are_made_shown_and_switched() {
    let data = data_directory();
    assert_eq!(members(&document(&data, "org create --slug beta --name Beta")), ["id", "name", "slug"]);
    assert_eq!(text(&data, "org create --slug gamma --name Gamma"), "Organisation gamma created.");
    text(&data, "org disable beta");
    assert_snapshot!(text(&data, "org list"), @r"
    SLUG   NAME      STATUS    CREATED
    acme   Acme Ltd  active    TIME................
    beta   Beta      disabled  TIME................
    gamma  Gamma     active    TIME................
    ");
    assert_eq!(document(&data, "org disable gamma"), json!({ "slug": "gamma", "status": "disabled" }));
    assert_eq!(document(&data, "org enable gamma"), json!({ "slug": "gamma", "status": "active" }));
    let all = document(&data, "org list");
    assert_eq!(members(&all[0]), ["created_at", "id", "name", "slug", "status"]);
    assert_eq!(all[1]["status"], "disabled");
    assert_eq!(all[2]["status"], "active");
}

#[test]
fn people_get_their_passwords_from_a_file_or_stdin_and_no_command_shows_them() {
    let data = data_directory();
    let password = "correct horse battery";
    let file = write_file(&data, "password.txt", &format!("{password}\n"));
    let by_file = document(
        &data,
        &format!("user create --org acme --email Ana@Acme.example --login ana --role owner --password-file {file}"),
    );
    assert_eq!(members(&by_file), ["email", "id", "operator", "organisation", "role"]);
    let by_stdin = |email: &str, password: &str| {
        brevet(data.path())
            .args(&["user", "create", "--org=acme", "--email", email, "--password-file=-"])
            .stdin(password)
            .run()
    };
    let made = by_stdin("bo@acme.example", &format!("{password}\r\n")).assert_code(0);
    assert_eq!(made.stdout, "User bo@acme.example is developer of acme.\n");
    text(&data, "user disable bo@acme.example");
    assert_snapshot!(text(&data, "user list"), @r"
    EMAIL             ORG   ROLE       LOGIN  STATUS
    ana@acme.example  acme  owner      ana    active
    bo@acme.example   acme  developer  -      disabled
    ");
    assert_eq!(
        document(&data, "user enable bo@acme.example"),
        json!({ "email": "bo@acme.example", "status": "active" })
    );
    let listed = document(&data, "user list --org acme");
    assert_eq!(members(&listed[0]), ["email", "id", "login", "organisation", "role", "status"]);
    assert!(!listed.to_string().contains(password));
    assert_eq!(
        document(&data, &format!("user reset-password ana@acme.example --password-file {file}")),
        json!({ "email": "ana@acme.example" })
    );

    let refused = |email: &str, password: &str| {
        let ran = by_stdin(email, password).assert_code(65);
        ran.refusal().to_owned()
    };
    assert_snapshot!(refused("cy@acme.example", "short"), @"a password needs at least 12 characters");
    assert_snapshot!(refused("cy@acme.example", &"x".repeat(1_025)), @"a password may have at most 1024 bytes");
    assert_snapshot!(refused("cy@acme.example", "cy@acme.example!"), @"a password must not hold the e-mail address");
    assert_snapshot!(refused("cy at acme", password), @"that is not an e-mail address; write name@example.com");
    assert_snapshot!(refused("ana@acme.example", password), @"there is a user ana@acme.example already; to change the login: brevet user set-login --org acme ana@acme.example LOGIN; to add the person to another organisation, an owner or admin invites the address there, on the page Team");
    assert_snapshot!(refusal(&data, "user create --org acme --email cy@acme.example --password-file /nowhere"), @"66: /nowhere cannot be read: No such file or directory (os error 2)");
    assert_snapshot!(refusal(&data, "user reset-password nobody@acme.example --password-file /nowhere"), @"66: /nowhere cannot be read: No such file or directory (os error 2)");
}

#[test]
fn who_only_gets_tickets_has_no_password_until_a_link_gives_one() {
    let data = data_directory();
    let create = "user create --org acme --email bo@acme.example --login bo --role viewer --no-password";
    let ran = run(&data, create).assert_code(0);
    assert_eq!(ran.stdout, "User bo@acme.example is viewer of acme.\n");
    assert!(ran.stderr.contains("brevet user reset-password bo@acme.example --link"), "{ran:?}");
    assert_eq!(document(&data, "user list --org acme")[0]["login"], "bo");
    assert!(text(&data, "user reset-password bo@acme.example --link").contains("/reset/"));
    assert_eq!(run(&data, &format!("{create} --password-file x")).code, Some(64));
}

#[test]
fn an_app_without_a_key_is_told_what_comes_next() {
    let data = data_directory();
    let ran = run(&data, "app create --org acme --name CI --auth-method trusted_issuer").assert_code(0);
    let sid = ran.stdout.trim().strip_prefix("App SID  ").unwrap();
    assert!(ran.stderr.contains(&format!("brevet issuer add --org acme --app {sid}")), "{ran:?}");
    assert!(!ran.stderr.contains("private key"), "{ran:?}");
}

#[test]
fn the_name_under_which_issuers_know_a_person_is_given_and_taken_away() {
    let data = data_directory();
    let file = write_file(&data, "password.txt", "correct horse battery");
    for (email, more) in [("ana", " --login ana.smith"), ("bo", "")] {
        text(&data, &format!("user create --org acme --email {email}@acme.example{more} --password-file {file}"));
    }
    let logins = || {
        let listed = document(&data, "user list --org acme");
        let login = |member: &Value| member["login"].as_str().unwrap_or("-").to_owned();
        listed.as_array().unwrap().iter().map(login).collect::<Vec<_>>()
    };
    assert_eq!(logins(), ["ana.smith", "-"]);
    assert_snapshot!(refusal(&data, &format!("user create --org acme --email cy@acme.example --login ana.smith --password-file {file}")), @"65: that login is taken in this organisation");
    assert_snapshot!(refusal(&data, "user set-login --org acme bo@acme.example ana.smith"), @"65: another member of the organisation has that login; each names one person");
    assert_snapshot!(refusal(&data, "user set-login --org nobody bo@acme.example bo"), @"67: there is no organisation `nobody`; see: brevet org list");
    assert_snapshot!(refusal(&data, "user set-login --org acme nobody@acme.example bo"), @"67: there is no member nobody@acme.example in acme; see: brevet user list --org acme");
    assert_eq!(logins(), ["ana.smith", "-"]);
    assert_snapshot!(text(&data, "user set-login --org acme Bo@Acme.example bo"), @"Trusted issuers of acme know Bo@Acme.example as bo.");
    assert_eq!(
        document(&data, "user set-login --org acme ana@acme.example"),
        json!({ "email": "ana@acme.example", "organisation": "acme", "login": null })
    );
    assert_eq!(logins(), ["-", "bo"]);
    // Free again.
    assert_snapshot!(text(&data, "user set-login --org acme bo@acme.example ana.smith"), @"Trusted issuers of acme know bo@acme.example as ana.smith.");
    assert_snapshot!(text(&data, "user set-login --org acme bo@acme.example"), @"Trusted issuers of acme know bo@acme.example no more.");
    assert_eq!(logins(), ["-", "-"]);
}

#[test]
fn a_file_that_is_too_long_or_no_text_is_refused_and_not_cut() {
    const LIMIT: usize = 256 * 1024;
    let data = data_directory();
    let create = "user create --org acme --email ana@acme.example --password-file";
    let issuer = "issuer add --org acme --name n --issuer urn:n --audience urn:a --users --scope billing:read";
    let app = "app create --org acme --name n --auth-method private_key_jwt";
    let commands = |file: &str| {
        [
            format!("{create} {file}"),
            format!("{issuer} --certificate {file}"),
            format!("{issuer} --ca {file}"),
            format!("{issuer} --jwks {file}"),
            format!("{app} --jwks {file}"),
            format!("token inspect {file}"),
            format!("token revoke {file}"),
        ]
    };
    let long = write_file(&data, "long", &"x".repeat(LIMIT + 1));
    let refused = format!("65: {long} is longer than {LIMIT} octets, ");
    let nonsense = data.path().join("nonsense");
    fs::write(&nonsense, [0xc3, 0x28]).unwrap();
    let nonsense = nonsense.to_str().unwrap();
    for (long, nonsense) in commands(&long).iter().zip(commands(nonsense)) {
        let said = refusal(&data, long);
        assert!(said.starts_with(&refused), "{long}: {said}");
        let said = refusal(&data, &nonsense);
        assert!(said.starts_with("65: ") && said.ends_with("is no text (UTF-8)"), "{nonsense}: {said}");
    }
    // The longest is read, and found to be no password, certificate or key.
    let longest = write_file(&data, "longest", &"x".repeat(LIMIT));
    for command in commands(&longest) {
        let said = refusal(&data, &command);
        assert!(said.starts_with("65: ") && !said.contains("longer than 262144"), "{command}: {said}");
    }
    let by_stdin = brevet(data.path()).args(&["token", "revoke", "-"]).stdin(&"x".repeat(LIMIT + 1)).run();
    assert!(by_stdin.assert_code(65).stderr.starts_with("brevet: stdin is longer than"));
    assert!(document(&data, "user list").as_array().unwrap().is_empty());
}

#[test]
fn people_are_helped_back_in_and_made_operators() {
    let data = data_directory();
    let file = write_file(&data, "password.txt", "correct horse battery");
    text(&data, &format!("user create --org acme --email ana@acme.example --password-file {file}"));
    let link = document(&data, "user reset-password ana@acme.example --link");
    assert_eq!(members(&link), ["email", "expires_at", "url"]);
    let (path, secret) = link["url"].as_str().unwrap().rsplit_once('/').unwrap();
    assert_eq!((path, secret.len()), ("http://127.0.0.1:8080/reset", 43));
    let shown = text(&data, "user reset-password ana@acme.example --link");
    assert!(shown.starts_with("Give this link to ana@acme.example; it works once, until"), "{shown}");
    assert_eq!(run(&data, "user reset-password ana@acme.example --link --password-file x").code, Some(64));
    assert_snapshot!(text(&data, "user reset-2fa ana@acme.example"), @"User ana@acme.example has no second factor.");
    assert_snapshot!(text(&data, "user set-operator ana@acme.example"), @"User ana@acme.example runs the server.");
    assert_snapshot!(refusal(&data, "user set-operator ana@acme.example --off"), @"65: nobody else runs the server; make somebody else an operator first");
    assert_snapshot!(refusal(&data, "user disable ana@acme.example"), @"65: nobody else runs the server; make somebody else an operator first");
    assert_snapshot!(refusal(&data, "user set-operator nobody@acme.example"), @"67: there is no user nobody@acme.example; see: brevet user list");
    let setup = document(&data, "setup-link");
    assert_eq!(members(&setup), ["expires_at", "url"]);
    assert!(text(&data, "setup-link").contains("to become an operator; it works once"));
}

#[test]
fn apis_and_their_scopes_are_made_shown_changed_and_deleted() {
    let data = data_directory();
    let made = document(
        &data,
        "api create --org acme --name Reports --identifier https://reports.example --scope reports:read --sensitive-scope reports:purge=Delete --profile classic --alg ES256 --lifetime 1h",
    );
    assert_eq!(members(&made), ["alg", "created_at", "id", "identifier", "lifetime", "name", "profile", "scopes"]);
    assert_eq!(
        made["scopes"],
        json!([
            { "name": "reports:read", "description": "", "sensitive": false },
            { "name": "reports:purge", "description": "Delete", "sensitive": true },
        ])
    );
    assert_snapshot!(text(&data, "api list --org acme"), @r"
    NAME                   IDENTIFIER                    PROFILE  SCOPES
    Billing                https://billing.example       rfc9068  billing:read billing:write
    Reports                https://reports.example       classic  reports:read reports:purge
    Brevet management API  http://127.0.0.1:8080/api/v1  rfc9068  apps:read apps:write apis:read apis:write keys:read audit:read usage:read issuers:read issuers:write
    ");
    assert_snapshot!(text(&data, "api show https://billing.example"), @r"
    Billing
      identifier  https://billing.example
      profile     rfc9068
      algorithm   RS256
      lifetime    the server's

    SCOPE          MEANING
    billing:read   Read invoices
    billing:write
    ");
    for api in document(&data, "api list --org acme").as_array().unwrap() {
        let identifier = api["identifier"].as_str().unwrap();
        assert_eq!(document(&data, &format!("api show {identifier}")), *api);
    }
    let changed = document(
        &data,
        "api update https://reports.example --name Numbers --profile rfc9068 --alg EdDSA --no-lifetime",
    );
    assert_eq!(
        (&changed["name"], &changed["profile"], &changed["alg"], &changed["lifetime"]),
        (&json!("Numbers"), &json!("rfc9068"), &json!("EdDSA"), &Value::Null)
    );
    assert_eq!(
        text(&data, "api scope add https://reports.example reports:write=Write --sensitive"),
        "Scope reports:write added to https://reports.example."
    );
    assert_eq!(
        document(&data, "api scope remove https://reports.example reports:read"),
        json!({ "identifier": "https://reports.example", "scope": "reports:read", "removed": true })
    );
    assert_eq!(
        document(&data, "api scope list https://reports.example")[1],
        json!({ "name": "reports:write", "description": "Write", "sensitive": true })
    );
    assert_snapshot!(text(&data, "api scope list https://reports.example"), @r"
    SCOPE          MEANING
    reports:purge  Delete (sensitive)
    reports:write  Write (sensitive)
    ");
    let changed = document(&data, "api scope update https://reports.example reports:write --description Both");
    assert_eq!(
        changed["scopes"][1],
        json!({ "name": "reports:write", "description": "Both", "sensitive": true }),
        "what is left out stays"
    );
    let changed = document(&data, "api scope update https://reports.example reports:write --sensitive false");
    assert_eq!(changed["scopes"][1], json!({ "name": "reports:write", "description": "Both", "sensitive": false }));
    run(&data, "api scope update https://reports.example reports:none --sensitive true").assert_code(67);
    assert_eq!(
        document(&data, "api delete https://reports.example"),
        json!({ "identifier": "https://reports.example", "deleted": true })
    );
    run(&data, "api show https://reports.example").assert_code(67);
    run(&data, "api update http://127.0.0.1:8080/api/v1 --name Mine").assert_code(67);
}

#[test]
fn an_app_key_is_shown_by_the_command_that_made_it_and_by_no_other() {
    let data = data_directory();
    let made = run(&data, "app create --org acme --name Robot --scope billing:read --lifetime 1h").assert_code(0);
    assert_snapshot!(steady(&made.stdout), @r"
    App SID  UUID................................
    App Key  KEY..................................................
    ");
    assert_eq!(made.stderr, "Keep the App Key now: it is stored hashed and will not be shown again.\n");
    let made = document(
        &data,
        "app create --org acme --name Other --scope billing:read --scope billing:write --claim https://acme.example/plan=gold",
    );
    assert_eq!(members(&made), ["client_id", "client_secret", "name", "scopes"]);
    assert_eq!(made["scopes"], json!(["billing:read", "billing:write"]));
    let sid = made["client_id"].as_str().unwrap();
    let added = document(&data, &format!("app key add {sid} --expires-in 90d"));
    assert_eq!(members(&added), ["client_id", "client_secret", "expires_at", "id"]);
    let rotated = run(&data, &format!("app key rotate {sid} --overlap 1h")).assert_code(0);
    assert_eq!(
        rotated.stderr,
        "Keep the App Key now: it is stored hashed and will not be shown again.\nThe old key works for another 1h.\n"
    );
    let third = rotated.stdout.split_whitespace().last().unwrap().to_owned();
    let secrets = [made["client_secret"].as_str().unwrap(), added["client_secret"].as_str().unwrap(), &third];
    assert!(secrets.iter().all(|secret| secret.len() == 53 && secret.starts_with("bvk_")));

    let later = [
        format!("app show {sid}"),
        format!("app show {sid} --json"),
        format!("app key list {sid}"),
        format!("app key list {sid} --json"),
        "app list --org acme".to_owned(),
        "app list --org acme --json".to_owned(),
        "app export --org acme".to_owned(),
        format!("app disable {sid}"),
        format!("app delete {sid} --yes"),
        "config show".to_owned(),
    ];
    for command in later {
        let ran = run(&data, &command).assert_code(0);
        for secret in secrets {
            assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{command}");
        }
    }
}

#[test]
fn apps_are_shown_switched_and_deleted() {
    let data = data_directory();
    let app = create_app(data.path());
    let sid = &app.client_id;
    assert_snapshot!(text(&data, "app list --org acme"), @r"
    NAME   APP SID                               SCOPES        LAST USED  STATUS
    Robot  UUID................................  billing:read  never      active
    ");
    assert_snapshot!(text(&data, &format!("app show {sid}")), @r"
    Robot
      App SID       UUID................................
      organisation  acme
      owner         nobody
      status        active
      scopes        billing:read
      lifetime      the API's or the server's
      DPoP          not required
      networks      all
      exchange      not allowed
      last 24 h     0 tokens issued, 0 requests refused

    ID                                    KEY        STATE   CREATED               EXPIRES  LAST USED
    UUID................................  HINT.....  active  TIME................  never    never
    ");
    let shown = document(&data, &format!("app show {sid}"));
    assert_eq!(
        members(&shown),
        [
            "allowed_networks",
            "auth_method",
            "claims",
            "client_id",
            "created_at",
            "description",
            "dpop_required",
            "issued_24h",
            "jwks_uri",
            "keys",
            "last_used_at",
            "lifetime",
            "name",
            "organisation",
            "owner",
            "public_keys",
            "refused_24h",
            "scopes",
            "status",
            "token_exchange"
        ]
    );
    assert_eq!(document(&data, &format!("app disable {sid}")), json!({ "client_id": sid, "status": "disabled" }));
    assert_eq!(document(&data, "app list --org acme")[0]["status"], "disabled");
    assert_eq!(document(&data, &format!("app enable {sid}")), json!({ "client_id": sid, "status": "active" }));
    let updated = document(
        &data,
        &format!("app update {sid} --name Renamed --add-scope billing:write --remove-scope billing:read --lifetime 1h"),
    );
    assert_eq!(
        (&updated["name"], &updated["scopes"], &updated["lifetime"]),
        (&json!("Renamed"), &json!(["billing:write"]), &json!("1h"))
    );
    assert_snapshot!(text(&data, &format!("app update {sid} --no-lifetime --add-scope billing:read")), @"App UUID................................ (Renamed) now has the scopes: billing:read billing:write");
    let claims = |flags: &str| document(&data, &format!("app update {sid} {flags}"))["claims"].clone();
    assert_eq!(
        claims("--claim https://a.example/x=1 --claim https://a.example/y=two"),
        json!({ "https://a.example/x": 1, "https://a.example/y": "two" })
    );
    assert_eq!(claims("--claim https://a.example/z=3"), json!({ "https://a.example/z": 3 }), "instead of all it had");
    assert_eq!(claims("--name Renamed"), json!({ "https://a.example/z": 3 }));
    assert_eq!(claims("--no-claims"), Value::Null);
    assert_snapshot!(refusal(&data, &format!("app update {sid} --remove-scope apps:read")), @"67: the app was not granted the scope `apps:read`");
    // Without a terminal there is nobody to ask, with or without --yes.
    let other = create_app(data.path()).client_id;
    assert_eq!(
        text(&data, &format!("app delete {other}")).split(' ').skip(2).collect::<Vec<_>>().join(" "),
        "is deleted; its tokens are refused within a second."
    );
    assert_eq!(document(&data, &format!("app delete {sid} --yes")), json!({ "client_id": sid, "status": "deleted" }));
    assert_eq!(document(&data, "app list --org acme"), json!([]));
    assert_eq!(text(&data, "app export --org acme"), "");
}

#[test]
fn tokens_are_cut_off_by_app_by_organisation_and_all() {
    let data = data_directory();
    let sid = create_app(data.path()).client_id;
    let moment = |document: &Value| document["not_before"].as_str().unwrap().to_owned();
    let of_app = document(&data, &format!("app revoke-tokens {sid}"));
    assert_eq!((members(&of_app), &of_app["client_id"]), (vec!["client_id", "not_before"], &json!(sid)));
    let of_org = document(&data, "org revoke-tokens acme");
    assert_eq!((members(&of_org), &of_org["slug"]), (vec!["not_before", "slug"], &json!("acme")));
    let of_all = document(&data, "token revoke-all --yes");
    assert_eq!(members(&of_all), ["not_before"]);
    assert!(moment(&of_app) < moment(&of_org) && moment(&of_org) < moment(&of_all), "each is later than the last");
    assert_snapshot!(text(&data, &format!("app revoke-tokens {sid}")), @"Every token of app UUID................................ that is dated before TIME................ is refused.");
    assert_snapshot!(text(&data, "org revoke-tokens acme"), @"Every token of organisation acme that is dated before TIME................ is refused.");
    assert_snapshot!(text(&data, "token revoke-all"), @"Every token of this server that is dated before TIME................ is refused.");
    assert_snapshot!(refusal(&data, &format!("app revoke-tokens {UNKNOWN_SID}")), @"67: there is no app UUID................................; see: brevet app list --org SLUG");
    assert_snapshot!(refusal(&data, "org revoke-tokens nobody"), @"67: there is no organisation `nobody`; see: brevet org list");
}

#[test]
fn a_long_list_of_apps_comes_in_pages() {
    let data = data_directory();
    let made: Vec<Credentials> = (0..3).map(|_| create_app(data.path())).collect();
    let sid = |app: &Value| app["client_id"].as_str().unwrap().to_owned();
    let first = document(&data, "app list --org acme --limit 2");
    let first: Vec<String> = first.as_array().unwrap().iter().map(sid).collect();
    assert_eq!(first.len(), 2);
    let rest = document(&data, &format!("app list --org acme --limit 2 --after {}", first[1]));
    let rest: Vec<String> = rest.as_array().unwrap().iter().map(sid).collect();
    let mut seen = [first, rest].concat();
    seen.sort_unstable();
    let mut expected: Vec<String> = made.into_iter().map(|app| app.client_id).collect();
    expected.sort_unstable();
    assert_eq!(seen, expected);
}

#[test]
fn the_states_of_app_keys_are_told_apart() {
    let data = data_directory();
    let app = create_app(data.path());
    let sid = &app.client_id;
    text(&data, &format!("app key rotate {sid}"));
    let keys = document(&data, &format!("app key list {sid}"));
    assert_eq!((&keys[0]["state"], &keys[1]["state"]), (&json!("ending"), &json!("active")));
    assert_eq!(keys[0]["hint"], format!("bvk_…{}", &app.secret[app.secret.len() - 4..]));
    text(&data, &format!("app key rotate {sid} --overlap 0s"));
    let first = keys[0]["id"].as_str().unwrap();
    run(&data, &format!("app key revoke {sid} {first}")).assert_code(0);
    let keys = document(&data, &format!("app key list {sid}"));
    let states: Vec<&str> = keys.as_array().unwrap().iter().map(|key| key["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["revoked", "revoked", "active"]);
    assert_eq!(
        members(&keys[0]),
        [
            "created_at",
            "created_by",
            "expires_at",
            "hint",
            "id",
            "last_used_at",
            "last_used_from",
            "revoked_at",
            "state"
        ]
    );
}

#[test]
fn import_keeps_good_lines_and_reports_bad_ones_by_number() {
    let data = data_directory();
    let own_sid = UNKNOWN_SID;
    let lines = format!(
        r#"{{"name": "made", "scopes": ["billing:read"], "lifetime": "1h"}}

{{"name": "own", "client_id": "{own_sid}", "client_secret": "an imported key"}}
{{"name": "bad scope", "scopes": ["nothing"]}}
not json
{{"name": "typo", "scope": ["billing:read"]}}
{{"name": "again", "client_id": "{own_sid}"}}
{{"name": "long", "lifetime": "90d"}}
{{"name": "last"}}"#
    );
    let file = write_file(&data, "apps.jsonl", &lines);
    let ran = run(&data, &format!("app import --org acme {file}")).assert_code(65);
    assert_snapshot!(steady(&ran.stderr), @r"
    line 5: not a JSON object on one line; see: brevet app import --help
    line 6: not an app: unknown field `scope`, expected one of `name`, `description`, `client_id`, `client_secret`, `scopes`, `lifetime`, `claims`, `jwks`, `jwks_uri`, `dpop_required`, `allowed_networks`, `token_exchange`
    line 8: a lifetime of 90d is longer than the server's access-token-lifetime, 24h
    line 4: no API of the organisation has a scope `nothing`; see: brevet api list --org SLUG
    line 7: there is an app UUID................................ already
    3 apps imported, 5 lines rejected
    brevet: 5 lines were not imported
    ");
    let printed: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let lines: Vec<&Value> = printed.iter().map(|made| &made["line"]).collect();
    assert_eq!(lines, [&json!(1), &json!(9)], "keys are printed for the lines that had none");
    assert!(!ran.stdout.contains("an imported key"));
    let exported = run(&data, "app export --org acme").assert_code(0).stdout;
    let names: Vec<Value> =
        exported.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["name"].clone()).collect();
    assert_eq!(names.len(), 3);
    assert!(["made", "own", "last"].iter().all(|name| names.contains(&json!(name))));
    assert!(!exported.contains("secret") && !exported.contains("bvk_"), "{exported}");
}

#[test]
fn import_and_export_print_one_document_with_json() {
    let data = data_directory();
    let ran = brevet(data.path())
        .args(&["app", "import", "--org=acme", "-", "--json"])
        .stdin("{\"name\": \"one\"}\nnonsense\n{\"name\": \"two\", \"client_secret\": \"imported\"}\n")
        .run()
        .assert_code(65);
    let report = ran.json();
    assert_eq!(report["imported"][0]["line"], 1);
    assert!(report["imported"][0]["client_secret"].as_str().unwrap().starts_with("bvk_"));
    assert_eq!(report["imported"][1]["client_secret"], Value::Null);
    assert_eq!(report["rejected"][0]["line"], 2);
    let exported = document(&data, "app export --org acme");
    assert_eq!(exported.as_array().unwrap().len(), 2);
}

#[test]
fn whether_an_app_must_bind_its_tokens_is_said_when_it_is_made_and_changed_later() {
    let data = data_directory();
    let made = document(&data, "app create --org acme --name Bound --dpop-required");
    let sid = made["client_id"].as_str().unwrap();
    let shown = || {
        let shown = text(&data, &format!("app show {sid}"));
        let line = shown.lines().find(|line| line.contains("DPoP")).unwrap().trim().to_owned();
        (document(&data, &format!("app show {sid}"))["dpop_required"].clone(), line)
    };
    assert_eq!(shown(), (json!(true), "DPoP          required".to_owned()));
    text(&data, &format!("app update {sid} --name Renamed"));
    assert_eq!(shown().0, true);
    text(&data, &format!("app update {sid} --dpop-required false"));
    assert_eq!(shown(), (json!(false), "DPoP          not required".to_owned()));
    text(&data, &format!("app update {sid} --dpop-required true"));
    assert_eq!(shown().0, true);
}

#[test]
fn from_where_an_app_may_ask_is_said_when_it_is_made_and_changed_later() {
    let data = data_directory();
    let made = document(&data, "app create --org acme --name Near --allowed-network 10.0.0.0/8 --allowed-network ::1");
    let sid = made["client_id"].as_str().unwrap();
    let shown = || document(&data, &format!("app show {sid}"))["allowed_networks"].clone();
    assert_eq!(shown(), json!(["10.0.0.0/8", "::1/128"]));
    assert!(text(&data, &format!("app show {sid}")).contains("networks      10.0.0.0/8 ::1/128"));
    text(&data, &format!("app update {sid} --name Renamed"));
    assert_eq!(shown(), json!(["10.0.0.0/8", "::1/128"]));
    text(&data, &format!("app update {sid} --allowed-network 192.0.2.0/24"));
    assert_eq!(shown(), json!(["192.0.2.0/24"]));
    let refused = run(&data, &format!("app update {sid} --allowed-network 192.0.2.7/24")).assert_code(65);
    assert!(refused.stderr.contains("write 192.0.2.0/24 or 192.0.2.7"), "{}", refused.stderr);
    text(&data, &format!("app update {sid} --any-network"));
    assert_eq!(shown(), json!([]));
}

#[test]
fn what_was_exported_can_be_imported_elsewhere() {
    let (from, to) = (data_directory(), data_directory());
    create_app(from.path());
    text(&from, "app create --org acme --name Plain --lifetime 10m --claim https://acme.example/plan=gold");
    text(&from, "app create --org acme --name Bound --dpop-required");
    text(&from, "app create --org acme --name Near --allowed-network 10.0.0.0/8 --allowed-network ::1");
    let exported = run(&from, "app export --org acme").assert_code(0).stdout;
    brevet(to.path()).args(&["app", "import", "--org=acme", "-"]).stdin(&exported).ok();
    assert_eq!(run(&to, "app export --org acme").assert_code(0).stdout, exported);
}

#[test]
fn an_import_that_cannot_begin_says_why() {
    let data = data_directory();
    let file = write_file(&data, "apps.jsonl", "{\"name\": \"one\"}\n");
    assert_snapshot!(refusal(&data, "app import --org acme /nowhere.jsonl"), @"66: /nowhere.jsonl cannot be read: No such file or directory (os error 2)");
    assert_snapshot!(refusal(&data, &format!("app import --org nobody {file}")), @"67: there is no organisation `nobody`; see: brevet org list");
    let long = write_file(&data, "long.jsonl", &"x".repeat(100_000));
    assert_snapshot!(refusal(&data, &format!("app import --org acme {long}")), @"65: line 1 is longer than 98304 bytes");
}

#[test]
fn signing_keys_go_through_their_life() {
    let data = data_directory();
    assert_snapshot!(text(&data, "key list"), @r"
    KID                                          ALG    STATE    SIGNS FROM            GONE AT
    KID........................................  RS256  signing  TIME................  -
    ");
    let first = document(&data, "key list")[0]["kid"].as_str().unwrap().to_owned();
    let next = document(&data, "key generate --alg RS256");
    assert_eq!(members(&next), ["alg", "kid"]);
    let message = refusal(&data, "key generate");
    assert!(message.starts_with("65: there is a next key for RS256 already, "), "{message}");
    let rotated = document(&data, "key rotate");
    assert_eq!(members(&rotated), ["alg", "kid", "signs_from"]);
    assert_eq!(rotated["kid"], next["kid"]);
    let states = |data: &TempDir| -> Vec<String> {
        let keys = document(data, "key list");
        let state = |key: &Value| key["state"].as_str().unwrap().to_owned();
        keys.as_array().unwrap().iter().map(state).collect()
    };
    assert_eq!(states(&data), ["signing", "next"]);
    let retired = document(&data, &format!("key retire {first}"));
    assert_eq!(retired, json!({ "kid": first, "successor": next["kid"] }));
    // It waits until every node knows its successor.
    eventually(PATIENCE, "the successor signs", || (states(&data) == ["retiring", "signing"]).then_some(()));
    let revoked = document(&data, &format!("key revoke {first} --yes"));
    assert_eq!(revoked, json!({ "kid": first, "state": "revoked" }));
    assert_eq!(states(&data), ["signing"]);
    let elliptic = document(&data, "key generate --alg ES256");
    assert_eq!(elliptic["alg"], "ES256");
    assert_eq!(states(&data), ["signing", "signing"], "the first key of an algorithm signs at once");
}

#[test]
fn a_mistyped_data_directory_is_told_and_nothing_is_made_in_it() {
    let parent = tempfile::tempdir().unwrap();
    let typo = parent.path().join("typo");
    let commands = [
        "org list",
        "org disable acme",
        "user list",
        "user create --org acme --email ana@acme.example --no-password",
        "api list --org acme",
        "app list --org acme",
        "app export --org acme",
        "app create --org acme --name n",
        "issuer list --org acme",
        "registration-token list --org acme",
        "key list",
        "token revoke-all --yes",
    ];
    for command in commands {
        let ran = brevet(&typo).args(&command.split(' ').collect::<Vec<_>>()).run().assert_code(78);
        assert_eq!(
            ran.refusal().replace(typo.to_str().unwrap(), "TYPO"),
            "there is no database TYPO/brevet.db; name the right place with --data-dir or --database-url, or make it: brevet serve, or brevet org create",
            "{command}"
        );
        assert!(!typo.exists(), "{command}");
    }
    for (at, first) in ["org create --slug acme --name Acme", "setup-link", "key generate"].iter().enumerate() {
        let made = parent.path().join(at.to_string());
        brevet(&made).args(&first.split(' ').collect::<Vec<_>>()).ok();
        brevet(&made).args(&["org", "list"]).ok();
    }
}

#[test]
fn migrations_are_shown_and_run() {
    let data = tempfile::tempdir().unwrap();
    let before = run(&data, "migrate status --json").assert_code(1);
    assert_eq!(before.json()["applied"], json!([]));
    assert_eq!(before.stderr, "brevet: the tables and this program are not of the same version\n");
    let ran = document(&data, "migrate up");
    assert_eq!(ran["run"], before.json()["pending"]);
    assert_eq!(text(&data, "migrate up"), "The tables are up to date.");
    let after = document(&data, "migrate status");
    assert_eq!(members(&after), ["applied", "pending", "unknown"]);
    assert_eq!(after["applied"], ran["run"]);
    assert!(text(&data, "migrate status").starts_with("applied  2"));
    let refused = brevet(tempfile::tempdir().unwrap().path())
        .args(&["org", "create", "--slug=acme", "--name=Acme"])
        .env("BREVET_AUTO_MIGRATE", "false")
        .run()
        .assert_code(78);
    assert_eq!(refused.refusal(), "the tables are not up to date and auto-migrate is off; run: brevet migrate up");
}

#[test]
fn config_show_tells_where_each_value_comes_from_and_masks_secrets() {
    let data = tempfile::tempdir().unwrap();
    let file = write_file(
        &data,
        "b.toml",
        "issuer = 'https://file.example'\nworkers = 3\ntrusted-proxies = ['10.0.0.0/8', '::1']\n",
    );
    let show = |args: &[&str]| {
        brevet(data.path())
            .args(&["config", "show", "--config", &file])
            .args(args)
            .env("BREVET_LISTEN", "127.0.0.1:1")
            .env("BREVET_WORKERS", "4")
            .env("BREVET_DATABASE_URL", "postgres://u:hunter2@db/brevet")
            .env("BREVET_MASTER_KEY", &"5e".repeat(32))
            .run()
            .assert_code(0)
    };
    let shown = show(&["--origin", "--workers", "5", "--json"]).json();
    let entry = |key: &str| (shown[key]["value"].clone(), shown[key]["origin"].clone());
    assert_eq!(entry("issuer"), (json!("https://file.example"), json!(format!("file {file}"))));
    assert_eq!(entry("listen"), (json!("127.0.0.1:1"), json!("variable BREVET_LISTEN")));
    assert_eq!(entry("workers"), (json!("5"), json!("flag --workers")));
    assert_eq!(entry("trusted-proxies").0, "10.0.0.0/8,::1");
    assert_eq!(entry("log"), (json!("info"), json!("default")));
    assert_eq!(entry("database-url"), (json!("[set]"), json!("variable BREVET_DATABASE_URL")));
    assert_eq!(entry("master-key").0, "[set]");
    let text = show(&["--origin"]).stdout;
    assert!(text.starts_with("SETTING "), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("5e5e"), "{text}");
    assert!(!show(&[]).stdout.contains("ORIGIN"));
    assert_eq!(show(&["--json"]).json()["workers"], "4");
    let left: Vec<_> = fs::read_dir(data.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "showing settings makes nothing");
}

#[test]
fn settings_that_cannot_be_used_exit_with_78_and_suggest_the_right_ones() {
    let data = data_directory();
    let with_file = |content: &str| {
        let file = write_file(&data, "b.toml", content);
        let ran = brevet(data.path()).args(&["org", "list", "--config", &file]).run();
        ran.assert_code(78).refusal().replace(&file, "b.toml")
    };
    assert_snapshot!(with_file("isuer = 'https://id.example.com'"), @"`isuer` in b.toml is not a setting; did you mean `issuer`?");
    assert_snapshot!(with_file("colour = 'red'"), @"`colour` in b.toml is not a setting; see `brevet config show` for all settings");
    assert_snapshot!(with_file("issuer = 'https://id.example.com/'"), @"`issuer` = `https://id.example.com/` (file b.toml): it must not end in a slash; write https://id.example.com");
    assert!(with_file("issuer = ").starts_with("b.toml is not TOML: "));
    assert_snapshot!(with_file("[server]\nlisten = '127.0.0.1:1'"), @"`server` in b.toml is not a setting; see `brevet config show` for all settings");
    let with_variable = |name: &str, value: &str| {
        let ran = brevet(data.path()).args(&["org", "list"]).env(name, value).run();
        ran.assert_code(78).refusal().to_owned()
    };
    assert_snapshot!(with_variable("BREVET_LISEN", "127.0.0.1:1"), @"BREVET_LISEN is not a setting; did you mean BREVET_LISTEN?");
    assert_snapshot!(with_variable("BREVET_ACCESS_TOKEN_LIFETIME", "1 day"), @"`access-token-lifetime` = `1 day` (variable BREVET_ACCESS_TOKEN_LIFETIME): `1 day` is not a span of time: write a whole number and a unit, such as 90s, 10m, 24h or 90d");
    assert_snapshot!(with_variable("BREVET_DATABASE_URL_FILE", "/nowhere"), @"BREVET_DATABASE_URL_FILE names /nowhere, which cannot be read: No such file or directory (os error 2)");
    assert_snapshot!(with_variable("BREVET_DATABASE_URL", "mysql://root:hunter2@db"), @"`database-url` (variable BREVET_DATABASE_URL): write sqlite://FILE or postgres://USER:PASSWORD@HOST/NAME");
    assert_snapshot!(with_variable("BREVET_MASTER_KEY", "hunter2"), @"a master key is 64 hex digits, this has 7 characters");
    assert_snapshot!(refusal(&data, "org list --config /nowhere.toml"), @"78: the configuration file /nowhere.toml cannot be read: No such file or directory (os error 2)");
}

#[test]
fn a_configuration_file_in_the_working_directory_is_found() {
    let data = tempfile::tempdir().unwrap();
    write_file(&data, "brevet.toml", "issuer = 'https://here.example'");
    let shown = brevet(data.path()).current_dir(data.path()).args(&["config", "show"]).json();
    assert_eq!(shown["issuer"], "https://here.example");
}

#[test]
fn quiet_commands_say_only_what_went_wrong() {
    let data = data_directory();
    let made = run(&data, "-q app create --org acme --name Robot").assert_code(0);
    assert_eq!(made.stderr, "");
    assert!(made.stdout.starts_with("App SID  "));
    assert_eq!(
        run(&data, "-q org disable nobody").assert_code(67).refusal(),
        "there is no organisation `nobody`; see: brevet org list"
    );
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let data = data_directory();
    let pipeline = format!(
        "set -o pipefail; {} --data-dir {} config show | true",
        crate::support::process::program().display(),
        data.path().display()
    );
    let output = std::process::Command::new("bash").args(["-c", &pipeline]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

mod token {
    //! `brevet token …` against a running server.

    use super::*;
    use crate::support::process::Server;

    struct Scene {
        data: TempDir,
        server: Server,
        app: Credentials,
        key_file: String,
    }

    fn scene() -> Scene {
        let data = data_directory();
        let app = create_app(data.path());
        let server = Server::start_as_issuer(data.path(), &[]);
        let key_file = write_file(&data, "key.txt", &format!("{}\n", app.secret));
        Scene { data, server, app, key_file }
    }

    impl Scene {
        fn brevet(&self, args: &[&str]) -> crate::support::process::Run {
            brevet(self.data.path()).env("BREVET_ISSUER", &self.server.url).args(args)
        }

        fn get(&self, more: &[&str]) -> Ran {
            self.brevet(&["token", "get", "--sid", &self.app.client_id, "--key-file", &self.key_file]).args(more).run()
        }
    }

    #[test]
    fn a_token_is_fetched_inspected_verified_and_revoked() {
        let scene = scene();
        let token = scene.get(&["--scope", "billing:read"]).assert_code(0).stdout;
        let token = token.trim();
        let (header, claims) = decode_jwt(token);
        let answer = scene.get(&["--json", "--resource", "https://billing.example"]).assert_code(0).json();
        assert_eq!(members(&answer), ["access_token", "expires_in", "scope", "token_type"]);

        let inspected = scene.brevet(&["token", "inspect", "--json"]).stdin(token).run().assert_code(0);
        assert_eq!(inspected.json(), json!({ "header": header, "claims": claims, "verified": false }));
        assert_eq!(inspected.stderr, "Nothing was checked; for that: brevet token verify\n");
        let inspected = scene.brevet(&["token", "inspect", "-"]).stdin(token).ok();
        assert!(inspected.contains("\nexpires      20"), "{inspected}");
        for given in [token, &format!("Bearer {token}")] {
            assert_eq!(scene.brevet(&["token", "inspect", given]).ok(), inspected);
            scene.brevet(&["token", "verify", given]).ok();
        }

        let file = write_file(&scene.data, "token.txt", token);
        let verify = |more: &[&str]| scene.brevet(&["token", "verify", &file]).args(more).run();
        let verified = verify(&["--json", "--audience", "https://billing.example", "--scope", "billing:read"]);
        let verified = verified.assert_code(0).json();
        assert_eq!(members(&verified), ["aud", "client_id", "expires_at", "scope", "tenant", "valid"]);
        assert_eq!(verified["client_id"], scene.app.client_id);
        assert_snapshot!(verify(&["--audience", "urn:other"]).assert_code(1).refusal(), @"The access token is not for this resource.");
        assert_snapshot!(verify(&["--scope", "billing:write"]).assert_code(1).refusal(), @"The access token lacks the scope billing:write.");

        let revoked = scene.brevet(&["token", "revoke", &file, "--json"]).ok();
        let revoked: Value = serde_json::from_str(&revoked).unwrap();
        assert_eq!(revoked, json!({ "jti": claims["jti"], "revoked": true }));
        eventually(PATIENCE, "the revocation", || (scene.server.whoami(token).status == 401).then_some(()));
        scene.brevet(&["token", "revoke", &file]).run().assert_code(0);
    }

    #[test]
    fn what_goes_wrong_with_tokens_has_its_own_exit_codes() {
        let scene = scene();
        let wrong = write_file(&scene.data, "wrong.txt", "bvk_wrong");
        let refused =
            scene.brevet(&["token", "get", "--sid", &scene.app.client_id, "--key-file", &wrong]).run().assert_code(1);
        assert!(refused.refusal().contains("invalid_client"), "{refused:?}");
        let refused = scene.get(&["--scope", "billing:write"]).assert_code(1);
        assert!(refused.refusal().contains("invalid_scope"), "{refused:?}");
        let unreachable = scene.get(&["--server", "http://127.0.0.1:1"]).assert_code(69);
        assert!(
            unreachable.refusal().starts_with("http://127.0.0.1:1/connect/token does not answer: "),
            "{unreachable:?}"
        );
        let missing =
            scene.brevet(&["token", "get", "--sid", UNKNOWN_SID, "--key-file", "/nowhere"]).run().assert_code(66);
        assert_eq!(missing.refusal(), "/nowhere cannot be read: No such file or directory (os error 2)");
        let not_a_token = |command: &str| scene.brevet(&["token", command]).stdin("nonsense").run();
        assert_eq!(
            not_a_token("inspect").assert_code(65).refusal(),
            "that is not a JWT: it has three parts in base64url with dots between, eyJ….eyJ….…"
        );
        for command in ["inspect", "verify", "revoke"] {
            let refusal = scene.brevet(&["token", command, "bvk_pasted"]).run().assert_code(66).refusal().to_owned();
            assert_eq!(refusal, "what was given is neither a file nor a JWT; name a file, or write - for stdin");
        }
        assert_eq!(not_a_token("verify").assert_code(1).refusal(), "The access token is malformed.");
        assert_eq!(
            not_a_token("revoke").assert_code(65).refusal(),
            "that token cannot be revoked: The access token is malformed."
        );
        let foreign = scene
            .brevet(&["token", "verify", "--server", &scene.server.admin_url])
            .stdin("nonsense")
            .run()
            .assert_code(65);
        assert_eq!(foreign.refusal().lines().count(), 1);
    }

    #[test]
    fn a_talkative_client_shows_neither_key_nor_token() {
        let scene = scene();
        let ran = scene.get(&["-v"]).assert_code(0);
        assert!(ran.stderr.contains("DEBUG"), "{}", ran.stderr);
        let signature = ran.stdout.trim().rsplit('.').next().unwrap();
        assert!(!ran.stderr.contains(&scene.app.secret));
        assert!(!ran.stderr.contains(signature));
    }
}
