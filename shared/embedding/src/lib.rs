//! Text to vector, without a model at run time.
//!
//! A table of one vector per token, distilled from a sentence encoder (`make-table.py`), lies in the binary. The vector of
//! a text is the weighted sum of its tokens' vectors, brought to one length: no network is evaluated, so a turn costs
//! microseconds and every turn can afford it. What it gives up is word order.
//!
//! **The same text has the same vector everywhere and for ever**, or a rebuild would not equal what it rebuilds. So all
//! arithmetic is in integers, and the table also holds what the tokenizer has to know about each character: a newer
//! compiler brings a newer Unicode, and with the standard library's `to_lowercase` it would bring other vectors. What does
//! change a vector is another table, or another arithmetic, and both change [`Model::digest`] (the second through the
//! format number in the table). Whoever stores vectors stores [`Model::id`] with them.
//!
//! An empty text, and a text of which no token is known, has the zero vector: it is similar to nothing, not even to
//! itself. At most [`MOST_TOKENS`] tokens of a text are read; what comes after them is ignored.

mod fold;
mod pieces;
mod table;
mod vector;

#[cfg(test)]
mod tests;

use std::sync::LazyLock;

pub use table::{Error, Model, Table};
pub use vector::{DIMENSION, Vector, similarity};

/// How many tokens of a text are read. With a cell of at most 127 and a weight of at most 2,047 their sum fits an `i32`.
pub const MOST_TOKENS: usize = 8192;

static BYTES: &[u8] = include_bytes!("../table.bin");

static BUILT_IN: LazyLock<Result<Table<'static>, Error>> = LazyLock::new(|| Table::open(BYTES));

/// Reads the table in the binary if nobody has yet (some milliseconds, most of them for its digest).
///
/// # Errors
/// If the table is damaged. A service asks once at its start; after that the functions below cannot fail.
pub fn built_in() -> Result<&'static Table<'static>, &'static Error> {
    BUILT_IN.as_ref()
}

/// The vector of a text, by the table in the binary.
///
/// # Panics
/// If that table is damaged, which [`built_in`] says without a panic.
pub fn embed(text: &str) -> Vector {
    table().embed(text)
}

/// The vector of a word, by the table in the binary; `None` if nothing of it is known.
///
/// # Panics
/// As [`embed`].
pub fn word(word: &str) -> Option<Vector> {
    table().word(word)
}

/// The table in the binary, for the core, which does not know where vectors come from.
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn;

impl memory_core::vector::Embed for BuiltIn {
    fn text(&self, text: &str) -> memory_core::vector::Vector {
        memory_core::vector::Vector(*embed(text).components())
    }

    fn word(&self, text: &str) -> Option<memory_core::vector::Vector> {
        word(text).map(|vector| memory_core::vector::Vector(*vector.components()))
    }
}

/// What the vectors of this binary are made with.
///
/// # Panics
/// As [`embed`].
pub fn model() -> &'static Model {
    table().model()
}

fn table() -> &'static Table<'static> {
    match built_in() {
        Ok(table) => table,
        Err(error) => panic!("the table of token vectors in this binary cannot be used: {error}"),
    }
}
