//! Files that commands read.

use std::fs::File;
use std::io::{Read, stdin};
use std::path::Path;

use zeroize::Zeroizing;

use super::CliError;
use crate::keys::certificate::other_form;
use crate::keys::pem::{is_pem, jwks_from_pem};
use crate::secret::Secret;

/// In octets: keys, certificates, tokens and passwords are far smaller. A longer file is another than was meant, and what
/// its beginning says would be taken for the whole.
const LONGEST: usize = 256 * 1024;

/// What a file holds, or stdin if it is `-`, and how that is called.
fn read_octets(file: &Path) -> Result<(Zeroizing<Vec<u8>>, String), CliError> {
    let is_stdin = file == Path::new("-");
    let shown = if is_stdin { "stdin".to_owned() } else { file.display().to_string() };
    let limit = u64::try_from(LONGEST + 1).unwrap_or(u64::MAX);
    let mut octets = Zeroizing::new(Vec::new());
    let read = if is_stdin {
        stdin().lock().take(limit).read_to_end(&mut octets)
    } else {
        File::open(file).and_then(|opened| opened.take(limit).read_to_end(&mut octets))
    };
    read.map_err(|error| CliError::no_input(format!("{shown} cannot be read: {error}")))?;
    if octets.len() > LONGEST {
        return Err(CliError::bad_data(format!(
            "{shown} is longer than {LONGEST} octets, and nothing that belongs there is: is it the right file?"
        )));
    }
    Ok((octets, shown))
}

/// The byte-order mark that some editors write before a text is none of it.
fn text_of(octets: &[u8], shown: &str) -> Result<Zeroizing<String>, CliError> {
    let text = str::from_utf8(octets).map_err(|_no_text| CliError::bad_data(format!("{shown} is no text (UTF-8)")))?;
    Ok(Zeroizing::new(text.strip_prefix('\u{feff}').unwrap_or(text).to_owned()))
}

/// A text from a file, or from stdin if it is `-`.
///
/// # Errors
/// When it cannot be read, is no text, or is longer than [`LONGEST`].
pub(super) fn read_text(file: impl AsRef<Path>) -> Result<Zeroizing<String>, CliError> {
    let (octets, shown) = read_octets(file.as_ref())?;
    text_of(&octets, &shown)
}

/// Certificates in PEM, unread. Who has them in another form is told how to write them in PEM.
///
/// # Errors
/// As [`read_text`].
pub(super) fn read_certificates(file: impl AsRef<Path>) -> Result<String, CliError> {
    let (octets, shown) = read_octets(file.as_ref())?;
    if let Some(form) = other_form(&octets) {
        return Err(CliError::bad_data(format!("{shown} is not in PEM: {form}")));
    }
    Ok(text_of(&octets, &shown)?.to_string())
}

/// Public keys: a JWK set, unread, or what is one for a public key in PEM.
///
/// # Errors
/// As [`read_text`], and when it is PEM without a public key.
pub(super) fn read_jwks(file: impl AsRef<Path>) -> Result<String, CliError> {
    // Read as a secret: who gives a private key by mistake shall not find it anywhere.
    let text = read_secret(file)?;
    if is_pem(text.reveal()) {
        return jwks_from_pem(text.reveal()).map_err(CliError::bad_data);
    }
    Ok(text.reveal().to_owned())
}

/// A secret from a file, or from stdin if it is `-`; a line feed at the end does not belong to it.
///
/// # Errors
/// As [`read_text`].
pub(super) fn read_secret(file: impl AsRef<Path>) -> Result<Secret, CliError> {
    Ok(Secret::new(read_text(file)?.trim_end_matches(['\r', '\n'])))
}

/// A token as it is given to a command: kept as a secret, and not shown back in a refusal.
#[expect(clippy::unnecessary_wraps, reason = "what clap asks for")]
pub(super) fn parse_token(text: &str) -> Result<Secret, String> {
    Ok(Secret::new(text))
}

/// A token from the file of that name, from stdin if it is `-`, or as it stands there, with or without `Bearer` in front.
/// What looks like a JWT is taken for one, also to say what is wrong with it.
///
/// # Errors
/// As [`read_text`], and when it is neither.
pub(super) fn read_token(given: &Secret) -> Result<Secret, CliError> {
    let text = given.reveal();
    if text == "-" || Path::new(text).exists() {
        return Ok(Secret::new(bare(read_secret(text)?.reveal())));
    }
    if bare(text).split('.').count() >= 3 {
        return Ok(Secret::new(bare(text)));
    }
    Err(CliError::no_input("what was given is neither a file nor a JWT; name a file, or write - for stdin"))
}

/// A JWT as people copy it from a request.
fn bare(text: &str) -> &str {
    let text = text.trim();
    match text.split_at_checked(7) {
        Some((scheme, jwt)) if scheme.eq_ignore_ascii_case("bearer ") => jwt.trim_start(),
        _ => text,
    }
}
