//! `brevet org …`

use clap::Subcommand;
use serde_json::json;

use super::output::table;
use super::token::cut_off;
use super::{CliError, Context};
use crate::db::organisations::OrganisationRecord;
use crate::service::{cut_offs, organisations};

#[derive(Debug, Subcommand)]
pub(super) enum Org {
    /// Make an organisation
    #[command(after_help = "Example:\n  brevet org create --slug acme --name 'Acme Ltd'")]
    Create {
        /// Its name in tokens and addresses: lower-case letters, digits, hyphens
        #[arg(long)]
        slug: String,
        /// Its name for people
        #[arg(long)]
        name: String,
    },
    /// Show all organisations
    List,
    /// Switch an organisation off: its apps get no tokens, the tokens they have are refused
    Disable {
        /// The organisation
        slug: String,
    },
    /// Make every token of an organisation's apps worthless; they can get new ones at once
    RevokeTokens {
        /// The organisation
        slug: String,
    },
    /// Switch an organisation on again
    Enable {
        /// The organisation
        slug: String,
    },
}

impl Org {
    pub(super) fn run(self, context: &Context) -> Result<(), CliError> {
        let m = match self {
            Self::Create { .. } => context.management_or_new()?,
            _ => context.management()?,
        };
        match self {
            Self::Create { slug, name } => {
                let created = organisations::create(&m, &slug, &name)?;
                let document = json!({ "id": created.id, "slug": created.slug, "name": created.name });
                context.output.data(&document, || format!("Organisation {} created.", created.slug))
            }
            Self::List => {
                let all = organisations::list(&m)?;
                let status = |org: &OrganisationRecord| {
                    if org.disabled_at.is_none() { "active" } else { "disabled" }
                };
                let document: Vec<_> = all
                    .iter()
                    .map(|org| {
                        json!({
                            "id": org.id, "slug": org.slug, "name": org.name, "status": status(org),
                            "created_at": org.created_at.rfc3339(),
                        })
                    })
                    .collect();
                context.output.data(&document, || {
                    let row = |org: &OrganisationRecord| {
                        vec![org.slug.clone(), org.name.clone(), status(org).to_owned(), org.created_at.rfc3339()]
                    };
                    table(&["SLUG", "NAME", "STATUS", "CREATED"], &all.iter().map(row).collect::<Vec<_>>())
                })
            }
            Self::Disable { slug } => {
                organisations::set_enabled(&m, &slug, false)?;
                context.output.data(&json!({ "slug": slug, "status": "disabled" }), || {
                    format!("Organisation {slug} is disabled; every token of its apps is refused within a second.")
                })
            }
            Self::RevokeTokens { slug } => {
                let not_before = cut_offs::revoke_organisation_tokens(&m, &slug)?;
                let document = json!({ "slug": slug, "not_before": not_before.rfc3339() });
                cut_off(context, &document, &format!("of organisation {slug}"), not_before)
            }
            Self::Enable { slug } => {
                organisations::set_enabled(&m, &slug, true)?;
                let document = json!({ "slug": slug, "status": "active" });
                context.output.data(&document, || format!("Organisation {slug} is active."))
            }
        }
    }
}
