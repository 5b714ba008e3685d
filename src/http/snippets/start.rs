//! Programs that get a token with an app's key and call an API with it.

use serde::Serialize;

use crate::oauth::ClientId;
use crate::oauth::metadata::path;

/// A language there is a program in.
#[derive(Debug, PartialEq, Eq)]
pub struct Language {
    /// Its name in addresses.
    pub key: &'static str,
    /// Its name for people.
    pub label: &'static str,
    /// The name of the file.
    pub file: &'static str,
    /// What must be installed before; empty if nothing.
    pub needs: &'static str,
    /// How it is run.
    pub run: &'static str,
    /// How the App Key gets into its environment.
    pub key_hint: &'static str,
}

const SHELL: &str = "export APP_KEY='the App Key'";

/// All of them, the first is shown first.
pub const LANGUAGES: &[Language; 9] = &[
    Language { key: "curl", label: "curl", file: "start.sh", needs: "", run: "sh start.sh", key_hint: SHELL },
    Language {
        key: "python",
        label: "Python",
        file: "start.py",
        needs: "pip install requests-oauthlib",
        run: "python3 start.py",
        key_hint: SHELL,
    },
    Language {
        key: "node",
        label: "Node",
        file: "start.mjs",
        needs: "npm install openid-client",
        run: "node start.mjs",
        key_hint: SHELL,
    },
    Language {
        key: "go",
        label: "Go",
        file: "start.go",
        needs: "go get golang.org/x/oauth2",
        run: "go run start.go",
        key_hint: SHELL,
    },
    Language {
        key: "csharp",
        label: "C#",
        file: "Program.cs",
        needs: "",
        run: "dotnet run",
        key_hint: "dotnet user-secrets, or export APP_KEY='the App Key'",
    },
    Language { key: "java", label: "Java", file: "Start.java", needs: "", run: "java Start.java", key_hint: SHELL },
    Language {
        key: "rust",
        label: "Rust",
        file: "src/main.rs",
        needs: "cargo add ureq --features json && cargo add serde_json",
        run: "cargo run",
        key_hint: SHELL,
    },
    Language { key: "php", label: "PHP", file: "start.php", needs: "", run: "php start.php", key_hint: SHELL },
    Language {
        key: "powershell",
        label: "PowerShell",
        file: "start.ps1",
        needs: "",
        run: "pwsh start.ps1",
        key_hint: "$env:APP_KEY = 'the App Key'",
    },
];

impl Language {
    /// The one that is shown first.
    pub fn first() -> &'static Self {
        let [first, ..] = LANGUAGES;
        first
    }

    /// The language of that name.
    pub fn of(key: &str) -> Option<&'static Self> {
        LANGUAGES.iter().find(|language| language.key == key)
    }
}

/// What stands in such a program.
#[derive(Debug, Serialize)]
pub struct StartValues {
    issuer: String,
    token_url: String,
    call_url: String,
    sid: String,
    /// With spaces between.
    scope: String,
    scopes: Vec<String>,
    plain_http: bool,
}

impl StartValues {
    /// For one app: its SID, and the scopes it asks for; without any it gets all that it was granted.
    pub fn new(issuer: &str, sid: ClientId, scopes: &[String]) -> Self {
        Self {
            token_url: format!("{issuer}{}", path::TOKEN),
            call_url: format!("{issuer}{}/whoami", path::API),
            sid: sid.to_string(),
            scope: scopes.join(" "),
            scopes: scopes.to_vec(),
            plain_http: issuer.starts_with("http://"),
            issuer: issuer.to_owned(),
        }
    }
}
