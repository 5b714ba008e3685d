//! `brevet user …`

use clap::{Args, Subcommand};
use serde_json::json;

use super::input::read_secret;
use super::output::table;
use super::{CliError, Context};
use crate::db::developers::{Member, Role};
use crate::secret::Secret;
use crate::service::accounts::{self, NewMember};
use crate::service::{Management, ServiceError, people, resets, team};

#[derive(Debug, Subcommand)]
pub(super) enum User {
    /// Make a person a member of an organisation
    #[command(
        after_help = "Examples:\n  brevet user create --org acme --email ana@acme.example --role owner --password-file -\n  brevet user create --org acme --email bo@acme.example --login bo --role viewer --no-password"
    )]
    Create(Create),
    /// Show members
    List {
        /// Only this organisation's
        #[arg(long, value_name = "SLUG")]
        org: Option<String>,
    },
    /// Keep a person from signing in
    Disable {
        /// The address
        email: String,
    },
    /// Let a person sign in again
    Enable {
        /// The address
        email: String,
    },
    /// Give a person another password
    ResetPassword {
        /// The address
        email: String,
        /// The file that holds the new password; `-` for stdin
        #[arg(long, value_name = "FILE")]
        password_file: Option<String>,
        /// Print a one-time link instead, with which the person chooses the password
        #[arg(long, conflicts_with = "password_file")]
        link: bool,
    },
    /// Take a person's second factors away: one-time codes, recovery codes and passkeys
    #[command(name = "reset-2fa")]
    ResetSecondFactors {
        /// The address
        email: String,
    },
    /// Let a person run the whole server
    SetOperator {
        /// The address
        email: String,
        /// No longer
        #[arg(long)]
        off: bool,
    },
    /// Say under which name trusted issuers know a member
    #[command(after_help = "Example:\n  brevet user set-login --org acme ana@acme.example ana.smith")]
    SetLogin {
        /// The organisation
        #[arg(long, value_name = "SLUG")]
        org: String,
        /// The address
        email: String,
        /// The login, as it stands in the issuer's JWTs; without one the person has none any more
        login: Option<String>,
    },
    /// Sign a person out
    #[command(subcommand)]
    Sessions(Sessions),
}

#[derive(Debug, Subcommand)]
pub(super) enum Sessions {
    /// Sign a person out everywhere
    End {
        /// The address
        email: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// The organisation
    #[arg(long, value_name = "SLUG")]
    org: String,
    /// The address
    #[arg(long)]
    email: String,
    /// The name under which third parties know the person
    #[arg(long)]
    login: Option<String>,
    /// What the person may do
    #[arg(long, default_value = "developer", value_parser = ["owner", "admin", "developer", "viewer"])]
    role: String,
    /// The file that holds the password; `-` for stdin
    #[arg(long, value_name = "FILE")]
    password_file: Option<String>,
    /// Give no password, for who only gets tickets: nobody signs in with one until `user reset-password --link` was used
    #[arg(long, conflicts_with = "password_file")]
    no_password: bool,
    /// Let the person run the whole server as well
    #[arg(long)]
    operator: bool,
}

impl User {
    pub(super) fn run(self, context: &Context) -> Result<(), CliError> {
        let m = context.management()?;
        match self {
            Self::Create(create) => {
                let role = Role::from_name(&create.role).ok_or_else(|| CliError::usage("unknown role"))?;
                let (organisation, email, login) = (&*create.org, &*create.email, create.login.as_deref());
                let made = if create.no_password {
                    accounts::create_without_password(&m, organisation, email, login, role)
                } else {
                    let password = &read_password(create.password_file.as_deref())?;
                    accounts::create(&m, &NewMember { organisation, email, login, role, password })
                };
                let id = made.map_err(|error| already_there(&m, &create, error))?;
                if create.operator {
                    people::set_operator(&m, id, true)?;
                }
                let document = json!({
                    "id": id, "email": create.email, "organisation": create.org, "role": create.role,
                    "operator": create.operator,
                });
                context
                    .output
                    .data(&document, || format!("User {} is {} of {}.", create.email, create.role, create.org))?;
                if create.no_password {
                    context.output.message(format_args!(
                        "The account has no password. If the person shall sign in: brevet user reset-password {} --link",
                        create.email
                    ));
                }
                Ok(())
            }
            Self::List { org } => {
                let members = accounts::list(&m, org.as_deref())?;
                let status = |member: &Member| {
                    if member.disabled_at.is_none() { "active" } else { "disabled" }
                };
                let document: Vec<_> = members
                    .iter()
                    .map(|member| {
                        json!({
                            "id": member.developer_id, "email": member.email, "organisation": member.organisation,
                            "role": member.role, "login": member.login, "status": status(member),
                        })
                    })
                    .collect();
                context.output.data(&document, || {
                    let row = |member: &Member| {
                        vec![
                            member.email.clone(),
                            member.organisation.clone(),
                            member.role.clone(),
                            member.login.clone().unwrap_or_else(|| "-".to_owned()),
                            status(member).to_owned(),
                        ]
                    };
                    table(&["EMAIL", "ORG", "ROLE", "LOGIN", "STATUS"], &members.iter().map(row).collect::<Vec<_>>())
                })
            }
            Self::Disable { email } => {
                accounts::set_enabled(&m, &email, false)?;
                let document = json!({ "email": email, "status": "disabled" });
                context.output.data(&document, || format!("User {email} is disabled."))
            }
            Self::Enable { email } => {
                accounts::set_enabled(&m, &email, true)?;
                let document = json!({ "email": email, "status": "active" });
                context.output.data(&document, || format!("User {email} is active."))
            }
            Self::ResetPassword { email, link: true, .. } => {
                let link = resets::make_link(&m, &email)?;
                let (url, expires_at) = (link.url.reveal(), link.expires_at.rfc3339());
                context.output.data(&json!({ "email": email, "url": url, "expires_at": expires_at }), || {
                    format!("Give this link to {email}; it works once, until {expires_at}:\n\n  {url}")
                })
            }
            Self::ResetSecondFactors { email } => {
                people::reset_second_factors(&m, people::find_by_email(&m, &email)?.id)?;
                context.output.data(&json!({ "email": email }), || format!("User {email} has no second factor."))
            }
            Self::SetOperator { email, off } => {
                people::set_operator(&m, people::find_by_email(&m, &email)?.id, !off)?;
                context.output.data(&json!({ "email": email, "operator": !off }), || {
                    if off {
                        format!("User {email} runs the server no more.")
                    } else {
                        format!("User {email} runs the server.")
                    }
                })
            }
            Self::SetLogin { org, email, login } => {
                team::set_login_of(&m, &org, &email, login.as_deref())?;
                let document = json!({ "email": email, "organisation": org, "login": login });
                context.output.data(&document, || match &login {
                    Some(login) => format!("Trusted issuers of {org} know {email} as {login}."),
                    None => format!("Trusted issuers of {org} know {email} no more."),
                })
            }
            Self::ResetPassword { email, password_file, .. } => {
                let password = read_password(password_file.as_deref())?;
                accounts::reset_password(&m, &email, &password)?;
                let document = json!({ "email": email });
                context.output.data(&document, || format!("User {email} has a new password."))
            }
            Self::Sessions(Sessions::End { email }) => {
                let ended = accounts::end_sessions(&m, &email)?;
                let document = json!({ "email": email, "sessions_ended": ended });
                context.output.data(&document, || format!("User {email} is signed out everywhere ({ended} sessions)."))
            }
        }
    }
}

/// What to do about a person who is here already.
fn already_there(m: &Management, create: &Create, error: ServiceError) -> CliError {
    match error {
        ServiceError::Conflict(text) if people::find_by_email(m, &create.email).is_ok() => {
            let (org, email) = (&create.org, &create.email);
            CliError::bad_data(format!(
                "{text}; to change the login: brevet user set-login --org {org} {email} LOGIN; to add the person to another organisation, an owner or admin invites the address there, on the page Team"
            ))
        }
        error => error.into(),
    }
}

/// Asks on the terminal without showing what is typed, when no file is named.
fn read_password(file: Option<&str>) -> Result<Secret, CliError> {
    match file {
        Some(file) => read_secret(file),
        None => rpassword::prompt_password("Password: ").map(Secret::new).map_err(|_no_terminal| {
            CliError::usage(
                "there is no terminal to ask for the password on; name a file with --password-file, or - for stdin",
            )
        }),
    }
}
