//! What can be wrong with one certificate.

use std::fmt;

use super::SHORTEST_RSA;
use crate::clock::Timestamp;
use crate::keys::jwk::LONGEST_MODULUS_BITS;

/// What is wrong with one certificate; printed as what follows its name in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// It is no certificate, or has something twice or in a wrong form.
    Unreadable(String),
    /// It becomes valid at that moment.
    NotYetValid(Timestamp),
    /// That was its last valid second.
    Expired(Timestamp),
    /// Its RSA key has so few bits.
    ShortKey(usize),
    /// Its RSA key has so many bits that checking a signature costs too much.
    LongKey(usize),
    /// Its key is of a kind, or has numbers, that are not used here.
    UnusableKey(String),
    /// It is signed over a digest that can be forged.
    BrokenDigest(&'static str),
    /// It has a critical extension, with that object identifier, that nobody here can judge.
    UnknownCritical(String),
    /// It is a CA's, where one that signs tokens is wanted.
    IsAuthority,
    /// It is not a CA's and certifies another nevertheless.
    NoAuthority,
    /// Its key usage lacks that.
    KeyUsage(&'static str),
    /// Its extended key usage is for something else.
    Purpose,
    /// It allows so many CAs below it, and there are more.
    PathLength(u32),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "cannot be read: {why}"),
            Self::NotYetValid(moment) => write!(f, "is not valid before {moment}"),
            Self::Expired(moment) => write!(f, "expired on {moment}"),
            Self::ShortKey(bits) => write!(f, "has an RSA key of {bits} bits; at least {SHORTEST_RSA} are needed"),
            Self::LongKey(bits) => {
                write!(f, "has an RSA key of {bits} bits; at most {LONGEST_MODULUS_BITS} are used")
            }
            Self::UnusableKey(why) => write!(f, "has a key that is not used here: {why}"),
            Self::BrokenDigest(digest) => write!(f, "is signed with {digest}, which can be forged; SHA-256 is needed"),
            Self::UnknownCritical(oid) => write!(f, "has a critical extension that is not known here ({oid})"),
            Self::IsAuthority => f.write_str("is a CA's, and a CA signs no tokens"),
            Self::NoAuthority => f.write_str("is not a CA's, so it certifies no other (basic constraints)"),
            Self::KeyUsage(needed) => write!(f, "has a key usage without {needed}"),
            Self::Purpose => f.write_str(
                "is for other purposes: its extended key usage has neither clientAuth nor one for signing tokens",
            ),
            Self::PathLength(most) => {
                write!(f, "allows {most} CAs below it, and there are more (path length)")
            }
        }
    }
}

impl std::error::Error for Flaw {}
