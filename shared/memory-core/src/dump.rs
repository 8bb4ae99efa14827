//! The canonical dump: every row of every subject as one line of JSON, and the hash of it.
//!
//! Two systems that folded the same events have the same dump, whatever their partitions, offsets, step numbers,
//! batch sizes or crashes were (law L06). So nothing of those is in it. Subjects are in the order of their handles, rows
//! in the order of their keys, and objects in the order of their fields.

use std::fmt;

use crate::refold::Rows;
use crate::step::Row;
use crate::subject::Handle;

/// The hash of a canonical dump.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DumpHash([u8; 32]);

impl fmt::Display for DumpHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for DumpHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DumpHash({self})")
    }
}

/// Takes subjects in the order of their handles and keeps count.
#[derive(Debug, Default)]
pub struct Dump {
    hasher: blake3::Hasher,
    pub subjects: u64,
    pub memories: u64,
    pub rows: u64,
    last: Option<Handle>,
}

impl Dump {
    /// Adds one subject; `line` sees every line as it is hashed.
    ///
    /// # Panics
    /// When subjects do not come in rising order: then the hash would mean nothing.
    pub fn subject<'a>(&mut self, subject: Handle, rows: impl Iterator<Item = &'a Row>, mut line: impl FnMut(&str)) {
        assert!(self.last.is_none_or(|last| last < subject), "subjects are dumped in the order of their handles");
        self.last = Some(subject);
        self.subjects += 1;
        for row in rows {
            let json = serde_json::to_string(row).expect("rows are plain data");
            let text = format!("{{\"subject\":\"{subject}\",\"row\":{json}}}\n");
            self.hasher.update(text.as_bytes());
            line(&text);
            self.rows += 1;
            self.memories += u64::from(matches!(row, Row::Memory(_)));
        }
    }

    #[must_use]
    pub fn hash(&self) -> DumpHash {
        DumpHash(*self.hasher.finalize().as_bytes())
    }
}

/// The dump of subjects in RAM; `subjects` in rising order of handles.
#[must_use]
pub fn of<'a>(subjects: impl IntoIterator<Item = (&'a Handle, &'a Rows)>) -> Dump {
    let mut dump = Dump::default();
    for (subject, rows) in subjects {
        dump.subject(*subject, rows.iter(), |_| {});
    }
    dump
}
