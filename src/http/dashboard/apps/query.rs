//! What the address of the list of apps says: what is looked for, in which order, which page.

use std::borrow::Cow;

use url::form_urlencoded;
use uuid::Uuid;

use crate::db::apps::{AppOrder, OwnerFilter};
use crate::service::apps::{AppSearch, LONGEST_WORDS};

/// How many apps may stand on a page; the first is what stands there when nothing is said.
pub(super) const SIZES: [i64; 2] = [25, 50];
/// No organisation has so many pages.
const MOST_PAGES: i64 = 1_000_000;

/// What is wrong with an address: in words that echo nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadQuery(pub(super) &'static str);

/// Reads the query of an address. What is empty is as if it were not there, because a form sends all its fields; what is
/// unknown, twice, or none of the values is refused. `me` is who looks.
pub(super) fn read(query: &str, me: Uuid) -> Result<AppSearch, BadQuery> {
    let mut search = AppSearch {
        words: None,
        enabled: None,
        api_id: None,
        unused: false,
        ending: false,
        owner: None,
        order: AppOrder::Name,
        descending: false,
        page: 1,
        per_page: SIZES[0],
    };
    let mut seen: Vec<Cow<'_, str>> = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if seen.contains(&name) {
            return Err(BadQuery("The address has a parameter twice."));
        }
        let text = value.trim();
        match name.as_ref() {
            _ if text.is_empty() => {}
            "q" => search.words = Some(words(text)?),
            "status" => search.enabled = Some(status(text)?),
            "api" => search.api_id = Some(api(text)?),
            "unused" => search.unused = ticked(text)?,
            "ending" => search.ending = ticked(text)?,
            "owner" => search.owner = Some(owner(text, me)?),
            "sort" => (search.order, search.descending) = order(text)?,
            "page" => search.page = page(text)?,
            "size" => search.per_page = size(text)?,
            _ => return Err(BadQuery("The address has a parameter that this list does not know.")),
        }
        seen.push(name);
    }
    Ok(search)
}

fn words(text: &str) -> Result<String, BadQuery> {
    if text.chars().count() > LONGEST_WORDS || text.chars().any(char::is_control) {
        return Err(BadQuery("Look for at most 100 characters, none of them a control character."));
    }
    Ok(text.to_owned())
}

fn status(text: &str) -> Result<bool, BadQuery> {
    match text {
        "active" => Ok(true),
        "disabled" => Ok(false),
        _ => Err(BadQuery("A status is active or disabled.")),
    }
}

fn api(text: &str) -> Result<Uuid, BadQuery> {
    let id = Uuid::try_parse(text).ok().filter(|id| id.hyphenated().to_string() == text);
    id.ok_or(BadQuery("An API is named by its id."))
}

fn ticked(text: &str) -> Result<bool, BadQuery> {
    if text == "1" { Ok(true) } else { Err(BadQuery("A box that is ticked says 1.")) }
}

fn owner(text: &str, me: Uuid) -> Result<OwnerFilter, BadQuery> {
    match text {
        "me" => Ok(OwnerFilter::Person(me)),
        "none" => Ok(OwnerFilter::Nobody),
        _ => Err(BadQuery("An owner is me or none.")),
    }
}

/// The word for an owner, of whom only the person who looks can be named.
pub(super) fn owner_word(owner: OwnerFilter) -> &'static str {
    match owner {
        OwnerFilter::Person(_) => "me",
        OwnerFilter::Nobody => "none",
    }
}

/// The orders, by the words that stand for them; a hyphen in front turns one round.
const ORDERS: [(&str, AppOrder); 3] =
    [("name", AppOrder::Name), ("created", AppOrder::Created), ("used", AppOrder::LastUsed)];

fn order(text: &str) -> Result<(AppOrder, bool), BadQuery> {
    let (word, descending) = text.strip_prefix('-').map_or((text, false), |word| (word, true));
    let known = ORDERS.iter().find(|(name, _)| *name == word);
    known.map(|(_, order)| (*order, descending)).ok_or(BadQuery("Apps are sorted by name, created or used."))
}

fn page(text: &str) -> Result<i64, BadQuery> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() <= 7;
    let number = plain.then(|| text.parse().ok()).flatten().filter(|number| (1..=MOST_PAGES).contains(number));
    number.ok_or(BadQuery("Pages are counted from 1."))
}

fn size(text: &str) -> Result<i64, BadQuery> {
    SIZES.into_iter().find(|size| size.to_string() == text).ok_or(BadQuery("A page has 25 or 50 apps."))
}

/// The query that says the same, in one spelling: with a question mark, or nothing if there is nothing to say.
pub(super) fn write(search: &AppSearch) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            query.append_pair(name, &value);
        }
    };
    add("q", search.words.clone());
    add("status", search.enabled.map(|enabled| if enabled { "active" } else { "disabled" }.to_owned()));
    add("api", search.api_id.map(|id| id.to_string()));
    add("unused", search.unused.then(|| "1".to_owned()));
    add("ending", search.ending.then(|| "1".to_owned()));
    add("owner", search.owner.map(|owner| owner_word(owner).to_owned()));
    add("sort", Some(sort(search.order, search.descending)).filter(|sort| sort != "name"));
    add("size", Some(search.per_page).filter(|size| *size != SIZES[0]).map(|size| size.to_string()));
    add("page", Some(search.page).filter(|page| *page != 1).map(|page| page.to_string()));
    let text = query.finish();
    if text.is_empty() { text } else { format!("?{text}") }
}

/// The word for an order.
pub(super) fn sort(order: AppOrder, descending: bool) -> String {
    let word = ORDERS.iter().find(|(_, known)| *known == order).map_or("name", |(word, _)| *word);
    if descending { format!("-{word}") } else { word.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: Uuid = Uuid::nil();

    #[test]
    fn what_is_read_is_written_again() {
        for query in [
            "",
            "?q=a%25+b%26",
            "?status=disabled&unused=1&ending=1&sort=-used&size=50&page=3",
            "?owner=me",
            "?unused=1&owner=none&sort=created",
            "?api=0197f0a0-0000-7000-8000-000000000001&sort=-name",
        ] {
            assert_eq!(write(&read(query.trim_start_matches('?'), ME).unwrap()), query);
        }
        let of_a_form = read("q=&status=&api=&sort=name&size=25&page=1", ME).unwrap();
        assert_eq!(write(&of_a_form), "");
    }

    #[test]
    fn what_a_hostile_address_says_is_refused() {
        let long = format!("q={}", "x".repeat(101));
        for query in [
            "sort=hash",
            "sort=name;drop table apps",
            "sort=name,hash",
            "sort=--name",
            "sort=NAME",
            "page=0",
            "page=-1",
            "page=%2B1",
            "page=1e3",
            "page=0x1",
            "page=99999999999999999999",
            "page=1000001",
            "size=1",
            "size=100",
            "size=25'--",
            "status=on",
            "status=active' OR '1'='1",
            "api=1 OR 1=1",
            "api=0197F0A0-0000-7000-8000-000000000001",
            "api={0197f0a0-0000-7000-8000-000000000001}",
            "unused=true",
            "owner=ana",
            "owner=0197f0a0-0000-7000-8000-000000000001",
            "ending=0",
            "q=a%00b",
            "q=a%0Ab",
            &long,
            "select=hash",
            "organisation_id=1",
            "q=a&q=b",
            "page=1&page=2",
        ] {
            assert!(read(query, ME).is_err(), "{query}");
        }
    }
}
