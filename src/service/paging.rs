//! Lists for people: looked through by words, a page at a time.

use std::ops::Deref;

use super::ServiceError;
use crate::db::{AnyConnection, DbError};

/// Rows on a page.
pub const PER_PAGE: i64 = 50;
/// Words to look for, in characters.
pub const LONGEST_WORDS: usize = 100;

/// Which page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// What is looked for; empty for everything.
    pub words: String,
    /// Counted from 1; behind the last page there is the last one.
    pub page: i64,
}

impl Default for Search {
    fn default() -> Self {
        Self { words: String::new(), page: 1 }
    }
}

/// A page of what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<T> {
    /// What stands on it.
    pub rows: Vec<T>,
    /// How many were found, on all pages.
    pub found: i64,
    /// Which page it is, counted from 1.
    pub page: i64,
    /// How many there are, at least 1.
    pub pages: i64,
}

/// Reads as what stands on it.
impl<T> Deref for Found<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.rows
    }
}

impl<T> Found<T> {
    /// The page that is asked for, of a list of which `found` are to be shown; `load` reads what stands at a place and how
    /// many from there on.
    pub(super) fn load(
        conn: &mut AnyConnection,
        page: i64,
        found: i64,
        load: impl FnOnce(&mut AnyConnection, (i64, i64)) -> Result<Vec<T>, DbError>,
    ) -> Result<Self, ServiceError> {
        let (page, pages) = place(page, found);
        Ok(Self { rows: load(conn, ((page - 1).saturating_mul(PER_PAGE), PER_PAGE))?, found, page, pages })
    }

    /// The page that is asked for of what is in memory already.
    pub fn of(all: impl ExactSizeIterator<Item = T>, page: i64) -> Self {
        let found = i64::try_from(all.len()).unwrap_or(i64::MAX);
        let (page, pages) = place(page, found);
        let before = usize::try_from((page - 1).saturating_mul(PER_PAGE)).unwrap_or(usize::MAX);
        let rows = all.skip(before).take(usize::try_from(PER_PAGE).unwrap_or(usize::MAX)).collect();
        Self { rows, found, page, pages }
    }
}

fn place(page: i64, found: i64) -> (i64, i64) {
    let pages = found.saturating_add(PER_PAGE - 1).checked_div(PER_PAGE).unwrap_or(1).max(1);
    (page.clamp(1, pages), pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_the_last_page_there_is_the_last_one() {
        let all: Vec<i64> = (0..120).collect();
        for (asked, page, first, rows) in [(1, 1, 0, 50), (3, 3, 100, 20), (4, 3, 100, 20), (-1, 1, 0, 50)] {
            let found = Found::of(all.iter(), asked);
            assert_eq!((found.page, found.pages, *found.rows[0], found.rows.len()), (page, 3, first, rows));
        }
        let nothing = Found::of(all[..0].iter(), 1);
        assert_eq!((nothing.page, nothing.pages, nothing.rows.len()), (1, 1, 0));
    }
}
