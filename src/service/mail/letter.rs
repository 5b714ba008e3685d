//! What mails say: plain text, each with one link.

use crate::clock::{Timestamp, print_span};
use crate::db::developers::Role;
use crate::db::links::LinkPurpose;
use crate::secret::Secret;
use crate::service::links::Link;

/// A mail ready to be sent. Its text holds a link, so it is kept out of sight.
#[derive(Debug)]
pub(in crate::service) struct Letter {
    /// For the log, which names no address.
    pub(super) kind: &'static str,
    pub(super) to: String,
    pub(super) subject: String,
    pub(super) text: Secret,
}

/// A name that somebody gave, as it may stand in a mail to somebody else: nothing of it can begin a header or become
/// a link.
fn harmless(name: &str) -> String {
    let kept = |c: char| if c.is_alphanumeric() || "-_&'()+,".contains(c) { c } else { ' ' };
    let text: String = name.chars().take(100).map(kept).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn moment(at: Timestamp) -> String {
    at.rfc3339().replace('T', " ").replace('Z', " UTC")
}

impl Letter {
    fn new(kind: &'static str, to: &str, subject: String, text: String) -> Self {
        Self { kind, to: to.to_owned(), subject, text: Secret::new(text) }
    }

    /// How to choose another password.
    pub(in crate::service) fn reset(to: &str, issuer: &str, link: &Link) -> Self {
        let text = format!(
            "Somebody asked for another password for your account at {issuer}.\n\n\
             To choose one, open this link within {span}:\n\n{url}\n\n\
             It works once. If it was not you who asked, do nothing: your password stays as it is.\n",
            span = print_span(LinkPurpose::Reset.lifetime()),
            url = link.url.reveal(),
        );
        Self::new("reset", to, "Choose another password".to_owned(), text)
    }

    /// How to end a sign-up.
    pub(in crate::service) fn verification(to: &str, issuer: &str, link: &Link) -> Self {
        let text = format!(
            "Somebody signed up at {issuer} with this address.\n\n\
             If it was you, open this link until {until}, and give the password that you chose:\n\n{url}\n\n\
             If it was not you, do nothing: no account is made.\n",
            until = moment(link.expires_at),
            url = link.url.reveal(),
        );
        Self::new("verification", to, "Confirm your address".to_owned(), text)
    }

    /// How to prove the address of an account that is there already.
    pub(in crate::service) fn proof(to: &str, issuer: &str, link: &Link) -> Self {
        let text = format!(
            "To confirm that this is the address of your account at {issuer}, open this link until {until}:\n\n{url}\n\n\
             If you did not ask for it, do nothing.\n",
            until = moment(link.expires_at),
            url = link.url.reveal(),
        );
        Self::new("verification", to, "Confirm your address".to_owned(), text)
    }

    /// To the owner of an address with which somebody signs up again.
    pub(in crate::service) fn taken(to: &str, issuer: &str) -> Self {
        let text = format!(
            "Somebody signed up at {issuer} with this address, but you have an account there already.\n\n\
             To sign in: {issuer}/login\n\
             To choose another password: {issuer}/reset\n\n\
             If it was not you, do nothing: nothing was changed.\n",
        );
        Self::new("taken", to, "You have an account already".to_owned(), text)
    }

    /// How to join an organisation.
    pub(in crate::service) fn invitation(
        to: &str,
        issuer: &str,
        organisation: &str,
        inviter: &str,
        role: Role,
        link: &Link,
    ) -> Self {
        let organisation = harmless(organisation);
        let text = format!(
            "{inviter} invites you to the organisation \"{organisation}\" at {issuer}, as {role}.\n\n\
             To accept, open this link until {until}:\n\n{url}\n\n\
             It works once and for this address only. If you do not want to join, do nothing.\n",
            until = moment(link.expires_at),
            url = link.url.reveal(),
        );
        Self::new("invitation", to, format!("Invitation to {organisation}"), text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_somebody_gave_begins_no_header_and_is_no_link() {
        for (name, expected) in [
            ("Acme Ltd", "Acme Ltd"),
            ("Müller & Söhne (Berlin)", "Müller & Söhne (Berlin)"),
            ("x\r\nBcc: everybody@example.com", "x Bcc everybody example com"),
            ("Win at https://evil.example/now", "Win at https evil example now"),
            ("\u{202e}gnp.exe <script>{{7*7}}", "gnp exe script 7 7"),
        ] {
            assert_eq!(harmless(name), expected);
        }
    }
}
