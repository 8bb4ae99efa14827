//! Settings in four layers: the documented defaults that are compiled in, a file, the environment, and flags. The
//! later layer wins, key by key.
//!
//! The defaults are the whole vocabulary. A key they do not have is refused wherever it comes from, with the nearest
//! key that exists, because a misspelt setting that is silently ignored is found in production. A key without a value
//! is written in the defaults as `""`, `0` or `[]`, so that it is in the vocabulary too. A table that is empty in the
//! defaults is one value with names of its own, which its component knows.
//!
//! A set of values that a setting chooses by its name is a [`Layer`] of its own, below or above the file.
//!
//! In the environment `server.listen` is `MEMOS__SERVER__LISTEN`; as a flag it is `--set server.listen=…`. There a
//! value is read as TOML where the default is not a text (`8`, `true`, `["a", "b"]`), and as it stands where it is.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

#[cfg(test)]
mod tests;

/// What every environment variable that is a setting begins with.
pub const ENV_PREFIX: &str = "MEMOS__";

/// Where settings are read from, from the weakest to the strongest.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The text of the defaults: TOML with every key there is.
    pub defaults: &'static str,
    /// Weaker than the file, the last one the strongest.
    pub presets: Vec<Layer>,
    /// A TOML file with some of the keys.
    pub file: Option<PathBuf>,
    /// Stronger than the file and weaker than the environment, the last one the strongest.
    pub overlays: Vec<Layer>,
    /// Environment variables; those without [`ENV_PREFIX`] are not looked at.
    pub env: Vec<(String, String)>,
    /// `key=value` pairs.
    pub flags: Vec<String>,
}

/// A named set of values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// What it is, in the words of whoever chose it.
    pub name: String,
    /// TOML with some of the keys.
    pub text: String,
}

impl Sources {
    /// The defaults and the environment of this process.
    #[must_use]
    pub fn of_process(defaults: &'static str) -> Self {
        // Variables that are not UTF-8 cannot be ours: neither our names nor our values hold such bytes.
        let text = |text: std::ffi::OsString| text.into_string().ok();
        let env = std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect();
        Self { defaults, env, ..Self::default() }
    }
}

/// Which layer a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The compiled-in defaults.
    Default,
    /// The layer with this name.
    Layer(String),
    /// The settings file.
    File(PathBuf),
    /// The environment variable with this name.
    Env(String),
    /// A flag on the command line.
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Layer(name) => f.write_str(name),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Env(name) => write!(f, "environment {name}"),
            Self::Flag => f.write_str("flag"),
        }
    }
}

/// One effective value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// `section.key`.
    pub key: String,
    /// The value as TOML.
    pub value: String,
    pub source: Source,
}

/// The settings in force.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    pub settings: T,
    /// Every key, in alphabetical order.
    pub origins: Vec<Setting>,
}

/// Why settings could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the settings file {}", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The file or the defaults are not TOML.
    #[error("{origin} is not valid TOML")]
    Syntax {
        origin: Source,
        #[source]
        source: toml::de::Error,
    },
    /// There is no such setting.
    #[error("unknown setting `{key}` ({origin}){}", hint(nearest.as_deref()))]
    Unknown { key: String, origin: Source, nearest: Option<String> },
    /// A section was given a value, or a value a section.
    #[error("`{key}` ({origin}) {problem}")]
    Shape { key: String, origin: Source, problem: &'static str },
    /// The text does not read as a value of the setting's type.
    #[error("`{key}` ({origin}) cannot be `{text}`: the default is {default}, so a {wanted} is expected")]
    Value { key: String, origin: Source, text: String, default: String, wanted: &'static str },
    /// A flag is not of the form `key=value`.
    #[error("`--set {flag}` is not of the form key=value")]
    Flag { flag: String },
    /// A value does not fit its setting.
    #[error("the settings do not fit together: {message}")]
    Invalid { message: String },
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map(|nearest| format!(": did you mean `{nearest}`?")).unwrap_or_default()
}

type Flat = BTreeMap<String, Value>;

/// Loads the settings in force.
///
/// # Errors
/// See [`Error`]: every key must exist, every value must fit, and the message says which source is to be changed.
pub fn load<T: DeserializeOwned>(sources: &Sources) -> Result<Loaded<T>, Error> {
    let known = flatten(&parse(sources.defaults, &Source::Default)?, &Flat::new());
    let mut effective: BTreeMap<String, (Value, Source)> =
        known.iter().map(|(key, value)| (key.clone(), (value.clone(), Source::Default))).collect();
    for (text, origin) in texts(sources)? {
        for (key, value) in layer(&text, &origin, &known)? {
            check_type(&key, &origin, &value, &known[&key])?;
            effective.insert(key, (value, origin.clone()));
        }
    }
    for (name, text) in &sources.env {
        let Some(path) = name.strip_prefix(ENV_PREFIX) else {
            continue;
        };
        let key = path.to_ascii_lowercase().replace("__", ".");
        let origin = Source::Env(name.clone());
        let value = from_text(&key, text, &origin, &known)?;
        effective.insert(key, (value, origin));
    }
    for flag in &sources.flags {
        let (key, text) = flag.split_once('=').ok_or_else(|| Error::Flag { flag: flag.clone() })?;
        let value = from_text(key.trim(), text.trim(), &Source::Flag, &known)?;
        effective.insert(key.trim().to_owned(), (value, Source::Flag));
    }
    let settings = deserialize(&effective)?;
    let origins =
        effective.into_iter().map(|(key, (value, source))| Setting { key, value: value.to_string(), source }).collect();
    Ok(Loaded { settings, origins })
}

fn parse(text: &str, origin: &Source) -> Result<Table, Error> {
    text.parse().map_err(|source| Error::Syntax { origin: origin.clone(), source })
}

/// The leaves of a tree of tables, by their paths. An array is a leaf, whatever it holds, and so is every table that
/// is a leaf of `known`.
fn flatten(table: &Table, known: &Flat) -> Flat {
    let mut flat = Flat::new();
    let mut open: Vec<(String, &Table)> = vec![(String::new(), table)];
    while let Some((prefix, table)) = open.pop() {
        for (name, value) in table {
            let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            match value.as_table() {
                Some(inner) if !inner.is_empty() && !known.contains_key(&key) => open.push((key, inner)),
                Some(_) | None => drop(flat.insert(key, value.clone())),
            }
        }
    }
    flat
}

/// The layers that are texts, from the weakest to the strongest.
fn texts(sources: &Sources) -> Result<Vec<(String, Source)>, Error> {
    let named = |layer: &Layer| (layer.text.clone(), Source::Layer(layer.name.clone()));
    let mut texts: Vec<(String, Source)> = sources.presets.iter().map(named).collect();
    if let Some(path) = &sources.file {
        let text = std::fs::read_to_string(path).map_err(|source| Error::Unreadable { path: path.clone(), source })?;
        texts.push((text, Source::File(path.clone())));
    }
    texts.extend(sources.overlays.iter().map(named));
    Ok(texts)
}

fn layer(text: &str, origin: &Source, known: &Flat) -> Result<Flat, Error> {
    let mut flat = flatten(&parse(text, origin)?, known);
    // A section that stands there with all its keys commented out says nothing, and that is fine if it exists.
    flat.retain(|key, value| !(value.as_table().is_some_and(Table::is_empty) && is_section(key, known)));
    for key in flat.keys() {
        check_key(key, origin, known)?;
    }
    Ok(flat)
}

fn is_section(key: &str, known: &Flat) -> bool {
    known.keys().any(|other| other.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
}

fn check_key(key: &str, origin: &Source, known: &Flat) -> Result<(), Error> {
    if known.contains_key(key) {
        return Ok(());
    }
    let shape = |problem| Error::Shape { key: key.to_owned(), origin: origin.clone(), problem };
    if is_section(key, known) {
        return Err(shape("is a section and takes no value of its own"));
    }
    if known.keys().any(|leaf| key.strip_prefix(leaf.as_str()).is_some_and(|rest| rest.starts_with('.'))) {
        return Err(shape("lies inside a setting that is a single value"));
    }
    Err(Error::Unknown { key: key.to_owned(), origin: origin.clone(), nearest: nearest(key, known) })
}

/// The most similar key there is. Whole paths are compared first; a key in the wrong section is found by its last
/// part.
fn nearest(key: &str, known: &Flat) -> Option<String> {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let distance = |other: &str| {
        let whole = strsim::damerau_levenshtein(key, other);
        let part = strsim::damerau_levenshtein(&last(key), &last(other)) + 2;
        whole.min(part)
    };
    known.keys().min_by_key(|other| distance(other)).cloned()
}

/// The value that a text from the environment or a flag stands for.
fn from_text(key: &str, text: &str, origin: &Source, known: &Flat) -> Result<Value, Error> {
    check_key(key, origin, known)?;
    let default = &known[key];
    if default.is_str() {
        return Ok(Value::String(text.to_owned()));
    }
    let parsed = format!("value = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    // A text that is not TOML at all is told the same as one of the wrong type.
    let value = parsed.unwrap_or_else(|| Value::String(text.to_owned()));
    check_type(key, origin, &value, default)?;
    Ok(value)
}

fn check_type(key: &str, origin: &Source, value: &Value, default: &Value) -> Result<(), Error> {
    let counts_as_float = default.is_float() && value.is_integer();
    if value.same_type(default) || counts_as_float {
        return Ok(());
    }
    Err(Error::Value {
        key: key.to_owned(),
        origin: origin.clone(),
        text: value.as_str().map_or_else(|| value.to_string(), str::to_owned),
        default: default.to_string(),
        wanted: default.type_str(),
    })
}

fn deserialize<T: DeserializeOwned>(effective: &BTreeMap<String, (Value, Source)>) -> Result<T, Error> {
    let invalid = |error: config::ConfigError| Error::Invalid { message: error.to_string() };
    let mut builder = config::Config::builder();
    for (key, (value, source)) in effective {
        builder = builder.set_override(key, to_config(value, &source.to_string())).map_err(invalid)?;
    }
    builder.build().and_then(config::Config::try_deserialize).map_err(invalid)
}

/// The same value in the words of `config`, with its origin, which error messages then name.
fn to_config(value: &Value, origin: &str) -> config::Value {
    let kind = match value {
        Value::String(text) => config::ValueKind::String(text.clone()),
        Value::Integer(number) => config::ValueKind::I64(*number),
        Value::Float(number) => config::ValueKind::Float(*number),
        Value::Boolean(truth) => config::ValueKind::Boolean(*truth),
        Value::Datetime(time) => config::ValueKind::String(time.to_string()),
        Value::Array(values) => config::ValueKind::Array(values.iter().map(|value| to_config(value, origin)).collect()),
        Value::Table(table) => {
            config::ValueKind::Table(table.iter().map(|(key, value)| (key.clone(), to_config(value, origin))).collect())
        }
    };
    config::Value::new(Some(&origin.to_owned()), kind)
}
