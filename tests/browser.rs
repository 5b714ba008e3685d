//! The dashboard in a real browser, headless Chromium: with a mouse, with a mouse and no JavaScript, and with the keyboard
//! alone. The stories are told in `tests/browser/*.mjs`; each has a server of its own, so that they need no order. Pictures of
//! all pages end up in `target/screenshots`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use brevet::clock::{Clock, SystemClock};
use serde_json::json;
use tempfile::TempDir;

use crate::support::process::{Server, data_directory, eventually, free_port, program};
use crate::support::smtp::MailServer;
use crate::support::tools::{self, or_skip, run};

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser");
const SCREENSHOTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/screenshots");

/// The pinned packages, and the stories beside them.
static STORIES: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
    let home = tools::node_modules("browser", Path::new(SCRIPTS))?;
    for script in fs::read_dir(SCRIPTS).and_then(Iterator::collect::<std::io::Result<Vec<_>>>).unwrap() {
        fs::copy(script.path(), home.join(script.file_name())).unwrap();
    }
    Ok(home)
});

/// Debian's, found on the path. It must start: a wrapper without its program is no browser.
static CHROMIUM: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).map(|directory| directory.join("chromium")).find(|path| path.is_file());
    let chromium = found.ok_or("there is no chromium")?;
    run(Command::new(&chromium).arg("--version"))?;
    Ok(chromium)
});

/// How a story is lived through.
#[derive(Debug, Clone, Copy)]
enum Hands {
    Mouse,
    /// A mouse, and no JavaScript.
    Plain,
    Keyboard,
}

impl Hands {
    const fn name(self) -> &'static str {
        match self {
            Self::Mouse => "mouse",
            Self::Plain => "plain",
            Self::Keyboard => "keyboard",
        }
    }
}

/// What a story begins with.
struct Beginning {
    /// A directory with keys and the organisation `acme`, or an empty one.
    data: TempDir,
    settings: &'static [&'static str],
    /// Under which name people come.
    host: &'static str,
    /// Where the story has a provider at which people sign in.
    provider: Option<u16>,
    /// Where people find their mail, if the server sends any.
    mail: Option<TempDir>,
}

impl Beginning {
    fn new(data: TempDir) -> Self {
        Self { data, settings: &[], host: "127.0.0.1", provider: None, mail: None }
    }
}

/// A server that nobody has set up.
fn fresh() -> Beginning {
    Beginning::new(tempfile::tempdir().unwrap())
}

/// A server with keys, the organisation `acme` and its API, where everybody may sign up.
fn open_to_all() -> Beginning {
    Beginning { settings: &["--signup=open"], ..Beginning::new(data_directory()) }
}

/// A server that nobody has set up, with a name: passkeys are not for addresses.
fn fresh_with_a_name() -> Beginning {
    Beginning { host: "localhost", ..fresh() }
}

/// A server that nobody has set up, where people may sign in elsewhere.
fn fresh_with_a_provider() -> Beginning {
    Beginning { settings: &["--outbound-allow-private=true"], provider: Some(free_port()), ..fresh() }
}

/// A server that nobody has set up, which sends mail and where everybody may sign up.
fn fresh_with_mail() -> Beginning {
    Beginning { settings: &["--signup=open"], mail: Some(tempfile::tempdir().unwrap()), ..fresh() }
}

/// A server that nobody has set up, which may fetch keys from this machine.
fn fresh_with_issuers() -> Beginning {
    Beginning { settings: &["--outbound-allow-private=true"], ..fresh() }
}

/// The setting that names the provider of a story, `tests/browser/provider.mjs`.
fn providers(port: u16) -> String {
    let issuer = format!("http://127.0.0.1:{port}");
    let (id, secret) = ("brevet", "a secret between the two");
    json!([{ "name": "corp", "label": "Example Corp", "issuer": issuer, "client_id": id, "client_secret": secret }])
        .to_string()
}

/// Tells the story in that file, and shows all that it printed if it goes wrong.
fn tell(story: &str, hands: Hands, beginning: impl FnOnce() -> Beginning) {
    let (Some(chromium), Some(stories)) = (or_skip("chromium", CHROMIUM.clone()), or_skip("node", STORIES.clone()))
    else {
        return;
    };
    // A browser fills a machine; two of them would wait for each other and call it slowness of the server.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let Beginning { data, settings, host, provider, mail } = beginning();
    let port = free_port();
    let url = format!("http://{host}:{port}");
    let (listen, issuer) = (format!("--listen=127.0.0.1:{port}"), format!("--issuer={url}"));
    let providers = provider.map(providers);
    let post = mail.as_ref().map(|directory| MailServer::filing_into(directory.path()));
    let mut variables = Vec::new();
    variables.extend(providers.iter().map(|providers| ("BREVET_SIGN_IN_PROVIDERS", providers.as_str())));
    if let Some(post) = &post {
        variables.extend([("BREVET_SMTP_URL", post.url.as_str()), ("BREVET_SMTP_FROM", "no-reply@brevet.example")]);
    }
    let began_at = SystemClock.now();
    let server = Server::start_with(data.path(), &[&[listen.as_str(), &issuer], settings].concat(), &variables);
    let files = tempfile::tempdir().unwrap();
    let transcript = files.path().join("transcript");
    let write = || fs::File::options().create(true).append(true).open(&transcript).unwrap();
    let mut child = Command::new("node")
        .arg(stories.join(format!("{story}.mjs")))
        .env("HANDS", hands.name())
        .env("CHROMIUM", chromium)
        .env("SHOTS", SCREENSHOTS)
        .env("PROGRAM", program())
        .env("DATA", data.path())
        .env("URL", &url)
        .env("PROVIDER", provider.map(|port| format!("http://127.0.0.1:{port}")).unwrap_or_default())
        .env("MAIL", mail.as_ref().map_or(Path::new(""), TempDir::path))
        .env("ADMIN_URL", &server.admin_url)
        .env("LOG", server.log_file())
        .env("BANNER", server.banner())
        .env("BEGAN_AT", (began_at.seconds() * 1_000).to_string())
        .stdin(Stdio::null())
        .stdout(write())
        .stderr(write())
        .spawn()
        .unwrap();
    let told_at = Instant::now();
    let ended = eventually(Duration::from_secs(1_500), story, || {
        if told_at.elapsed() > Duration::from_secs(1_200) {
            // It may have ended in this moment.
            let _ended = child.kill();
        }
        child.try_wait().unwrap()
    });
    let told = fs::read_to_string(&transcript).unwrap();
    if ended.success() {
        eprintln!("{story} with {hands:?}:\n{told}");
        return;
    }
    let log = server.log();
    let asked: Vec<_> = log.lines().filter(|line| !line.contains("route=/static/")).collect();
    let last = asked.split_at(asked.len().saturating_sub(20)).1.join("\n");
    panic!("{story} with {hands:?}:\n{told}\nthe last that the server logged:\n{last}");
}

macro_rules! stories {
    ($($name:ident: $story:literal, $hands:ident, $beginning:ident;)*) => {
        $(
            #[test]
            fn $name() {
                tell($story, Hands::$hands, $beginning);
            }
        )*
    };
}

stories! {
    the_pages_that_everybody_sees_keep_nobody_out: "public_pages", Mouse, open_to_all;
    the_first_token_takes_what_the_screen_shows_and_a_minute: "first_token", Mouse, fresh;
    the_first_token_needs_no_script: "first_token", Plain, fresh;
    an_app_lives_and_ends: "first_run", Mouse, fresh;
    an_app_lives_and_ends_without_scripts: "first_run", Plain, fresh;
    an_app_lives_and_ends_by_keyboard: "first_run", Keyboard, fresh;
    somebody_signs_up_and_in_with_one_time_codes: "account", Mouse, open_to_all;
    somebody_signs_up_and_in_without_scripts: "account", Plain, open_to_all;
    somebody_signs_up_and_in_by_keyboard: "account", Keyboard, open_to_all;
    a_team_comes_together: "team", Mouse, fresh;
    a_team_comes_together_without_scripts: "team", Plain, fresh;
    a_team_comes_together_by_keyboard: "team", Keyboard, fresh;
    two_tabs_and_an_ended_session_lose_nothing: "conflicts", Mouse, fresh;
    two_tabs_and_an_ended_session_lose_nothing_without_scripts: "conflicts", Plain, fresh;
    every_page_with_much_in_it_keeps_nobody_out: "pages", Mouse, fresh;
    every_page_with_much_in_it_keeps_nobody_out_without_scripts: "pages", Plain, fresh;
    what_somebody_enters_stays_text: "probes", Mouse, fresh;
    a_passkey_opens_and_closes_doors: "passkeys", Mouse, fresh_with_a_name;
    a_passkey_opens_and_closes_doors_by_keyboard: "passkeys", Keyboard, fresh_with_a_name;
    somebody_signs_in_elsewhere: "elsewhere", Mouse, fresh_with_a_provider;
    somebody_signs_in_elsewhere_without_scripts: "elsewhere", Plain, fresh_with_a_provider;
    what_comes_by_mail_opens_doors_once: "mail", Mouse, fresh_with_mail;
    what_comes_by_mail_opens_doors_once_without_scripts: "mail", Plain, fresh_with_mail;
    what_comes_by_mail_opens_doors_once_by_keyboard: "mail", Keyboard, fresh_with_mail;
    every_page_in_a_corner_keeps_nobody_out: "corners", Mouse, fresh;
    third_parties_are_trusted_until_they_are_not: "issuers", Mouse, fresh_with_issuers;
    third_parties_are_trusted_until_they_are_not_without_scripts: "issuers", Plain, fresh_with_issuers;
    third_parties_are_trusted_until_they_are_not_by_keyboard: "issuers", Keyboard, fresh_with_issuers;
    the_readme_has_pictures_of_what_is_there: "pictures", Mouse, fresh;
}
