//! Problem details ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)) for what is refused under `/api/v1`.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use super::site::Site;
use crate::config::Config;
use crate::oauth::metadata::path;

pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// A kind of refusal that the token endpoint does not have, for the page of errors.
pub(super) struct ProblemKind {
    pub(super) code: &'static str,
    title: &'static str,
    pub(super) advice: &'static str,
}

/// All of them; `invalid_request`, `temporarily_unavailable` and `server_error` stand with those of the token endpoint.
pub(super) const KINDS: &[ProblemKind] = &[
    ProblemKind {
        code: "unauthorized",
        title: "No access token",
        advice: "The request came without an access token. Get one from the token endpoint and send it as Authorization: Bearer.",
    },
    ProblemKind {
        code: "invalid_token",
        title: "Access token refused",
        advice: "The access token is malformed, expired, revoked, from another issuer or for another resource; the description says which. Get a new one.",
    },
    ProblemKind {
        code: "insufficient_scope",
        title: "Scope missing",
        advice: "The access token is good, but not for this. Grant the app the scope that the answer names and get a new token. An app cannot hand on scopes of the management API that its own token has not, nor make keys for an app that has such, nor change how that proves who it is.",
    },
    ProblemKind {
        code: "not_found",
        title: "Not found",
        advice: "There is nothing at this address, or it belongs to another organisation.",
    },
    ProblemKind {
        code: "conflict",
        title: "Conflict",
        advice: "What is there stands against the request; the description says what can be done.",
    },
    ProblemKind {
        code: "precondition_failed",
        title: "Changed meanwhile",
        advice: "The object is not the one whose ETag was sent as If-Match: somebody changed it. Read it again, then decide anew.",
    },
    ProblemKind { code: "content_too_large", title: "Body too large", advice: "A body may have 64 KiB." },
    ProblemKind {
        code: "unsupported_media_type",
        title: "Not JSON",
        advice: "Bodies are application/json in UTF-8, without a content encoding.",
    },
    ProblemKind {
        code: "idempotency_key_reused",
        title: "Idempotency key used before",
        advice: "The Idempotency-Key came with another request within 24 hours. Make a new key for each creation and keep it for its repetitions.",
    },
];

/// What is wrong with a member of a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Fault {
    /// The member.
    pub(super) field: &'static str,
    /// What it must be.
    pub(super) message: String,
}

/// The constant part of a problem.
#[derive(Debug)]
pub(super) struct Problem {
    kind: String,
    title: &'static str,
}

/// The members that RFC 9457 names.
#[derive(Serialize)]
pub(super) struct ProblemMembers<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    title: &'static str,
    status: u16,
    detail: &'a str,
}

impl Problem {
    /// The problem that a refusal under `/api/v1` is; elsewhere it is none.
    pub(super) fn of(request: &HttpRequest, status: StatusCode, code: &str) -> Option<Self> {
        Self::at(&request.app_data::<Data<Site>>()?.authority.config, request.path(), status, code)
    }

    /// The same where there is no request any more.
    pub(super) fn at(config: &Config, path: &str, status: StatusCode, code: &str) -> Option<Self> {
        let path = path.strip_prefix(config.issuer_path().as_str()).unwrap_or(path);
        let rest = path.strip_prefix(path::API)?;
        if !rest.is_empty() && !rest.starts_with('/') {
            return None;
        }
        let reason = status.canonical_reason().unwrap_or("Error");
        let title = KINDS.iter().find(|kind| kind.code == code).map_or(reason, |kind| kind.title);
        Some(Self { kind: format!("{}{}#{code}", config.issuer, path::ERRORS), title })
    }

    pub(super) fn members<'a>(&'a self, status: StatusCode, detail: &'a str) -> ProblemMembers<'a> {
        ProblemMembers { kind: &self.kind, title: self.title, status: status.as_u16(), detail }
    }
}
