//! A browser without JavaScript: it keeps cookies, follows redirects on its host, and sends the forms that pages hold.

use std::cell::RefCell;
use std::collections::BTreeMap;

use scraper::{ElementRef, Html, Selector};
use ureq::http::HeaderMap;
use url::form_urlencoded;

use super::http::{Answer, send};

/// A browser.
#[derive(Debug)]
pub struct Browser {
    url: String,
    cookies: RefCell<BTreeMap<String, String>>,
}

/// A page as it came.
#[derive(Debug, Clone)]
pub struct Page {
    pub status: u16,
    /// Path and query, after redirects.
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Browser {
    pub fn new(url: &str) -> Self {
        Self { url: url.to_owned(), cookies: RefCell::new(BTreeMap::new()) }
    }

    /// Opens a page, following redirects.
    pub fn get(&self, path: &str) -> Page {
        self.follow("GET", path, &[], None)
    }

    /// Sends one request and gives the answer as it is, redirects too.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Answer {
        let jar =
            self.cookies.borrow().iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
        let mut all: Vec<(&str, &str)> = vec![("accept", "text/html"), ("user-agent", "Brevet tests")];
        if !jar.is_empty() {
            all.push(("cookie", &jar));
        }
        if body.is_some() {
            all.push(("content-type", "application/x-www-form-urlencoded"));
        }
        all.extend_from_slice(headers);
        let answer = send(method, &format!("{}{path}", self.url), &all, body.map(str::as_bytes));
        for cookie in answer.headers.get_all("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.borrow_mut().remove(name);
            } else {
                self.cookies.borrow_mut().insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    fn follow(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Page {
        let mut path = path.to_owned();
        let mut answer = self.send(method, &path, headers, body);
        for _ in 0..5 {
            if !answer.status.is_redirection() {
                break;
            }
            let to = answer.header("location").to_owned();
            assert!(to.starts_with('/') && !to.starts_with("//"), "a redirect to another host: {to}");
            path = to;
            answer = self.send("GET", &path, &[], None);
        }
        Page { status: answer.status.as_u16(), path, headers: answer.headers, body: answer.body }
    }

    /// Sends the form of that page whose action ends with `action`: what the page filled in, and over it `fields`. A field
    /// that is named in `fields` has exactly the values given there; an empty list of values is not possible, leave out the
    /// tick with [`Page::without`].
    pub fn submit(&self, page: &Page, action: &str, fields: &[(&str, &str)]) -> Page {
        let (target, method, body) = page.filled_form(action, fields);
        if method == "get" {
            let path = target.split('?').next().unwrap();
            return self.get(&format!("{path}?{body}"));
        }
        self.follow("POST", &target, &[], Some(&body))
    }

    /// Signs in at the sign-in page.
    pub fn sign_in(&self, email: &str, password: &str) -> Page {
        let page = self.get("/login");
        self.submit(&page, "/login", &[("email", email), ("password", password)])
    }

    /// What the browser shows as that cookie.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.borrow().get(name).cloned()
    }

    pub fn set_cookie(&self, name: &str, value: &str) {
        self.cookies.borrow_mut().insert(name.to_owned(), value.to_owned());
    }
}

fn select<'a>(document: &'a Html, css: &str) -> Vec<ElementRef<'a>> {
    document.select(&Selector::parse(css).unwrap()).collect()
}

fn text_of(element: ElementRef<'_>) -> String {
    element.text().collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Page {
    pub fn assert_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{} {}", self.path, self.text());
        self
    }

    /// The texts of all elements of that selector.
    pub fn texts(&self, css: &str) -> Vec<String> {
        select(&Html::parse_document(&self.body), css).into_iter().map(text_of).collect()
    }

    /// The text of the main part, or of all.
    pub fn text(&self) -> String {
        self.texts("main").into_iter().next().unwrap_or_else(|| self.body.clone())
    }

    pub fn heading(&self) -> String {
        self.texts("h1").into_iter().next().unwrap_or_default()
    }

    /// What the summary of a refused form says.
    pub fn faults(&self) -> Vec<String> {
        self.texts(".faults li")
    }

    /// An attribute of the first element of that selector.
    pub fn attribute(&self, css: &str, name: &str) -> Option<String> {
        let document = Html::parse_document(&self.body);
        let first = select(&document, css).into_iter().next()?;
        first.value().attr(name).map(str::to_owned)
    }

    /// The addresses of all links.
    pub fn links(&self) -> Vec<String> {
        let document = Html::parse_document(&self.body);
        select(&document, "a[href]").into_iter().filter_map(|a| a.value().attr("href").map(str::to_owned)).collect()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The same page with the tick of a box taken away.
    pub fn without(&self, name: &str, value: &str) -> Self {
        let ticked = format!("name=\"{name}\" value=\"{value}\" checked");
        assert!(self.body.contains(&ticked), "no ticked box {name}={value} in {}", self.path);
        Self { body: self.body.replace(&ticked, &format!("name=\"{name}\" value=\"{value}\"")), ..self.clone() }
    }

    /// Target, method and body of a form as a browser would send it.
    pub fn filled_form(&self, action: &str, fields: &[(&str, &str)]) -> (String, String, String) {
        let document = Html::parse_document(&self.body);
        let of_form = |form: &ElementRef<'_>| {
            let target = form.value().attr("action").unwrap_or(&self.path);
            target.split('?').next().unwrap().ends_with(action) || target.ends_with(action)
        };
        // What every page has around it, such as the search for apps, is meant last.
        let all = [select(&document, "main form"), select(&document, "form")].concat();
        let form = all.into_iter().find(of_form).unwrap_or_else(|| {
            let known: Vec<_> = select(&document, "form")
                .iter()
                .filter_map(|form| form.value().attr("action").map(str::to_owned))
                .collect();
            panic!("no form for {action} in {} ({:?}): {}", self.path, known, self.text())
        });
        let mut pairs: Vec<(String, String)> = Vec::new();
        for control in form.select(&Selector::parse("input, select, textarea").unwrap()) {
            let element = control.value();
            let Some(name) = element.attr("name") else { continue };
            let value = match (element.name(), element.attr("type").unwrap_or("text")) {
                ("select", _) => {
                    let options: Vec<_> = control.select(&Selector::parse("option").unwrap()).collect();
                    let chosen =
                        options.iter().find(|option| option.value().attr("selected").is_some()).or(options.first());
                    chosen.map(|option| option.value().attr("value").map_or_else(|| text_of(*option), str::to_owned))
                }
                ("textarea", _) => Some(control.text().collect::<String>()),
                (_, "checkbox" | "radio") => {
                    element.attr("checked").map(|_| element.attr("value").unwrap_or("on").to_owned())
                }
                (_, "submit" | "button" | "image") => None,
                _ => Some(element.attr("value").unwrap_or_default().to_owned()),
            };
            if let Some(value) = value.filter(|_| element.attr("disabled").is_none()) {
                pairs.push((name.to_owned(), value));
            }
        }
        pairs.retain(|(name, _)| !fields.iter().any(|(given, _)| given == name));
        pairs.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let target = form.value().attr("action").unwrap_or(&self.path).to_owned();
        (target, form.value().attr("method").unwrap_or("get").to_lowercase(), body)
    }
}
