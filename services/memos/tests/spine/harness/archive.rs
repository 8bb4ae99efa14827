//! An exported log with some of its topics left out: what remains must be enough.

use std::path::Path;

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
