//! Numbers for Prometheus. No label ever holds a client's id: there may be a hundred thousand.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::proto::Bucket;
use prometheus::{Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry, TextEncoder};

use super::site::Site;
use crate::oauth::request::GrantType;
use crate::service::trusted_issuers::CertificateOutlook;

/// What is counted.
pub(super) struct Metrics {
    registry: Registry,
    token_requests: IntCounterVec,
    token_duration: Histogram,
    tokens_issued: IntCounter,
    pub(super) jwks_requests: IntCounter,
    http_requests: IntCounterVec,
    pub(super) panics: IntCounter,
}

impl Metrics {
    pub(super) fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let vector = |name: &str, help: &str, labels: &[&str]| {
            let vector = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(vector.clone()))?;
            Ok::<_, prometheus::Error>(vector)
        };
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let token_requests = vector(
            "brevet_token_requests_total",
            "Requests to the token endpoint by grant, result and error",
            &["grant", "result", "error"],
        )?;
        let token_duration = Histogram::with_opts(
            HistogramOpts::new(
                "brevet_token_request_duration_seconds",
                "Time from a token request's head to its answer",
            )
            .buckets(vec![0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0]),
        )?;
        registry.register(Box::new(token_duration.clone()))?;
        let build = vector("brevet_build_info", "Always 1; the label is the version", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).inc();
        Ok(Self {
            tokens_issued: token_requests.with_label_values(&["client_credentials", "issued", ""]),
            token_requests,
            token_duration,
            jwks_requests: counter("brevet_jwks_requests_total", "Requests for the public keys")?,
            http_requests: vector(
                "brevet_http_requests_total",
                "Requests by route, method and status",
                &["route", "method", "status"],
            )?,
            panics: counter("brevet_panics_total", "Handlers that panicked: faults of the program")?,
            registry,
        })
    }

    pub(super) fn request(&self, route: &str, method: &str, status: u16) {
        self.http_requests.with_label_values(&[route, method, &status.to_string()]).inc();
    }

    pub(super) fn token_request(&self, grant: Option<GrantType>, error: Option<&str>, duration: Duration) {
        match (grant, error) {
            (Some(GrantType::ClientCredentials), None) => self.tokens_issued.inc(),
            (grant, error) => {
                let result = if error.is_none() { "issued" } else { "refused" };
                let labels = [grant.map_or("unknown", GrantType::label), result, error.unwrap_or_default()];
                self.token_requests.with_label_values(&labels).inc();
            }
        }
        self.token_duration.observe(duration.as_secs_f64());
    }

    /// Within what time 95 of 100 token requests were answered since this node started, as well as the buckets tell: none
    /// without any, and [`Duration::MAX`] past the last of them.
    pub(super) fn token_p95(&self) -> Option<Duration> {
        let families = self.token_duration.collect();
        let histogram = families.first()?.get_metric().first()?.get_histogram();
        let all = histogram.get_sample_count();
        let mut buckets = histogram.get_bucket().iter();
        let enough = |count: u64| u128::from(count) * 100 >= u128::from(all) * 95;
        let bound = buckets.find(|bucket| enough(bucket.cumulative_count())).map(Bucket::upper_bound);
        (all > 0).then(|| bound.and_then(|bound| Duration::try_from_secs_f64(bound).ok()).unwrap_or(Duration::MAX))
    }

    /// The text format, with what is read off the server at this moment.
    pub(super) fn text(&self, site: &Site) -> prometheus::Result<Vec<u8>> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        let directory = &site.authority.directory;
        let now = site.authority.clock.now();
        let key_age = directory.ring().signing_key_age(now).unwrap_or_default().as_secs();
        let (used, idle) = directory.database().pool_state();
        let gauges = format!(
            "# HELP brevet_signing_key_age_seconds How long the present key has signed\n\
             # TYPE brevet_signing_key_age_seconds gauge\n\
             brevet_signing_key_age_seconds {key_age}\n\
             # HELP brevet_db_pool_connections Connections to the database\n\
             # TYPE brevet_db_pool_connections gauge\n\
             brevet_db_pool_connections{{state=\"used\"}} {used}\n\
             brevet_db_pool_connections{{state=\"idle\"}} {idle}\n\
             # HELP brevet_apps_in_memory Apps held in memory\n\
             # TYPE brevet_apps_in_memory gauge\n\
             brevet_apps_in_memory {}\n",
            directory.apps_held()
        );
        text.extend_from_slice(gauges.as_bytes());
        if let Some(outlook) = site.authority.certificates.get() {
            text.extend_from_slice(certificate_gauges(outlook).as_bytes());
        }
        text.extend_from_slice(third_party_jwts(site).as_bytes());
        Ok(text)
    }
}

/// Of all issuers together: there may be thousands. The moment itself and not the time until then, so that it is right
/// however long ago it was looked at.
fn certificate_gauges(outlook: CertificateOutlook) -> String {
    let mut text = format!(
        "# HELP brevet_trusted_issuers_expiring Trusted issuers whose certificates expire within 30 days, or did\n\
         # TYPE brevet_trusted_issuers_expiring gauge\n\
         brevet_trusted_issuers_expiring {}\n",
        outlook.expiring
    );
    if let Some(soonest) = outlook.soonest {
        text.push_str(&format!(
            "# HELP brevet_trusted_issuer_certificate_expiry_timestamp_seconds When the first certificate of a trusted issuer expires\n\
             # TYPE brevet_trusted_issuer_certificate_expiry_timestamp_seconds gauge\n\
             brevet_trusted_issuer_certificate_expiry_timestamp_seconds {}\n",
            soonest.seconds()
        ));
    }
    text
}

/// What became of third parties' JWTs, by the way in which they came.
fn third_party_jwts(site: &Site) -> String {
    let mut text = "# HELP brevet_third_party_jwts_total JWTs of third parties by way and result\n\
                    # TYPE brevet_third_party_jwts_total counter\n"
        .to_owned();
    for ((way, result), count) in site.authority.trust_counts.totals() {
        text.push_str(&format!("brevet_third_party_jwts_total{{way=\"{way}\",result=\"{result}\"}} {count}\n"));
    }
    text
}
