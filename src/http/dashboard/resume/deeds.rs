//! What each form does, in words: whoever is asked for a proof, or comes back to a form, is told first what goes on.

/// Addresses of forms, where `{}` stands for any name, and what sending one does.
const DEEDS: &[(&str, &str)] = &[
    ("/logout", "Sign out"),
    ("/account/profile", "Change what you are called"),
    ("/account/password", "Change your password"),
    ("/account/passkeys/start", "Add a passkey"),
    ("/account/passkeys/begin", "Add a passkey"),
    ("/account/passkeys/add", "Add a passkey"),
    ("/account/passkeys/{}/remove", "Remove a passkey"),
    ("/account/2fa", "Turn on two-factor sign-in"),
    ("/account/2fa/begin", "Set up an authenticator app"),
    ("/account/2fa/remove", "Turn off two-factor sign-in"),
    ("/account/recovery-codes", "Make new recovery codes"),
    ("/account/connections/{}", "Connect an account elsewhere"),
    ("/account/connections/{}/remove", "Disconnect an account elsewhere"),
    ("/account/sessions/end-others", "End all your other sessions"),
    ("/account/sessions/{}/end", "End one of your sessions"),
    ("/try", "Ask for a token"),
    ("/try/call", "Call a route with a token"),
    ("/inspect", "Inspect a token"),
    ("/checklist/checks", "Note that your services check tokens"),
    ("/team/invitations", "Invite somebody into the organisation"),
    ("/team/invitations/{}/revoke", "Take an invitation back"),
    ("/team/members/{}/role", "Change a member's role"),
    ("/team/members/{}/login", "Change the login of a member"),
    ("/team/members/{}/remove", "Remove a member from the organisation"),
    ("/team/leave", "Leave the organisation"),
    ("/team/name", "Rename the organisation"),
    ("/organisations/new", "Make a new organisation"),
    ("/organisations/switch", "Go to work in another organisation"),
    ("/admin/users/{}/disable", "Disable a user"),
    ("/admin/users/{}/enable", "Enable a user"),
    ("/admin/users/{}/make-operator", "Let a user run the server"),
    ("/admin/users/{}/unmake-operator", "Let a user run the server no more"),
    ("/admin/users/{}/reset-2fa", "Take a user's second factors away"),
    ("/admin/users/{}/reset-link", "Make a link with which a user chooses another password"),
    ("/admin/organisations/{}/disable", "Disable an organisation"),
    ("/admin/organisations/{}/enable", "Enable an organisation"),
    ("/admin/keys/generate", "Make the next signing key"),
    ("/admin/keys/rotate", "Rotate the signing key"),
    ("/admin/keys/{}/revoke", "Revoke a signing key and every token it signed"),
    ("/apps", "Create an app"),
    ("/apps/{}/keys", "Add an App Key"),
    ("/apps/{}/keys/rotate", "Rotate an App Key"),
    ("/apps/{}/keys/{}/revoke", "Revoke an App Key"),
    ("/apps/{}/scopes", "Change the scopes of an app"),
    ("/apps/{}/settings", "Change the settings of an app"),
    ("/apps/{}/transfer", "Let another member look after an app"),
    ("/apps/{}/authentication", "Change how an app proves who it is"),
    ("/apps/{}/disable", "Disable an app"),
    ("/apps/{}/enable", "Enable an app"),
    ("/apps/{}/revoke-tokens", "Revoke all tokens of an app"),
    ("/apps/{}/delete", "Delete an app"),
    ("/apis/new", "Create an API"),
    ("/apis/{}/edit", "Change an API"),
    ("/apis/{}/delete", "Delete an API"),
    ("/apis/{}/scopes", "Add a scope to an API"),
    ("/apis/{}/scopes/edit", "Change a scope"),
    ("/apis/{}/scopes/remove", "Remove a scope from an API and from every app that has it"),
    ("/issuers/new", "Trust an issuer"),
    ("/issuers/{}/edit", "Change a trusted issuer"),
    ("/issuers/{}/test", "Test a token against a trusted issuer"),
    ("/issuers/{}/disable", "Disable a trusted issuer"),
    ("/issuers/{}/enable", "Enable a trusted issuer"),
    ("/issuers/{}/delete", "Delete a trusted issuer"),
];

/// What sending a form to that address does.
pub(super) fn deed(address: &str) -> &'static str {
    let path = address.split('?').next().unwrap_or_default();
    let is_it = |pattern: &str| {
        let (mut known, mut given) = (pattern.split('/'), path.split('/'));
        known.by_ref().zip(given.by_ref()).all(|(known, given)| known == "{}" || known == given)
            && pattern.split('/').count() == path.split('/').count()
    };
    // What has its own line is not one of many.
    let exact = DEEDS.iter().find(|(pattern, _)| *pattern == path);
    let found = exact.or_else(|| DEEDS.iter().find(|(pattern, _)| is_it(pattern)));
    found.map_or("Send the form", |(_, words)| words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_that_needs_somebody_signed_in_says_what_it_does() {
        let files = [
            include_str!("../routes.rs"),
            include_str!("../apps/routes.rs"),
            include_str!("../apis.rs"),
            include_str!("../issuers.rs"),
        ]
        .concat();
        let calls = ["get_and_post(\"", "post(\""].map(|call| format!("service({call}"));
        let open = ["/setup/", "/signup", "/verify/", "/invite/", "/login", "/reset"];
        let mut found = 0;
        for call in calls {
            for rest in files.split(&call).skip(1) {
                let pattern = rest.split('"').next().unwrap();
                if open.iter().any(|prefix| pattern.starts_with(prefix)) {
                    continue;
                }
                assert_ne!(deed(pattern), "Send the form", "{pattern}");
                found += 1;
            }
        }
        assert!(found > 45, "only {found} forms were found");
    }

    #[test]
    fn a_form_is_told_by_its_whole_path() {
        assert_eq!(deed("/apps?x=1"), "Create an app");
        assert_eq!(deed("/apps/3f1c/keys/9a2e/revoke"), "Revoke an App Key");
        assert_eq!(deed("/apps/3f1c/keys/rotate"), "Rotate an App Key");
        for unknown in ["", "/", "/apps/", "/apps/1/2/3/4/5", "/nowhere"] {
            assert_eq!(deed(unknown), "Send the form", "{unknown}");
        }
    }
}
