//! The resource routes under `/api/v1`.

pub(super) mod apis;
pub(super) mod app_keys;
pub(super) mod app_tokens;
pub(super) mod apps;
pub(super) mod issuers;
mod json;
pub(super) mod openapi;
mod page;
pub(super) mod records;
mod visit;
pub(super) mod whoami;
