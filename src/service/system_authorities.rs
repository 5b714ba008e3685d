//! The certificate authorities of the operating system that the operator lets vouch for issuers.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use super::ServiceError;
use crate::config::Config;
use crate::keys::certificate::{CertificateAuthorities, LONGEST_BUNDLE};

/// Those that the settings name; `None` if they name none.
///
/// # Errors
/// `Setup` when one is not there or must not vouch: a server that went on without it would refuse what it should take.
pub(super) fn read(config: &Config) -> Result<Option<Arc<CertificateAuthorities>>, ServiceError> {
    let names = &config.system_authorities;
    if names.is_empty() {
        return Ok(None);
    }
    let shown = config.system_authorities_bundle.display();
    let mut bundle = Vec::new();
    let limit = u64::try_from(LONGEST_BUNDLE).unwrap_or(u64::MAX).saturating_add(1);
    File::open(&config.system_authorities_bundle)
        .and_then(|file| file.take(limit).read_to_end(&mut bundle))
        .map_err(|error| {
            ServiceError::Setup(format!(
                "the certificate authorities in {shown} cannot be read: {error}; say with system-authorities-bundle where they are, or name none in system-authorities"
            ))
        })?;
    let read = CertificateAuthorities::from_bundle(&bundle, names).map_err(|error| {
        ServiceError::Setup(format!(
            "`system-authorities` cannot be used: {error}; each name must be the common name or the SHA-256 fingerprint of one certificate in {shown}, as shown by: openssl x509 -noout -subject -fingerprint -sha256"
        ))
    })?;
    Ok(Some(Arc::new(read)))
}
