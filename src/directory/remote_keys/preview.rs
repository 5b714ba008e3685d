//! Keys that somebody thinks of trusting: fetched once, shown, and forgotten.

use std::thread;

use tokio::sync::oneshot;

use super::{Fetcher, RemoteKeys, RemoteSet};
use crate::keys::jwk::PublicJwk;
use crate::keys::key_set::read_fetched;
use crate::oauth::SigningAlgorithm;

/// Looks at once; the next is told to try later. They take nothing from the fetches that tokens wait for.
pub(super) const PREVIEWS_AT_ONCE: usize = 4;

/// What stands behind a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPreview {
    /// Where the JWK set is.
    pub jwks_uri: String,
    /// How many of its keys can be used.
    pub keys: usize,
    /// What they can sign with.
    pub algorithms: Vec<SigningAlgorithm>,
}

impl RemoteSet {
    /// Fetches the set and keeps nothing of it.
    fn preview(&self, fetcher: &Fetcher) -> Result<KeyPreview, String> {
        let jwks_uri = self.locate(fetcher)?;
        let fetched = fetcher.fetch(&jwks_uri)?;
        let keys = read_fetched(&fetched.body).map_err(|error| error.to_string())?;
        let mut algorithms: Vec<SigningAlgorithm> = keys.iter().flat_map(PublicJwk::algorithms).collect();
        algorithms.sort_unstable();
        algorithms.dedup();
        Ok(KeyPreview { jwks_uri, keys: keys.len(), algorithms })
    }
}

impl RemoteKeys {
    /// Fetches a set for whoever has a thread for it. Blocks.
    pub(in crate::directory) fn preview_now(&self, set: &RemoteSet) -> Result<KeyPreview, String> {
        set.preview(&self.fetcher)
    }

    /// Fetches a set for somebody who looks at it, on a thread of its own.
    pub(in crate::directory) async fn preview(&self, set: RemoteSet) -> Result<KeyPreview, String> {
        let turn = self.previews.clone().try_acquire_owned();
        let turn = turn.map_err(|_all_taken| "others look at keys just now; try again in a moment".to_owned())?;
        let (done, answer) = oneshot::channel();
        let fetcher = self.fetcher.clone();
        let work = move || {
            // Whoever asked may have gone.
            let _gone = done.send(set.preview(&fetcher));
            drop(turn);
        };
        let spawned = thread::Builder::new().name("jwks-preview".to_owned()).spawn(work);
        spawned.map_err(|_no_thread| "the server has too much to do; try again in a moment".to_owned())?;
        answer.await.map_err(|_dropped| "the fetch did not end".to_owned())?
    }
}
