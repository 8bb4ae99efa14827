//! What a producer knows of its events: which were acknowledged, and of which it never heard.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Event ids by user. An id that was sent is in one of the first two.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    acknowledged: BTreeMap<String, BTreeSet<String>>,
    /// Sent, and not answered: each of them may be there or not.
    indeterminate: BTreeMap<String, BTreeSet<String>>,
    /// As they were sent first.
    order: BTreeMap<String, Vec<String>>,
    /// Others were sent before these were answered, so nothing is known of their place.
    given_up: BTreeSet<String>,
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

    /// Notes what is sent, before it is: from now on it may be there.
    pub(crate) fn send(&mut self, events: &[Value]) {
        for (user, id) in events.iter().map(named) {
            if self.acknowledged.get(&user).is_some_and(|ids| ids.contains(&id)) {
                continue;
            }
            if self.indeterminate.entry(user.clone()).or_default().insert(id.clone()) {
                self.order.entry(user).or_default().push(id);
            }
        }
    }

    /// Notes that others are sent before these are answered. If they come later after all, then anywhere.
    pub(crate) fn give_up(&mut self, events: &[Value]) {
        for (user, id) in events.iter().map(named) {
            if self.indeterminate.get(&user).is_some_and(|ids| ids.contains(&id)) {
                self.given_up.insert(id);
            }
        }
    }

    /// Those of a user that must stand in this order, however they came.
    pub(crate) fn order(&self, user: &str) -> impl Iterator<Item = &str> {
        let order = self.order.get(user).into_iter().flatten().map(String::as_str);
        order.filter(|id| !self.given_up.contains(*id))
    }

    /// Adds what another producer knows of other users.
    pub(crate) fn merge(&mut self, other: Self) {
        self.acknowledged.extend(other.acknowledged);
        self.indeterminate.extend(other.indeterminate);
        self.order.extend(other.order);
        self.given_up.extend(other.given_up);
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
