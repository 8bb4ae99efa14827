//! Records of `receipts`. They stand in the clear and for good: they tell of a forget what may be known of it ever after, and
//! neither who was forgotten nor what.

use memory_core::Handle;
use memory_core::forget::Receipt;

use super::{Error, unreadable};
use crate::line::{self, Value};
use crate::{Record, Stored, Timestamp, Topic};

/// A record for `receipts`.
#[must_use]
pub fn receipt(receipt: &Receipt, now: Timestamp) -> Record {
    let key = receipt.subject.as_bytes().to_vec();
    Record { key, value: Some(line::clear(receipt)), headers: Vec::new(), timestamp: now }
}

/// Reads a record of `receipts`; `None` for a record that is of no subject, such as the check of the hash secret.
///
/// # Errors
/// [`Error`] when it is of a subject and no receipt.
pub fn read_receipt(stored: &Stored) -> Result<Option<Receipt>, Error> {
    const TOPIC: Topic = Topic::Receipts;
    let Stored { offset, record } = stored;
    let Some(value) = record.value.as_deref().filter(|_| record.key.len() == Handle::BYTES) else { return Ok(None) };
    let receipt: Receipt = Value::of(value).clear().map_err(unreadable(TOPIC, *offset))?;
    if receipt.subject.as_bytes().as_slice() != record.key {
        return Err(Error::Moved { topic: TOPIC, offset: *offset });
    }
    Ok(Some(receipt))
}
