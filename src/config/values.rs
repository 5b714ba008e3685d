//! How the value of each kind of setting is read; an error says what it should look like.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use super::{LogFormat, SecondFactorRule, SignUpMode};
use crate::clock::parse_span;

pub(super) fn check_database_url(text: &str) -> Result<String, String> {
    let known = ["sqlite://", "postgres://", "postgresql://"];
    if known.iter().any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty())) {
        Ok(text.to_owned())
    } else {
        Err("write sqlite://FILE or postgres://USER:PASSWORD@HOST/NAME".to_owned())
    }
}

pub(super) fn check_issuer(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| format!("it is not a URL ({error}); write https://id.example.com"))?;
    let plain =
        url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !plain {
        return Err("it must be an http:// or https:// URL without user, query or fragment".to_owned());
    }
    if text.ends_with('/') {
        return Err(format!("it must not end in a slash; write {}", text.trim_end_matches('/')));
    }
    let normal = url.as_str().trim_end_matches('/');
    if normal != text {
        return Err(format!("verifiers compare it byte for byte, so it must be in normal form; write {normal}"));
    }
    Ok(text.to_owned())
}

pub(super) fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_error| "write an address and a port, such as 127.0.0.1:8080 or [::]:8080".to_owned())
}

pub(super) fn off_or<T>(text: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, String> {
    if text == "off" { Ok(None) } else { read(text).map(Some).map_err(|wrong| format!("{wrong}, or `off`")) }
}

/// Empty, or whole segments of a path, none of which a browser or a proxy writes in another way.
pub(super) fn path_prefix(text: &str) -> Result<String, String> {
    let is_plain = |segment: &str| {
        let of_segment = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        !segment.is_empty() && segment.len() <= 64 && segment.bytes().all(of_segment) && !matches!(segment, "." | "..")
    };
    let segments = text.strip_prefix('/').map(|rest| rest.split('/'));
    if text.is_empty() || (text.len() <= 200 && segments.is_some_and(|mut segments| segments.all(is_plain))) {
        Ok(text.to_owned())
    } else {
        Err("write a path such as /FlexiCapture12: letters, digits, `-`, `.` and `_`, no slash at the end".to_owned())
    }
}

pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" => Ok(false),
        _ => Err("write true or false".to_owned()),
    }
}

pub(super) fn whole_number<N: TryFrom<u64>>(text: &str, least: u64, most: u64) -> Result<N, String> {
    let in_range = text.parse::<u64>().ok().filter(|number| (least..=most).contains(number));
    in_range
        .and_then(|number| N::try_from(number).ok())
        .ok_or_else(|| format!("write a whole number from {least} to {most}"))
}

pub(super) fn positive_span(text: &str) -> Result<Duration, String> {
    let span = parse_span(text)?;
    if span.is_zero() { Err("it must be longer than nothing".to_owned()) } else { Ok(span) }
}

pub(super) fn per_minute(text: &str) -> Result<u32, String> {
    let count = text.strip_suffix("/min").ok_or("write a count a minute, such as 10/min")?;
    whole_number(count, 1, 1_000_000)
}

pub(super) fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    let named = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    named
        .map(|part| {
            let address = || part.parse().ok().map(|address: IpAddr| IpNet::from(address));
            part.parse().ok().or_else(address).ok_or_else(|| {
                format!(
                    "`{part}` is not a network; write addresses or CIDRs with commas between, such as 10.0.0.0/8,::1"
                )
            })
        })
        .collect()
}

/// Names of certificate authorities, which may hold anything but a comma and control characters.
pub(super) fn authority_names(text: &str) -> Result<Vec<String>, String> {
    const MOST: usize = 20;
    const LONGEST: usize = 512;
    let named: Vec<String> =
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let is_plain = |name: &String| name.len() <= LONGEST && !name.chars().any(char::is_control);
    if named.len() <= MOST && named.iter().all(is_plain) {
        Ok(named)
    } else {
        Err(format!(
            "write at most {MOST} common names or SHA-256 fingerprints with commas between, such as Acme Root CA; of a name with a comma in it, the fingerprint"
        ))
    }
}

pub(super) fn log_filter(text: &str) -> Result<String, String> {
    let wrong =
        |error| format!("{error}; write levels, also of parts, with commas between, such as info or warn,brevet=debug");
    env_filter::Builder::new().try_parse(text).map(|_filter| text.to_owned()).map_err(wrong)
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("write text or json".to_owned()),
    }
}

pub(super) fn second_factor_rule(text: &str) -> Result<SecondFactorRule, String> {
    match text {
        "none" => Ok(SecondFactorRule::Nobody),
        "admins" => Ok(SecondFactorRule::Admins),
        "all" => Ok(SecondFactorRule::Everybody),
        _ => Err("write none, admins or all".to_owned()),
    }
}

pub(super) fn sign_up_mode(text: &str) -> Result<SignUpMode, String> {
    match text {
        "open" => Ok(SignUpMode::Open),
        "invite" => Ok(SignUpMode::Invite),
        "closed" => Ok(SignUpMode::Closed),
        _ => Err("write open, invite or closed".to_owned()),
    }
}

pub(super) fn check_smtp_url(text: &str) -> Result<String, String> {
    let url = || Url::parse(text).ok().filter(|url| matches!(url.scheme(), "smtp" | "smtps") && url.has_host());
    if text.is_empty() || url().is_some() {
        Ok(text.to_owned())
    } else {
        Err("write smtps://USER:PASSWORD@HOST or smtp://HOST?tls=required".to_owned())
    }
}

/// `name@example.com` or `Name <name@example.com>`; what is inside is read where mail is sent.
pub(super) fn check_mailbox(text: &str) -> Result<String, String> {
    let address = text.rsplit_once('<').map_or(text, |(_, rest)| rest.trim_end_matches('>'));
    let well_formed = address.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    if text.is_empty() || (well_formed && !text.chars().any(char::is_control)) {
        Ok(text.to_owned())
    } else {
        Err("write name@example.com or Name <name@example.com>".to_owned())
    }
}
