//! The readers' file handles: kept open, and not more of them than configured.
//!
//! A handle goes on reading the file it was opened on, even after that file was replaced or removed. Compaction and
//! retention rely on it: whoever holds a handle finishes undisturbed.

use std::collections::HashMap;
use std::fs::File;
use std::sync::{Arc, Mutex};

use crate::Error;
use crate::local::segment::Segment;
use crate::signal::lock;

#[derive(Debug)]
pub(crate) struct Files {
    capacity: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    by_segment: HashMap<u64, (Arc<File>, u64)>,
    uses: u64,
}

impl Files {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), open: Mutex::default() }
    }

    /// A handle on the segment. Must be called while nobody can rename or remove the file, that is, under the lock of
    /// its partition.
    pub(crate) fn get(&self, segment: &Segment) -> Result<Arc<File>, Error> {
        let mut open = lock(&self.open);
        open.uses += 1;
        let now = open.uses;
        if let Some((file, used)) = open.by_segment.get_mut(&segment.number) {
            *used = now;
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(segment.reopen()?);
        if open.by_segment.len() >= self.capacity {
            let oldest = open.by_segment.iter().min_by_key(|(_, (_, used))| *used).map(|(number, _)| *number);
            oldest.and_then(|number| open.by_segment.remove(&number));
        }
        open.by_segment.insert(segment.number, (Arc::clone(&file), now));
        Ok(file)
    }

    /// Lets go of a segment that was replaced or removed, so that its blocks are given back.
    pub(crate) fn forget(&self, segment: &Segment) {
        lock(&self.open).by_segment.remove(&segment.number);
    }
}
