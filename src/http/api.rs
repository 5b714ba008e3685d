//! The resource routes under `/api/v1`.

pub(super) mod apps;
pub(super) mod whoami;
