//! A snapshot step holds every row of a subject, in parts small enough for one record, and replaces all steps before it.
//!
//! The last part carries the highest step number, so the parts of a snapshot are ordinary consecutive steps to whoever
//! counts them, and the snapshot takes effect with the last.

use crate::forget::Erased;
use crate::ids::StepNumber;
use crate::step::{Body, Consumed, Row, Step};
use crate::subject::Handle;

/// The most bytes of rows in one part. Kafka's usual limit for a record is 1 MiB; the rest is for the frame.
pub const PART_BYTES_MAX: usize = 900 * 1024;

/// The steps that restate `rows` (all rows of the subject, in key order), beginning with number `first`.
#[must_use]
pub fn steps(subject: Handle, first: StepNumber, rows: Vec<Row>) -> Vec<Step> {
    parts(subject, first, rows, None, None)
}

/// The steps of what a forget leaves. The last one says what was erased, and how far `consolidations` was consumed.
#[must_use]
pub fn erasing(
    subject: Handle,
    first: StepNumber,
    rows: Vec<Row>,
    erased: Erased,
    consumed: Option<Consumed>,
) -> Vec<Step> {
    parts(subject, first, rows, Some(erased), consumed)
}

fn parts(
    subject: Handle,
    first: StepNumber,
    rows: Vec<Row>,
    erased: Option<Erased>,
    consumed: Option<Consumed>,
) -> Vec<Step> {
    let mut parts: Vec<Vec<Row>> = vec![Vec::new()];
    let mut bytes = 0;
    for row in rows {
        let size = serde_json::to_vec(&row).map_or(PART_BYTES_MAX, |json| json.len());
        if bytes + size > PART_BYTES_MAX && bytes > 0 {
            parts.push(Vec::new());
            bytes = 0;
        }
        bytes += size;
        parts.last_mut().expect("there is always a part").push(row);
    }
    let count = u32::try_from(parts.len()).expect("a bank is bounded");
    let mut number = first;
    let mut steps = Vec::with_capacity(parts.len());
    for (part, rows) in (0..count).zip(parts) {
        let last = part + 1 == count;
        let erased = erased.clone().filter(|_| last);
        let body = Body::Snapshot { part, parts: count, rows, erased };
        steps.push(Step { subject, number, body, consumed: consumed.clone().filter(|_| last) });
        number = number.next();
    }
    steps
}
