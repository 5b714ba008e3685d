//! What a page stands in: the request, who is signed in, and the token against forged forms.

use std::cell::{Cell, RefCell};

use actix_web::cookie::Cookie;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, LOCATION, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use serde::Serialize;
use url::form_urlencoded;

use super::cookies::{self, CookieKind};
use super::error::{PageError, PageResult};
use super::form::{CSRF, Form, is_foreign};
use super::page::{Chrome, View};
use crate::http::body::read_form;
use crate::http::caller::caller;
use crate::http::site::Site;
use crate::secret::{KeyedHash, Secret, SecretKind, generate_secret, random_id};
use crate::service::sessions::{Browser, SignedIn};
use crate::service::{Caller, ServiceError};

/// Everything comes from this host; nothing inline runs; nobody frames a page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// An answer with the headers that keep a page safe, whoever asks.
pub(super) fn safe<'b>(builder: &'b mut HttpResponseBuilder, issuer: &str) -> &'b mut HttpResponseBuilder {
    builder
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((OPENER_POLICY, "same-origin"));
    if issuer.starts_with("https://") {
        builder.insert_header((STRICT_TRANSPORT_SECURITY, "max-age=31536000"));
    }
    builder
}

/// What a page stands in.
pub(in crate::http) struct Scene {
    site: Data<Site>,
    request: HttpRequest,
    caller: Caller,
    standing: Standing,
    /// What forms are bound to: the secret of the session, or of the visit if nobody is signed in.
    bound_to: RefCell<Option<Secret>>,
    cookies: RefCell<Vec<Cookie<'static>>>,
    is_new_session: Cell<bool>,
}

/// For whom a form was made that comes from a page of ours; `None` if for nobody in particular.
struct FormOwner(Option<KeyedHash>);

/// How far somebody has come.
enum Standing {
    /// Not in.
    Nobody,
    /// Has shown a password and must show a second factor.
    Waiting(SignedIn),
    /// Is in, but must set up the second factor that the server demands before anything else.
    Unprotected(SignedIn),
    SignedIn(SignedIn),
}

impl Standing {
    fn of(found: SignedIn) -> Self {
        // What awaits a second factor opens nothing but the page that asks for it.
        if found.session.awaits_second_factor {
            Self::Waiting(found)
        } else if found.lacks_second_factor {
            Self::Unprotected(found)
        } else {
            Self::SignedIn(found)
        }
    }
}

#[derive(Serialize)]
struct Context<'a, V> {
    page: Chrome<'a>,
    #[serde(flatten)]
    view: &'a V,
}

impl Scene {
    /// A page that is the same for everybody.
    pub(in crate::http) fn public(site: &Data<Site>, request: &HttpRequest) -> Self {
        Self {
            caller: caller(&site.authority, request),
            site: site.clone(),
            request: request.clone(),
            standing: Standing::Nobody,
            bound_to: RefCell::new(None),
            cookies: RefCell::new(Vec::new()),
            is_new_session: Cell::new(false),
        }
    }

    /// A page for whoever is signed in, or for nobody.
    pub(super) async fn set(site: &Data<Site>, request: &HttpRequest) -> Result<Self, PageError> {
        let mut scene = Self::public(site, request);
        if let Some(secret) = cookies::read(scene.config(), request, CookieKind::Session) {
            let found = site.authority.find_session(secret.clone(), scene.caller).await;
            let found = found.map_err(|error| PageError::service(&scene, &error))?;
            if let Some(found) = found {
                scene.bound_to = RefCell::new(Some(secret));
                scene.standing = Standing::of(found);
            }
        }
        Ok(scene)
    }

    /// The same for nobody in particular: its forms are bound to a cookie of the visit.
    pub(super) fn with_visit(self) -> Result<Self, PageError> {
        if self.bound_to.borrow().is_none() {
            let secret = match cookies::read(self.config(), &self.request, CookieKind::Visit) {
                Some(secret) => secret,
                None => {
                    let fresh =
                        generate_secret(SecretKind::Session).map_err(|error| PageError::internal(&self, &error))?;
                    self.set_cookie(cookies::make(self.config(), CookieKind::Visit, &fresh));
                    fresh
                }
            };
            *self.bound_to.borrow_mut() = Some(secret);
        }
        Ok(self)
    }

    pub(super) fn site(&self) -> &Data<Site> {
        &self.site
    }

    pub(super) fn request(&self) -> &HttpRequest {
        &self.request
    }

    pub(super) fn caller(&self) -> Caller {
        self.caller
    }

    pub(super) fn config(&self) -> &crate::config::Config {
        &self.site.authority.config
    }

    pub(super) fn signed_in(&self) -> Option<&SignedIn> {
        match &self.standing {
            Standing::SignedIn(found) => Some(found),
            _ => None,
        }
    }

    /// Somebody who has shown a password and must show a second factor.
    pub(super) fn waiting(&self) -> Option<&SignedIn> {
        match &self.standing {
            Standing::Waiting(found) => Some(found),
            _ => None,
        }
    }

    /// Somebody who must set up a second factor before anything else.
    pub(super) fn unprotected(&self) -> Option<&SignedIn> {
        match &self.standing {
            Standing::Unprotected(found) => Some(found),
            _ => None,
        }
    }

    /// Whoever shows a session, however far that goes.
    fn known(&self) -> Option<&SignedIn> {
        match &self.standing {
            Standing::Nobody => None,
            Standing::Waiting(found) | Standing::Unprotected(found) | Standing::SignedIn(found) => Some(found),
        }
    }

    /// The browser, for the list of sessions.
    pub(super) fn browser(&self) -> Browser {
        let name = self.request.headers().get(actix_web::http::header::USER_AGENT);
        let browser = Browser::new(&self.caller, name.and_then(|name| name.to_str().ok()).unwrap_or_default());
        Browser { shows: self.known().map(|known| known.session.clone()), ..browser }
    }

    /// A parameter that is read strictly: `None` if there is none or it is empty, because a form sends all its fields. Refuses
    /// one that comes twice, and a query that cannot be read.
    pub(super) fn strict_query(&self, name: &str) -> Result<Option<String>, PageError> {
        let pairs = crate::oauth::form::parse_form(self.request.query_string().as_bytes());
        let pairs = pairs.map_err(|_unreadable| {
            PageError::bad_request(self, "What stands behind the question mark of the address cannot be read.")
        })?;
        let mut values = pairs.into_iter().filter(|(known, _)| known == name).map(|(_, value)| value.into_owned());
        let first = values.next().filter(|value| !value.is_empty());
        if values.next().is_some() {
            return Err(PageError::bad_request(self, "The address has a parameter twice."));
        }
        Ok(first)
    }

    /// A parameter of the query; the first of that name, nothing if the query is malformed.
    pub(super) fn query(&self, name: &str) -> Option<String> {
        let pairs = crate::oauth::form::parse_form(self.request.query_string().as_bytes()).ok()?;
        pairs.into_iter().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    }

    /// Where the person is: path and query below the issuer's path, without what was done.
    pub(super) fn here(&self) -> String {
        let query = self.request.query_string();
        let kept: Vec<&str> = query.split('&').filter(|part| !part.is_empty() && !part.starts_with("done=")).collect();
        let path = self.request.path();
        // A proxy in front may have taken the issuer's path away, or not.
        let path =
            path.strip_prefix(self.site.pages.base.as_str()).filter(|rest| rest.starts_with('/')).unwrap_or(path);
        if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
    }

    /// Puts a cookie into the answer.
    pub(super) fn set_cookie(&self, cookie: Cookie<'static>) {
        self.cookies.borrow_mut().push(cookie);
    }

    /// From now on the browser shows this session, and forms are bound to it.
    pub(super) fn show_session(&self, secret: Secret) {
        self.set_cookie(cookies::make(self.config(), CookieKind::Session, &secret));
        *self.bound_to.borrow_mut() = Some(secret);
        self.is_new_session.set(true);
    }

    /// Whether the browser gets a session by this answer.
    pub(super) fn is_new_session(&self) -> bool {
        self.is_new_session.get()
    }

    /// From now on the browser shows no session.
    pub(super) fn forget_session(&self) {
        self.set_cookie(cookies::forget(self.config(), CookieKind::Session));
    }

    /// What belongs to this browser alone: what was begun in it cannot be finished in another.
    pub(super) fn binding(&self) -> String {
        let bound_to = self.bound_to.borrow();
        bound_to.as_ref().map(|secret| self.site.authority.form_token(secret, None).to_text()).unwrap_or_default()
    }

    /// What forms carry. It says for whom they are made, so that it is known even when the session is over.
    fn form_token(&self) -> String {
        let (bound_to, authority) = (self.bound_to.borrow(), &self.site.authority);
        let Some(secret) = bound_to.as_ref() else { return String::new() };
        // A session that begins with this answer may be somebody else's than the one that came.
        let known = self.known().filter(|_| !self.is_new_session.get());
        let owner = known.map(|known| authority.form_owner(known.person.id));
        let token = authority.form_token(secret, owner).to_text();
        owner.map_or_else(|| token.clone(), |owner| format!("{}.{token}", owner.to_text()))
    }

    /// Reads a form, if it comes from one of our pages and was made for this browser. Fields in `repeated` may come several
    /// times.
    pub(super) async fn form(&self, payload: Payload, repeated: &[&str]) -> Result<Form, PageError> {
        let form = self.unchecked_form(payload).await?;
        self.check_form(&form, repeated)?;
        Ok(form)
    }

    /// Refuses a form that does not come from one of our pages or was made for another browser.
    pub(super) fn check_form(&self, form: &Form, repeated: &[&str]) -> Result<(), PageError> {
        if form.repeats(repeated) {
            return Err(PageError::bad_request(
                self,
                "A field came twice. Load the page again and send the form once more.",
            ));
        }
        let bound_to = self.bound_to.borrow().clone();
        if self.read_token(form, bound_to).is_none() {
            return Err(PageError::forbidden(
                self,
                "The form does not come from a page that was made for you just now. Go back, load the page again, and send it once more.",
            ));
        }
        Ok(())
    }

    fn read_token(&self, form: &Form, secret: Option<Secret>) -> Option<FormOwner> {
        let (owner, token) = match form.text(CSRF).split_once('.') {
            Some((owner, token)) => (Some(KeyedHash::from_text(owner)?), token),
            None => (None, form.text(CSRF)),
        };
        let token = KeyedHash::from_text(token)?;
        let authority = &self.site.authority;
        let is_ours = token == authority.form_token(&secret?, owner) && !is_foreign(&self.request, authority.issuer());
        is_ours.then_some(FormOwner(owner))
    }

    /// Who entered what is in a form that was made for the session which this browser still shows, though it is over: nobody
    /// else may put words into the mouth of who signs in next.
    pub(super) fn owner_of_ended(&self, form: &Form) -> Option<KeyedHash> {
        let shown = cookies::read(self.config(), &self.request, CookieKind::Session);
        self.read_token(form, shown).and_then(|FormOwner(owner)| owner)
    }

    /// Reads a form of which nothing is known yet.
    pub(super) async fn unchecked_form(&self, payload: Payload) -> Result<Form, PageError> {
        let octets = read_form(&self.request, payload, self.config().request_timeout).await;
        let octets = octets.map_err(|error| PageError::body(self, error))?;
        Form::parse(&octets).map_err(|error| PageError::bad_request(self, error.description()))
    }

    /// The page.
    pub(in crate::http) fn page<V: View>(&self, view: &V) -> PageResult {
        self.page_with(StatusCode::OK, view)
    }

    /// The page with another status: 422 for a form that was refused, 409 for a conflict.
    pub(in crate::http) fn page_with<V: View>(&self, status: StatusCode, view: &V) -> PageResult {
        self.render(status, view).map_err(|error| PageError::internal(self, &error))
    }

    pub(super) fn render<V: View>(&self, status: StatusCode, view: &V) -> Result<HttpResponse, ServiceError> {
        let context = Context { page: Chrome::new(self, view, self.form_token(), random_id()?), view };
        let rendered = self.site.pages.render(V::TEMPLATE, &context);
        let body = rendered.map_err(|error| ServiceError::Internal(format!("{}: {error}", V::TEMPLATE)))?;
        Ok(self.start(status).content_type("text/html; charset=utf-8").body(body))
    }

    /// Sends the person to another page of ours after a change, which then says what was done.
    pub(super) fn go(&self, path: &str, done: &str) -> HttpResponse {
        let separator = if path.contains('?') { '&' } else { '?' };
        self.redirect(&format!("{path}{separator}done={done}"))
    }

    /// Sends the person to another page of ours. `path` begins with a slash.
    pub(super) fn redirect(&self, path: &str) -> HttpResponse {
        let to = format!("{}{path}", self.site.pages.base);
        self.start(StatusCode::SEE_OTHER).insert_header((LOCATION, to)).finish()
    }

    /// Sends the person to where the second factor is set up that the server demands.
    pub(super) fn to_protection(&self) -> HttpResponse {
        self.redirect("/account#two-factor")
    }

    /// Sends the person to sign in and then back here.
    pub(super) fn to_sign_in(&self) -> HttpResponse {
        let here = self.here();
        let back: String = form_urlencoded::byte_serialize(here.as_bytes()).collect();
        self.redirect(&if here == "/" { "/login".to_owned() } else { format!("/login?return_to={back}") })
    }

    /// An answer with the headers that keep a page safe. What depends on who asks is kept by nobody.
    pub(super) fn start(&self, status: StatusCode) -> HttpResponseBuilder {
        let mut builder = HttpResponse::build(status);
        let is_private = self.bound_to.borrow().is_some() || !self.cookies.borrow().is_empty();
        safe(&mut builder, self.site.authority.issuer())
            .insert_header((CACHE_CONTROL, if is_private { "no-store" } else { "no-cache" }));
        for cookie in self.cookies.borrow_mut().drain(..) {
            builder.cookie(cookie);
        }
        builder
    }
}
