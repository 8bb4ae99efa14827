//! What a producer knows of its events: which were acknowledged, and of which it never heard.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Event ids by user. An id is in one of the two.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    acknowledged: BTreeMap<String, BTreeSet<String>>,
    /// Sent, and not answered: each of them may be there or not.
    indeterminate: BTreeMap<String, BTreeSet<String>>,
}

impl Ledger {
    pub(crate) fn acknowledge(&mut self, events: &[Value]) {
        for (user, id) in events.iter().map(named) {
            if let Some(ids) = self.indeterminate.get_mut(&user) {
                ids.remove(&id);
            }
            self.acknowledged.entry(user).or_default().insert(id);
        }
    }

    pub(crate) fn doubt(&mut self, events: &[Value]) {
        for (user, id) in events.iter().map(named) {
            if !self.acknowledged.get(&user).is_some_and(|ids| ids.contains(&id)) {
                self.indeterminate.entry(user).or_default().insert(id);
            }
        }
    }

    /// Adds what another producer knows of other users.
    pub(crate) fn merge(&mut self, other: Self) {
        self.acknowledged.extend(other.acknowledged);
        self.indeterminate.extend(other.indeterminate);
    }

    /// Every acknowledged id.
    pub(crate) fn acknowledged(&self) -> impl Iterator<Item = &str> {
        self.acknowledged.values().flatten().map(String::as_str)
    }

    /// Every id of which nothing is known.
    pub(crate) fn indeterminate(&self) -> impl Iterator<Item = &str> {
        self.indeterminate.values().flatten().map(String::as_str)
    }

    /// The distinct acknowledged ids of each user, and those of the others that `exists` says are there.
    pub(crate) fn expected(&self, exists: impl Fn(&str) -> bool) -> BTreeMap<String, BTreeSet<String>> {
        let mut expected = self.acknowledged.clone();
        for (user, ids) in &self.indeterminate {
            expected.entry(user.clone()).or_default().extend(ids.iter().filter(|id| exists(id)).cloned());
        }
        expected
    }
}

/// The user and the id of an event in the outside form.
fn named(event: &Value) -> (String, String) {
    let field = |name: &str| event[name].as_str().expect("the load names users and ids").to_owned();
    (field("user_id"), field("id"))
}
