//! What tests share.

mod app;
pub mod http;
pub mod process;
pub mod postgres;

pub use app::{Credentials, START, TestApp, decode_jwt, new_app, test_config};
