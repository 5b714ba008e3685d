//! Who sends a request.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use ipnet::IpNet;

use crate::oauth::header::Header;
use crate::service::{Authority, Caller};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Reads the time, once, and the address.
pub(super) fn caller(authority: &Authority, request: &HttpRequest) -> Caller {
    Caller { address: address(authority, request), now: authority.clock.now() }
}

/// The address of the client: of the connection, or what a trusted proxy says.
pub(super) fn address(authority: &Authority, request: &HttpRequest) -> IpAddr {
    // A socket for both families names clients of the older one as `::ffff:192.0.2.1`.
    let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip().to_canonical());
    let proxies = &authority.config.trusted_proxies;
    if proxies.is_empty() {
        return peer;
    }
    let forwarded = request.headers().get_all(X_FORWARDED_FOR).filter_map(|value| value.to_str().ok());
    client_address(peer, &forwarded.collect::<Vec<_>>().join(","), proxies)
}

/// The rightmost hop that is not one of our proxies: what stands left of it, anybody could have written.
fn client_address(peer: IpAddr, forwarded_for: &str, proxies: &[IpNet]) -> IpAddr {
    let trusted = |address: &IpAddr| proxies.iter().any(|network| network.contains(address) || maps(network, *address));
    let mut address = peer;
    for hop in forwarded_for.rsplit(',') {
        if !trusted(&address) {
            break;
        }
        match hop_address(hop.trim()) {
            Some(hop) => address = hop,
            None => break,
        }
    }
    address
}

/// Some proxies write the port as well.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let address = hop.parse().or_else(|_with_port| hop.parse().map(|socket: SocketAddr| socket.ip()));
    address.ok().map(|address| address.to_canonical())
}

/// Whether the network is written for addresses such as `::ffff:192.0.2.1` and holds that one.
fn maps(network: &IpNet, address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(address) if network.contains(&IpAddr::V6(address.to_ipv6_mapped())))
}

/// The `Authorization` header.
pub(super) fn authorization(request: &HttpRequest) -> Header<'_> {
    header(request, AUTHORIZATION)
}

/// A header that may come once.
pub(super) fn header(request: &HttpRequest, name: HeaderName) -> Header<'_> {
    Header::of(request.headers().get_all(name).map(HeaderValue::as_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rightmost_hop_that_is_no_proxy_of_ours_is_the_client() {
        let proxies: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap(), "::ffff:192.168.7.0/120".parse().unwrap()];
        let cases = [
            ("192.0.2.1", "", "192.0.2.1"),
            ("192.0.2.1", "203.0.113.9", "192.0.2.1"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "203.0.113.9, 10.0.0.2", "203.0.113.9"),
            ("10.0.0.1", "203.0.113.9, nonsense", "10.0.0.1"),
            ("10.0.0.1", "203.0.113.9:8080", "203.0.113.9"),
            ("10.0.0.1", "[2001:db8::9]:8080", "2001:db8::9"),
            ("10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "1.1.1.1, ::ffff:10.0.0.2", "1.1.1.1"),
            ("10.0.0.1", "1.1.1.1, 192.168.7.9", "1.1.1.1"),
            ("10.0.0.1", "1.1.1.1, 192.168.8.9", "192.168.8.9"),
            ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ];
        for (peer, forwarded, expected) in cases {
            let address = client_address(peer.parse().unwrap(), forwarded, &proxies);
            assert_eq!(address.to_string(), expected, "{peer} {forwarded}");
        }
    }
}
