//! All integration tests in one program: one link, and one place for what they share.

#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "a test program has no readers of its API"
)]

mod support;

mod access_token;
mod cli;
mod client_authentication;
mod clients;
mod database_story;
mod discovery;
mod faults;
mod guard;
mod key_life;
mod layers;
mod nodes;
mod secrecy;
mod serve;
mod token_request;
