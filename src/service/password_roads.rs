//! The roads to the slow hash for those who are not signed in: whoever signs up, and whoever has a link. Each hash is counted
//! before it is computed, for its link, its address and the whole server; see [`super::attempts`].

pub use super::attempts::Road;
use super::passwords::Surroundings;
use super::{Authority, Caller, ServiceError, sign_in, sign_up};
use crate::secret::Secret;

impl Authority {
    /// Checks a password that somebody chose and hashes it for storage.
    ///
    /// # Errors
    /// `InvalidField` of `password` that says the reason, `Throttled` after too many, `Unavailable` when too many wait.
    pub async fn hash_new_password(
        &self,
        given: &Secret,
        surroundings: Surroundings,
        road: Road<'_>,
        caller: Caller,
    ) -> Result<String, ServiceError> {
        self.counted(road, caller, self.hash_chosen_password(given, surroundings)).await
    }

    /// Whether `given` is the password that was chosen at the sign-up which the link ends.
    ///
    /// # Errors
    /// `InvalidField` of `password` for what cannot be one, `Throttled` after too many, `Unavailable` when too many wait.
    pub async fn verify_new_password(
        &self,
        phc: &str,
        given: &Secret,
        link: &Secret,
        caller: Caller,
    ) -> Result<bool, ServiceError> {
        self.counted(Road::Link(link), caller, self.verify_password(Some(phc), given)).await
    }

    async fn counted<T>(
        &self,
        road: Road<'_>,
        caller: Caller,
        hash: impl Future<Output = Result<T, ServiceError>>,
    ) -> Result<T, ServiceError> {
        let attempt = self.attempts.choice(road, caller.address, caller.now);
        let attempt = match attempt {
            Ok(attempt) => attempt,
            Err(refused) => {
                if let Road::SignUp = road {
                    sign_in::note_throttled(self, caller, None, sign_up::THROTTLED, "password", refused).await;
                }
                return Err(ServiceError::Throttled(refused.wait));
            }
        };
        let done = hash.await;
        if let Err(ServiceError::Unavailable(_)) = done {
            attempt.give_back();
        }
        done
    }
}
