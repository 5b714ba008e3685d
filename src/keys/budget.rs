//! How much work a signature may cost: who sends a JWS chooses with how many keys it must be tried.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Checks of signatures that are left for one JWS, over all keys of all who may have made it.
#[derive(Debug)]
pub struct SignatureBudget(AtomicUsize);

/// Nothing is left: whether the signature holds is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent;

impl SignatureBudget {
    /// So many checks.
    pub const fn new(checks: usize) -> Self {
        Self(AtomicUsize::new(checks))
    }

    /// Takes so many checks, or none if there are fewer left.
    ///
    /// # Errors
    /// [`Spent`].
    pub fn take(&self, checks: usize) -> Result<(), Spent> {
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(checks));
        taken.map(drop).map_err(|_too_few_left| Spent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_does_not_come_back() {
        let budget = SignatureBudget::new(3);
        assert_eq!(
            (budget.take(2), budget.take(2), budget.take(1), budget.take(1)),
            (Ok(()), Err(Spent), Ok(()), Err(Spent))
        );
    }
}
