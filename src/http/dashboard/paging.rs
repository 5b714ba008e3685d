//! Lists that are looked through a page at a time: what the address asks for, and the way to the other pages.

use serde::Serialize;
use url::form_urlencoded;

use super::error::PageError;
use super::scene::Scene;
use crate::service::paging::{Found, LONGEST_WORDS, PER_PAGE, Search};

/// No list has so many pages.
const MOST_PAGES: i64 = 1_000_000;

/// Where a page stands in its list.
#[derive(Debug, Serialize)]
pub(super) struct Paging {
    /// How many were found, on all pages.
    found: i64,
    /// Where the page begins and ends.
    first: i64,
    last: i64,
    page_number: i64,
    pages: i64,
    previous: Option<String>,
    next: Option<String>,
}

impl Paging {
    /// `path` is where the list is, `parameter` names its pages in the address.
    pub(super) fn new<T>(found: &Found<T>, path: &str, parameter: &str, words: &str) -> Self {
        let to = |page: i64| {
            let mut query = form_urlencoded::Serializer::new(String::new());
            if !words.is_empty() {
                query.append_pair("q", words);
            }
            format!("{path}?{}", query.append_pair(parameter, &page.to_string()).finish())
        };
        let before = (found.page - 1).saturating_mul(PER_PAGE);
        let rows = i64::try_from(found.rows.len()).unwrap_or_default();
        Self {
            found: found.found,
            first: if rows == 0 { 0 } else { before + 1 },
            last: before + rows,
            page_number: found.page,
            pages: found.pages,
            previous: (found.page > 1).then(|| to(found.page - 1)),
            next: (found.page < found.pages).then(|| to(found.page + 1)),
        }
    }
}

/// What the address looks for: `q` and `page`.
pub(super) fn asked_for(scene: &Scene) -> Result<Search, PageError> {
    let words = scene.query("q").unwrap_or_default().trim().to_owned();
    if words.chars().count() > LONGEST_WORDS || words.chars().any(char::is_control) {
        let text = format!("Look for at most {LONGEST_WORDS} characters, none of them a control character.");
        return Err(PageError::bad_request(scene, text));
    }
    Ok(Search { words, page: page(scene, "page")? })
}

/// The page that a parameter of the address names, or the first.
pub(super) fn page(scene: &Scene, parameter: &str) -> Result<i64, PageError> {
    let text = scene.query(parameter).unwrap_or_default();
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.as_str() {
        "" => Ok(1),
        text => {
            let number = text.parse().ok().filter(|number| plain && (1..=MOST_PAGES).contains(number));
            number.ok_or_else(|| PageError::bad_request(scene, "Pages are counted from 1."))
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The first of two pages, or the only one.
    pub(in crate::http::dashboard) fn paging(of_two: bool) -> Paging {
        let pages = if of_two { 2 } else { 1 };
        Paging::new(&Found { rows: vec![(), ()], found: 2, page: 1, pages }, "/team", "page", "a&b")
    }

    #[test]
    fn the_way_to_other_pages_keeps_what_is_looked_for() {
        assert_eq!(paging(true).next.as_deref(), Some("/team?q=a%26b&page=2"));
        assert_eq!((paging(false).next, paging(true).previous), (None, None));
    }
}
