//! Where the keys of an issuer are: flags of `issuer add` and `issuer update`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::CliError;
use crate::cli::input::read_text;
use crate::oauth::trust::IssuerKeys;

#[derive(Debug, Default, Args)]
#[group(multiple = false)]
pub(super) struct Keys {
    /// Its certificates, in PEM: one or several
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Certificate authorities, in PEM, to which the x5c of its JWTs must lead; and their revocation lists, if there are any
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Its public keys: a JWK set
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
            Self { certificate: Some(path), .. } => IssuerKeys::Certificates(read_text(&path)?.as_str().into()),
            Self { ca: Some(path), .. } => IssuerKeys::Authorities(read_text(&path)?.as_str().into()),
            Self { jwks: Some(path), .. } => IssuerKeys::Jwks(read_text(&path)?.as_str().into()),
            Self { jwks_url: Some(url), .. } => IssuerKeys::JwksUri(url.into()),
            Self { system_authorities: true, .. } => IssuerKeys::SystemAuthorities,
            Self { discover: true, .. } => IssuerKeys::Discovery,
            _ => return Ok(None),
        }))
    }
}
