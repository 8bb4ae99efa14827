//! The canonical dump as text, read again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::run;

/// The lines of `memos dump`.
pub(crate) struct DumpText {
    pub(crate) lines: Vec<String>,
}

impl DumpText {
    #[track_caller]
    pub(crate) fn of(dir: &Path) -> Self {
        Self::parse(&run(dir, &["dump"]))
    }

    pub(crate) fn parse(text: &str) -> Self {
        Self { lines: text.split_inclusive('\n').map(str::to_owned).collect() }
    }

    /// The hash of the whole text, computed here.
    pub(crate) fn hash(&self) -> String {
        blake3::hash(self.lines.concat().as_bytes()).to_hex().to_string()
    }

    /// Where the memories are.
    pub(crate) fn memories(&self) -> Vec<usize> {
        let is_memory = |line: &String| line.contains("\"row\":{\"memory\":");
        (0..self.lines.len()).filter(|place| is_memory(&self.lines[*place])).collect()
    }

    /// The rows of a kind, each with its subject.
    pub(crate) fn rows(&self, kind: &str) -> impl Iterator<Item = (String, Value)> {
        self.lines.iter().filter_map(move |line| {
            let mut line: Value = serde_json::from_str(line).expect("every line is JSON");
            let row = line["row"].get_mut(kind)?.take();
            Some((line["subject"].as_str().expect("a handle").to_owned(), row))
        })
    }

    /// The ids of subjects, by handle.
    pub(crate) fn owners(&self) -> BTreeMap<String, String> {
        self.rows("subject")
            .map(|(handle, row)| (handle, row["owner"]["id"].as_str().expect("an id").to_owned()))
            .collect()
    }

    /// The events of each user whose fate is known.
    pub(crate) fn events(&self) -> BTreeMap<String, BTreeSet<String>> {
        let owners = self.owners();
        let mut events: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (handle, row) in self.rows("fate") {
            let id = row["event_id"].as_str().expect("an event id").to_owned();
            assert!(events.entry(owners[&handle].clone()).or_default().insert(id), "two fates of one event: {row}");
        }
        events
    }

    /// The kept turns of each user, in the order of their numbers.
    pub(crate) fn sources(&self) -> BTreeMap<String, Vec<String>> {
        let owners = self.owners();
        let mut sources: BTreeMap<String, BTreeMap<u64, String>> = BTreeMap::new();
        for (handle, turn) in self.rows("source") {
            let (number, id) = (turn["seq"].as_u64().expect("a number"), turn["event"]["id"].as_str());
            let id = id.expect("an event id").to_owned();
            sources.entry(owners[&handle].clone()).or_default().insert(number, id);
        }
        sources.into_iter().map(|(user, turns)| (user, turns.into_values().collect())).collect()
    }

    /// No event may be a source twice: neither of one memory nor of two. A statement shares the sources of the turn that it was read out of.
    #[track_caller]
    pub(crate) fn assert_every_source_counts_once(&self) {
        let (mut named, mut kept) = (BTreeSet::new(), BTreeSet::new());
        for (handle, memory) in self.rows("memory").filter(|(_, memory)| memory["kind"] == "episode") {
            for source in memory["sources"].as_array().expect("sources") {
                let id = source["event_id"].as_str().expect("an event id").to_owned();
                assert!(named.insert((handle.clone(), id)), "an event is a source twice: {memory}");
            }
        }
        for (handle, turn) in self.rows("source") {
            let id = turn["event"]["id"].as_str().expect("an event id").to_owned();
            assert!(kept.insert((handle, id)), "an event was kept under two numbers: {turn}");
        }
    }
}
