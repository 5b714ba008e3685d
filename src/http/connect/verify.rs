//! `/connect/verify`: forward authentication. A proxy asks here whether a request may go on to the service behind it.
//!
//! What to demand of the token stands in the query, which the operator of the proxy writes. Nothing there is guessed: a
//! check that demands less than its author meant would open his service, so anything unclear lets nobody in.

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use crate::http::answer::no_store;
use crate::http::bearer::{Door, Refusal, demand_audience, demand_scopes, valid_token};
use crate::http::dpop::{Asked, Description};
use crate::http::error::ApiError;
use crate::http::observe::Outcome;
use crate::http::site::Site;
use crate::oauth::form::parse_form;
use crate::oauth::scope::{LONGEST_SCOPE_NAME, is_scope_name};
use crate::service::access::{Inquirer, ValidToken};

const X_AUTH_CLIENT_ID: HeaderName = HeaderName::from_static("x-auth-client-id");
const X_AUTH_SCOPE: HeaderName = HeaderName::from_static("x-auth-scope");
const X_AUTH_SUBJECT: HeaderName = HeaderName::from_static("x-auth-subject");
const X_AUTH_TENANT: HeaderName = HeaderName::from_static("x-auth-tenant");

/// Written as an audience, it stands for any: no API has this identifier, because it is no URI.
const ANY_AUDIENCE: &str = "*";

/// Says 200 with the token's owner in headers, 401 or 403; 503 only while nothing can be known. A body is not read.
pub(in crate::http) async fn verify(site: Data<Site>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let demands = Demands::read(request.query_string())
        .map_err(|refusal| refusal.at(Door::Proxied { takes_proofs: false }, &request))?;
    let door = Door::Proxied { takes_proofs: demands.description.is_some() };
    let valid = check(&site, &request, door, &demands).await.map_err(|refusal| refusal.at(door, &request))?;
    let claims = &valid.token.claims;
    // Each of them always, empty or not: a proxy then replaces what a client sent under the same name.
    let mut response = no_store(&mut HttpResponse::Ok())
        .insert_header((X_AUTH_CLIENT_ID, &*claims.client_id))
        .insert_header((X_AUTH_SCOPE, claims.scope.to_text()))
        .insert_header((X_AUTH_SUBJECT, subject(&claims.sub)))
        .insert_header((X_AUTH_TENANT, &*claims.tenant))
        .finish();
    response.extensions_mut().insert(Outcome::of_client(valid.client.client_id));
    Ok(response)
}

/// Whom the token is about. A third party may have named somebody in letters that not every header may have.
fn subject(sub: &str) -> HeaderValue {
    HeaderValue::from_bytes(sub.as_bytes()).unwrap_or_else(|_control_characters| HeaderValue::from_static(""))
}

async fn check(site: &Site, request: &HttpRequest, door: Door<'_>, demands: &Demands) -> Result<ValidToken, Refusal> {
    let inquirer = if demands.any_audience { Inquirer::Anybody } else { Inquirer::Servers(&demands.audiences) };
    let valid = valid_token(&site.authority, request, door, inquirer, || demands.asked(request)).await?;
    if !demands.any_audience {
        demand_audience(&valid, &demands.audiences)?;
    }
    demand_scopes(&valid, &demands.scopes)?;
    Ok(valid)
}

/// What the operator of a proxy demands.
#[derive(Debug, Default, PartialEq, Eq)]
struct Demands {
    any_audience: bool,
    /// One of them suffices.
    audiences: Vec<String>,
    /// All of them are needed.
    scopes: Vec<String>,
    /// Where the proxy says what a DPoP proof must be for.
    description: Option<Description>,
}

impl Demands {
    /// Reads `aud` and `scope`, each as often as one likes, and `dpop`, once.
    fn read(query: &str) -> Result<Self, Refusal> {
        let pairs = parse_form(query.as_bytes())
            .map_err(|_malformed| Refusal::UnclearDemand("The query of this check is malformed."))?;
        let mut demands = Self::default();
        for (name, value) in pairs {
            match &*name {
                "aud" if value.is_empty() => {
                    return Err(Refusal::UnclearDemand("The aud of this check is empty."));
                }
                "aud" if value == ANY_AUDIENCE => demands.any_audience = true,
                "aud" => demands.audiences.push(value.into_owned()),
                "scope" => {
                    let names = value.split(' ').filter(|name| !name.is_empty()).map(str::to_owned);
                    let before = demands.scopes.len();
                    demands.scopes.extend(names);
                    if demands.scopes.len() == before {
                        return Err(Refusal::UnclearDemand("The scope of this check is empty."));
                    }
                }
                "dpop" => {
                    let description = match &*value {
                        "forwarded" => Description::Forwarded,
                        "original" => Description::Original,
                        _ => return Err(Refusal::UnclearDemand("The dpop of this check is forwarded or original.")),
                    };
                    if demands.description.replace(description).is_some() {
                        return Err(Refusal::UnclearDemand("The dpop of this check is repeated."));
                    }
                }
                _ => {
                    return Err(Refusal::UnclearDemand(
                        "This check has a parameter that is unknown: it takes aud, scope and dpop.",
                    ));
                }
            }
        }
        if !demands.any_audience && demands.audiences.is_empty() {
            return Err(Refusal::UnclearDemand(
                "This check does not say for which API: add ?aud= and the API's identifier, or aud=* for any.",
            ));
        }
        let is_scope = |name: &String| is_scope_name(name) && name.len() <= LONGEST_SCOPE_NAME;
        if !demands.scopes.iter().all(is_scope) {
            return Err(Refusal::UnclearDemand("The scope of this check is not a list of scope names."));
        }
        Ok(demands)
    }

    /// What a DPoP proof must be for.
    fn asked(&self, request: &HttpRequest) -> Result<Asked, Refusal> {
        let description = self.description.ok_or(Refusal::UnclearDemand(
            "This check does not say where the proxy tells what a DPoP proof must be for: add dpop=forwarded or dpop=original.",
        ))?;
        Asked::of_a_proxy(request, description).ok_or(Refusal::UnclearDemand(match description {
            Description::Forwarded => {
                "The proxy does not set each of X-Forwarded-Method, X-Forwarded-Proto, X-Forwarded-Host and X-Forwarded-Uri once."
            }
            Description::Original => "The proxy does not set each of X-Original-Method and X-Original-URL once.",
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_check_demands_is_read_or_refused() {
        let read = |query: &str| match Demands::read(query) {
            Ok(Demands { any_audience, audiences, scopes, .. }) => {
                format!("{any_audience} {} / {}", audiences.join(" "), scopes.join(" "))
            }
            Err(Refusal::UnclearDemand(why)) => why.to_owned(),
            Err(other) => panic!("{other:?}"),
        };
        let no_audience =
            "This check does not say for which API: add ?aud= and the API's identifier, or aud=* for any.";
        let unknown = "This check has a parameter that is unknown: it takes aud, scope and dpop.";
        let no_scopes = "The scope of this check is not a list of scope names.";
        let long = format!("aud=a&scope={}", "s".repeat(LONGEST_SCOPE_NAME + 1));
        for (query, expected) in [
            ("aud=https://a", "false https://a / "),
            ("aud=https%3A%2F%2Fa&aud=b", "false https://a b / "),
            ("aud=a&scope=x", "false a / x"),
            ("aud=a&scope=x+y&scope=z%20%20x", "false a / x y z x"),
            ("&aud=a&", "false a / "),
            ("aud=*", "true  / "),
            ("aud=*&aud=a", "true a / "),
            ("aud=**", "false ** / "),
            ("", no_audience),
            ("scope=x", no_audience),
            ("audience=a", unknown),
            ("aud=a&scopes=x", unknown),
            ("AUD=a", unknown),
            ("aud=a&=x", unknown),
            ("aud[]=a", unknown),
            ("aud=a&access_token=x", unknown),
            ("aud=a&dpop=forwarded", "false a / "),
            ("aud=a&dpop=", "The dpop of this check is forwarded or original."),
            ("aud=a&dpop=both", "The dpop of this check is forwarded or original."),
            ("aud=a&dpop=forwarded&dpop=original", "The dpop of this check is repeated."),
            ("aud=", "The aud of this check is empty."),
            ("aud", "The aud of this check is empty."),
            ("aud=a&aud=", "The aud of this check is empty."),
            ("aud=a&scope=", "The scope of this check is empty."),
            ("aud=a&scope=x&scope=+", "The scope of this check is empty."),
            ("aud=a&scope=x%22y", no_scopes),
            ("aud=a&scope=%C3%A9", no_scopes),
            (long.as_str(), no_scopes),
            ("aud=a%0d", "The query of this check is malformed."),
            ("aud=%zz", "The query of this check is malformed."),
            ("aud=%ff", "The query of this check is malformed."),
            (&"aud=a&".repeat(101), "The query of this check is malformed."),
        ] {
            assert_eq!(read(query), expected, "{query}");
        }
    }
}
