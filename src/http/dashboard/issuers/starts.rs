//! What a new issuer's form is filled with, by where the JWTs come from. What only the person knows stands in capitals, and
//! nothing is saved as long as it is not replaced.

use serde::Serialize;

/// A kind of issuer that people know.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Start {
    pub(super) key: &'static str,
    pub(super) label: &'static str,
    /// Whose JWTs these are.
    pub(super) about: &'static str,
    /// What to look up before.
    pub(super) hint: &'static str,
    /// What prints that.
    pub(super) commands: &'static str,
    pub(super) name: &'static str,
    pub(super) issuer: &'static str,
    /// The kind of its keys.
    pub(super) keys: &'static str,
    pub(super) subject_claim: &'static str,
    pub(super) rules: &'static str,
    pub(super) max_age: &'static str,
    pub(super) single_use: bool,
    /// `app` or `users`.
    pub(super) stands_for: &'static str,
}

const PLAIN: Start = Start {
    key: "",
    label: "",
    about: "",
    hint: "",
    commands: "",
    name: "",
    issuer: "",
    keys: "discovery",
    subject_claim: "sub",
    rules: "",
    max_age: "",
    single_use: false,
    stands_for: "app",
};

/// The kinds, in the order of the page.
pub(super) const STARTS: &[Start] = &[
    Start {
        key: "github",
        label: "GitHub Actions",
        about: "A workflow gets a token of this server without any stored secret.",
        hint: "Replace OWNER/REPOSITORY, and the branch if it is another. The workflow needs the permission id-token: write, and asks GitHub for a token with one of the audiences below.",
        name: "GitHub Actions",
        issuer: "https://token.actions.githubusercontent.com",
        rules: "repository = OWNER/REPOSITORY\nref = refs/heads/main",
        single_use: true,
        ..PLAIN
    },
    Start {
        key: "gitlab",
        label: "GitLab CI/CD",
        about: "A job gets a token of this server with an ID token of GitLab.",
        hint: "Replace GROUP/PROJECT. For a GitLab of your own write its address as the issuer. The job declares id_tokens with one of the audiences below.",
        name: "GitLab",
        issuer: "https://gitlab.com",
        rules: "project_path = GROUP/PROJECT\nref = main\nref_protected = true",
        ..PLAIN
    },
    Start {
        key: "kubernetes",
        label: "Kubernetes service account",
        about: "A pod shows the token that its cluster projects into it.",
        hint: "The commands print a configuration, in which the issuer stands, and the JWK set. If the issuer can be reached from here, choose its own address instead. Replace NAMESPACE and NAME, and project the token with one of the audiences below.",
        commands: "kubectl get --raw /.well-known/openid-configuration\nkubectl get --raw /openid/v1/jwks",
        name: "Kubernetes",
        keys: "jwks",
        rules: "sub = system:serviceaccount:NAMESPACE:NAME",
        ..PLAIN
    },
    Start {
        key: "spiffe",
        label: "SPIFFE (JWT-SVID)",
        about: "A workload shows the JWT-SVID that SPIRE or another SPIFFE server gave it.",
        hint: "The issuer is the jwt_issuer of the SPIFFE server, which its OIDC discovery provider serves. Replace the SPIFFE ID; a * stands for anything.",
        name: "SPIFFE",
        rules: "sub = spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/NAME",
        ..PLAIN
    },
    Start {
        key: "entra",
        label: "Microsoft Entra ID",
        about: "A managed identity, or an application in Entra, gets a token of this server.",
        hint: "Replace TENANT-ID and OBJECT-ID: the object is the managed identity or the service principal. The audience is the application ID URI that the token was asked for.",
        name: "Microsoft Entra ID",
        issuer: "https://login.microsoftonline.com/TENANT-ID/v2.0",
        subject_claim: "oid",
        rules: "oid = OBJECT-ID",
        ..PLAIN
    },
    Start {
        key: "url",
        label: "Another issuer with a URL",
        about: "It has an OpenID configuration, or a JWK set behind a URL. Both are fetched and shown before anything is saved.",
        ..PLAIN
    },
    Start {
        key: "certificate",
        label: "A sign-in portal with a certificate",
        about: "It signs JWTs about your people, who get a ticket. You have its certificate.",
        hint: "Users are found by their login, which stands on the team page. Many portals put it into nameid.",
        keys: "certificates",
        subject_claim: "nameid",
        max_age: "10m",
        single_use: true,
        stands_for: "users",
        ..PLAIN
    },
    Start {
        key: "jwks",
        label: "An issuer whose keys I have",
        about: "You paste its public keys as a JWK set. Nothing is fetched.",
        keys: "jwks",
        ..PLAIN
    },
];

impl Start {
    /// The kind of that name.
    pub(super) fn of(key: &str) -> Option<&'static Self> {
        STARTS.iter().find(|start| start.key == key)
    }
}
