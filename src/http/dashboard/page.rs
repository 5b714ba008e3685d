//! What a page is made of: its view, and around it what every page has.

use serde::Serialize;

use super::scene::Scene;
use super::{cookies, done};
use crate::db::developers::Role;
use crate::oauth::metadata::path;
use crate::service::sessions::{SignedIn, Workplace};

/// What a template shows.
pub(in crate::http) trait View: Serialize {
    /// The template, under `templates/`, without its ending.
    const TEMPLATE: &'static str;
    /// Which part of the navigation is marked.
    const SECTION: Section;

    /// The title, which is also the first heading.
    fn title(&self) -> String;

    /// Whether the page is there because a form was refused: its title says so first.
    fn is_refused(&self) -> bool {
        false
    }
}

/// A part of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Section {
    /// None of it.
    None,
    Home,
    Apps,
    Apis,
    Issuers,
    TryIt,
    Inspector,
    Audit,
    Team,
    SigningKeys,
    Users,
    System,
}

struct Link {
    section: Section,
    href: &'static str,
    text: &'static str,
    icon: &'static str,
}

const fn link(section: Section, href: &'static str, text: &'static str, icon: &'static str) -> Link {
    Link { section, href, text, icon }
}

const FOR_MEMBERS: &[Link] = &[
    link(Section::Home, "/", "Home", "house"),
    link(Section::Apps, "/apps", "Apps", "app-window"),
    link(Section::Apis, "/apis", "APIs", "layers"),
    link(Section::Issuers, "/issuers", "Issuers", "handshake"),
    link(Section::TryIt, "/try", "Try it", "play"),
    link(Section::Inspector, "/inspect", "Token inspector", "search-check"),
    link(Section::Audit, "/audit", "Audit log", "scroll-text"),
    link(Section::Team, "/team", "Team", "users"),
];

const FOR_OPERATORS: &[Link] = &[
    link(Section::SigningKeys, "/admin/keys", "Signing keys", "key-round"),
    link(Section::Users, "/admin/users", "Users", "user-cog"),
    link(Section::System, "/admin/system", "System", "server-cog"),
];

/// What every page has around its view; `page` in templates.
#[derive(Serialize)]
pub(super) struct Chrome<'a> {
    title: String,
    /// What stands in front of every path on this host.
    base: &'a str,
    issuer: &'a str,
    version: &'static str,
    stylesheet: &'a str,
    script: &'a str,
    /// Only for the pages that need it.
    passkeys_script: &'a str,
    icons: &'a str,
    favicon: &'a str,
    /// Whether only this machine reaches the issuer: a server to try things with.
    is_local: bool,
    errors_page: String,
    theme: &'static str,
    csrf: String,
    /// Fresh for each rendering: a form that carries it makes what it makes once.
    once: String,
    is_refused: bool,
    done: Option<&'static str>,
    /// Where the person is, to come back to.
    here: String,
    person: Option<ShownPerson<'a>>,
    /// Whether there is nothing to sign in to: the person is signed in by this very answer, or must set up a second factor.
    is_new_session: bool,
    navigation: Vec<ShownLink>,
    administration: Vec<ShownLink>,
}

#[derive(Serialize)]
struct ShownPerson<'a> {
    email: &'a str,
    name: &'a str,
    is_operator: bool,
    workplace: Option<ShownWorkplace<'a>>,
    /// The first of the others.
    workplaces: Vec<ShownWorkplace<'a>>,
    /// Whether there are more.
    has_more_workplaces: bool,
}

#[derive(Serialize)]
struct ShownWorkplace<'a> {
    slug: &'a str,
    name: &'a str,
    role: &'static str,
    may_change: bool,
    may_manage: bool,
}

impl<'a> ShownWorkplace<'a> {
    fn of(workplace: &'a Workplace) -> Self {
        Self {
            slug: &workplace.slug,
            name: &workplace.name,
            role: workplace.role.name(),
            may_change: workplace.role != Role::Viewer,
            may_manage: matches!(workplace.role, Role::Owner | Role::Admin),
        }
    }
}

#[derive(Serialize)]
struct ShownLink {
    href: &'static str,
    text: &'static str,
    icon: &'static str,
    is_current: bool,
}

fn links(all: &[Link], current: Section) -> Vec<ShownLink> {
    let shown = |link: &Link| ShownLink {
        href: link.href,
        text: link.text,
        icon: link.icon,
        is_current: link.section == current,
    };
    all.iter().map(shown).collect()
}

impl<'a> Chrome<'a> {
    pub(super) fn new<V: View>(scene: &'a Scene, view: &V, csrf: String, once: String) -> Self {
        let (site, signed_in) = (scene.site(), scene.signed_in());
        let pages = &site.pages;
        let code = scene.query("done");
        Self {
            title: view.title(),
            base: &pages.base,
            issuer: site.authority.issuer(),
            version: env!("CARGO_PKG_VERSION"),
            stylesheet: pages.asset("brevet.css"),
            script: pages.asset("brevet.js"),
            passkeys_script: pages.asset("passkeys.js"),
            icons: pages.asset("icons.svg"),
            favicon: pages.asset("favicon.svg"),
            is_local: pages.is_local,
            errors_page: format!("{}{}", pages.base, path::ERRORS),
            theme: cookies::theme(scene.request()),
            csrf,
            once,
            is_refused: view.is_refused(),
            done: code.as_deref().and_then(done::text),
            here: scene.here(),
            person: signed_in.map(shown_person),
            is_new_session: scene.is_new_session() || scene.unprotected().is_some(),
            navigation: if signed_in.is_some() { links(FOR_MEMBERS, V::SECTION) } else { Vec::new() },
            administration: match signed_in {
                Some(signed_in) if signed_in.person.is_operator => links(FOR_OPERATORS, V::SECTION),
                _ => Vec::new(),
            },
        }
    }
}

/// Organisations to switch to on every page; the others stand on a page of their own.
const WORKPLACES_SHOWN: usize = 10;

fn shown_person(signed_in: &SignedIn) -> ShownPerson<'_> {
    let current = signed_in.workplace.as_ref();
    let mut others = signed_in.workplaces.iter().filter(|other| current.is_none_or(|current| current.id != other.id));
    ShownPerson {
        email: &signed_in.person.email,
        name: &signed_in.person.name,
        is_operator: signed_in.person.is_operator,
        workplace: current.map(ShownWorkplace::of),
        workplaces: others.by_ref().take(WORKPLACES_SHOWN).map(ShownWorkplace::of).collect(),
        has_more_workplaces: others.next().is_some(),
    }
}
