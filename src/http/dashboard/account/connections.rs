//! `/account/connections`: accounts elsewhere that open this one.

use actix_web::http::StatusCode;
use actix_web::web::Path;

use super::AccountView;
use crate::http::dashboard::error::{PageError, PageResult};
use crate::http::dashboard::faults::Faults;
use crate::http::dashboard::visitor::{Anyone, Visitor};
use crate::service::{ServiceError, sign_in_elsewhere};

/// Connects the account at a provider that was just shown.
pub(in crate::http::dashboard) async fn connect(visitor: Visitor<Anyone>, name: Path<String>) -> PageResult {
    let form = visitor.confirmed_form(&[]).await?;
    let (person, name, offer) = (visitor.person().person.id, name.into_inner(), form.text("offer").to_owned());
    match visitor.change(move |m| sign_in_elsewhere::connect(m, person, &name, &offer)).await {
        Ok(()) => Ok(visitor.go("/account", "connected")),
        Err(error) => refused(&visitor, error).await,
    }
}

/// Takes a connection away.
pub(in crate::http::dashboard) async fn disconnect(visitor: Visitor<Anyone>, name: Path<String>) -> PageResult {
    visitor.confirmed_form(&[]).await?;
    let (person, name) = (visitor.person().person.id, name.into_inner());
    match visitor.change(move |m| sign_in_elsewhere::disconnect(m, person, &name)).await {
        Ok(()) => Ok(visitor.go("/account", "disconnected")),
        Err(error) => refused(&visitor, error).await,
    }
}

/// The account page, which says why it was not done.
async fn refused(visitor: &Visitor<Anyone>, error: ServiceError) -> PageResult {
    let faults = Faults::of_service(error).map_err(|error| PageError::service(visitor, &error))?;
    let view = AccountView::load(visitor, faults).await?;
    visitor.page_with(StatusCode::CONFLICT, &view)
}
