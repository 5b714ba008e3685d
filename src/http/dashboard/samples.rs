//! Every template is rendered with samples, strictly: a field that a template names and no view has fails here.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix_web::body::to_bytes;
use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use actix_web::web::Data;

use super::page::View;
use super::scene::Scene;
use crate::clock::SystemClock;
use crate::config::{Config, Settings, SourceValues};
use crate::http::pages::Pages;
use crate::http::site::Site;
use crate::service::{Authority, Management};

type Rendered = Result<actix_web::HttpResponse, crate::service::ServiceError>;

/// A view with a name, that can be rendered.
pub(super) struct Sample {
    template: &'static str,
    render: Box<dyn Fn(&Scene) -> Rendered>,
}

/// A sample of a view.
pub(super) fn sample<V: View + 'static>(view: V) -> Sample {
    Sample { template: V::TEMPLATE, render: Box::new(move |scene| scene.render(StatusCode::OK, &view)) }
}

/// All samples: one line for each file that has views.
fn all() -> Vec<Sample> {
    let mut samples = Vec::new();
    samples.extend(super::account::passkeys::tests::samples());
    samples.extend(super::account::second_factor::tests::samples());
    samples.extend(super::account::tests::samples());
    samples.extend(super::apps::tests::samples());
    samples.extend(super::apis::tests::samples());
    samples.extend(super::admin::tests::samples());
    samples.extend(super::audit::tests::samples());
    samples.extend(super::error::tests::samples());
    samples.extend(super::failed::tests::samples());
    samples.extend(super::home::tests::samples());
    samples.extend(super::issuers::tests::samples());
    samples.extend(super::inspect::tests::samples());
    samples.extend(super::resume::tests::samples());
    samples.extend(super::sign_in::provider::tests::samples());
    samples.extend(super::sign_in::second_factor::tests::samples());
    samples.extend(super::sign_in::tests::samples());
    samples.extend(super::dead_link::tests::samples());
    samples.extend(super::invitations::tests::samples());
    samples.extend(super::organisations::tests::samples());
    samples.extend(super::people::tests::samples());
    samples.extend(super::resets::tests::samples());
    samples.extend(super::setup::tests::samples());
    samples.extend(super::sign_up::tests::samples());
    samples.extend(super::team::tests::samples());
    samples.extend(super::apis::tests::samples());
    samples.extend(super::quick_start::tests::samples());
    samples.extend(super::start::tests::samples());
    samples.extend(super::try_it::tests::samples());
    samples.extend(super::usage::tests::samples());
    samples
}

#[test]
fn every_template_is_rendered_with_samples_and_none_has_inline_style_or_script() {
    let data = tempfile::tempdir().unwrap();
    let flags = [("data-dir".to_owned(), data.path().display().to_string())].into();
    let sources = SourceValues { flags, variables: Vec::new(), file: None };
    let config = Config::new(&Settings::resolve(&sources).unwrap()).unwrap();
    let management = Management::open(config.into(), Arc::new(SystemClock), "test").unwrap();
    let site = Data::new(Site::new(Authority::open(&management).unwrap().into()).unwrap());
    let request = TestRequest::get().uri("/").to_http_request();
    actix_web::rt::System::new().block_on(async {
        let mut rendered = BTreeSet::new();
        for sample in all() {
            let scene = Scene::public(&site, &request);
            let page = (sample.render)(&scene).unwrap_or_else(|error| panic!("{}: {error}", sample.template));
            let page = to_bytes(page.into_body()).await.unwrap();
            let page = std::str::from_utf8(&page).unwrap();
            assert!(page.contains("<h1"), "{} has no heading", sample.template);
            for inline in [" style=", " onclick=", " onload=", "<style", "<script>", "javascript:"] {
                assert!(!page.contains(inline), "{} has {inline}", sample.template);
            }
            for described in page.split("aria-describedby=\"").skip(1) {
                let ids = described.split('"').next().unwrap();
                let all_there = ids.split(' ').all(|id| page.contains(&format!("id=\"{id}\"")));
                assert!(all_there, "{}: nothing describes by `{ids}`", sample.template);
            }
            rendered.insert(sample.template);
        }
        let missing: Vec<String> =
            Pages::templates().into_iter().filter(|name| !rendered.contains(name.as_str())).collect();
        assert_eq!(missing, Vec::<String>::new(), "templates without a sample");
    });
}
