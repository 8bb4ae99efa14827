//! The three forms of a record.

use std::fmt;

use serde_json::{Map, Value, json};

use super::{KEY_ID, SIGNATURE, Signer, TENANT};
use crate::Interaction;

/// The type that our CloudEvents name. memos takes any other.
const EVENT_TYPE: &str = "memos.interaction.v1";

/// One record for an inlet, for any Kafka client.
#[derive(Clone, PartialEq, Eq)]
pub struct InletRecord {
    /// Whose memory it is. Records with one key stay in order, so an owner's events do.
    pub key: Vec<u8>,
    pub headers: Vec<(String, Vec<u8>)>,
    pub value: Vec<u8>,
}

/// The redacting form: how large it is. Key, headers and value are the producer's.
impl fmt::Debug for InletRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InletRecord")
            .field("key", &self.key.len())
            .field("headers", &self.headers.len())
            .field("bytes", &self.value.len())
            .finish_non_exhaustive()
    }
}

/// Why there is no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPublishable {
    /// An inlet takes no event without an id, because Kafka clients send some records twice.
    #[error("the interaction has no id: give it one, so that a record that is sent twice is taken once")]
    Id,
    /// Nobody's.
    #[error("the interaction has no owner: name user_id, agent_id or session_id")]
    Owner,
    /// A name that cannot stand on a line.
    #[error("the {what} is empty or holds a control character")]
    Name { what: &'static str },
    /// A header that could be read in two ways, so that no signature can cover it.
    #[error("the header `{name}` {problem}")]
    Header { name: &'static str, problem: &'static str },
}

impl InletRecord {
    /// The interaction as JSON.
    ///
    /// # Errors
    /// [`NotPublishable`] when it has no id or no owner.
    pub fn plain(interaction: &Interaction) -> Result<Self, NotPublishable> {
        let value = serde_json::to_vec(interaction).expect("an interaction is plain data");
        Ok(Self { key: key(interaction)?, headers: vec![header("content-type", "application/json")], value })
    }

    /// A CloudEvent in structured mode: the value is the whole event. `source` says which service published it.
    ///
    /// # Errors
    /// As [`InletRecord::plain`]; [`NotPublishable::Name`] for a bad `source`.
    pub fn structured(source: &str, interaction: &Interaction) -> Result<Self, NotPublishable> {
        let key = key(interaction)?;
        let mut envelope: Map<String, Value> =
            attributes(source, interaction)?.into_iter().map(|(name, text)| (name.to_owned(), json!(text))).collect();
        envelope.insert("datacontenttype".to_owned(), json!("application/json"));
        envelope.insert("data".to_owned(), json!(interaction));
        let value = Value::Object(envelope).to_string().into_bytes();
        Ok(Self { key, headers: vec![header("content-type", "application/cloudevents+json")], value })
    }

    /// A CloudEvent in binary mode: the value is the interaction, and headers say the rest.
    ///
    /// # Errors
    /// As [`InletRecord::structured`].
    pub fn binary(source: &str, interaction: &Interaction) -> Result<Self, NotPublishable> {
        let mut record = Self::plain(interaction)?;
        let attributes = attributes(source, interaction)?;
        record.headers.extend(attributes.into_iter().map(|(name, text)| header(&format!("ce_{name}"), &text)));
        Ok(record)
    }

    /// The same record with the headers of a signature, in place of those it may have. Whatever is changed afterwards
    /// in the value or in a covered header makes it an invalid one.
    ///
    /// # Errors
    /// [`NotPublishable::Header`].
    pub fn signed(mut self, signer: &Signer) -> Result<Self, NotPublishable> {
        let signature = signer.headers(&self)?;
        let ours = |name: &str| [TENANT, KEY_ID, SIGNATURE].iter().any(|own| own.eq_ignore_ascii_case(name));
        self.headers.retain(|(name, _)| !ours(name));
        self.headers.extend(signature);
        Ok(self)
    }

    /// The value of a header that a signature covers.
    pub(super) fn covered(&self, name: &'static str) -> Result<Option<&str>, NotPublishable> {
        let refused = |problem| NotPublishable::Header { name, problem };
        // HTTP's spelling is encoded differently, and memos reads either.
        let other = name.replacen("ce_", "ce-", 1);
        let same = |given: &str| given.eq_ignore_ascii_case(name) || given.eq_ignore_ascii_case(&other);
        let mut found = self.headers.iter().filter(|(given, _)| same(given));
        let Some((given, value)) = found.next() else { return Ok(None) };
        if found.next().is_some() {
            return Err(refused("is there more than once"));
        }
        if !given.eq_ignore_ascii_case(name) {
            return Err(refused("is spelt as in HTTP: on Kafka it begins with ce_"));
        }
        match std::str::from_utf8(value) {
            Ok("") => Err(refused("is empty: leave it out")),
            Ok(text) if text.chars().any(char::is_control) => Err(refused("holds a control character")),
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(refused("is not UTF-8 text")),
        }
    }
}

fn header(name: &str, value: &str) -> (String, Vec<u8>) {
    (name.to_owned(), value.as_bytes().to_vec())
}

/// The id of the owner: the user where one is named.
fn key(interaction: &Interaction) -> Result<Vec<u8>, NotPublishable> {
    if interaction.id.as_deref().is_none_or(str::is_empty) {
        return Err(NotPublishable::Id);
    }
    let owners = [&interaction.user_id, &interaction.agent_id, &interaction.session_id];
    let owner = owners.into_iter().flatten().find(|id| !id.is_empty()).ok_or(NotPublishable::Owner)?;
    Ok(owner.as_bytes().to_vec())
}

fn attributes(source: &str, interaction: &Interaction) -> Result<Vec<(&'static str, String)>, NotPublishable> {
    let id = interaction.id.clone().ok_or(NotPublishable::Id)?;
    for (what, name) in [("id", id.as_str()), ("source", source)] {
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(NotPublishable::Name { what });
        }
    }
    let time = interaction.time.map(|time| ("time", crate::time::to_text(time)));
    let told =
        [("specversion", "1.0".to_owned()), ("id", id), ("source", source.to_owned()), ("type", EVENT_TYPE.to_owned())];
    Ok(told.into_iter().chain(time).collect())
}
