//! What tests share.

mod app;
pub mod browser;
pub mod hostile;
pub mod http;
pub mod one_time;
pub mod openssl;
pub mod postgres;
pub mod process;
pub mod signer;
pub mod smtp;
pub mod tools;

pub use app::{Credentials, PASSWORD, START, TestApp, audit, decode_jwt, new_app, test_config};
