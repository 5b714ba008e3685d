//! An authenticator app.

use brevet::clock::Clock;
use totp_rs::{Builder, Secret, Totp};

use super::TestApp;
use super::browser::{Browser, Page};

/// What the app was told.
pub struct Seed(Totp);

impl Seed {
    /// Typed from the page that shows it.
    pub fn of(page: &Page) -> Self {
        let text = page.attribute("#seed", "value").unwrap_or_else(|| panic!("no seed in {}", page.body));
        let secret = Secret::try_from_base32(text.replace(' ', "")).unwrap();
        Self(Builder::new().with_secret(secret).with_account_name("test").build().unwrap())
    }

    /// The key as it is.
    pub fn octets(&self) -> Vec<u8> {
        self.0.secret().as_bytes().to_vec()
    }

    /// The code that the app shows now.
    pub fn code(&self, app: &TestApp) -> String {
        self.0.generate(u64::try_from(app.clock.now().seconds()).unwrap()).to_string()
    }
}

/// Sets an authenticator app up for who is signed in; gives the recovery codes too.
pub fn enrol(app: &TestApp, browser: &Browser) -> (Seed, Vec<String>) {
    let page = browser.submit(&browser.get("/account"), "/account/2fa/begin", &[]).assert_status(200);
    let seed = Seed::of(&page);
    let page = browser.submit(&page, "/account/2fa", &[("code", &seed.code(app))]).assert_status(200);
    (seed, page.texts(".codes code"))
}
