//! Resources by the methods that they take; other methods are told so.

use actix_web::http::Method;
use actix_web::web;
use actix_web::{Handler, HttpRequest, Resource, Responder};

use super::error::method_not_allowed;

/// A resource that takes GET and HEAD, and whatever is added to it; other methods are told what it takes.
pub(super) fn reading<F, Args>(resource: Resource, handler: F, allowed: &'static str) -> Resource
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    only(resource, allowed).route(web::get().to(handler.clone())).route(web::head().to(handler))
}

/// A resource that takes what is added to it; other methods are told what it takes.
pub(super) fn only(resource: Resource, allowed: &'static str) -> Resource {
    resource.default_service(web::to(move |request: HttpRequest| method_not_allowed(request, allowed)))
}

/// A route for GET and HEAD; other methods are told so.
pub(super) fn get<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    reading(web::resource(path), handler, "GET, HEAD")
}

/// A route for POST; other methods are told so.
pub(super) fn post<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    for_methods(&[Method::POST], "POST", path, handler)
}

/// A route for some methods, which `allowed` lists; other methods are told so.
pub(super) fn for_methods<F, Args>(methods: &[Method], allowed: &'static str, path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    methods.iter().fold(only(web::resource(path), allowed), move |resource, method| {
        resource.route(web::method(method.clone()).to(handler.clone()))
    })
}

/// A page with a form that comes back to the same address.
pub(super) fn get_and_post<G, GetArgs, P, PostArgs>(path: &str, show: G, take: P) -> Resource
where
    G: Handler<GetArgs>,
    GetArgs: actix_web::FromRequest + 'static,
    G::Output: Responder + 'static,
    P: Handler<PostArgs>,
    PostArgs: actix_web::FromRequest + 'static,
    P::Output: Responder + 'static,
{
    reading(web::resource(path), show, "GET, HEAD, POST").route(web::post().to(take))
}
