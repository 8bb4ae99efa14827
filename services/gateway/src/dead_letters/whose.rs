//! Whose a dead letter is: the tenant who may look after it, and the subject whom it is about as far as it says.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use event_log::dead_letter::DeadLetter;
use event_log::{Record, Stored, Topic, envelope};
use memory_core::{Recorded, Subject, TenantId, Timestamp};
use memos_client::inlet::TENANT;
use serde_json::{Map, Value};
use tokio::runtime::Handle as Runtime;

use crate::inlets::arrived;
use crate::problem::Problem;
use crate::state::State;

/// Who may look after a letter: by the binding of its inlet or the tenant that a signed record names, or by what stands in
/// its envelope. A letter that says nothing readable about itself is nobody's, and only the operator's commands see it.
pub(super) fn tenant(state: &State, letter: &DeadLetter) -> Option<TenantId> {
    match &letter.found.topic {
        Topic::Inlet(name) => {
            let named = letter.original.header(TENANT).and_then(|value| std::str::from_utf8(value).ok());
            state.bindings.claimed(name, named)
        }
        Topic::Interactions => Some(interaction(state, letter)?.tenant),
        Topic::Consolidations
        | Topic::Working
        | Topic::Memories
        | Topic::Keys
        | Topic::Receipts
        | Topic::DeadLetters => None,
    }
}

/// The interaction that a letter holds; `None` where it holds none, or its key is gone.
pub(super) fn interaction(state: &State, letter: &DeadLetter) -> Option<Recorded> {
    let ring = &state.sealing.ring;
    let stored = Stored { offset: letter.found.offset, record: letter.original.clone() };
    let (_, recorded) = envelope::read_interaction(ring, &stored).ok()??;
    ring.is_held(envelope::sealed_with(&stored.record)?).then_some(recorded)
}

/// What was forgotten of one tenant, asked of recall once for each subject.
///
/// A letter is masked as soon as the forget is recallable. What it says cannot be erased before its tenant's key of that day
/// dies, but nobody sees it, and nobody sends it in again.
#[derive(Debug)]
pub(super) struct Forgotten<'a> {
    state: &'a State,
    tenant: &'a TenantId,
    known: BTreeMap<Subject, Option<Timestamp>>,
}

impl<'a> Forgotten<'a> {
    pub(super) const fn new(state: &'a State, tenant: &'a TenantId) -> Self {
        Self { state, tenant, known: BTreeMap::new() }
    }

    /// Whether a letter arrived before its subject was forgotten. Blocks on recall, on a thread for that.
    pub(super) fn hides(&mut self, letter: &DeadLetter) -> Result<bool, Problem> {
        let Some((subject, arrived)) = self.about(letter) else { return Ok(false) };
        let forgotten = match self.known.get(&subject) {
            Some(known) => *known,
            None => {
                let view = self.state.ask(self.state.recall.working_memory(&subject));
                let forgotten = Runtime::current().block_on(view)?.forgotten_before;
                self.known.insert(subject, forgotten);
                forgotten
            }
        };
        Ok(forgotten.is_some_and(|then| arrived < then))
    }

    fn about(&self, letter: &DeadLetter) -> Option<(Subject, Timestamp)> {
        if letter.found.topic == Topic::Interactions {
            let recorded = interaction(self.state, letter)?;
            return Some((recorded.event.subject(&recorded.tenant)?, recorded.arrived));
        }
        Some((named_in(&letter.original, self.tenant)?, arrived(&letter.original)))
    }
}

/// The subject that a record of an inlet names, whatever else is wrong with it.
fn named_in(record: &Record, tenant: &TenantId) -> Option<Subject> {
    let mut json: Map<String, Value> = serde_json::from_slice(record.value.as_deref()?).ok()?;
    if json.contains_key("specversion") {
        json = match (json.remove("data"), json.remove("data_base64")) {
            (Some(Value::Object(data)), _) => data,
            (_, Some(Value::String(data))) => serde_json::from_slice(&STANDARD.decode(data).ok()?).ok()?,
            (_, _) => return None,
        };
    }
    let id = |names: &[&str]| {
        let mut named = names.iter().filter_map(|name| match json.get(*name)? {
            Value::String(id) => Some(id.clone()),
            // Refused for its type, and yet somebody's.
            Value::Number(id) => Some(id.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        });
        named.find(|id| !id.is_empty())
    };
    let (user, agent) = (id(&["user_id"]), id(&["agent_id"]));
    let session = id(&["session_id", "run_id", "conversation_id"]);
    Subject::owner(tenant, user.as_deref(), agent.as_deref(), session.as_deref())
}

#[cfg(test)]
mod tests {
    use memory_core::SubjectKind;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_subject_is_found_in_every_form() {
        let tenant = TenantId::try_new("t").expect("a name");
        let named = |value: &str| {
            let record = Record { value: Some(value.as_bytes().to_vec()), ..Record::default() };
            named_in(&record, &tenant).map(|subject| (subject.kind, subject.id))
        };
        let data = json!({ "user_id": "u", "agent_id": "a" });
        let encoded = STANDARD.encode(data.to_string());
        let user = Some((SubjectKind::User, "u".to_owned()));
        assert_eq!(named(&data.to_string()), user);
        assert_eq!(named(&json!({ "specversion": "1.0", "data": data }).to_string()), user);
        assert_eq!(named(&json!({ "specversion": "1.0", "data_base64": encoded }).to_string()), user);
        assert_eq!(named(r#"{"user_id": 7}"#), Some((SubjectKind::User, "7".to_owned())));
        assert_eq!(named(r#"{"user_id": "", "agent_id": "a"}"#), Some((SubjectKind::Agent, "a".to_owned())));
        for alias in ["session_id", "run_id", "conversation_id"] {
            assert_eq!(named(&json!({ alias: "s" }).to_string()), Some((SubjectKind::Session, "s".to_owned())));
        }
        for nobody in ["{", "[]", "{}", r#"{"specversion": "1.0"}"#, r#"{"specversion": "1.0", "data_base64": "%"}"#] {
            assert_eq!(named(nobody), None, "{nobody}");
        }
    }
}
