//! Reading what `strace -f -y` wrote: whole calls out of lines, and the one question asked of them.

use std::collections::BTreeMap;

/// One system call, from its beginning to its end.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    name: String,
    /// What the file descriptor is: a path, or a socket.
    file: String,
    arguments: String,
    /// What it returned, with the name of the error.
    result: String,
    /// The lines on which it began and ended. Between them other threads may do anything.
    begun: usize,
    ended: usize,
}

impl Call {
    pub(crate) fn is_sync(&self) -> bool {
        matches!(self.name.as_str(), "fdatasync" | "fsync")
    }

    /// Whether it gives a client's event a 202.
    pub(crate) fn is_acknowledgement(&self) -> bool {
        !self.is_sync() && self.arguments.contains("\"HTTP/1.1 202")
    }

    pub(crate) fn was_injected(&self) -> bool {
        self.result.contains("(INJECTED)")
    }

    /// The tokens in its data that begin with `prefix`.
    pub(crate) fn canaries(&self, prefix: &str) -> Vec<&str> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let mut found: Vec<&str> = self
            .arguments
            .match_indices(prefix)
            .map(|(at, _)| self.arguments[at..].split(|c| !is_part(c)).next().unwrap_or_default())
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    fn writes_interactions(&self) -> bool {
        matches!(self.name.as_str(), "write" | "writev" | "pwrite64" | "pwritev") && self.file.contains("/interactions")
    }
}

/// The calls of a trace, in the order in which they began.
pub(crate) fn calls(trace: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    // Calls that another thread interrupted in the trace, by their thread.
    let mut unfinished: BTreeMap<&str, Call> = BTreeMap::new();
    for (number, line) in trace.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(resumed) = rest.strip_prefix("<... ") {
            if let Some(mut call) = unfinished.remove(thread) {
                call.result = result(resumed).to_owned();
                call.ended = number;
                calls.push(call);
            }
        } else if let Some((name, arguments)) = rest.split_once('(').filter(|(name, _)| is_name(name)) {
            let file =
                arguments.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(file, _)| file);
            let call = Call {
                name: name.to_owned(),
                file: file.to_owned(),
                arguments: arguments.to_owned(),
                result: result(arguments).to_owned(),
                begun: number,
                ended: number,
            };
            if arguments.ends_with("<unfinished ...>") {
                unfinished.insert(thread, call);
            } else {
                calls.push(call);
            }
        }
    }
    calls.extend(unfinished.into_values().map(|call| Call { ended: usize::MAX, ..call }));
    calls.sort_by_key(|call| call.begun);
    calls
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// What stands behind the last ` = `, which no data can hold: data is in quotes, and the line does not end in one.
fn result(text: &str) -> &str {
    text.rsplit_once(" = ").map_or("", |(_, result)| result)
}

/// Every event that was acknowledged before a sync which began after its bytes were written had succeeded.
pub(crate) fn violations(calls: &[Call], prefix: &str) -> Vec<String> {
    let mut writes: BTreeMap<&str, Vec<&Call>> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.writes_interactions()) {
        call.canaries(prefix).into_iter().for_each(|canary| writes.entry(canary).or_default().push(call));
    }
    let syncs: Vec<&Call> = calls.iter().filter(|call| call.is_sync() && call.result == "0").collect();
    let mut found = Vec::new();
    for answer in calls.iter().filter(|call| call.is_acknowledgement()) {
        for canary in answer.canaries(prefix) {
            let written = writes.get(canary).and_then(|all| all.iter().rfind(|write| write.begun < answer.begun));
            let Some(written) = written else {
                found.push(format!("{canary} was acknowledged on line {} and never written", answer.begun));
                continue;
            };
            let covers =
                |sync: &&&Call| sync.file == written.file && sync.begun > written.ended && sync.ended < answer.begun;
            if !syncs.iter().any(|sync| covers(&sync)) {
                let (write, answer) = (written.begun, answer.begun);
                found.push(format!("{canary} was written on line {write} and acknowledged on line {answer} unsynced"));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITE: &str = r#"11 pwrite64(9</d/log/interactions/0/1.seg>, "..canary-1..canary-2..", 22, 0) = 22"#;
    const SYNC: &str = "11 fdatasync(9</d/log/interactions/0/1.seg>) = 0";
    const ANSWER: &str = r#"12 sendto(7<TCP:[127.0.0.1:1->127.0.0.1:2]>, "HTTP/1.1 202 Accepted\r\n\r\n{\"id\":\"canary-1\"}", 40, 0, NULL, 0) = 40"#;

    fn found(lines: &[&str]) -> usize {
        let calls = calls(&lines.join("\n"));
        assert!(calls.iter().any(Call::is_acknowledgement), "the acknowledgement was seen");
        violations(&calls, "canary-").len()
    }

    // law: L01
    #[test]
    fn an_answer_must_follow_a_sync_that_follows_the_write() {
        let other = SYNC.replace("interactions", "consolidations");
        let failed = SYNC.replace("= 0", "= -1 EIO (Input/output error) (INJECTED)");
        assert_eq!(found(&[WRITE, SYNC, ANSWER]), 0);
        assert_eq!(found(&[WRITE, ANSWER]), 1, "the sync was removed");
        assert_eq!(found(&[WRITE, ANSWER, SYNC]), 1, "the sync comes afterwards");
        assert_eq!(found(&[SYNC, WRITE, ANSWER]), 1, "the sync is one of before");
        assert_eq!(found(&[WRITE, &other, ANSWER]), 1, "another file was synced");
        assert_eq!(found(&[WRITE, &failed, ANSWER]), 1, "the sync failed");
        assert_eq!(found(&[SYNC, ANSWER]), 1, "nothing was written");
        assert_eq!(found(&[WRITE, SYNC, WRITE, ANSWER]), 1, "it was written again since");
    }

    #[test]
    fn calls_that_take_time_count_from_end_to_beginning() {
        let begins = "11 fdatasync(9</d/log/interactions/0/1.seg> <unfinished ...>";
        let ends = "11 <... fdatasync resumed>) = 0";
        assert_eq!(found(&[WRITE, begins, ends, ANSWER]), 0);
        assert_eq!(found(&[WRITE, begins, ANSWER, ends]), 1, "the answer did not wait for the end");
        assert_eq!(found(&[begins, WRITE, ends, ANSWER]), 1, "the sync began before the write had ended");
        let writing = WRITE.replace(") = 22", " <unfinished ...>");
        let wrote = "11 <... pwrite64 resumed>) = 22";
        let syncing = SYNC.replace("11 ", "13 ");
        assert_eq!(found(&[&writing, &syncing, wrote, ANSWER]), 1);
        assert_eq!(found(&[&writing, wrote, &syncing, ANSWER]), 0);
        assert_eq!(found(&[WRITE, begins, ANSWER]), 1, "the process ended first");
    }

    #[test]
    fn an_answer_of_several_events_needs_all_of_them() {
        let both = ANSWER.replace("canary-1", "canary-1 canary-3");
        assert_eq!(found(&[WRITE, SYNC, &both]), 1);
    }
}
