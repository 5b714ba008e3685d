//! Fetching from addresses that other people wrote down: over https, from public addresses only, bounded in size and
//! time, never following a redirect. What is judged is the address that is connected to, not the name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;
use std::time::Duration;

use ipnet::{Ipv4Net, Ipv6Net};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Error};
use url::{Host, Url};

use crate::keys::tls::choose_provider;
use crate::secret::Secret;

/// From looking up the name to the last octet.
const LONGEST_FETCH: Duration = Duration::from_secs(5);
/// In octets.
const LARGEST_DOCUMENT: u64 = 256 * 1024;
/// In octets.
const LARGEST_HEAD: usize = 16 * 1024;
const LONGEST_URL: usize = 1_024;
/// As whom this server fetches (`User-Agent`).
pub const OWN_AGENT: &str = concat!("brevet/", env!("CARGO_PKG_VERSION"));

/// What lies behind an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The internet.
    Public,
    /// This machine or its private network: only if the operator allows it.
    Private,
    /// Nothing to fetch from: link-local (where clouds keep their metadata), multicast, documentation, reserved.
    Never,
}

/// IPv4 networks of the [IANA registry](https://www.iana.org/assignments/iana-ipv4-special-registry) that are not the
/// internet.
const NOT_PUBLIC_V4: &[(&str, Reach)] = &[
    // Where Alibaba keeps its metadata; the first network that fits decides.
    ("100.100.100.200/32", Reach::Never),
    ("127.0.0.0/8", Reach::Private),
    ("10.0.0.0/8", Reach::Private),
    ("172.16.0.0/12", Reach::Private),
    ("192.168.0.0/16", Reach::Private),
    ("100.64.0.0/10", Reach::Private),
    ("0.0.0.0/8", Reach::Never),
    ("169.254.0.0/16", Reach::Never),
    ("192.0.0.0/24", Reach::Never),
    ("192.0.2.0/24", Reach::Never),
    ("192.88.99.0/24", Reach::Never),
    ("198.18.0.0/15", Reach::Never),
    ("198.51.100.0/24", Reach::Never),
    ("203.0.113.0/24", Reach::Never),
    ("224.0.0.0/4", Reach::Never),
    ("240.0.0.0/4", Reach::Never),
    // A public address by which Azure talks to its own machines.
    ("168.63.129.16/32", Reach::Never),
];

/// The same of the [IPv6 registry](https://www.iana.org/assignments/iana-ipv6-special-registry). What is not in
/// `2000::/3` is not the internet either.
const NOT_PUBLIC_V6: &[(&str, Reach)] = &[
    ("::1/128", Reach::Private),
    // Where Amazon and Google keep their metadata.
    ("fd00:ec2::254/128", Reach::Never),
    ("fd20:ce::254/128", Reach::Never),
    ("fc00::/7", Reach::Private),
    ("2001::/23", Reach::Never),
    ("2001:db8::/32", Reach::Never),
    ("2002::/16", Reach::Never),
    ("3fff::/20", Reach::Never),
];

static V4: LazyLock<Vec<(Ipv4Net, Reach)>> =
    LazyLock::new(|| NOT_PUBLIC_V4.iter().filter_map(|(net, reach)| Some((net.parse().ok()?, *reach))).collect());
static V6: LazyLock<Vec<(Ipv6Net, Reach)>> =
    LazyLock::new(|| NOT_PUBLIC_V6.iter().filter_map(|(net, reach)| Some((net.parse().ok()?, *reach))).collect());

/// What lies behind `address`. One that only carries an IPv4 address is judged by that.
pub fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(v4) => reach_v4(v4),
        IpAddr::V6(v6) => carried(v6).map_or_else(|| reach_v6(v6), reach_v4),
    }
}

/// Whether `address` is one of the internet.
pub fn is_public(address: IpAddr) -> bool {
    reach(address) == Reach::Public
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    V4.iter().find(|(net, _)| net.contains(&address)).map_or(Reach::Public, |(_, reach)| *reach)
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    let global_unicast = address.segments()[0] >> 13 == 1;
    let otherwise = if global_unicast { Reach::Public } else { Reach::Never };
    V6.iter().find(|(net, _)| net.contains(&address)).map_or(otherwise, |(_, reach)| *reach)
}

/// The IPv4 address in a mapped one (`::ffff:0:0/96`) or one for NAT64 (`64:ff9b::/96`).
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let nat64 = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0);
    let low = u32::try_from(address.to_bits() & u128::from(u32::MAX)).ok()?;
    let is_nat64 = address.to_bits() >> 32 == nat64.to_bits() >> 32;
    address.to_ipv4_mapped().or_else(|| is_nat64.then(|| Ipv4Addr::from_bits(low)))
}

/// Whether this server may connect there.
fn is_allowed(address: IpAddr, allow_private: bool) -> bool {
    match reach(address) {
        Reach::Public => true,
        Reach::Private => allow_private,
        Reach::Never => false,
    }
}

/// Checks an address that somebody wrote down, and gives it in normal form: `https`, without user and fragment, not
/// plainly an address that is never connected to. `http` to this machine where private addresses are allowed.
///
/// # Errors
/// What is wrong with it.
pub fn check_url(text: &str, allow_private: bool) -> Result<Url, String> {
    if text.len() > LONGEST_URL {
        return Err(format!("it is longer than {LONGEST_URL} octets"));
    }
    let url = Url::parse(text).map_err(|error| format!("it is not a URL ({error}); write https://HOST/PATH"))?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("it must have no user, password or fragment".to_owned());
    }
    let literal = match url.host() {
        None => return Err("it names no host; write https://HOST/PATH".to_owned()),
        Some(Host::Ipv4(v4)) => Some(IpAddr::V4(v4)),
        Some(Host::Ipv6(v6)) => Some(IpAddr::V6(v6)),
        Some(Host::Domain(_)) => None,
    };
    let is_local = literal.is_some_and(|address| address.is_loopback()) || url.host_str() == Some("localhost");
    if url.scheme() != "https" && !(url.scheme() == "http" && is_local && allow_private) {
        return Err("it must begin with https://".to_owned());
    }
    let refused = literal.is_some_and(|address| !is_allowed(address, allow_private)) || (is_local && !allow_private);
    if refused {
        return Err(
            "its address is none of the internet; for a private one the operator must set outbound-allow-private"
                .to_owned(),
        );
    }
    Ok(url)
}

/// Looks names up and leaves out the addresses that may not be connected to. The connection goes to what is returned
/// here, so a name that changes its address between two questions gains nothing.
#[derive(Debug)]
struct JudgingResolver<R> {
    names: R,
    allow_private: bool,
}

impl<R: Resolver> Resolver for JudgingResolver<R> {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let found = self.names.resolve(uri, config, timeout)?;
        let mut allowed = self.empty();
        for address in found.iter().filter(|address| is_allowed(address.ip(), self.allow_private)) {
            allowed.push(*address);
        }
        if allowed.is_empty() {
            return Err(Error::Other("its name leads to no address of the internet".into()));
        }
        Ok(allowed)
    }
}

/// A document that was fetched.
#[derive(Debug)]
pub struct Fetched {
    /// Its octets.
    pub body: Vec<u8>,
    /// `Cache-Control: max-age`, nothing for `no-store` and `no-cache`; `None` if the answer does not say.
    pub max_age: Option<Duration>,
}

/// Fetches documents. Blocks.
#[derive(Debug)]
pub struct Fetcher {
    agent: Agent,
    allow_private: bool,
}

impl Fetcher {
    /// A fetcher for public addresses or, if allowed, also for private ones.
    pub fn new(allow_private: bool) -> Self {
        let resolver = JudgingResolver { names: DefaultResolver::default(), allow_private };
        let agent = Agent::with_parts(agent_config(OWN_AGENT), DefaultConnector::default(), resolver);
        Self { agent, allow_private }
    }

    /// Sends a form, with this value of `Authorization`, and reads the answer.
    ///
    /// # Errors
    /// Why there is none, for the log.
    pub fn post_form(&self, url: &str, authorization: &Secret, form: &Secret) -> Result<Vec<u8>, String> {
        let url = check_url(url, self.allow_private)?;
        let request = self.agent.post(url.as_str()).header("authorization", authorization.reveal());
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let mut response = request.send(form.reveal()).map_err(|error| error.to_string())?;
        if response.status() != 200 {
            return Err(format!("the answer is {}", response.status()));
        }
        let body = response.body_mut().with_config().limit(LARGEST_DOCUMENT).read_to_vec();
        body.map_err(|error| error.to_string())
    }

    /// Fetches one document.
    ///
    /// # Errors
    /// Why there is none, for the log.
    pub fn fetch(&self, url: &str) -> Result<Fetched, String> {
        let url = check_url(url, self.allow_private)?;
        let mut response = self.agent.get(url.as_str()).call().map_err(|error| error.to_string())?;
        if response.status() != 200 {
            return Err(format!("the answer is {}", response.status()));
        }
        let cache_control = response.headers().get("cache-control").and_then(|value| value.to_str().ok());
        let max_age = cache_control.and_then(max_age);
        let body = response.body_mut().with_config().limit(LARGEST_DOCUMENT).read_to_vec();
        Ok(Fetched { body: body.map_err(|error| error.to_string())?, max_age })
    }
}

fn agent_config(user_agent: &str) -> Config {
    choose_provider();
    Agent::config_builder()
        .timeout_global(Some(LONGEST_FETCH))
        .max_redirects(0)
        .http_status_as_error(false)
        // A proxy would look names up itself, unjudged.
        .proxy(None)
        .max_idle_connections(0)
        .max_response_header_size(LARGEST_HEAD)
        .user_agent(user_agent)
        .accept("application/jwk-set+json, application/json")
        .tls_config(TlsConfig::builder().root_certs(RootCerts::WebPki).build())
        .build()
}

/// Fetches from an address that the operator wrote down, wherever it is, as a program of that name; answers the status, too.
/// Blocks.
///
/// # Errors
/// Why there is no answer.
pub fn fetch_own(url: &str, user_agent: &str) -> Result<(u16, Vec<u8>), String> {
    let agent = Agent::new_with_config(agent_config(user_agent));
    let mut response = agent.get(url).call().map_err(|error| error.to_string())?;
    let body = response.body_mut().with_config().limit(LARGEST_DOCUMENT).read_to_vec();
    Ok((response.status().as_u16(), body.map_err(|error| error.to_string())?))
}

fn max_age(cache_control: &str) -> Option<Duration> {
    let mut directives = cache_control.split(',').map(|directive| directive.trim().to_ascii_lowercase());
    directives.find_map(|directive| match directive.as_str() {
        "no-store" | "no-cache" => Some(Duration::ZERO),
        other => other.strip_prefix("max-age=")?.trim_matches('"').parse().ok().map(Duration::from_secs),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        assert_eq!((V4.len(), V6.len()), (NOT_PUBLIC_V4.len(), NOT_PUBLIC_V6.len()));
        for (address, expected) in [
            ("1.1.1.1", Reach::Public),
            ("9.255.255.255", Reach::Public),
            ("11.0.0.0", Reach::Public),
            ("172.15.255.255", Reach::Public),
            ("172.32.0.0", Reach::Public),
            ("192.0.1.0", Reach::Public),
            ("100.63.255.255", Reach::Public),
            ("100.128.0.0", Reach::Public),
            ("223.255.255.255", Reach::Public),
            ("127.0.0.1", Reach::Private),
            ("127.255.255.254", Reach::Private),
            ("10.1.2.3", Reach::Private),
            ("172.16.0.1", Reach::Private),
            ("172.31.255.255", Reach::Private),
            ("192.168.1.1", Reach::Private),
            ("100.64.0.1", Reach::Private),
            ("100.100.100.199", Reach::Private),
            ("100.100.100.200", Reach::Never),
            ("0.0.0.0", Reach::Never),
            ("0.1.2.3", Reach::Never),
            ("169.254.169.254", Reach::Never),
            ("192.0.0.192", Reach::Never),
            ("192.0.2.1", Reach::Never),
            ("192.88.99.1", Reach::Never),
            ("198.19.255.255", Reach::Never),
            ("198.51.100.1", Reach::Never),
            ("203.0.113.1", Reach::Never),
            ("224.0.0.1", Reach::Never),
            ("239.255.255.255", Reach::Never),
            ("240.0.0.1", Reach::Never),
            ("255.255.255.255", Reach::Never),
            ("168.63.129.16", Reach::Never),
            ("2606:4700:4700::1111", Reach::Public),
            ("2a00:1450:4001::1", Reach::Public),
            ("::1", Reach::Private),
            ("fc00::1", Reach::Private),
            ("fd12:3456::1", Reach::Private),
            ("fd00:ec2::253", Reach::Private),
            ("fd00:ec2::254", Reach::Never),
            ("fd20:ce::254", Reach::Never),
            ("::", Reach::Never),
            ("::2", Reach::Never),
            ("::127.0.0.1", Reach::Never),
            ("::ffff:1.1.1.1", Reach::Public),
            ("::ffff:127.0.0.1", Reach::Private),
            ("::ffff:169.254.169.254", Reach::Never),
            ("::ffff:0:127.0.0.1", Reach::Never),
            ("64:ff9b::1.1.1.1", Reach::Public),
            ("64:ff9b::127.0.0.1", Reach::Private),
            ("64:ff9b::169.254.169.254", Reach::Never),
            ("64:ff9b:1::1", Reach::Never),
            ("100::1", Reach::Never),
            ("2001::1", Reach::Never),
            ("2001:20::1", Reach::Never),
            ("2001:db8::1", Reach::Never),
            ("2002:7f00:1::1", Reach::Never),
            ("3fff::1", Reach::Never),
            ("5f00::1", Reach::Never),
            ("fe80::1", Reach::Never),
            ("fec0::1", Reach::Never),
            ("ff02::1", Reach::Never),
        ] {
            let parsed = address.parse().unwrap();
            assert_eq!(reach(parsed), expected, "{address}");
            assert_eq!(is_public(parsed), expected == Reach::Public, "{address}");
        }
    }

    #[test]
    fn a_url_is_https_to_somewhere_else() {
        for (url, otherwise, allowed) in [
            ("https://app.example.com/jwks.json", true, true),
            ("HTTPS://App.Example.com", true, true),
            ("https://1.1.1.1/", true, true),
            ("https://127.0.0.1/", false, true),
            ("http://127.0.0.1:8080/", false, true),
            ("http://localhost/", false, true),
            ("https://localhost/", false, true),
            ("https://10.0.0.1/", false, true),
            ("https://2130706433/", false, true),
            ("https://0x7f.1/", false, true),
            ("https://017700000001/", false, true),
            ("https://[::1]/", false, true),
            ("https://[::ffff:127.0.0.1]/", false, true),
            ("https://[::ffff:7f00:1]/", false, true),
            ("http://10.0.0.1/", false, false),
            ("http://app.example.com/", false, false),
            ("https://169.254.169.254/latest/meta-data", false, false),
            ("https://[fe80::1]/", false, false),
            ("https://0.0.0.0/", false, false),
            ("https://user@app.example.com/", false, false),
            ("https://user:password@app.example.com/", false, false),
            ("https://app.example.com/#keys", false, false),
            ("file:///etc/passwd", false, false),
            ("FiLe:///etc/passwd", false, false),
            ("data:application/json,{}", false, false),
            ("gopher://app.example.com/", false, false),
            ("ftp://app.example.com/", false, false),
            ("javascript:alert(1)", false, false),
            ("//app.example.com/", false, false),
            ("app.example.com", false, false),
            ("", false, false),
        ] {
            assert_eq!(check_url(url, false).is_ok(), otherwise, "{url}");
            assert_eq!(check_url(url, true).is_ok(), allowed, "{url} where private addresses are allowed");
        }
        assert!(check_url(&format!("https://app.example.com/{}", "a".repeat(LONGEST_URL)), true).is_err());
    }

    #[test]
    fn a_name_that_leads_to_this_machine_is_not_connected_to() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let agent = Fetcher::new(false).agent;
        for host in ["localhost", "127.0.0.1", "2130706433"] {
            let refusal = agent.get(format!("http://{host}:{port}/")).call().unwrap_err();
            assert!(refusal.to_string().contains("no address of the internet"), "{host}: {refusal}");
        }
        assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "somebody connected");
    }

    /// Says the same of every name.
    #[derive(Debug)]
    struct Says(Vec<std::net::SocketAddr>);

    impl Resolver for Says {
        fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
            let mut found = self.empty();
            self.0.iter().for_each(|address| found.push(*address));
            Ok(found)
        }
    }

    #[test]
    fn of_a_name_with_good_and_bad_addresses_only_the_good_ones_are_left() {
        let all =
            ["127.0.0.1:1", "1.1.1.1:1", "[::ffff:10.0.0.1]:1", "169.254.169.254:1", "[fe80::1]:1", "192.0.2.1:1"];
        let left = |allow_private| {
            let names = Says(all.iter().map(|address| address.parse().unwrap()).collect());
            let (uri, timeout) = (Uri::from_static("https://mixed.example/"), NextTimeout::default());
            let found = JudgingResolver { names, allow_private }.resolve(&uri, &Config::default(), timeout).unwrap();
            found.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(left(false), ["1.1.1.1:1"]);
        assert_eq!(left(true), ["127.0.0.1:1", "1.1.1.1:1", "[::ffff:10.0.0.1]:1"]);
    }

    #[test]
    fn an_answer_says_how_long_it_may_be_kept() {
        let seconds = |text: &str| max_age(text).map(|age| age.as_secs());
        assert_eq!(seconds("public, max-age=300, stale-if-error=86400"), Some(300));
        assert_eq!(seconds("Max-Age=\"60\""), Some(60));
        assert_eq!(seconds("no-store"), Some(0));
        assert_eq!(seconds("private"), None);
        assert_eq!(seconds("max-age=-1"), None);
        assert_eq!(seconds("max-age=99999999999999999999999"), None);
    }
}
