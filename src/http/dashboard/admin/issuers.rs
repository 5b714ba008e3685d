//! Third parties whose signed tokens are accepted: the place where they will stand.

use serde::Serialize;

use crate::http::dashboard::error::PageResult;
use crate::http::dashboard::page::{Section, View};
use crate::http::dashboard::visitor::{Operator, Visitor};

/// The page.
#[derive(Serialize)]
struct IssuersView {}

impl View for IssuersView {
    const TEMPLATE: &'static str = "dashboard/admin/issuers";
    const SECTION: Section = Section::Issuers;

    fn title(&self) -> String {
        "Trusted issuers".to_owned()
    }
}

/// The page.
pub(in crate::http::dashboard) async fn show(visitor: Visitor<Operator>) -> PageResult {
    visitor.page(&IssuersView {})
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::dashboard::samples::{Sample, sample};

    pub(in crate::http::dashboard) fn samples() -> Vec<Sample> {
        vec![sample(IssuersView {})]
    }
}
