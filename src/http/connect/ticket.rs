//! `POST /server/jwt[?Tenant=slug]`: a third party's JWT in, a ticket out, for clients written for application servers.

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderName;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use crate::http::answer::private_json;
use crate::http::body::read_form;
use crate::http::caller::caller;
use crate::http::error::{body_answer, oauth_answer, ticket_refusal};
use crate::http::observe::Outcome;
use crate::http::site::Site;
use crate::http::ticket_cookie;
use crate::oauth::OAuthError;
use crate::oauth::form::parse_form;
use crate::oauth::request::TokenParams;
use crate::service::ticket::{self, TicketError};
use crate::service::token::IssuedToken;

/// The form field with the JWT.
const JWT_TOKEN: &str = "JwtToken";
/// The parameter of the query that picks the organisation.
const TENANT: &str = "Tenant";
const AUTH_TICKET: HeaderName = HeaderName::from_static("authticket");

/// The same token as in the header.
#[derive(Serialize)]
struct TicketResponse<'a> {
    ticket: &'a str,
    /// Seconds.
    expires_in: u64,
}

/// Answers a JWT with a ticket.
pub(in crate::http) async fn ticket(site: Data<Site>, request: HttpRequest, payload: Payload) -> HttpResponse {
    let issuer = site.authority.issuer();
    let body = match read_form(&request, payload, site.authority.config.request_timeout).await {
        Ok(body) => body,
        Err(error) => return body_answer(issuer, error),
    };
    match exchange(&site, &request, &body).await {
        Ok(issued) => answer(&site, &request, &issued),
        Err(TicketError::Refused(error)) => ticket_refusal(issuer, error),
        Err(TicketError::NotIssued(error)) => oauth_answer(issuer, &error),
    }
}

async fn exchange(site: &Site, request: &HttpRequest, body: &[u8]) -> Result<IssuedToken, TicketError> {
    let caller = caller(&site.authority, request);
    let tenant = tenant(request.query_string()).map_err(TicketError::NotIssued)?;
    let params = TokenParams::from_form(body).map_err(TicketError::NotIssued)?;
    let jwt = params.get(JWT_TOKEN);
    let jwt = jwt.ok_or_else(|| TicketError::NotIssued(OAuthError::invalid_request("JwtToken is missing.")))?;
    ticket::exchange(&site.authority, &caller, jwt, tenant.as_deref()).await
}

/// The organisation that the query names: once or not at all.
fn tenant(query: &str) -> Result<Option<String>, OAuthError> {
    let pairs = parse_form(query.as_bytes()).map_err(|error| OAuthError::invalid_request(error.description()))?;
    if pairs.iter().any(|(name, _)| name.eq_ignore_ascii_case(JWT_TOKEN)) {
        return Err(OAuthError::invalid_request("JwtToken must be in the body, not in the URL."));
    }
    let mut tenants = pairs.iter().filter(|(name, _)| name.eq_ignore_ascii_case(TENANT)).map(|(_, slug)| slug);
    let tenant = tenants.next();
    if tenants.next().is_some() {
        return Err(OAuthError::invalid_request("Tenant is repeated."));
    }
    Ok(tenant.filter(|slug| !slug.is_empty()).map(ToString::to_string))
}

fn answer(site: &Site, request: &HttpRequest, issued: &IssuedToken) -> HttpResponse {
    let body = TicketResponse { ticket: &issued.jwt, expires_in: issued.lifetime.as_secs() };
    let mut response = private_json(StatusCode::OK, &body);
    // A JWT in compact form can stand in a header.
    if let Ok(ticket) = issued.jwt.parse() {
        response.headers_mut().insert(AUTH_TICKET, ticket);
    }
    if let Some(cookie) = ticket_cookie::make(&site.authority.config, request, issued) {
        // What cannot stand in a header is left out: the ticket is in the body all the same.
        let _added = response.add_cookie(&cookie);
    }
    response.extensions_mut().insert(Outcome::issued(issued));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_names_one_organisation_or_none() {
        let read = |query: &str| tenant(query).map_err(|error| error.description.into_owned());
        for (query, expected) in [
            ("", Ok(None)),
            ("Tenant=acme", Ok(Some("acme"))),
            ("tenant=acme", Ok(Some("acme"))),
            ("Tenant=", Ok(None)),
            ("x=1&Tenant=a%2Fb", Ok(Some("a/b"))),
            ("Tenant=a&Tenant=a", Err("Tenant is repeated.")),
            ("Tenant=a&tenant=b", Err("Tenant is repeated.")),
            ("JwtToken=x", Err("JwtToken must be in the body, not in the URL.")),
        ] {
            assert_eq!(read(query), expected.map(|slug| slug.map(str::to_owned)).map_err(str::to_owned), "{query}");
        }
        assert!(tenant("Tenant=%ff").is_err());
    }
}
