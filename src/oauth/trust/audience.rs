//! The audience that stands for one organisation: this server's issuer, a slash, and the organisation's slug. What an issuer
//! signs for it nobody else takes, whatever they register.

/// In octets, and longer than any is: what is remembered of strangers' requests is bounded.
pub const LONGEST_SLUG: usize = 64;

/// The audience of the organisation with that slug at the server of that issuer.
pub fn organisation_audience(server: &str, slug: &str) -> String {
    format!("{server}/{slug}")
}

/// The slug in the audience of an organisation. Whether there is one of that slug does not matter: nobody must be able to take
/// an audience over by making one.
pub fn named_organisation<'a>(server: &str, audience: &'a str) -> Option<&'a str> {
    let slug = audience.strip_prefix(server)?.strip_prefix('/')?;
    let is_slug = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (!slug.is_empty() && slug.len() <= LONGEST_SLUG && slug.chars().all(is_slug)).then_some(slug)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audience_of_an_organisation_names_it() {
        let server = "https://id.example";
        assert_eq!(named_organisation(server, &organisation_audience(server, "acme-2")), Some("acme-2"));
        let long = format!("{server}/{}", "a".repeat(LONGEST_SLUG + 1));
        for other in [
            server,
            "https://id.example/",
            "https://id.example//acme",
            "https://id.example/acme/",
            "https://id.example/ACME",
            "https://id.example/api/v1",
            "https://id.example/acme?x",
            "https://id.example.org/acme",
            "https://id.exampleacme",
            "http://id.example/acme",
            "acme",
            "",
            &long,
        ] {
            assert_eq!(named_organisation(server, other), None, "{other}");
        }
    }
}
