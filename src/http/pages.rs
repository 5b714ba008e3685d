//! Templates and the files that pages need, all part of the program.

use std::collections::HashMap;

use actix_web::http::header::{ACCEPT, HeaderMap, LOCATION};
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use handlebars::{Handlebars, RenderError, RenderErrorReason, handlebars_helper};
use rust_embed::RustEmbed;
use serde::Serialize;
use serde_json::Value;
use url::{Host, Url};

use super::answer::cacheable;
use super::error::ApiError;
use super::site::Site;
use crate::config::Config;

#[derive(RustEmbed)]
#[folder = "templates"]
struct Templates;

#[derive(RustEmbed)]
#[folder = "static"]
struct Assets;

/// Templates, and files under names that change with their content.
pub(super) struct Pages {
    handlebars: Handlebars<'static>,
    /// What stands in front of every path: the path of the issuer.
    pub(super) base: String,
    /// Whether the issuer is an address of this machine.
    pub(super) is_local: bool,
    /// The address of each file, by its name in `static/`.
    addresses: HashMap<String, String>,
    /// Each file, by the last part of its address.
    assets: HashMap<String, Asset>,
}

struct Asset {
    content_type: &'static str,
    body: Bytes,
}

// What is wrong with a field, or nothing.
handlebars_helper!(field_fault: |faults: Json, field: str| {
    let of_field = |fault: &&Value| fault.get("field").and_then(Value::as_str) == Some(field);
    let first = faults.as_array().and_then(|faults| faults.iter().find(of_field));
    first.and_then(|fault| fault.get("message")).and_then(Value::as_str).unwrap_or_default().to_owned()
});

impl Pages {
    pub(super) fn new(config: &Config) -> Result<Self, RenderError> {
        let base = config.issuer_path();
        let mut handlebars = Handlebars::new();
        handlebars.set_strict_mode(true);
        handlebars.register_helper("fault", Box::new(field_fault));
        handlebars
            .register_embed_templates_with_extension::<Templates>(".hbs")
            .map_err(|error| RenderErrorReason::Other(error.to_string()))?;
        let (mut addresses, mut assets) = (HashMap::new(), HashMap::new());
        for name in Assets::iter() {
            let file = Assets::get(&name).ok_or_else(|| RenderErrorReason::Other(format!("{name} is missing")))?;
            let digest: String = file.metadata.sha256_hash().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
            let (stem, ending) = name.rsplit_once('.').unwrap_or((&name, ""));
            let present = format!("{stem}.{digest}.{ending}");
            addresses.insert(name.to_string(), format!("{base}/static/{present}"));
            assets.insert(
                present,
                Asset { content_type: content_type(ending), body: Bytes::from(file.data.into_owned()) },
            );
        }
        Ok(Self { handlebars, base, is_local: is_local(&config.issuer), addresses, assets })
    }

    /// A template filled in.
    pub(super) fn render(&self, template: &str, context: &impl Serialize) -> Result<String, RenderError> {
        self.handlebars.render(template, context)
    }

    /// The present address of a file in `static/`; empty if there is none.
    pub(super) fn asset(&self, name: &str) -> &str {
        self.addresses.get(name).map_or("", String::as_str)
    }

    /// The names of the templates that are pages.
    #[cfg(test)]
    pub(super) fn templates() -> Vec<String> {
        let is_page = |name: &String| {
            !name.starts_with("partials/") && !name.starts_with("layout") && !name.starts_with("snippets/")
        };
        Templates::iter().filter_map(|name| name.strip_suffix(".hbs").map(str::to_owned)).filter(is_page).collect()
    }
}

fn is_local(issuer: &str) -> bool {
    match Url::parse(issuer).ok().as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn content_type(ending: &str) -> &'static str {
    match ending {
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

/// Whether the asker would rather have a page than JSON.
pub(super) fn wants_html(request: &HttpRequest) -> bool {
    accepts_html(request.headers())
}

fn accepts_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// Below these, programs ask: what is refused there is refused in JSON, whatever the asker accepts.
const FOR_PROGRAMS: &[&str] = &["/api", "/connect", "/server", "/Server", "/static", "/.well-known"];

/// Whether a refusal shall be a page: the asker would rather have one, and it is not about what programs ask for.
pub(super) fn wants_page(headers: &HeaderMap, path: &str, config: &Config) -> bool {
    let base = config.issuer_path();
    let path = path.strip_prefix(base.as_str()).filter(|rest| rest.starts_with('/')).unwrap_or(path);
    let is_below =
        |prefix: &&str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    accepts_html(headers) && !FOR_PROGRAMS.iter().any(is_below)
}

/// The path of the issuer as people type it, without the slash at its end.
pub(super) async fn to_home(site: Data<Site>) -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((LOCATION, format!("{}/", site.pages.base))).finish()
}

/// A file, under its present name only.
pub(super) async fn asset(
    site: Data<Site>,
    request: HttpRequest,
    name: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let asset = site.pages.assets.get(name.as_str()).ok_or_else(|| ApiError::not_found(&request))?;
    let etag = format!("\"{name}\"");
    Ok(cacheable(&request, asset.content_type, "public, max-age=31536000, immutable", &etag, asset.body.clone()))
}
