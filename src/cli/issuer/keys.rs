//! Where the keys of an issuer are: flags of `issuer add` and `issuer update`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::input::{read_certificates, read_jwks};
use crate::cli::{CliError, Context};
use crate::oauth::trust::IssuerKeys;
use crate::service::trusted_issuers::{KeyTrouble, TrustedIssuerRecord, look_at_keys};
use crate::service::{Management, open_directory};

#[derive(Debug, Default, Args)]
#[group(multiple = false)]
pub(super) struct Keys {
    /// Its certificates, in PEM: one or several
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Certificate authorities, in PEM, to which the x5c of its JWTs must lead; and their revocation lists, if there are any
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Its public keys: a JWK set, or one public key in PEM
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// Where its JWK set is
    #[arg(long, value_name = "URL")]
    jwks_url: Option<String>,
    /// Find its JWK set through its OpenID configuration
    #[arg(long)]
    discover: bool,
    /// Certificate authorities of the operating system that the operator named (setting system-authorities)
    #[arg(long)]
    system_authorities: bool,
}

impl Keys {
    /// What they say, if they say anything.
    pub(super) fn read(self) -> Result<Option<IssuerKeys>, CliError> {
        Ok(Some(match self {
            Self { certificate: Some(path), .. } => IssuerKeys::Certificates(read_certificates(&path)?.into()),
            Self { ca: Some(path), .. } => IssuerKeys::Authorities(read_certificates(&path)?.into()),
            Self { jwks: Some(path), .. } => IssuerKeys::Jwks(read_jwks(&path)?.into()),
            Self { jwks_url: Some(url), .. } => IssuerKeys::JwksUri(url.into()),
            Self { system_authorities: true, .. } => IssuerKeys::SystemAuthorities,
            Self { discover: true, .. } => IssuerKeys::Discovery,
            _ => return Ok(None),
        }))
    }
}

/// Looks at keys that are somewhere else, for whoever just said where. What is wrong there does not undo what was done: it
/// may be put right on the other side.
pub(super) fn say_what_is_there(context: &Context, m: &Management, record: &TrustedIssuerRecord) {
    let looked = open_directory(m).map(|directory| look_at_keys(m, &directory, &record.issuer, &record.policy.keys));
    match looked {
        Ok(Ok(Some(preview))) => {
            let algorithms: Vec<&str> = preview.algorithms.iter().map(|algorithm| algorithm.name()).collect();
            let keys = if preview.keys == 1 { "1 key".to_owned() } else { format!("{} keys", preview.keys) };
            context.output.message(format_args!("At {}: {keys}, {}.", preview.jwks_uri, algorithms.join(", ")));
        }
        Ok(Ok(None)) | Err(_) => {}
        Ok(Err(KeyTrouble::Silent(why))) => context.output.message(format_args!(
            "Warning: its keys cannot be fetched from here now; until they can be, its JWTs are refused. {why}"
        )),
        Ok(Err(KeyTrouble::Different(what))) => context.output.message(format_args!(
            "Warning: its keys are not where they should be; until that is put right, its JWTs are refused. {what}"
        )),
    }
}
