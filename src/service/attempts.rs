//! How often somebody may try to be a person. Attempts are counted before anything is compared, so that many at once are
//! not more than the limit; the ones that succeed are given back. What they cost is counted apart and stays counted: a slow
//! hash is as dear when the password is right.
//!
//! Who comes from where the person signed in before is counted apart: strangers who guess cannot lock the person out there.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quick_cache::sync::Cache;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::secret::{Secret, sha256};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// Windows remembered of each kind; the ones used least are forgotten first.
const MOST_WINDOWS: usize = 16_384;
/// Passwords that strangers may try on one account in an hour, as a multiple of what one address may try in a minute.
const ACCOUNT_HOUR: u32 = 10;
/// Passwords that strangers may try on all accounts in a minute, as such a multiple.
const SERVER_MINUTE: u32 = 60;
/// Of one address that several people are known at, in limits of one of them.
const KNOWN_ADDRESS_MINUTE: u32 = 5;
/// Passwords that may be checked for one account from one address in a minute, right or wrong, as such a multiple.
const CHECKED_PAIR_MINUTE: u32 = 3;
/// And from one address, behind which there may be a whole company.
const CHECKED_ADDRESS_MINUTE: u32 = 10;
/// And by the whole server: for those who come from where they signed in before, and again for all others. With the usual
/// limit that is a third of a processor for each.
const CHECKED_SERVER_MINUTE: u32 = 120;
/// Passwords that may be chosen by one link in a minute, as such a multiple: some are refused as too weak.
const CHOSEN_LINK_MINUTE: u32 = 2;
/// And from one address.
const CHOSEN_ADDRESS_MINUTE: u32 = 5;
/// And on the whole server: by links, and again by signing up.
const CHOSEN_SERVER_MINUTE: u32 = 12;
/// One-time codes that may be tried on one account from one address in a minute: a code has six digits.
const CODES_MINUTE: u32 = 5;
/// And by all strangers in an hour.
const CODES_HOUR: u32 = 20;
/// Passkeys that may fail from one address in a minute: nobody guesses one, but each costs a look and a line in the audit.
const PASSKEYS_MINUTE: u32 = 20;

/// Invitations that one person may have mailed in an hour.
const INVITATIONS_OF_PERSON: u32 = 50;
/// And one organisation in a day: as many as may wait for an answer.
const INVITATIONS_OF_ORGANISATION: u32 = 200;
/// Invitations that one address gets in a day, from whatever organisations; and a minute lies between them.
const INVITATIONS_TO_ADDRESS: u32 = 5;

/// A name for what is counted, of one length whatever it is.
type Key = [u8; 32];

/// Attempts since the first of them.
#[derive(Debug)]
struct Window {
    began_at: Timestamp,
    attempts: u32,
    /// Whether an attempt was refused in it.
    has_refused: bool,
}

impl Window {
    const fn new(began_at: Timestamp) -> Self {
        Self { began_at, attempts: 0, has_refused: false }
    }
}

/// An attempt that may not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused {
    /// How long to wait.
    pub(super) wait: Duration,
    /// Whether it is the first of its window: only that one is worth a line in the audit.
    pub(super) is_first: bool,
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
    fn take(&self, key: Key, now: Timestamp) -> Result<Taken, Refused> {
        let fresh = || Arc::new(Mutex::new(Window::new(now)));
        let found = self.by_key.get_or_insert_with(&key, || Ok::<_, std::convert::Infallible>(fresh()));
        let window = found.unwrap_or_else(|never| match never {});
        let mut held = window.lock().unwrap_or_else(PoisonError::into_inner);
        if now >= held.began_at + self.span {
            *held = Window::new(now);
        }
        if held.attempts >= self.most {
            let is_first = !std::mem::replace(&mut held.has_refused, true);
            return Err(Refused { wait: (held.began_at + self.span).since(now), is_first });
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
pub(super) struct Attempt {
    guess: Vec<Taken>,
    cost: Vec<Taken>,
}

impl Attempt {
    /// It was right: it is no guess. What it cost stays counted.
    pub(super) fn was_right(self) {
        self.guess.into_iter().for_each(Taken::give_back);
    }

    /// Nothing was compared: it counts no longer.
    pub(super) fn give_back(self) {
        self.guess.into_iter().chain(self.cost).for_each(Taken::give_back);
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

impl Origin {
    const fn address(self) -> IpAddr {
        match self {
            Self::KnownAddress(address) | Self::Elsewhere(address) => address,
        }
    }
}

/// How somebody who is not signed in comes to choose a password.
#[derive(Debug, Clone, Copy)]
pub enum Road<'a> {
    /// Anybody who signs up.
    SignUp,
    /// Whoever has the link with that secret.
    Link(&'a Secret),
}

/// Counts attempts.
#[derive(Debug)]
pub(super) struct Attempts {
    passwords: Option<Passwords>,
    codes_by_pair: Windows,
    codes_by_pair_hour: Windows,
    codes_by_account: Windows,
    passkeys_by_address: Windows,
    invitations: Invitations,
}

/// Letters that people have sent to addresses of their choice: nobody shall be able to flood a letter box with them.
#[derive(Debug)]
struct Invitations {
    by_person: Windows,
    by_organisation: Windows,
    by_address_minute: Windows,
    by_address: Windows,
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
    checked_by_pair: Windows,
    checked_by_address: Windows,
    /// Apart for those at a known address and all others.
    checked_of_server: Windows,
    chosen_by_link: Windows,
    chosen_by_address: Windows,
    /// Apart for each kind of road.
    chosen_of_server: Windows,
}

impl Attempts {
    /// At most `limit` passwords a minute from one address; `None` for no limit. One-time codes always have one.
    pub(super) fn new(limit: Option<u32>) -> Self {
        let passwords = limit.map(|limit| {
            let in_minute = |times| Windows::new(limit.saturating_mul(times), MINUTE);
            let in_hour = |times| Windows::new(limit.saturating_mul(times), HOUR);
            Passwords {
                by_pair: in_minute(1),
                by_pair_hour: in_hour(ACCOUNT_HOUR),
                by_known_address: in_minute(KNOWN_ADDRESS_MINUTE),
                by_address: in_minute(1),
                by_account: in_hour(ACCOUNT_HOUR),
                of_server: in_minute(SERVER_MINUTE),
                checked_by_pair: in_minute(CHECKED_PAIR_MINUTE),
                checked_by_address: in_minute(CHECKED_ADDRESS_MINUTE),
                checked_of_server: in_minute(CHECKED_SERVER_MINUTE),
                chosen_by_link: in_minute(CHOSEN_LINK_MINUTE),
                chosen_by_address: in_minute(CHOSEN_ADDRESS_MINUTE),
                chosen_of_server: in_minute(CHOSEN_SERVER_MINUTE),
            }
        });
        Self {
            passwords,
            codes_by_pair: Windows::new(CODES_MINUTE, MINUTE),
            codes_by_pair_hour: Windows::new(CODES_HOUR, HOUR),
            codes_by_account: Windows::new(CODES_HOUR, HOUR),
            passkeys_by_address: Windows::new(PASSKEYS_MINUTE, MINUTE),
            invitations: Invitations {
                by_person: Windows::new(INVITATIONS_OF_PERSON, HOUR),
                by_organisation: Windows::new(INVITATIONS_OF_ORGANISATION, DAY),
                by_address_minute: Windows::new(1, MINUTE),
                by_address: Windows::new(INVITATIONS_TO_ADDRESS, DAY),
            },
        }
    }

    /// A person wants an invitation into an organisation mailed to an address.
    ///
    /// # Errors
    /// How long to wait.
    pub(super) fn invitation(
        &self,
        person: Uuid,
        organisation: Uuid,
        email: &str,
        now: Timestamp,
    ) -> Result<Attempt, Refused> {
        let (limits, address) = (&self.invitations, sha256(email.as_bytes()));
        let guess = take(
            &[
                (&limits.by_person, sha256(person.as_bytes())),
                (&limits.by_organisation, sha256(organisation.as_bytes())),
                (&limits.by_address_minute, address),
                (&limits.by_address, address),
            ],
            now,
        )?;
        Ok(Attempt { guess, ..Attempt::default() })
    }

    /// Somebody tries a password for the account of that name, which need not exist: it is counted all the same.
    ///
    /// # Errors
    /// How long to wait.
    pub(super) fn password(&self, account: &str, from: Origin, now: Timestamp) -> Result<Attempt, Refused> {
        let Some(limits) = &self.passwords else { return Ok(Attempt::default()) };
        let pair = pair(account, from.address());
        let address = sha256(network(from.address()).as_bytes());
        let guess = match from {
            Origin::KnownAddress(_) => {
                take(&[(&limits.by_pair, pair), (&limits.by_pair_hour, pair), (&limits.by_known_address, address)], now)
            }
            Origin::Elsewhere(_) => take(
                &[
                    (&limits.by_address, address),
                    (&limits.by_account, sha256(account.as_bytes())),
                    (&limits.of_server, Key::default()),
                ],
                now,
            ),
        }?;
        let crowd = match from {
            Origin::KnownAddress(_) => "known",
            Origin::Elsewhere(_) => "strangers",
        };
        let costs = [
            (&limits.checked_by_pair, pair),
            (&limits.checked_by_address, address),
            (&limits.checked_of_server, sha256(crowd.as_bytes())),
        ];
        match take(&costs, now) {
            Ok(cost) => Ok(Attempt { guess, cost }),
            Err(refused) => {
                Attempt { guess, ..Attempt::default() }.give_back();
                Err(refused)
            }
        }
    }

    /// Somebody who is not signed in chooses a password, or repeats the one of a sign-up.
    ///
    /// # Errors
    /// How long to wait.
    pub(super) fn choice(&self, road: Road<'_>, address: IpAddr, now: Timestamp) -> Result<Attempt, Refused> {
        let Some(limits) = &self.passwords else { return Ok(Attempt::default()) };
        let by_address = |kind: &str| (&limits.chosen_by_address, pair(kind, address));
        let of_server = |kind: &str| (&limits.chosen_of_server, sha256(kind.as_bytes()));
        let cost = match road {
            Road::SignUp => take(&[by_address("sign-up"), of_server("sign-up")], now),
            Road::Link(link) => {
                let by_link = (&limits.chosen_by_link, sha256(link.reveal().as_bytes()));
                take(&[by_link, by_address("link"), of_server("link")], now)
            }
        }?;
        Ok(Attempt { cost, ..Attempt::default() })
    }

    /// Somebody who knows the password tries a one-time or recovery code.
    ///
    /// # Errors
    /// How long to wait.
    pub(super) fn code(&self, person: Uuid, from: Origin, now: Timestamp) -> Result<Attempt, Refused> {
        let account = person.to_string();
        let guess = match from {
            Origin::KnownAddress(address) => take(
                &[(&self.codes_by_pair, pair(&account, address)), (&self.codes_by_pair_hour, pair(&account, address))],
                now,
            ),
            Origin::Elsewhere(address) => take(
                &[(&self.codes_by_pair, pair(&account, address)), (&self.codes_by_account, sha256(account.as_bytes()))],
                now,
            ),
        }?;
        Ok(Attempt { guess, ..Attempt::default() })
    }

    /// Somebody shows a passkey.
    ///
    /// # Errors
    /// How long to wait.
    pub(super) fn passkey(&self, from: IpAddr, now: Timestamp) -> Result<Attempt, Refused> {
        let guess = take(&[(&self.passkeys_by_address, sha256(network(from).as_bytes()))], now)?;
        Ok(Attempt { guess, ..Attempt::default() })
    }
}

fn pair(account: &str, address: IpAddr) -> Key {
    sha256(format!("{} {account}", network(address)).as_bytes())
}

/// Takes from all or from none.
fn take(windows: &[(&Windows, Key)], now: Timestamp) -> Result<Vec<Taken>, Refused> {
    let mut all = Vec::with_capacity(windows.len());
    for (windows, key) in windows {
        match windows.take(*key, now) {
            Ok(taken) => all.push(taken),
            Err(refused) => {
                all.into_iter().for_each(Taken::give_back);
                return Err(refused);
            }
        }
    }
    Ok(all)
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
        assert_eq!(attempts.password("new", from("192.0.2.1"), later).unwrap_err().wait, Duration::from_secs(40));
        assert!(attempts.password("new", from("192.0.2.2"), later).is_ok(), "others do not wait");
        assert!(attempts.password("new", from("192.0.2.1"), NOW + MINUTE).is_ok());
    }

    #[test]
    fn of_those_who_wait_one_in_each_window_is_the_first() {
        let attempts = Attempts::new(Some(1));
        for minute in 0..2 {
            let now = NOW + MINUTE * minute;
            let _failed = attempts.password("ana", from("192.0.2.1"), now).unwrap();
            let firsts = [(); 3].map(|()| attempts.password("ana", from("192.0.2.1"), now).unwrap_err().is_first);
            assert_eq!(firsts, [true, false, false], "minute {minute}");
        }
    }

    #[test]
    fn neighbours_in_one_ipv6_network_are_one() {
        let attempts = Attempts::new(Some(1));
        let _failed = attempts.password("ana", from("2001:db8::1"), NOW).unwrap();
        assert!(attempts.password("bo", from("2001:db8::2"), NOW).is_err());
        assert!(attempts.password("bo", from("2001:db8:0:1::1"), NOW).is_ok());
    }

    #[test]
    fn what_succeeds_is_no_guess() {
        let attempts = Attempts::new(Some(2));
        for _ in 0..5 {
            attempts.password("ana", from("192.0.2.1"), NOW).unwrap().was_right();
        }
        let late = attempts.password("ana", from("192.0.2.1"), NOW).unwrap();
        for _ in 0..2 {
            let _failed = attempts.password("ana", from("192.0.2.1"), NOW + MINUTE).unwrap();
        }
        late.was_right();
        assert!(attempts.password("ana", from("192.0.2.1"), NOW + MINUTE).is_err(), "it was of the minute before");
    }

    #[test]
    fn what_succeeds_costs_as_much_and_so_it_is_bounded_too() {
        let right = |attempts: &Attempts, account: &str, from: Origin| {
            let attempt = attempts.password(account, from, NOW);
            attempt.map(Attempt::was_right).map_err(|refused| refused.wait)
        };
        let nth = |n: u32| IpAddr::V4(std::net::Ipv4Addr::from_bits(n));
        for origin in [Origin::KnownAddress, Origin::Elsewhere] {
            let attempts = Attempts::new(Some(1));
            let one = nth(1_000);
            assert!((0..3).all(|_| right(&attempts, "ana", origin(one)).is_ok()));
            assert_eq!(right(&attempts, "ana", origin(one)), Err(MINUTE));
            assert!((0..7).all(|n| right(&attempts, &n.to_string(), origin(one)).is_ok()), "colleagues");
            assert_eq!(right(&attempts, "last", origin(one)), Err(MINUTE), "ten of one address");
            assert!((0..110).all(|n| right(&attempts, "ana", origin(nth(n))).is_ok()));
            assert_eq!(right(&attempts, "ana", origin(nth(500))), Err(MINUTE), "the whole server");
        }
        let attempts = Attempts::new(Some(1));
        for n in 0..200 {
            let _counted = right(&attempts, "ana", Origin::Elsewhere(nth(n)));
        }
        assert!(right(&attempts, "ana", Origin::KnownAddress(nth(1))).is_ok(), "at home nobody waits for strangers");
    }

    #[test]
    fn passwords_are_chosen_so_often_by_a_link_from_an_address_and_on_the_server() {
        let nth = |n: u32| IpAddr::V4(std::net::Ipv4Addr::from_bits(n));
        let choose = |attempts: &Attempts, road: Road<'_>, from: u32| attempts.choice(road, nth(from), NOW).is_ok();
        let links: Vec<Secret> = (0..20).map(|n| Secret::new(format!("link {n}"))).collect();

        let attempts = Attempts::new(Some(1));
        let allowed = (0..9).filter(|n| choose(&attempts, Road::Link(&links[0]), *n)).count();
        assert_eq!(allowed, 2, "one link, from wherever");
        let allowed = links.iter().filter(|link| choose(&attempts, Road::Link(link), 100)).count();
        assert_eq!(allowed, 5, "one address, by whatever link");
        let allowed = links[8..].iter().zip(200..).filter(|(link, n)| choose(&attempts, Road::Link(link), *n)).count();
        assert_eq!(allowed, 5, "twelve on the server");
        assert_eq!((0..20).filter(|_| choose(&attempts, Road::SignUp, 100)).count(), 5, "signing up is apart");
        assert_eq!((0..20).filter(|n| choose(&attempts, Road::SignUp, *n)).count(), 7);
        let unlimited = Attempts::new(None);
        assert!((0..500).all(|_| choose(&unlimited, Road::SignUp, 1)));
    }

    #[test]
    fn strangers_from_everywhere_do_not_lock_a_person_out_at_home() {
        let attempts = Attempts::new(Some(10));
        let stranger = |n: u32| Origin::Elsewhere(IpAddr::V4(std::net::Ipv4Addr::from_bits(n)));
        for n in 0..100 {
            let _failed = attempts.password("ana", stranger(n), NOW).unwrap();
        }
        assert_eq!(attempts.password("ana", stranger(200), NOW).unwrap_err().wait, HOUR);
        assert!(attempts.password("bo", stranger(200), NOW).is_ok(), "another account");
        attempts.password("ana", known("192.0.2.1"), NOW).unwrap().was_right();

        for n in 1_000..2_000 {
            let _counted = attempts.password(&n.to_string(), stranger(n), NOW);
        }
        assert_eq!(attempts.password("new", stranger(5_000), NOW).unwrap_err().wait, MINUTE, "the whole server waits");
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
        assert_eq!(attempts.code(person, from("192.0.2.1"), NOW).unwrap_err().wait, MINUTE);
        for n in 0..15 {
            let _failed = attempts.code(person, from(&format!("192.0.2.{}", n + 2)), NOW).unwrap();
        }
        assert_eq!(attempts.code(person, from("198.51.100.1"), NOW).unwrap_err().wait, HOUR);
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
