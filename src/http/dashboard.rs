//! The dashboard: pages and forms for people, rendered here, usable without JavaScript.
//!
//! A handler takes a [`visitor::Visitor`], whose type says who may come, runs walks of `service` through it, and answers
//! with a [`page::View`] or with a redirect after a change. Everything a page stands in (the person, the navigation, the token
//! against forged forms) comes from the [`scene::Scene`].

mod account;
mod admin;
mod apis;
mod apps;
mod audit;
mod cookies;
mod dead_link;
mod device;
mod done;
mod error;
pub(super) mod failed;
mod faults;
mod form;
pub(super) mod home;
mod inspect;
mod invitations;
mod issuers;
mod organisations;
mod page;
mod paging;
mod people;
mod private_keys;
mod qr;
mod quick_start;
mod refusal;
mod resets;
mod resume;
pub(super) mod routes;
mod scene;
mod setup;
mod sign_in;
mod sign_up;
mod start;
mod team;
mod try_it;
mod usage;
mod visitor;
mod when;

#[cfg(test)]
mod samples;
