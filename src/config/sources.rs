//! Where settings come from: flag > variable > `_FILE` variable > TOML file > default.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::{ConfigError, SETTINGS, Setting};

/// What each source says, before it is known whether it makes sense.
#[derive(Default)]
pub struct SourceValues {
    /// Setting keys and values from the command line.
    pub flags: BTreeMap<String, String>,
    /// `BREVET_…` variables.
    pub variables: Vec<(String, String)>,
    /// The configuration file and its text.
    pub file: Option<(PathBuf, String)>,
}

/// Names only: a secret may be anywhere among the values.
impl fmt::Debug for SourceValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variables: Vec<&str> = self.variables.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("SourceValues")
            .field("flags", &self.flags.keys())
            .field("variables", &variables)
            .field("file", &self.file.as_ref().map(|(path, _)| path))
            .finish()
    }
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// The TOML file.
    File(PathBuf),
    /// The named variable.
    Variable(String),
    /// The flag of that name.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Flag(key) => write!(f, "flag --{key}"),
        }
    }
}

/// Variables that are no settings but ours all the same.
const OTHER_VARIABLES: &[&str] = &["BREVET_CONFIG", "BREVET_TEST_REQUIRE"];
/// Looked for when neither `--config` nor `BREVET_CONFIG` names a file.
const USUAL_FILES: &[&str] = &["brevet.toml", "/etc/brevet/brevet.toml"];

impl SourceValues {
    /// Collects the process's variables and the configuration file: the one named, or the first of the usual ones.
    ///
    /// # Errors
    /// When a named file cannot be read.
    pub fn collect(flags: BTreeMap<String, String>, config: Option<&Path>) -> Result<Self, ConfigError> {
        let variables: Vec<_> = std::env::vars().filter(|(name, _)| name.starts_with("BREVET_")).collect();
        let named = config.map(Path::to_path_buf).or_else(|| std::env::var_os("BREVET_CONFIG").map(PathBuf::from));
        let path = named.or_else(|| USUAL_FILES.iter().map(PathBuf::from).find(|path| path.is_file()));
        let file = match path {
            None => None,
            Some(path) => {
                let text = std::fs::read_to_string(&path).map_err(|error| {
                    ConfigError(format!("the configuration file {} cannot be read: {error}", path.display()))
                })?;
                Some((path, text))
            }
        };
        Ok(Self { flags, variables, file })
    }
}

/// Every setting's value as text, and where it came from.
pub struct Settings(BTreeMap<&'static str, (String, Origin)>);

/// As [`Self::shown`]: secrets are masked.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.shown().map(|(setting, value, origin)| (setting.key, (value, origin)));
        f.debug_map().entries(shown).finish()
    }
}

impl Settings {
    /// Lets the strongest source of each setting win.
    ///
    /// # Errors
    /// An unknown key or variable, with the known one that looks most like it; a secret said twice; a file that is
    /// not TOML.
    pub fn resolve(sources: &SourceValues) -> Result<Self, ConfigError> {
        refuse_unknown_variables(&sources.variables)?;
        let file = match &sources.file {
            None => BTreeMap::new(),
            Some((path, text)) => read_file(path, text)?,
        };
        let mut values = BTreeMap::new();
        for setting in SETTINGS {
            let flag = sources.flags.get(setting.key).map(|value| (value.clone(), Origin::Flag(setting.key)));
            let from_file = || {
                let (path, _) = sources.file.as_ref()?;
                Some((file.get(setting.key)?.clone(), Origin::File(path.clone())))
            };
            let value = match flag {
                Some(value) => Some(value),
                None => variable(setting, &sources.variables)?.or_else(from_file),
            };
            values.insert(setting.key, value.unwrap_or_else(|| (setting.default.to_owned(), Origin::Default)));
        }
        let data_dir = values.get("data-dir").map(|(value, _)| value.clone()).unwrap_or_default();
        for (value, _) in values.values_mut() {
            *value = value.replace("{data-dir}", &data_dir);
        }
        Ok(Self(values))
    }

    /// Lets a setting have another default than [`SETTINGS`] says.
    #[must_use]
    pub fn with_default(mut self, key: &str, value: &str) -> Self {
        if let Some((present, Origin::Default)) = self.0.get_mut(key) {
            value.clone_into(present);
        }
        self
    }

    /// The value of a setting that [`SETTINGS`] lists.
    pub fn text(&self, key: &str) -> &str {
        self.0.get(key).map_or("", |(value, _)| value)
    }

    /// Reads a value, naming key and origin if that fails.
    pub(super) fn checked<T>(&self, key: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<T, ConfigError> {
        let (value, origin) = self.0.get(key).ok_or_else(|| ConfigError(format!("`{key}` is not a setting")))?;
        let shown = if SETTINGS.iter().any(|setting| setting.key == key && setting.secret) {
            String::new()
        } else {
            format!(" = `{value}`")
        };
        read(value).map_err(|wrong| ConfigError(format!("`{key}`{shown} ({origin}): {wrong}")))
    }

    /// Settings, values (secrets masked) and origins, in the table's order.
    pub fn shown(&self) -> impl Iterator<Item = (&'static Setting, String, &Origin)> {
        SETTINGS.iter().filter_map(|setting| {
            let (value, origin) = self.0.get(setting.key)?;
            let masked = setting.secret && *origin != Origin::Default;
            Some((setting, if masked { "[set]".to_owned() } else { value.clone() }, origin))
        })
    }
}

fn variable(setting: &Setting, variables: &[(String, String)]) -> Result<Option<(String, Origin)>, ConfigError> {
    let find = |wanted: &str| variables.iter().find(|(name, value)| name == wanted && !value.is_empty());
    let direct = find(&setting.variable());
    let by_file = setting.file_variable().and_then(|name| find(&name));
    match (direct, by_file) {
        (Some(_), Some((name, _))) => {
            Err(ConfigError(format!("both {} and {name} are set; keep one of them", setting.variable())))
        }
        (Some((name, value)), None) => Ok(Some((value.clone(), Origin::Variable(name.clone())))),
        (None, Some((name, path))) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| ConfigError(format!("{name} names {path}, which cannot be read: {error}")))?;
            let value = text.trim_end_matches(['\r', '\n']);
            if value.is_empty() {
                return Err(ConfigError(format!("{name} names {path}, which is empty")));
            }
            Ok(Some((value.to_owned(), Origin::Variable(name.clone()))))
        }
        (None, None) => Ok(None),
    }
}

/// A variable that looks like a mistyped setting is an error. Others are let be: Kubernetes, for one, sets
/// `BREVET_SERVICE_HOST` and the like for a service of that name.
fn refuse_unknown_variables(variables: &[(String, String)]) -> Result<(), ConfigError> {
    let known: Vec<String> = SETTINGS
        .iter()
        .flat_map(|setting| std::iter::once(setting.variable()).chain(setting.file_variable()))
        .collect();
    for (name, _) in variables {
        if known.contains(name) || OTHER_VARIABLES.contains(&name.as_str()) {
            continue;
        }
        if let Some(meant) = most_alike(name, known.iter().map(String::as_str)) {
            return Err(ConfigError(format!("{name} is not a setting; did you mean {meant}?")));
        }
    }
    Ok(())
}

fn read_file(path: &Path, text: &str) -> Result<BTreeMap<String, String>, ConfigError> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        ConfigError(format!("{} is not TOML: {}", path.display(), error.to_string().replace('\n', " ")))
    })?;
    table
        .into_iter()
        .map(|(key, value)| {
            if !SETTINGS.iter().any(|setting| setting.key == key) {
                let meant = most_alike(&key, SETTINGS.iter().map(|setting| setting.key));
                let hint = meant.map_or_else(
                    || "see `brevet config show` for all settings".to_owned(),
                    |meant| format!("did you mean `{meant}`?"),
                );
                return Err(ConfigError(format!("`{key}` in {} is not a setting; {hint}", path.display())));
            }
            let value = plain_text(&value).ok_or_else(|| {
                ConfigError(format!(
                    "`{key}` in {} must be a text, a number, true, false or a list of texts",
                    path.display()
                ))
            })?;
            Ok((key, value))
        })
        .collect()
}

fn plain_text(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(truth) => Some(truth.to_string()),
        toml::Value::Array(items) => {
            let texts: Option<Vec<&str>> = items.iter().map(toml::Value::as_str).collect();
            Some(texts?.join(","))
        }
        _ => None,
    }
}

fn most_alike<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|name| (strsim::damerau_levenshtein(given, name), name))
        .filter(|(distance, _)| *distance <= 3)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn flag_beats_variable_beats_file_beats_default() {
        let mut sources = SourceValues::default();
        let issuer = |sources: &SourceValues| {
            let settings = Settings::resolve(sources).unwrap();
            let (_, value, origin) = settings.shown().find(|(setting, ..)| setting.key == "issuer").unwrap();
            format!("{value} from {origin}")
        };
        assert_eq!(issuer(&sources), "http://127.0.0.1:8080 from default");
        sources.file = Some((PathBuf::from("b.toml"), "issuer = 'https://file'\ntrusted-proxies = ['::1']".to_owned()));
        assert_eq!(issuer(&sources), "https://file from file b.toml");
        sources.variables = vec![pair("BREVET_ISSUER", "https://variable")];
        assert_eq!(issuer(&sources), "https://variable from variable BREVET_ISSUER");
        sources.flags = [pair("issuer", "https://flag")].into();
        assert_eq!(issuer(&sources), "https://flag from flag --issuer");
    }

    #[test]
    fn a_mistyped_key_is_answered_with_the_right_one() {
        let file = |text: &str| Some((PathBuf::from("b.toml"), text.to_owned()));
        let cases = [
            (SourceValues { file: file("isuer = 'x'"), ..Default::default() }, "did you mean `issuer`?"),
            (SourceValues { file: file("colour = 'x'"), ..Default::default() }, "config show"),
            (SourceValues { file: file("issuer = ["), ..Default::default() }, "not TOML"),
            (SourceValues { file: file("issuer = 1.5"), ..Default::default() }, "must be a text"),
            (
                SourceValues { variables: vec![pair("BREVET_LISEN", "x")], ..Default::default() },
                "did you mean BREVET_LISTEN?",
            ),
        ];
        for (sources, expected) in cases {
            let message = Settings::resolve(&sources).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
        let kubernetes =
            SourceValues { variables: vec![pair("BREVET_SERVICE_HOST", "10.0.0.1")], ..Default::default() };
        assert!(Settings::resolve(&kubernetes).is_ok());
    }

    #[test]
    fn a_secret_can_come_from_a_file_but_not_twice_and_is_masked() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "postgres://u:hunter2@h/d\n").unwrap();
        let by_file = pair("BREVET_DATABASE_URL_FILE", file.path().to_str().unwrap());
        let mut sources = SourceValues { variables: vec![by_file], ..Default::default() };
        let settings = Settings::resolve(&sources).unwrap();
        assert_eq!(settings.text("database-url"), "postgres://u:hunter2@h/d");
        assert!(settings.shown().all(|(_, value, _)| !value.contains("hunter2")));
        sources.variables.push(pair("BREVET_DATABASE_URL", "postgres://h/d"));
        assert!(Settings::resolve(&sources).unwrap_err().to_string().contains("keep one"));
        std::fs::write(file.path(), "\n").unwrap();
        let empty = pair("BREVET_MASTER_KEY_FILE", file.path().to_str().unwrap());
        let sources = SourceValues { variables: vec![empty], ..Default::default() };
        let refusal = Settings::resolve(&sources).unwrap_err().to_string();
        assert!(
            refusal.starts_with("BREVET_MASTER_KEY_FILE names ") && refusal.ends_with("which is empty"),
            "{refusal}"
        );
    }
}
