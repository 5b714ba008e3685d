//! `/api/v1/apps/{client_id}/revoke-tokens`: what an app was issued until now.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Path;
use serde::Serialize;
use utoipa::ToSchema;

use super::openapi::ChangeRefusals;
use super::visit::Visit;
use crate::http::error::ApiError;
use crate::http::guard::AppsWrite;
use crate::service::cut_offs;

/// Every token of an app from before a moment is refused.
#[derive(Serialize, ToSchema)]
pub(super) struct CutOff {
    /// The app.
    #[schema(format = "uuid")]
    client_id: String,
    /// The moment; tokens that are asked for from then on are good.
    #[schema(format = DateTime)]
    not_before: String,
}

/// End every token that an app has until now
///
/// Its keys go on: it gets new tokens from the second after. Here at once, on other nodes within a second.
#[utoipa::path(post, path = "/apps/{client_id}/revoke-tokens", tag = "apps", security(("oauth2" = ["apps:write"]), ("bearer" = ["apps:write"])),
    params(("client_id" = String, Path, format = "uuid"), ("If-Match" = Option<String>, Header, description = "Only if it still has this entity tag")),
    responses((status = 200, body = CutOff, description = "From when on tokens are good"), ChangeRefusals))]
pub(in crate::http) async fn revoke_tokens(
    visit: Visit<AppsWrite>,
    path: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let client_id = visit.client_id(&path)?;
    let revoke = move |m: &_| cut_offs::revoke_app_tokens(m, client_id);
    let not_before = visit.change("The tokens cannot be revoked.", revoke).await?;
    let answer = CutOff { client_id: client_id.to_string(), not_before: not_before.rfc3339() };
    Ok(visit.answer(StatusCode::OK, &answer))
}
