//! Rules on claims: what a third party's JWT must say besides who made it and for whom, as in the federation of workloads.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wildmatch::WildMatch;

/// Of what a rule compares with, and of the name of a claim, in octets.
pub const LONGEST_VALUE: usize = 512;
/// Values of one rule.
const MOST_VALUES: usize = 50;

/// A claim: its name or, for one within others, a JSON pointer
/// ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)) such as `/kubernetes.io/namespace`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClaimName(String);

impl ClaimName {
    /// `sub`
    pub fn sub() -> Self {
        Self("sub".to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the claim of that name says.
    pub(super) fn find<'c>(&self, claims: &'c Map<String, Value>) -> Option<&'c Value> {
        let Some(pointer) = self.0.strip_prefix('/') else { return claims.get(&self.0) };
        let (first, rest) = pointer.split_once('/').map_or((pointer, None), |(first, rest)| (first, Some(rest)));
        let outermost = claims.get(&first.replace("~1", "/").replace("~0", "~"))?;
        match rest {
            Some(rest) => outermost.pointer(&format!("/{rest}")),
            None => Some(outermost),
        }
    }
}

impl fmt::Display for ClaimName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ClaimName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for ClaimName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() || text.len() > LONGEST_VALUE || text.chars().any(char::is_control) {
            return Err(format!(
                "A claim's name has 1 to {LONGEST_VALUE} characters; one within another is written /outer/inner."
            ));
        }
        Ok(Self(text))
    }
}

impl From<ClaimName> for String {
    fn from(name: ClaimName) -> Self {
        name.0
    }
}

/// What a claim must say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimRule {
    /// Which claim.
    pub claim: ClaimName,
    /// What it must be.
    #[serde(flatten)]
    pub test: ClaimTest,
}

/// What the value of a claim must be. A list fits if one of its texts does; numbers, `true` and `false` are compared as they
/// are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimTest {
    /// This text, byte for byte.
    Equals(String),
    /// One of these.
    OneOf(Vec<String>),
    /// Like this text, in which `*` stands for any characters, none among them, and `?` for one.
    Glob(String),
}

impl ClaimRule {
    /// Whether the value of its claim is what it must be.
    pub(super) fn matches(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.test.matches(text),
            Value::Number(number) => self.test.matches(&number.to_string()),
            Value::Bool(is) => self.test.matches(if *is { "true" } else { "false" }),
            Value::Array(values) => {
                values.iter().any(|value| value.as_str().is_some_and(|text| self.test.matches(text)))
            }
            Value::Null | Value::Object(_) => false,
        }
    }

    /// Whether the value may be what it must be: no false whenever [`Self::matches`] is true, and cheap for whatever stands there.
    pub(super) fn may_match(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.test.may_match(text),
            Value::Number(_) | Value::Bool(_) => self.matches(value),
            Value::Array(_) => true,
            Value::Null | Value::Object(_) => false,
        }
    }

    /// Reads `CLAIM=VALUE`: with a `*` or `?` in it the value is a pattern, with a `,` a list of which one must fit.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (claim, value) = text.split_once('=').ok_or("Write CLAIM=VALUE, for example repository=octo/app.")?;
        let test = if value.contains(['*', '?']) {
            ClaimTest::Glob(value.to_owned())
        } else if value.contains(',') {
            ClaimTest::OneOf(value.split(',').map(|one| one.trim().to_owned()).collect())
        } else {
            ClaimTest::Equals(value.to_owned())
        };
        let rule = Self { claim: claim.trim().parse()?, test };
        rule.check()?;
        Ok(rule)
    }

    /// Whether it can be used: one that fits everything is none.
    ///
    /// # Errors
    /// What to write instead.
    pub fn check(&self) -> Result<(), String> {
        let is_plain =
            |text: &str| !text.is_empty() && text.len() <= LONGEST_VALUE && !text.chars().any(char::is_control);
        let of = |what: &str| format!("The rule on {}: {what}", self.claim);
        match &self.test {
            ClaimTest::Equals(value) if is_plain(value) => Ok(()),
            ClaimTest::OneOf(values) if values.len() > MOST_VALUES => {
                Err(of(&format!("it names more than {MOST_VALUES} values.")))
            }
            ClaimTest::OneOf(values) if !values.is_empty() && values.iter().all(|value| is_plain(value)) => Ok(()),
            ClaimTest::Glob(pattern) if is_plain(pattern) => {
                if pattern.chars().all(|character| matches!(character, '*' | '?')) {
                    return Err(of("the pattern fits everything. Write what all values have in common."));
                }
                Ok(())
            }
            _ => Err(of(&format!("a value has 1 to {LONGEST_VALUE} characters, none of them control characters."))),
        }
    }
}

impl ClaimTest {
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Equals(value) => value == text,
            Self::OneOf(values) => values.iter().any(|value| value == text),
            // What is longer is no value that anybody wrote a pattern for, and costs time.
            Self::Glob(pattern) => text.len() <= LONGEST_VALUE && WildMatch::new(pattern).matches(text),
        }
    }

    /// Of a pattern, only what stands before its first and after its last wildcard: the rest costs more.
    fn may_match(&self, text: &str) -> bool {
        let Self::Glob(pattern) = self else { return self.matches(text) };
        let is_wild = |character: char| matches!(character, '*' | '?');
        let first = pattern.split(is_wild).next().unwrap_or_default();
        let last = pattern.rsplit(is_wild).next().unwrap_or_default();
        if first.len() == pattern.len() {
            return pattern == text;
        }
        text.len() >= first.len() + last.len() && text.starts_with(first) && text.ends_with(last)
    }
}

/// As people read it: `repository is octo/app`.
impl fmt::Display for ClaimRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.test {
            ClaimTest::Equals(value) => write!(f, "{} is {value}", self.claim),
            ClaimTest::OneOf(values) => write!(f, "{} is one of {}", self.claim, values.join(", ")),
            ClaimTest::Glob(pattern) => write!(f, "{} is like {pattern}", self.claim),
        }
    }
}
