//! How often somebody may try to be a person. Attempts are counted before anything is compared, so that many at once are
//! not more than the limit; the ones that succeed are given back.
//!
//! Who comes from where the person signed in before is counted apart: strangers who guess cannot lock the person out there.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quick_cache::sync::Cache;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::secret::sha256;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
/// Windows remembered of each kind; the ones used least are forgotten first.
const MOST_WINDOWS: usize = 16_384;
/// Passwords that strangers may try on one account in an hour, as a multiple of what one address may try in a minute.
const ACCOUNT_HOUR: u32 = 10;
/// Passwords that strangers may try on all accounts in a minute, as such a multiple.
const SERVER_MINUTE: u32 = 60;
/// Of one address that several people are known at, in limits of one of them.
const KNOWN_ADDRESS_MINUTE: u32 = 5;
/// One-time codes that may be tried on one account from one address in a minute: a code has six digits.
const CODES_MINUTE: u32 = 5;
/// And by all strangers in an hour.
const CODES_HOUR: u32 = 20;

/// A name for what is counted, of one length whatever it is.
type Key = [u8; 32];

/// Attempts since the first of them.
#[derive(Debug)]
struct Window {
    began_at: Timestamp,
    attempts: u32,
}

/// Attempts of one kind.
#[derive(Debug)]
struct Windows {
    most: u32,
    span: Duration,
    by_key: Cache<Key, Arc<Mutex<Window>>>,
}

impl Windows {
    fn new(most: u32, span: Duration) -> Self {
        Self { most, span, by_key: Cache::new(MOST_WINDOWS) }
    }

    /// Counts an attempt, or says how long to wait.
    fn take(&self, key: Key, now: Timestamp) -> Result<Taken, Duration> {
        let fresh = || Arc::new(Mutex::new(Window { began_at: now, attempts: 0 }));
        let found = self.by_key.get_or_insert_with(&key, || Ok::<_, std::convert::Infallible>(fresh()));
        let window = found.unwrap_or_else(|never| match never {});
        let mut held = window.lock().unwrap_or_else(PoisonError::into_inner);
        if now >= held.began_at + self.span {
            *held = Window { began_at: now, attempts: 0 };
        }
        if held.attempts >= self.most {
            return Err((held.began_at + self.span).since(now));
        }
        held.attempts += 1;
        let began_at = held.began_at;
        drop(held);
        Ok(Taken { window, began_at })
    }
}

#[derive(Debug)]
struct Taken {
    window: Arc<Mutex<Window>>,
    began_at: Timestamp,
}

impl Taken {
    fn give_back(self) {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.began_at == self.began_at {
            window.attempts = window.attempts.saturating_sub(1);
        }
    }
}

/// An attempt that may be made. It counts unless it is given back.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct Attempt(Vec<Taken>);

impl Attempt {
    /// It was right, or nothing was compared: it counts no longer.
    pub(super) fn give_back(self) {
        self.0.into_iter().for_each(Taken::give_back);
    }
}

/// Whoever has one IPv6 address has the 2^64 around it.
pub(super) fn network(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => std::net::Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).to_string() + "/64",
    }
}

/// Where an attempt comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Where the person signed in before.
    KnownAddress(IpAddr),
    /// Anywhere else.
    Elsewhere(IpAddr),
}

/// Counts attempts.
#[derive(Debug)]
pub(super) struct Attempts {
    passwords: Option<Passwords>,
    codes_by_pair: Windows,
    codes_by_pair_hour: Windows,
    codes_by_account: Windows,
}

#[derive(Debug)]
struct Passwords {
    by_pair: Windows,
    by_pair_hour: Windows,
    /// Whoever shares an address with others there may try each of them, but not one after another for ever.
    by_known_address: Windows,
    by_address: Windows,
    by_account: Windows,
    of_server: Windows,
}

impl Attempts {
    /// At most `limit` passwords a minute from one address; `None` for no limit. One-time codes always have one.
    pub(super) fn new(limit: Option<u32>) -> Self {
        let passwords = limit.map(|limit| Passwords {
            by_pair: Windows::new(limit, MINUTE),
            by_pair_hour: Windows::new(limit.saturating_mul(ACCOUNT_HOUR), HOUR),
            by_known_address: Windows::new(limit.saturating_mul(KNOWN_ADDRESS_MINUTE), MINUTE),
            by_address: Windows::new(limit, MINUTE),
            by_account: Windows::new(limit.saturating_mul(ACCOUNT_HOUR), HOUR),
            of_server: Windows::new(limit.saturating_mul(SERVER_MINUTE), MINUTE),
        });
        Self {
            passwords,
            codes_by_pair: Windows::new(CODES_MINUTE, MINUTE),
            codes_by_pair_hour: Windows::new(CODES_HOUR, HOUR),
            codes_by_account: Windows::new(CODES_HOUR, HOUR),
        }
    }

    /// Somebody tries a password for the account of that name, which need not exist: it is counted all the same.
    ///
    /// # Errors
    /// How long to wait.
    pub(super) fn password(&self, account: &str, from: Origin, now: Timestamp) -> Result<Attempt, Duration> {
        let Some(limits) = &self.passwords else { return Ok(Attempt::default()) };
        match from {
            Origin::KnownAddress(address) => take(
                &[
                    (&limits.by_pair, pair(account, address)),
                    (&limits.by_pair_hour, pair(account, address)),
                    (&limits.by_known_address, sha256(network(address).as_bytes())),
                ],
                now,
            ),
            Origin::Elsewhere(address) => take(
                &[
                    (&limits.by_address, sha256(network(address).as_bytes())),
                    (&limits.by_account, sha256(account.as_bytes())),
                    (&limits.of_server, Key::default()),
                ],
                now,
            ),
        }
    }

    /// Somebody who knows the password tries a one-time or recovery code.
    ///
    /// # Errors
    /// How long to wait.
    pub(super) fn code(&self, person: Uuid, from: Origin, now: Timestamp) -> Result<Attempt, Duration> {
        let account = person.to_string();
        match from {
            Origin::KnownAddress(address) => take(
                &[(&self.codes_by_pair, pair(&account, address)), (&self.codes_by_pair_hour, pair(&account, address))],
                now,
            ),
            Origin::Elsewhere(address) => take(
                &[(&self.codes_by_pair, pair(&account, address)), (&self.codes_by_account, sha256(account.as_bytes()))],
                now,
            ),
        }
    }
}

fn pair(account: &str, address: IpAddr) -> Key {
    sha256(format!("{} {account}", network(address)).as_bytes())
}

/// Takes from all or from none.
fn take(windows: &[(&Windows, Key)], now: Timestamp) -> Result<Attempt, Duration> {
    let mut attempt = Attempt::default();
    for (windows, key) in windows {
        match windows.take(*key, now) {
            Ok(taken) => attempt.0.push(taken),
            Err(wait) => {
                attempt.give_back();
                return Err(wait);
            }
        }
    }
    Ok(attempt)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000_000);

    fn from(text: &str) -> Origin {
        Origin::Elsewhere(text.parse().unwrap())
    }

    fn known(text: &str) -> Origin {
        Origin::KnownAddress(text.parse().unwrap())
    }

    #[test]
    fn an_address_waits_after_its_limit_whomever_it_tries_until_its_minute_is_over() {
        let attempts = Attempts::new(Some(10));
        for account in 0..10 {
            let _failed = attempts.password(&account.to_string(), from("192.0.2.1"), NOW).unwrap();
        }
        let later = NOW + Duration::from_secs(20);
        assert_eq!(attempts.password("new", from("192.0.2.1"), later).unwrap_err(), Duration::from_secs(40));
        assert!(attempts.password("new", from("192.0.2.2"), later).is_ok(), "others do not wait");
        assert!(attempts.password("new", from("192.0.2.1"), NOW + MINUTE).is_ok());
    }

    #[test]
    fn neighbours_in_one_ipv6_network_are_one() {
        let attempts = Attempts::new(Some(1));
        let _failed = attempts.password("ana", from("2001:db8::1"), NOW).unwrap();
        assert!(attempts.password("bo", from("2001:db8::2"), NOW).is_err());
        assert!(attempts.password("bo", from("2001:db8:0:1::1"), NOW).is_ok());
    }

    #[test]
    fn what_succeeds_does_not_count() {
        let attempts = Attempts::new(Some(2));
        for _ in 0..100 {
            attempts.password("ana", from("192.0.2.1"), NOW).unwrap().give_back();
        }
        let late = attempts.password("ana", from("192.0.2.1"), NOW).unwrap();
        for _ in 0..2 {
            let _failed = attempts.password("ana", from("192.0.2.1"), NOW + MINUTE).unwrap();
        }
        late.give_back();
        assert!(attempts.password("ana", from("192.0.2.1"), NOW + MINUTE).is_err(), "it was of the minute before");
    }

    #[test]
    fn strangers_from_everywhere_do_not_lock_a_person_out_at_home() {
        let attempts = Attempts::new(Some(10));
        let stranger = |n: u32| Origin::Elsewhere(IpAddr::V4(std::net::Ipv4Addr::from_bits(n)));
        for n in 0..100 {
            let _failed = attempts.password("ana", stranger(n), NOW).unwrap();
        }
        assert_eq!(attempts.password("ana", stranger(200), NOW).unwrap_err(), HOUR);
        assert!(attempts.password("bo", stranger(200), NOW).is_ok(), "another account");
        attempts.password("ana", known("192.0.2.1"), NOW).unwrap().give_back();

        for n in 1_000..2_000 {
            let _counted = attempts.password(&n.to_string(), stranger(n), NOW);
        }
        assert_eq!(attempts.password("new", stranger(5_000), NOW).unwrap_err(), MINUTE, "the whole server waits");
        assert!(attempts.password("ana", known("192.0.2.1"), NOW).is_ok());
    }

    #[test]
    fn at_home_too_somebody_may_try_only_so_often() {
        let attempts = Attempts::new(Some(3));
        for _ in 0..3 {
            let _failed = attempts.password("ana", known("192.0.2.1"), NOW).unwrap();
        }
        assert!(attempts.password("ana", known("192.0.2.1"), NOW).is_err());
        assert!(attempts.password("bo", known("192.0.2.1"), NOW).is_ok());
    }

    #[test]
    fn codes_are_bounded_even_without_a_limit_for_passwords() {
        let attempts = Attempts::new(None);
        for _ in 0..1_000 {
            let _failed = attempts.password("ana", from("192.0.2.1"), NOW).unwrap();
        }
        let person = Uuid::nil();
        for _ in 0..5 {
            let _failed = attempts.code(person, from("192.0.2.1"), NOW).unwrap();
        }
        assert_eq!(attempts.code(person, from("192.0.2.1"), NOW).unwrap_err(), MINUTE);
        for n in 0..15 {
            let _failed = attempts.code(person, from(&format!("192.0.2.{}", n + 2)), NOW).unwrap();
        }
        assert_eq!(attempts.code(person, from("198.51.100.1"), NOW).unwrap_err(), HOUR);
        assert!(attempts.code(person, known("198.51.100.2"), NOW).is_ok());
    }

    #[test]
    fn many_at_once_are_not_more_than_the_limit() {
        let attempts = Attempts::new(Some(10));
        let allowed: usize = std::thread::scope(|scope| {
            let tries = || (0..50).filter(|_| attempts.password("ana", from("192.0.2.1"), NOW).is_ok()).count();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(tries)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(allowed, 10);
    }
}
