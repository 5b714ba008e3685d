//! Flags for settings, made from the one table of settings; and numbers in flags.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

use crate::config::{Flag, SETTINGS, Setting};

/// The settings that every command takes as flags.
#[derive(Debug, Clone, Default)]
pub(super) struct EverywhereFlags(BTreeMap<String, String>);

/// The settings that only `serve` and `config show` take as flags.
#[derive(Debug, Clone, Default)]
pub(super) struct ServeFlags(BTreeMap<String, String>);

/// Reads a number within bounds; who gives another text or number is told the bounds.
pub(super) fn whole_number<N>(bounds: RangeInclusive<N>) -> impl Fn(&str) -> Result<N, String> + Clone + Send + Sync
where
    N: FromStr + PartialOrd + Display + Clone + Send + Sync,
{
    move |text| {
        let number = text.parse().ok().filter(|number| bounds.contains(number));
        number.ok_or_else(|| format!("write a whole number from {} to {}", bounds.start(), bounds.end()))
    }
}

fn settings(flag: Flag) -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(move |setting| setting.flag == flag)
}

fn add(command: Command, flag: Flag) -> Command {
    settings(flag).fold(command, |command, setting| {
        let default = if setting.default.is_empty() { "none" } else { setting.default };
        command.arg(
            Arg::new(setting.key)
                .long(setting.key)
                .value_name(setting.value_name)
                .action(ArgAction::Set)
                .help(format!("{} [{}] [default: {default}]", setting.help, setting.variable()))
                .help_heading("Settings")
                .global(flag == Flag::Everywhere)
                .allow_hyphen_values(false),
        )
    })
}

fn read(matches: &ArgMatches, flag: Flag) -> BTreeMap<String, String> {
    settings(flag)
        .filter_map(|setting| {
            let value = matches.try_get_one::<String>(setting.key).ok().flatten()?;
            Some((setting.key.to_owned(), value.clone()))
        })
        .collect()
}

macro_rules! flags_from_table {
    ($name:ident, $flag:expr) => {
        impl $name {
            /// Keys and values.
            pub(super) fn values(&self) -> &BTreeMap<String, String> {
                &self.0
            }
        }

        impl FromArgMatches for $name {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
                Ok(Self(read(matches, $flag)))
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
                self.0.extend(read(matches, $flag));
                Ok(())
            }
        }

        impl Args for $name {
            fn augment_args(command: Command) -> Command {
                add(command, $flag)
            }

            fn augment_args_for_update(command: Command) -> Command {
                add(command, $flag)
            }
        }
    };
}

flags_from_table!(EverywhereFlags, Flag::Everywhere);
flags_from_table!(ServeFlags, Flag::Serve);
