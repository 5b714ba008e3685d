//! Wrong secrets are slowed down per client **and** address together, so that a stranger cannot lock a client out.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quick_cache::sync::Cache;

use super::attempts::Refused;
use crate::clock::Timestamp;
use crate::secret::sha256;

const WINDOW: Duration = Duration::from_secs(60);
/// Pairs remembered; the ones used least are forgotten first.
const MOST_PAIRS: usize = 65_536;

/// Failures of one pair since the first of them.
#[derive(Debug)]
struct Window {
    began_at: Timestamp,
    failures: u32,
    /// Whether somebody was told to wait in it.
    has_refused: bool,
}

impl Window {
    const fn new(began_at: Timestamp) -> Self {
        Self { began_at, failures: 0, has_refused: false }
    }
}

/// Counts failures.
#[derive(Debug)]
pub(super) struct Throttle {
    limit: Option<u32>,
    pairs: Cache<Pair, Arc<Mutex<Window>>>,
}

/// A client and an address, as a digest: the client's id may be any text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Pair([u8; 32]);

impl Pair {
    pub(super) fn new(client_id: &str, address: IpAddr) -> Self {
        // Whoever has one IPv6 address has the 2^64 around it.
        let network = match address {
            IpAddr::V4(v4) => u128::from(v4.to_bits()),
            IpAddr::V6(v6) => v6.to_bits() >> 64 << 64,
        };
        Self(sha256(&[&network.to_be_bytes(), client_id.as_bytes()].concat()))
    }
}

impl Throttle {
    pub(super) fn new(limit: Option<u32>) -> Self {
        Self { limit, pairs: Cache::new(MOST_PAIRS) }
    }

    /// How long a pair must wait that has failed too often.
    pub(super) fn wait(&self, pair: &Pair, now: Timestamp) -> Option<Duration> {
        let limit = self.limit?;
        let window = self.pairs.get(pair)?;
        let window = window.lock().unwrap_or_else(PoisonError::into_inner);
        let ends_at = window.began_at + WINDOW;
        (window.failures >= limit && now < ends_at).then(|| ends_at.since(now))
    }

    /// Counts a turn of a pair of which each counts like a failure, or says how long to wait.
    pub(super) fn take_turn(&self, pair: Pair, now: Timestamp) -> Result<(), Refused> {
        let Some(wait) = self.wait(&pair, now) else {
            self.record_failure(pair, now);
            return Ok(());
        };
        let is_first = self.pairs.get(&pair).is_some_and(|window| {
            let mut window = window.lock().unwrap_or_else(PoisonError::into_inner);
            !std::mem::replace(&mut window.has_refused, true)
        });
        Err(Refused { wait, is_first })
    }

    pub(super) fn record_failure(&self, pair: Pair, now: Timestamp) {
        if self.limit.is_none() {
            return;
        }
        let window = self.pairs.get(&pair).unwrap_or_else(|| {
            let fresh = Arc::new(Mutex::new(Window::new(now)));
            self.pairs.insert(pair, fresh.clone());
            fresh
        });
        let mut window = window.lock().unwrap_or_else(PoisonError::into_inner);
        if now >= window.began_at + WINDOW {
            *window = Window::new(now);
        }
        window.failures = window.failures.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000_000);

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_pair_waits_after_its_limit_until_its_minute_is_over() {
        let throttle = Throttle::new(Some(10));
        let pair = Pair::new("id", address("192.0.2.1"));
        for _ in 0..10 {
            assert_eq!(throttle.wait(&pair, NOW), None);
            throttle.record_failure(pair, NOW);
        }
        assert_eq!(throttle.wait(&pair, NOW + Duration::from_secs(20)), Some(Duration::from_secs(40)));
        assert_eq!(throttle.wait(&pair, NOW + WINDOW), None);
        throttle.record_failure(pair, NOW + WINDOW);
        assert_eq!(throttle.wait(&pair, NOW + WINDOW), None, "the count began anew");
    }

    #[test]
    fn of_the_turns_that_are_refused_one_in_each_window_is_the_first() {
        let throttle = Throttle::new(Some(2));
        for minute in 0..2 {
            let take =
                |address_of: &str| throttle.take_turn(Pair::new("x", address(address_of)), NOW + WINDOW * minute);
            assert_eq!([(); 2].map(|()| take("192.0.2.1")), [Ok(()), Ok(())]);
            let firsts = [(); 3].map(|()| take("192.0.2.1").unwrap_err().is_first);
            assert_eq!(firsts, [true, false, false], "minute {minute}");
            assert_eq!(take("192.0.2.2"), Ok(()));
        }
    }

    #[test]
    fn others_do_not_wait() {
        let throttle = Throttle::new(Some(1));
        throttle.record_failure(Pair::new("id", address("2001:db8::1")), NOW);
        assert!(throttle.wait(&Pair::new("id", address("2001:db8::2")), NOW).is_some(), "the same network");
        assert_eq!(throttle.wait(&Pair::new("id", address("2001:db8:1::1")), NOW), None);
        assert_eq!(throttle.wait(&Pair::new("other", address("2001:db8::1")), NOW), None);
    }

    #[test]
    fn a_clock_set_back_frees_nobody() {
        let throttle = Throttle::new(Some(1));
        let pair = Pair::new("id", address("192.0.2.1"));
        throttle.record_failure(pair, NOW);
        assert!(throttle.wait(&pair, NOW - Duration::from_secs(3_600)).is_some());
    }
}
