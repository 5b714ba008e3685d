//! The way to the mail server: the only file that names `lettre`.

use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::{Address, Message, SmtpTransport, Transport};

use super::Letter;
use crate::config::Mail;
use crate::keys::tls::choose_provider;

/// How long a mail server may take for each step.
const PATIENCE: Duration = Duration::from_secs(10);

/// Hands letters to the mail server that the settings name.
pub(super) struct Sender {
    transport: SmtpTransport,
    from: Mailbox,
}

impl Sender {
    /// Reads the settings. Connects to nothing yet.
    pub(super) fn new(mail: &Mail) -> Result<Self, String> {
        choose_provider();
        // The error may hold the URL, and that the password.
        let builder = SmtpTransport::from_url(mail.smtp_url.reveal()).map_err(|_with_password| {
            "`smtp-url` cannot be used; write smtps://USER:PASSWORD@HOST or smtp://HOST?tls=required".to_owned()
        })?;
        let from = mail.from.parse().map_err(|error| format!("`smtp-from` is no address: {error}"))?;
        Ok(Self { transport: builder.timeout(Some(PATIENCE)).build(), from })
    }

    /// Sends a letter, or says why not in words without address and link.
    pub(super) fn send(&self, letter: &Letter) -> Result<(), String> {
        let to: Address = letter.to.parse().map_err(|_hidden| "the address cannot be written to".to_owned())?;
        let automatic = HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned());
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(&letter.subject)
            .raw_header(automatic)
            .header(ContentType::TEXT_PLAIN)
            .body(letter.text.reveal().to_owned())
            .map_err(|error| error.to_string())?;
        match self.transport.send(&message) {
            Ok(_accepted) => Ok(()),
            // A refusal often repeats the address.
            Err(error) => Err(match error.status() {
                Some(code) => format!("the mail server answered {code}"),
                None => without_addresses(&error),
            }),
        }
    }
}

fn without_addresses(error: &lettre::transport::smtp::Error) -> String {
    let text = match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    text.split_whitespace()
        .map(|word| if word.contains('@') { "[address]" } else { word })
        .collect::<Vec<_>>()
        .join(" ")
}
