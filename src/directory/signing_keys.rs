//! Signing keys from rows to the ring.

use crate::db::signing_keys::SigningKeyRecord;
use crate::keys::KeyError;
use crate::keys::envelope::MasterKey;
use crate::keys::ring::KeyDates;
use crate::keys::signing::SigningKey;

/// Opens and parses every key.
pub(super) fn open_all(
    records: &[SigningKeyRecord],
    master_key: &MasterKey,
) -> Result<Vec<(KeyDates, SigningKey)>, KeyError> {
    records
        .iter()
        .map(|record| {
            let private_key = master_key.open(&record.kid, &record.sealed_private_key)?;
            Ok((dates(record), SigningKey::parse(record.algorithm, &private_key)?))
        })
        .collect()
}

/// The dates of a key, as `keys::ring` takes them.
pub fn dates(record: &SigningKeyRecord) -> KeyDates {
    KeyDates {
        kid: record.kid.clone(),
        algorithm: record.algorithm,
        created_at: record.created_at,
        signs_from: record.signs_from,
        token_lifetime: record.token_lifetime,
    }
}
