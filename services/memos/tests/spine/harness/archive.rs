//! An exported log with some of its topics left out: what remains must be enough.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// The lines of an archive, without the last.
pub(crate) struct ArchiveText {
    lines: Vec<String>,
}

impl ArchiveText {
    pub(crate) fn read(file: &Path) -> Self {
        let text = std::fs::read_to_string(file).expect("an archive");
        let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        lines.pop().expect("the line with the checksum");
        Self { lines }
    }

    /// The archive with the records of these topics only, under a new checksum.
    pub(crate) fn only(&self, topics: &[&str]) -> Self {
        let starts: Vec<String> = topics.iter().map(|topic| format!("{{\"topic\":\"{topic}\",")).collect();
        let (header, records) = self.lines.split_first().expect("the first line");
        let wanted = records.iter().filter(|line| starts.iter().any(|start| line.starts_with(start)));
        Self { lines: std::iter::once(header).chain(wanted).cloned().collect() }
    }

    pub(crate) fn write(&self, file: &Path) {
        let text = self.lines.concat();
        let trailer =
            json!({"records": self.lines.len() - 1, "blake3": blake3::hash(text.as_bytes()).to_hex().as_str()});
        std::fs::write(file, format!("{text}{trailer}\n")).expect("a new archive");
    }

    /// How many records of a topic there are, and how many of those are tombstones.
    pub(crate) fn count(&self, topic: &str) -> (usize, usize) {
        let start = format!("{{\"topic\":\"{topic}\",");
        let of_topic = self.lines.iter().filter(|line| line.starts_with(&start));
        of_topic.fold((0, 0), |(records, tombstones), line| {
            let line: Value = serde_json::from_str(line).expect("every line is JSON");
            (records + 1, tombstones + usize::from(line["value"].is_null()))
        })
    }
}

/// Of exported keys those that seal events. Whoever folds a log again from its events alone makes all others anew; those that
/// were there, and what is known to be forgotten below them, belong to the records that are left out.
pub(crate) fn keys_of_events(exported: &Path) -> PathBuf {
    let text = std::fs::read_to_string(exported).expect("exported keys");
    let (head, lines) = text.split_once('\n').expect("the first line");
    let wanted: Vec<&str> = lines.lines().filter(|line| line.starts_with(r#"{"kind":2,"#)).collect();
    let text: String = std::iter::once(head).chain(wanted.iter().copied()).map(|line| format!("{line}\n")).collect();
    let hash = blake3::hash(text.as_bytes()).to_hex();
    let trailer = json!({"keys": wanted.len(), "floors": 0, "hash": hash.as_str()});
    let file = exported.with_extension("of-events");
    std::fs::write(&file, format!("{text}{trailer}\n")).expect("fewer keys");
    file
}
