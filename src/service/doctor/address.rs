//! Whether strangers get this server's keys at its own public address, whichever program they ask with.

use url::{Host, Url};

use super::Finding;
use crate::config::Config;
use crate::directory::outbound::{OWN_AGENT, fetch_own};
use crate::keys::key_set::read_fetched;
use crate::oauth::metadata::path;

const CHECK: &str = "public address";
/// With which services in Python ask for keys (`PyJWKClient`). Firewalls and content networks often refuse it, and then every
/// token is refused there, while a browser sees nothing wrong.
const URLLIB: &str = "Python-urllib/3.12";

/// What is seen at the address of the issuer, `kid` being the key that signs. Nothing if the address is this machine's own
/// and nobody listens there: then no server runs.
pub(super) fn keys(config: &Config, kid: Option<&str>) -> Option<Finding> {
    let url = format!("{}{}", config.issuer, path::JWKS);
    let (status, document) = match fetch_own(&url, OWN_AGENT) {
        Ok(answer) => answer,
        Err(_) if is_this_machine(&config.issuer) => return None,
        Err(why) => {
            return Some(Finding::warning(
                CHECK,
                format!("{url} cannot be fetched from here: {why}"),
                "start the server, and see that the name, the proxy in front and its certificate are right; it is no harm if only this machine cannot reach its own public address",
            ));
        }
    };
    if status != 200 {
        return Some(Finding::warning(
            CHECK,
            format!("{url} answers {status}, so services cannot check tokens"),
            "see that the proxy in front passes everything under the issuer's address to this server",
        ));
    }
    let published = read_fetched(&document).unwrap_or_default();
    if kid.is_some_and(|kid| !published.iter().any(|key| key.kid() == Some(kid))) {
        return Some(Finding::warning(
            CHECK,
            format!("{url} has not the key that signs here"),
            "see that the issuer's address leads to this server, and that no cache keeps the answer for more than a day",
        ));
    }
    Some(match fetch_own(&url, URLLIB) {
        Ok((200, _)) => Finding::good(CHECK, format!("{url} has the key that signs, also for {URLLIB}")),
        refused => {
            let how = refused.map_or_else(|why| format!("nothing ({why})"), |(status, _)| status.to_string());
            Finding::warning(
                CHECK,
                format!("{url} answers {how} to the User-Agent {URLLIB}, so services in Python refuse every token"),
                "let the firewall or content network in front pass every User-Agent to /.well-known/ and /connect/",
            )
        }
    })
}

fn is_this_machine(issuer: &str) -> bool {
    let url = Url::parse(issuer);
    match url.as_ref().ok().and_then(Url::host) {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
