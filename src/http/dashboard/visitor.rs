//! Somebody who is signed in and may be here.

use std::cell::RefCell;
use std::future::Future;
use std::marker::PhantomData;
use std::ops::Deref;
use std::pin::Pin;

use actix_web::http::{Method, StatusCode};
use actix_web::web::{Data, Payload};
use actix_web::{FromRequest, HttpRequest, dev};
use uuid::Uuid;

use super::error::PageError;
use super::form::{Form, ONCE, PASSKEY, VERSION};
use super::resume::{ConfirmView, session_ended};
use super::scene::Scene;
use super::sign_in::passkey::answer;
use crate::clock::Timestamp;
use crate::db::developers::Role;
use crate::http::guard::site;
use crate::http::site::Site;
use crate::oauth::ClientId;
use crate::oauth::api::management_scope;
use crate::service::sessions::{SignedIn, Workplace};
use crate::service::{Condition, Management, ServiceError, passkeys, sign_in};

/// Who may come to a page.
pub(in crate::http) trait Admission: 'static {
    /// The least role in the organisation; `None` for whoever is signed in.
    const ROLE: Option<Role>;
    /// Whether only those come who run the whole server.
    const OPERATOR: bool = false;
    /// Whether somebody comes who lacks the second factor that the server demands.
    const UNPROTECTED: bool = false;
}

/// Whoever is signed in, even without the second factor that the server demands: to set one up, to change the password, to
/// sign out.
pub(in crate::http) struct Unprotected;

impl Admission for Unprotected {
    const ROLE: Option<Role> = None;
    const UNPROTECTED: bool = true;
}

macro_rules! admissions {
    ($($(#[$doc:meta])* $name:ident => $role:expr, $operator:literal;)*) => {
        $(
            $(#[$doc])*
            pub(in crate::http) struct $name;

            impl Admission for $name {
                const ROLE: Option<Role> = $role;
                const OPERATOR: bool = $operator;
            }
        )*
    };
}

admissions! {
    /// Whoever is signed in, also without any organisation.
    Anyone => None, false;
    /// Every member of the organisation.
    AnyMember => Some(Role::Viewer), false;
    /// Who may change apps and APIs.
    Developer => Some(Role::Developer), false;
    /// Who may change who belongs to the organisation.
    Admin => Some(Role::Admin), false;
    /// Who runs the whole server.
    Operator => None, true;
}

/// Somebody who is signed in and may be here. Gives what the [`Scene`] gives.
pub(in crate::http) struct Visitor<D> {
    scene: Scene,
    signed_in: SignedIn,
    workplace: Option<Workplace>,
    /// What came with a POST, not checked yet.
    form: RefCell<Option<Form>>,
    admission: PhantomData<D>,
}

impl<D> Deref for Visitor<D> {
    type Target = Scene;

    fn deref(&self) -> &Scene {
        &self.scene
    }
}

impl<D: Admission> FromRequest for Visitor<D> {
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, actix_web::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut dev::Payload) -> Self::Future {
        let request = request.clone();
        let payload = (request.method() == Method::POST).then(|| Payload::from_request(&request, payload));
        Box::pin(async move {
            let site = site(&request)?.clone();
            let payload = match payload {
                Some(payload) => Some(payload.await?),
                None => None,
            };
            Ok(Self::admit(&site, &request, payload).await?)
        })
    }
}

impl<D: Admission> Visitor<D> {
    async fn admit(site: &Data<Site>, request: &HttpRequest, payload: Option<Payload>) -> Result<Self, PageError> {
        let scene = Scene::set(site, request).await?;
        // Before it is known whether the session lives: what a person entered is not lost when it ended meanwhile.
        let form = match payload {
            Some(payload) => Some(scene.unchecked_form(payload).await?),
            None => None,
        };
        let unprotected = scene.unprotected().cloned();
        if unprotected.is_some() && !D::UNPROTECTED {
            return Err(PageError::of(scene.to_protection()));
        }
        let Some(signed_in) = scene.signed_in().cloned().or(unprotected) else {
            return Err(match form {
                Some(form) => session_ended(scene, &form).await,
                None => PageError::of(scene.to_sign_in()),
            });
        };
        if D::OPERATOR && !signed_in.person.is_operator {
            return Err(PageError::forbidden(&scene, "Only those who run this server come here."));
        }
        let workplace = signed_in.workplace.clone();
        if let Some(least) = D::ROLE {
            match &workplace {
                None => return Err(PageError::of(scene.redirect("/organisations/new"))),
                Some(workplace) if !workplace.role.includes(least) => {
                    return Err(PageError::forbidden(
                        &scene,
                        format!(
                            "Your role in {} is {}; this needs {} or more. Ask an administrator of the organisation.",
                            workplace.name, workplace.role, least
                        ),
                    ));
                }
                Some(_) => {}
            }
        }
        Ok(Self { scene, signed_in, workplace, form: RefCell::new(form), admission: PhantomData })
    }

    /// Who.
    pub(super) fn person(&self) -> &SignedIn {
        &self.signed_in
    }

    /// The session's organisation. Everybody has one whom a role let in.
    pub(super) fn workplace(&self) -> Option<&Workplace> {
        self.workplace.as_ref()
    }

    /// The slug of the session's organisation, which is all that is seen.
    pub(super) fn organisation(&self) -> String {
        self.workplace.as_ref().map(|workplace| workplace.slug.clone()).unwrap_or_default()
    }

    /// Whether the person has at least that role here.
    pub(super) fn has_role(&self, least: Role) -> bool {
        self.workplace.as_ref().is_some_and(|workplace| workplace.role.includes(least))
    }

    pub(super) fn now(&self) -> Timestamp {
        self.caller().now
    }

    /// An app named in the path. What cannot be one is answered as one that does not exist.
    pub(super) fn client_id(&self, text: &str) -> Result<ClientId, PageError> {
        ClientId::parse(text).ok_or_else(|| PageError::not_found(self))
    }

    /// An id of ours named in the path, in the one spelling that it has.
    pub(super) fn id(&self, text: &str) -> Result<Uuid, PageError> {
        let id = Uuid::try_parse(text).ok().filter(|id| id.hyphenated().to_string() == text);
        id.ok_or_else(|| PageError::not_found(self))
    }

    /// The memory on this person's behalf: of the organisation for members, of everything for those who run the server.
    pub(super) fn management(&self) -> Management {
        let all = &self.site().authority.management;
        match &self.workplace {
            Some(workplace) if D::ROLE.is_some() => all.for_member(&self.signed_in, workplace, self.caller().address),
            _ => all.for_person(&self.signed_in, self.caller().address),
        }
    }

    /// Runs a walk that changes nothing.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        walk: impl FnOnce(&Management) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, PageError> {
        let found = self.site().authority.look(self.management(), walk).await;
        found.map_err(|error| PageError::service(self, &error))
    }

    /// Runs a walk that reads much for a file to take along.
    pub(super) async fn export<T: Send + 'static>(
        &self,
        walk: impl FnOnce(&Management) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, PageError> {
        let made = self.site().authority.export(self.management(), self.signed_in.person.id, walk).await;
        made.map_err(|error| match error {
            ServiceError::Throttled(wait) => {
                PageError::throttled(self, wait, "Other exports of yours are being made. Wait until they are done.")
            }
            error => PageError::service(self, &error),
        })
    }

    /// Runs a walk that changes something.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        walk: impl FnOnce(&Management) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        self.site().authority.change(self.management(), walk).await
    }

    /// Runs a walk that makes something, once for this rendering of the form.
    pub(super) async fn create<T: Send + 'static>(
        &self,
        form: &Form,
        walk: impl FnOnce(&Management) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let once = form.text(ONCE);
        let is_ours = (16..=64).contains(&once.len()) && once.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_ours {
            return Err(ServiceError::Invalid("the form lacks its number; load the page again".to_owned()));
        }
        let m = self.management().once_for_form(self.signed_in.person.id, once);
        self.site().authority.change(m, walk).await
    }

    /// Runs a walk that changes what the person saw: `Stale` if it is not that any more.
    pub(super) async fn change_seen<T: Send + 'static>(
        &self,
        form: &Form,
        walk: impl FnOnce(&Management) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let m = self.management().on(Condition::Versions(vec![form.text(VERSION).to_owned()]));
        self.site().authority.change(m, walk).await
    }

    /// The form, if it comes from a page of ours. Fields in `repeated` may come several times.
    pub(super) fn form(&self, repeated: &[&str]) -> Result<Form, PageError> {
        let form = self.form.borrow_mut().take();
        let form = form.ok_or_else(|| PageError::bad_request(self, "A form is missing. Load the page again."))?;
        self.check_form(&form, repeated)?;
        Ok(form)
    }

    /// The form, and a proof that it is still the same person: from the last ten minutes, or in the form itself. Without one
    /// the person is asked for it, and nothing that was entered is lost.
    pub(super) async fn confirmed_form(&self, repeated: &[&str]) -> Result<Form, PageError> {
        let form = self.form(repeated)?;
        self.confirm(&form).await?;
        Ok(form)
    }

    /// Asks for the same proof where it depends on the form whether one is needed: who hands on power over the organisation
    /// must be the person that signed in.
    pub(super) async fn confirm_for_power<'s>(
        &self,
        form: &Form,
        mut scopes: impl Iterator<Item = &'s str>,
    ) -> Result<(), PageError> {
        if scopes.any(|scope| management_scope::names().contains(&scope)) { self.confirm(form).await } else { Ok(()) }
    }

    /// Asks for that proof, if there is none.
    pub(super) async fn confirm(&self, form: &Form) -> Result<(), PageError> {
        if self.signed_in.is_confirmed(self.now()) {
            return Ok(());
        }
        let authority = &self.site().authority;
        let has_proof = ["confirm-password", "confirm-code", PASSKEY].iter().any(|name| !form.text(name).is_empty());
        if !has_proof {
            let was_asked = form.has("confirm-password") || form.has("confirm-code");
            return Err(self.ask_for_proof(form, was_asked.then_some("Give one of these.")).await);
        }
        let confirmed = if form.text(PASSKEY).is_empty() {
            let (password, code) = (form.secret("confirm-password"), form.secret("confirm-code"));
            sign_in::confirm(authority, self.caller(), &self.signed_in, password, code).await
        } else {
            passkeys::confirm(authority, self.caller(), &self.signed_in, &answer(&self.scene, form)).await
        };
        match confirmed {
            Ok(Some(secret)) => {
                self.show_session(secret);
                Ok(())
            }
            Ok(None) => Err(self.ask_for_proof(form, Some("That is not right. Try again.")).await),
            Err(error) => Err(PageError::service(self, &error)),
        }
    }

    async fn ask_for_proof(&self, form: &Form, fault: Option<&str>) -> PageError {
        let status = if fault.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::FORBIDDEN };
        let asked = ConfirmView::load(self, form, fault).await.and_then(|view| self.page_with(status, &view));
        asked.map_or_else(|error| error, PageError::of)
    }
}
