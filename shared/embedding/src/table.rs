//! The file `table.bin`, read in place, and the sums over its rows.
//!
//! Little-endian, without gaps: a header of 40 bytes (`memosemb`, u16 format, u16 dimension, u32 counts of tokens, tokens
//! that begin a word, slots, ranges, folds, pool bytes, name bytes), then ranges (u32 first, last, class), folds (u32
//! character, three u32 that it turns into, filled up with 0), the ends of the tokens in the pool (u32, with a 0 before), the
//! slots of the hash index (u16 token + 1, or 0), the weights (u16), the rows (i8), the pool, the name, and BLAKE3 of all
//! that. The format number stands for the arithmetic of this crate too: whoever changes a sum, a rounding or how words
//! are cut counts it up, so that vectors made before and after are not taken for each other.
//!
//! Opening a table copies only the few thousand entries about characters; vocabulary and rows stay where they are.

use std::fmt;
use std::ops::ControlFlow;

use thiserror::Error;

use crate::fold::{Fold, Folds, Range};
use crate::pieces::Vocabulary;
use crate::vector::{DIMENSION, Vector};
use crate::{MOST_TOKENS, fold, pieces};

const MAGIC: &[u8] = b"memosemb";
const FORMAT: u16 = 1;
const HEADER: usize = 40;
const DIGEST: usize = 32;
/// 128 · 2,047 · [`MOST_TOKENS`] is the greatest sum of a component, and the greatest an `i32` holds.
const HEAVIEST: u16 = 2047;

/// Why a table cannot be used.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Error {
    #[error("this is not a table of token vectors: it does not begin with the mark of one")]
    Foreign,
    #[error("the table has format {found}, this program reads format {FORMAT}")]
    Format { found: u16 },
    #[error("the table has vectors of {found} dimensions, this program works with {DIMENSION}")]
    Dimension { found: u16 },
    #[error("the table has {found} bytes, its header promises {expected}")]
    Length { found: usize, expected: usize },
    #[error("the table is damaged: its content does not have the digest it was written with")]
    Damaged,
    #[error("the table is whole but makes no sense: {what}")]
    Nonsense { what: &'static str },
}

/// What makes vectors comparable: the same name and digest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Model {
    /// Of the encoder and of how it was made small.
    pub name: String,
    /// BLAKE3 of the whole table.
    pub digest: [u8; DIGEST],
    /// Components of a vector.
    pub dimension: usize,
    /// Tokens in the vocabulary.
    pub tokens: usize,
}

impl Model {
    /// `name@digest` with 16 hexadecimal digits: what is stored beside vectors and compared at start.
    pub fn id(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@", self.name)?;
        self.digest[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A table of token vectors.
#[derive(Debug)]
pub struct Table<'a> {
    model: Model,
    folds: Folds,
    vocabulary: Vocabulary<'a>,
    weights: &'a [[u8; 2]],
    rows: &'a [[u8; DIMENSION]],
}

impl<'a> Table<'a> {
    /// Reads a table.
    ///
    /// # Errors
    /// If the bytes are not a table of this format and dimension, whole and undamaged.
    pub fn open(bytes: &'a [u8]) -> Result<Self, Error> {
        let (sizes, body, digest) = frame(bytes)?;
        let mut rest = body;
        let ranges = words(&mut rest, sizes.ranges);
        let folds = words(&mut rest, sizes.folds);
        let ends = cut(&mut rest, 4 * (sizes.tokens + 1)).as_chunks().0;
        let slots = cut(&mut rest, 2 * sizes.slots).as_chunks().0;
        let weights = cut(&mut rest, 2 * sizes.tokens).as_chunks().0;
        let rows = cut(&mut rest, DIMENSION * sizes.tokens).as_chunks().0;
        if weights.iter().any(|&weight| u16::from_le_bytes(weight) > HEAVIEST) {
            return Err(Error::Nonsense { what: "a weight is so great that sums could overflow" });
        }
        let pool = cut(&mut rest, sizes.pool);
        let name = std::str::from_utf8(rest).map_err(|_| Error::Nonsense { what: "its name is not text" })?;
        Ok(Self {
            model: Model { name: name.to_owned(), digest, dimension: DIMENSION, tokens: sizes.tokens },
            folds: Folds::new(read_ranges(&ranges)?, read_folds(&folds)?),
            vocabulary: Vocabulary::new(sizes.beginnings, ends, slots, pool)
                .ok_or(Error::Nonsense { what: "its vocabulary has no bounds" })?,
            weights,
            rows,
        })
    }

    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The vector of a text; zero if nothing of it is known.
    pub fn embed(&self, text: &str) -> Vector {
        let mut sum = [0_i32; DIMENSION];
        self.each_token(text, |token| self.add(&mut sum, token));
        Vector::from_sum(&sum)
    }

    /// The vector of a word: of its pieces, where the vocabulary does not have it whole. `None` if nothing is known.
    pub fn word(&self, word: &str) -> Option<Vector> {
        let vector = self.embed(word);
        (!vector.is_zero()).then_some(vector)
    }

    /// The numbers of the tokens of a text, in order, unknown words left out and the end of a long text cut.
    pub(crate) fn each_token(&self, text: &str, mut each: impl FnMut(usize)) {
        let mut left = MOST_TOKENS;
        let mut cut = pieces::Pieces::new();
        let outcome = fold::each_word(&self.folds, text, |word| {
            let found = self.vocabulary.cut(word, &mut cut);
            let taken = found.len().min(left);
            found[..taken].iter().for_each(|&token| each(usize::from(token)));
            left -= taken;
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        debug_assert!(outcome.is_continue() || left == 0, "only a full measure ends the reading");
    }

    /// Adds a token's row. [`HEAVIEST`] says why it cannot overflow; `wrapping` is what lets the compiler use vectors.
    fn add(&self, sum: &mut [i32; DIMENSION], token: usize) {
        // A signed weight, so that the product is one of 16 by 16 bits.
        let weight = i16::from_le_bytes(self.weights[token]);
        for (sum, &cell) in sum.iter_mut().zip(&self.rows[token]) {
            *sum = sum.wrapping_add(i32::from(cell.cast_signed()).wrapping_mul(i32::from(weight)));
        }
    }

    #[cfg(test)]
    pub(crate) fn token(&self, token: usize) -> String {
        self.vocabulary.token(token)
    }

    #[cfg(test)]
    pub(crate) fn weight(&self, token: usize) -> u16 {
        u16::from_le_bytes(self.weights[token])
    }
}

/// The counts of the header.
struct Sizes {
    tokens: usize,
    beginnings: usize,
    slots: usize,
    ranges: usize,
    folds: usize,
    pool: usize,
    name: usize,
}

impl Sizes {
    fn body(&self) -> usize {
        let per_token = 4 + 2 + DIMENSION;
        12 * self.ranges + 16 * self.folds + per_token * self.tokens + 4 + 2 * self.slots + self.pool + self.name
    }
}

/// Header and digest are as they should be: the counts, what lies between the two, and the digest.
fn frame(bytes: &[u8]) -> Result<(Sizes, &[u8], [u8; DIGEST]), Error> {
    if !bytes.starts_with(MAGIC) {
        return Err(Error::Foreign);
    }
    let Some((header, _)) = bytes.split_first_chunk::<HEADER>() else {
        return Err(Error::Length { found: bytes.len(), expected: HEADER + DIGEST });
    };
    let format = u16::from_le_bytes([header[8], header[9]]);
    if format != FORMAT {
        return Err(Error::Format { found: format });
    }
    let dimension = u16::from_le_bytes([header[10], header[11]]);
    if usize::from(dimension) != DIMENSION {
        return Err(Error::Dimension { found: dimension });
    }
    let [tokens, beginnings, slots, ranges, folds, pool, name] = counts(&header[12..]);
    let sizes = Sizes { tokens, beginnings, slots, ranges, folds, pool, name };
    let expected = HEADER + sizes.body() + DIGEST;
    if bytes.len() != expected {
        return Err(Error::Length { found: bytes.len(), expected });
    }
    let (content, digest) = bytes.split_last_chunk::<DIGEST>().expect("the length was checked");
    if blake3::hash(content).as_bytes() != digest {
        return Err(Error::Damaged);
    }
    Ok((sizes, &content[HEADER..], *digest))
}

/// Counts of 32 bits: a sum of a few of them, each times a row's length, is far from overflowing 64.
fn counts(bytes: &[u8]) -> [usize; 7] {
    let mut counts = [0; 7];
    for (count, &bytes) in counts.iter_mut().zip(bytes.as_chunks().0) {
        *count = usize::try_from(u32::from_le_bytes(bytes)).expect("memos runs on 64 bits");
    }
    counts
}

fn cut<'a>(rest: &mut &'a [u8], length: usize) -> &'a [u8] {
    rest.split_off(..length).expect("the header's counts were checked against the length")
}

fn words<const N: usize>(rest: &mut &[u8], count: usize) -> Vec<[u32; N]> {
    let words: Vec<u32> =
        cut(rest, 4 * N * count).as_chunks().0.iter().map(|&bytes| u32::from_le_bytes(bytes)).collect();
    words.as_chunks().0.to_vec()
}

fn read_ranges(ranges: &[[u32; 3]]) -> Result<Vec<Range>, Error> {
    let read = |&[first, last, class]: &[u32; 3]| Range::new(first, last, class);
    ranges.iter().map(read).collect::<Option<_>>().ok_or(Error::Nonsense { what: "a class of characters is unknown" })
}

fn read_folds(folds: &[[u32; 4]]) -> Result<Vec<Fold>, Error> {
    let read = |&[from, into @ ..]: &[u32; 4]| Fold::new(from, into);
    folds.iter().map(read).collect::<Option<_>>().ok_or(Error::Nonsense { what: "it names no character" })
}
