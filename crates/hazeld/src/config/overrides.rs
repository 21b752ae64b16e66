//! Environment variables that replace single values of the file: `HAZELD_<SECTION>__<KEY>`.
//!
//! A value is read as TOML where that fits the key (`3338`, `true`, `["a"]`) and as plain text otherwise. A variable that starts
//! with `HAZELD_` and names nothing is an error, because a setting that is silently not set is worse than a start that fails.

use std::ffi::OsString;

use toml::{Table, Value};

use super::error::{ConfigError, explain};
use super::file::File;

/// What every override starts with.
const PREFIX: &str = "HAZELD_";

/// One variable of the environment that is meant for this program.
#[derive(Debug, Clone)]
pub(crate) struct Override {
    variable: String,
    value: String,
}

/// Picks the variables that are meant for this program.
///
/// # Errors
/// When the value of one is not UTF-8.
pub(crate) fn from_environment(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Vec<Override>, ConfigError> {
    let mut found = Vec::new();
    for (name, value) in variables {
        let Some(variable) = name.to_str().filter(|name| name.starts_with(PREFIX)).map(str::to_owned) else {
            continue;
        };
        let Ok(value) = value.into_string() else {
            return Err(ConfigError::Environment { variable, message: "is not UTF-8 text".to_owned() });
        };
        found.push(Override { variable, value });
    }
    found.sort_by(|a, b| a.variable.cmp(&b.variable));
    Ok(found)
}

/// Puts the overrides into the file's values.
///
/// The file may itself name variables that hold secrets (`seed.env`, `database.key_env`); those are no overrides.
///
/// # Errors
/// The first variable that names no key, or has a value that its key does not take. Values are not repeated in the message:
/// someone may have put a secret there.
pub(super) fn apply(mut table: Table, file: File, overrides: &[Override]) -> Result<File, ConfigError> {
    let mut merged = file;
    let mut unplaced = Vec::new();
    for each in overrides {
        match place(&table, each) {
            Ok((next, parsed)) => (table, merged) = (next, parsed),
            Err(message) => unplaced.push((each, message)),
        }
    }
    let named = [&merged.seed.env, &merged.database.key_env];
    match unplaced.into_iter().find(|(each, _)| !named.contains(&&Some(each.variable.clone()))) {
        Some((each, message)) => Err(ConfigError::Environment { variable: each.variable.clone(), message }),
        None => Ok(merged),
    }
}

/// The file's values with one of them replaced.
fn place(table: &Table, each: &Override) -> Result<(Table, File), String> {
    let (section, key) = split(&each.variable)?;
    let mut first_error = None;
    for value in readings(&each.value) {
        let mut next = table.clone();
        insert(&mut next, &section, &key, value)?;
        match File::deserialize_table(next.clone()) {
            Ok(file) => return Ok((next, file)),
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    Err(without(&each.value, &first_error.unwrap_or_default()))
}

/// A message that does not repeat the value, as the parser quotes it.
fn without(value: &str, message: &str) -> String {
    message.replace(&format!("{value:?}"), "(not shown)").replace(&format!("`{value}`"), "(not shown)")
}

/// Section and key, in the file's spelling.
fn split(variable: &str) -> Result<(String, String), String> {
    let name = variable.strip_prefix(PREFIX).unwrap_or(variable).to_ascii_lowercase();
    match name.split_once("__") {
        Some((section, key)) if !section.is_empty() && !key.is_empty() => Ok((section.to_owned(), key.to_owned())),
        _ => Err("is not known: an override is spelled HAZELD_<SECTION>__<KEY>, as in HAZELD_HTTP__LISTEN".to_owned()),
    }
}

/// What the text may mean, the likeliest first.
fn readings(text: &str) -> Vec<Value> {
    let as_toml = toml::from_str::<Table>(&format!("value = {text}")).ok();
    let parsed = as_toml.filter(|table| table.len() == 1).and_then(|mut table| table.remove("value"));
    parsed.into_iter().chain([Value::String(text.to_owned())]).collect()
}

fn insert(table: &mut Table, section: &str, key: &str, value: Value) -> Result<(), String> {
    let slot = table.entry(section.to_owned()).or_insert_with(|| Value::Table(Table::new()));
    match slot {
        Value::Table(inner) => {
            inner.insert(key.to_owned(), value);
            Ok(())
        }
        _ => Err(format!("[[{section}]] can only be set in the file")),
    }
}

impl File {
    /// Reads the file's values from a table that has lost its positions.
    fn deserialize_table(table: Table) -> Result<Self, String> {
        table.try_into().map_err(|error: toml::de::Error| explain(error.message()))
    }
}
