//! `brevet doctor`

use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::flags::ServeFlags;
use super::{CliError, Context, logging};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::service::doctor::{Finding, Verdict, examine};

#[derive(Debug, Args)]
#[command(
    after_help = "It changes nothing and may be run beside a server. It fetches the public keys of trusted issuers, as the server does,\nand the server's own at its public address, as services do.\nExit code 1 if something does not work (✖); what needs a look (⚠) does not change it."
)]
pub(super) struct Doctor {
    #[command(flatten)]
    settings: ServeFlags,
}

impl Doctor {
    pub(super) fn run(self, context: &Context) -> Result<(), CliError> {
        let settings = context.settings(Some(&self.settings));
        let findings = match settings.and_then(|settings| Ok(Config::new(&settings)?)) {
            Ok(config) => {
                let config = Arc::new(config);
                logging::start(&config, true, false, false);
                examine(&config, Arc::new(SystemClock))
            }
            Err(error) => {
                vec![Finding::bad("settings", error.to_string(), "put it right; see: brevet config show --origin")]
            }
        };
        let bad = findings.iter().filter(|finding| finding.verdict == Verdict::Bad).count();
        let documents: Vec<_> = findings
            .iter()
            .map(|finding| {
                json!({
                    "check": finding.check,
                    "verdict": word(finding.verdict),
                    "text": finding.text,
                    "fix": finding.fix,
                })
            })
            .collect();
        context.output.data(&json!({ "ok": bad == 0, "findings": documents }), || {
            findings.iter().map(line).collect::<Vec<_>>().join("\n")
        })?;
        match bad {
            0 => Ok(()),
            1 => Err(CliError::check_failed("one check failed")),
            several => Err(CliError::check_failed(format!("{several} checks failed"))),
        }
    }
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Good => "ok",
        Verdict::Warning => "warning",
        Verdict::Bad => "error",
    }
}

fn line(finding: &Finding) -> String {
    let sign = match finding.verdict {
        Verdict::Good => "✔",
        Verdict::Warning => "⚠",
        Verdict::Bad => "✖",
    };
    let fix = finding.fix.as_ref().map(|fix| format!("\n  → {fix}")).unwrap_or_default();
    format!("{sign} {}: {}{fix}", finding.check, finding.text)
}
