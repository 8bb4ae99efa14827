//! JSON lines, read one at a time within a bound: a file without line breaks must not become a string in memory.

use std::io::{BufRead, BufReader, Read as _};

use serde_json::Value;

/// The longest line, in bytes; far more than a server takes.
const LINE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A line with an interaction.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    /// Counted from 1, empty lines included, as editors do.
    pub(super) number: u64,
    pub(super) bytes: usize,
    pub(super) value: Value,
}

/// What stood on a line.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Read {
    Line(Line),
    /// Not a JSON object.
    Bad {
        number: u64,
        bytes: usize,
        message: String,
    },
}

/// The lines of a file.
pub(super) struct Lines<R> {
    reader: R,
    number: u64,
    buffer: Vec<u8>,
}

impl<R: std::io::Read> Lines<BufReader<R>> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader: BufReader::new(reader), number: 0, buffer: Vec::new() }
    }
}

impl<R: BufRead> Lines<R> {
    /// The next line that is not empty; `None` at the end.
    pub(super) fn next(&mut self) -> std::io::Result<Option<Read>> {
        loop {
            self.buffer.clear();
            let limit = LINE_BYTES_MAX as u64 + 1;
            let bytes = self.reader.by_ref().take(limit).read_until(b'\n', &mut self.buffer)?;
            if bytes == 0 {
                return Ok(None);
            }
            self.number += 1;
            if bytes > LINE_BYTES_MAX && self.buffer.last() != Some(&b'\n') {
                let bytes = bytes + self.skip_line()?;
                let message = format!("the line is longer than {LINE_BYTES_MAX} bytes");
                return Ok(Some(Read::Bad { number: self.number, bytes, message }));
            }
            let text = self.buffer.trim_ascii();
            if !text.is_empty() {
                return Ok(Some(parse(self.number, bytes, text)));
            }
        }
    }

    fn skip_line(&mut self) -> std::io::Result<usize> {
        let mut skipped = 0;
        loop {
            let chunk = self.reader.fill_buf()?;
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(chunk.len(), |end| end + 1);
            let done = end.is_some() || chunk.is_empty();
            self.reader.consume(used);
            skipped += used;
            if done {
                return Ok(skipped);
            }
        }
    }
}

fn parse(number: u64, bytes: usize, text: &[u8]) -> Read {
    match serde_json::from_slice::<Value>(text) {
        Ok(value) if value.is_object() => Read::Line(Line { number, bytes, value }),
        Ok(_) => Read::Bad { number, bytes, message: "a line must hold one JSON object".to_owned() },
        Err(error) => {
            // The error counts lines of its own, of which there is always one.
            let message = error.to_string();
            let what = message.split(" at line ").next().unwrap_or(&message);
            Read::Bad { number, bytes, message: format!("not JSON: {what} at column {}", error.column()) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8]) -> Vec<Read> {
        let mut lines = Lines::new(text);
        std::iter::from_fn(|| lines.next().expect("memory can be read")).collect()
    }

    #[test]
    fn lines_keep_their_numbers_across_empty_and_bad_ones() {
        let read = all(b"{\"a\": 1}\n\n  \r\n[1]\n{oops\n{\"b\": 2}");
        assert_eq!(read.len(), 4);
        assert!(matches!(&read[0], Read::Line(line) if line.number == 1 && line.bytes == 9));
        assert!(matches!(&read[1], Read::Bad { number: 4, message, .. } if message.contains("one JSON object")));
        assert!(matches!(&read[2], Read::Bad { number: 5, message, .. } if message.contains("column 2")), "{read:?}");
        assert!(matches!(&read[3], Read::Line(line) if line.number == 6), "the last line needs no line break");
    }

    #[test]
    fn a_line_without_an_end_is_not_held_in_memory() {
        let mut text = vec![b'x'; LINE_BYTES_MAX + 70_000];
        text.extend_from_slice(b"\n{\"a\": 1}\n");
        let read = all(&text);
        assert!(matches!(&read[0], Read::Bad { number: 1, bytes, .. } if *bytes == LINE_BYTES_MAX + 70_001));
        assert!(matches!(&read[1], Read::Line(line) if line.number == 2));
    }

    #[test]
    fn bytes_that_are_not_text_are_a_bad_line() {
        assert!(matches!(&all(b"{\"a\": \"\xff\"}\n")[..], [Read::Bad { number: 1, .. }]));
    }
}
