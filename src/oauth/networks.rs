//! From where a client may ask: networks that an address is in or not.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};

/// A client may name so many; each is looked at on every request.
pub const MOST_NETWORKS: usize = 20;

/// The networks from which a client may ask. Without any it may ask from everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Networks(Box<[IpNet]>);

/// Why a list of networks cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworksError {
    /// One is neither an address nor a CIDR.
    Malformed(String),
    /// One has bits behind its prefix: a single machine or the network around it may be meant.
    Ambiguous(IpNet),
    /// There are more than [`MOST_NETWORKS`].
    TooMany,
}

impl fmt::Display for NetworksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(text) => {
                write!(f, "`{text}` is not a network; write a CIDR such as 192.0.2.0/24, or one address")
            }
            Self::Ambiguous(network) => {
                write!(f, "`{network}` is an address inside a network; write {} or {}", network.trunc(), network.addr())
            }
            Self::TooMany => write!(f, "these are too many networks; an app may have {MOST_NETWORKS}"),
        }
    }
}

impl std::error::Error for NetworksError {}

impl Networks {
    /// Reads addresses and CIDRs. What is there twice is taken once; spaces around a text do not matter.
    ///
    /// # Errors
    /// Which of them cannot be used, and why.
    pub fn read<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> Result<Self, NetworksError> {
        let mut networks: Vec<IpNet> = Vec::new();
        for text in texts {
            let network = network(text.as_ref().trim())?;
            if networks.contains(&network) {
                continue;
            }
            if networks.len() == MOST_NETWORKS {
                return Err(NetworksError::TooMany);
            }
            networks.push(network);
        }
        Ok(Self(networks.into()))
    }

    /// Whether none is named, and so every address is good.
    pub fn is_everywhere(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a client may ask from there. Every network is looked at, whichever holds the address: how long it takes says
    /// nothing about the list but its length.
    pub fn allow(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().fold(self.0.is_empty(), |found, network| found | network.contains(&address))
    }

    /// Each in its one spelling, in the order in which they were given.
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(IpNet::to_string).collect()
    }
}

fn network(text: &str) -> Result<IpNet, NetworksError> {
    let malformed = || NetworksError::Malformed(text.chars().take(64).collect());
    let network = unmapped(parse(text).ok_or_else(malformed)?);
    if network.trunc() == network { Ok(network) } else { Err(NetworksError::Ambiguous(network)) }
}

/// Not as `ipnet` does it, which takes `010.0.0.0/8` for `10.0.0.0/8`: elsewhere that is octal.
fn parse(text: &str) -> Option<IpNet> {
    let Some((address, prefix)) = text.split_once('/') else {
        return text.parse().ok().map(|address: IpAddr| address.into());
    };
    let is_plain = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
    let prefix = is_plain.then(|| prefix.parse().ok()).flatten()?;
    IpNet::new(address.parse().ok()?, prefix).ok()
}

/// A listener for both families sees IPv4 as a part of IPv6: a network in there is one of IPv4.
fn unmapped(network: IpNet) -> IpNet {
    const MAPPED: u8 = 96;
    let IpNet::V6(inner) = network else { return network };
    let mapped = |address: Ipv6Addr| address.to_ipv4_mapped().zip(inner.prefix_len().checked_sub(MAPPED));
    let found = mapped(inner.addr()).and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok());
    found.map_or(network, IpNet::V4)
}

impl TryFrom<Vec<String>> for Networks {
    type Error = NetworksError;

    fn try_from(texts: Vec<String>) -> Result<Self, NetworksError> {
        Self::read(texts)
    }
}

impl From<Networks> for Vec<String> {
    fn from(networks: Networks) -> Self {
        networks.texts()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(texts: &[&str]) -> Networks {
        Networks::read(texts).unwrap()
    }

    #[test]
    fn an_address_is_in_a_network_in_whichever_way_it_is_written() {
        let cases = [
            (&[][..], "203.0.113.9", true),
            (&["10.0.0.0/8"], "10.1.2.3", true),
            (&["10.0.0.0/8"], "::ffff:10.1.2.3", true),
            (&["::ffff:10.0.0.0/104"], "10.1.2.3", true),
            (&["::ffff:10.1.2.3"], "10.1.2.3", true),
            (&["10.0.0.0/8"], "11.0.0.0", false),
            (&["10.0.0.0/8", "2001:db8::/32"], "2001:db8:1::7", true),
            (&["10.0.0.0/8", "2001:db8::/32"], "2001:db9::7", false),
            (&["192.0.2.7"], "192.0.2.7", true),
            (&["192.0.2.7"], "192.0.2.8", false),
            (&["0.0.0.0/0"], "::1", false),
        ];
        for (networks, address, expected) in cases {
            assert_eq!(read(networks).allow(address.parse().unwrap()), expected, "{networks:?} {address}");
        }
    }

    #[test]
    fn networks_are_written_in_one_spelling_and_each_once() {
        let texts = read(&[" 10.0.0.0/8", "192.0.2.7", "192.0.2.7/32", "2001:DB8::/32", "::ffff:10.0.0.0/104"]).texts();
        assert_eq!(texts, ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"]);
        assert_eq!(Networks::read(&texts), Networks::try_from(texts.clone()));
    }

    #[test]
    fn what_is_no_network_is_refused_with_what_may_be_meant() {
        let said = |texts: &[&str]| Networks::read(texts).unwrap_err().to_string();
        for malformed in [
            "",
            "10.0.0.0/33",
            "10.0.0",
            "example.com",
            "10.0.0.0/8,11.0.0.0/8",
            "010.0.0.0/8",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "fe80::1%eth0",
            "*",
        ] {
            assert!(said(&[malformed]).contains("is not a network"), "{malformed}");
        }
        let meant = said(&["10.0.0.7/8"]);
        assert_eq!(meant, "`10.0.0.7/8` is an address inside a network; write 10.0.0.0/8 or 10.0.0.7");
        let many: Vec<String> = (0..21).map(|number| format!("10.0.{number}.0/24")).collect();
        assert_eq!(Networks::read(&many), Err(NetworksError::TooMany));
        assert!(Networks::read(many.iter().skip(1).chain(&many[1..2])).is_ok());
    }
}
