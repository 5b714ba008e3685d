//! What a page says after a change: one of these sentences, named in the address it redirects to.

/// Codes and sentences. Only what stands here is ever shown, whatever an address says.
const DONE: &[(&str, &str)] = &[
    ("signed-in", "You are signed in."),
    ("session-over", "Your session has ended. Sign in, then do it again."),
    ("signed-out", "You are signed out."),
    ("account-saved", "Your account is changed."),
    ("password-changed", "Your password is changed, and you are signed out everywhere else."),
    ("second-factor-removed", "Two-factor sign-in is off."),
    ("passkey-added", "The passkey is added."),
    ("passkey-removed", "The passkey is removed. Remove it from your device or password manager too."),
    ("connected", "The two accounts are connected."),
    ("disconnected", "The two accounts are connected no more."),
    (
        "not-connected",
        "Nothing was connected or confirmed: that took too long, was done before, or you did not go on there.",
    ),
    ("session-ended", "That session is ended."),
    ("other-sessions-ended", "All other sessions are ended."),
    ("account-made", "Your account is ready, and you are signed in."),
    ("address-confirmed", "Your address is confirmed."),
    ("invitation-revoked", "The invitation does not work any more."),
    ("invited", "The invitation is on its way."),
    ("joined", "You are a member now."),
    ("left", "You are no member any more."),
    ("member-removed", "That person is no member any more."),
    ("login-changed", "The login is changed. Trusted issuers name that person by it."),
    ("operator-made", "That person runs the server as well."),
    ("operator-unmade", "That person runs the server no more."),
    ("organisation-disabled", "The organisation is disabled."),
    ("organisation-enabled", "The organisation is enabled."),
    ("organisation-made", "The organisation is ready. You are its owner and work in it now."),
    ("organisation-renamed", "The organisation has another name."),
    ("password-chosen", "Your password is changed. Sign in with it."),
    ("role-changed", "The role is changed."),
    ("second-factors-reset", "The second factors are taken away."),
    ("set-up", "The server is set up. You are signed in and run it."),
    ("user-disabled", "That person cannot sign in any more."),
    ("user-enabled", "That person can sign in again."),
    ("organisation-switched", "You are in another organisation now."),
    // Apps and keys.
    ("app-created", "The app is created."),
    ("app-changed", "The settings are saved."),
    ("app-signs", "From now on the app signs its requests. Its App Keys are revoked."),
    ("app-keyless", "The app has no App Key: programs are the app if they show a token of an issuer trusted for it."),
    ("app-takes-keys", "From now on the app takes App Keys. Add one: it has none that works."),
    ("app-transferred", "Another member looks after the app now."),
    ("app-disabled", "The app is disabled. It gets no tokens, and those it has are refused."),
    ("app-enabled", "The app is active again."),
    ("app-tokens-revoked", "All tokens of the app are revoked. It can get new ones."),
    ("app-deleted", "The app is deleted."),
    ("key-revoked", "The key is revoked."),
    ("scopes-changed", "The scopes are saved."),
    // APIs and scopes.
    ("api-created", "The API is there. Give its scopes to apps, and let your service verify their tokens."),
    ("api-changed", "The API is changed. Tokens already issued stay as they are."),
    ("api-deleted", "The API is deleted."),
    ("scope-added", "The scope is there."),
    ("scope-changed", "The scope is changed."),
    ("scope-removed", "The scope is removed from the API and from every app that had it."),
    // Trusted issuers.
    ("issuer-trusted", "The issuer is trusted. Programs and people that have its tokens get tokens here."),
    ("issuer-changed", "The issuer is changed. The next token is judged by that."),
    ("issuer-disabled", "The issuer is disabled. Its tokens are refused."),
    ("issuer-enabled", "The issuer is trusted again."),
    ("issuer-deleted", "The issuer is deleted. Its tokens are refused."),
    ("checks-marked", "Noted: your services check tokens."),
    ("signing-key-generated", "The next signing key is published. It signs when the present one's time is over."),
    ("signing-key-rotated", "Another key takes over as soon as services had time to see it. The table says when."),
    ("signing-key-revoked", "The signing key is revoked. Every token it signed is refused here from now on."),
];

/// The sentence of that code.
pub(super) fn text(code: &str) -> Option<&'static str> {
    DONE.iter().find(|(known, _)| *known == code).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_stands_once() {
        for (at, (code, sentence)) in DONE.iter().enumerate() {
            assert!(!DONE[..at].iter().any(|(other, _)| other == code), "{code}");
            assert!(sentence.ends_with('.'), "{code}");
        }
        assert_eq!(text("<script>"), None);
    }
}
