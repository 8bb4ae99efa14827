//! The different words of a bank, each with its vector: which texts have a word *like* one of the question's.
//!
//! A bank of ten thousand memories has some ten thousand words, and each word of a question is compared with all of them.
//! So the vectors lie side by side, only their first half is looked at (the components are in the order of how much they
//! tell; on the development data nothing is lost), and no division is made for a word that is not near enough.

use std::collections::BTreeMap;

use crate::text::Term;
use crate::vector::{self, Embed};

/// Components that are compared.
pub(super) const COARSE: usize = 128;
/// The length of a question's word.
const ASKED: i64 = 2_048;
/// Below this cosine (in 1/1000) two words have nothing to do with each other.
pub(super) const FAR: i64 = 200;

#[derive(Clone, Default)]
pub(super) struct Vocabulary {
    places: BTreeMap<String, u32>,
    terms: Vec<Term>,
    /// Per word, [`COARSE`] bytes.
    vectors: Vec<i8>,
    /// Per word: its length in 1/16, and the least product that is not [`FAR`].
    lengths: Vec<u32>,
    least: Vec<i32>,
    /// Per word, the slots of the texts that have it.
    uses: Vec<Vec<u32>>,
    free: Vec<u32>,
}

impl Vocabulary {
    /// Notes that the text at `slot` has the word; returns the word's place.
    pub(super) fn add(&mut self, word: String, term: Term, slot: u32, embed: &dyn Embed) -> u32 {
        let place = match self.places.get(&word) {
            Some(place) => *place,
            None => self.place(word, term, embed),
        };
        self.uses[place as usize].push(slot);
        place
    }

    fn place(&mut self, word: String, term: Term, embed: &dyn Embed) -> u32 {
        let whole = embed.word(&word).map_or([0; vector::DIMENSION], |vector| vector.0);
        let coarse = &whole[..COARSE];
        let square: u32 = coarse.iter().map(|x| u32::from(x.unsigned_abs()).pow(2)).sum();
        let length = (square * 256).isqrt();
        // Of a word without a vector no product is great enough.
        let least = if length == 0 { i64::from(i32::MAX) } else { FAR * ASKED * i64::from(length) / 16_000 };
        let least = i32::try_from(least).unwrap_or(i32::MAX);
        let place = self.free.pop().unwrap_or_else(|| {
            self.terms.push(term);
            self.vectors.extend([0; COARSE]);
            self.lengths.push(0);
            self.least.push(0);
            self.uses.push(Vec::new());
            u32::try_from(self.uses.len() - 1).expect("a bank is far smaller than 2^32")
        });
        let at = place as usize;
        self.terms[at] = term;
        self.vectors[at * COARSE..(at + 1) * COARSE].copy_from_slice(coarse);
        self.lengths[at] = length;
        self.least[at] = least;
        self.places.insert(word, place);
        place
    }

    /// Notes that the text at `slot` has these words no more.
    pub(super) fn remove(&mut self, words: &[u32], slot: u32) {
        let mut gone = Vec::new();
        for place in words {
            let uses = &mut self.uses[*place as usize];
            uses.retain(|used| *used != slot);
            if uses.is_empty() {
                gone.push(*place);
            }
        }
        if !gone.is_empty() {
            self.places.retain(|_, place| !gone.contains(place));
            gone.iter().for_each(|place| self.least[*place as usize] = i32::MAX);
            self.free.extend(gone);
        }
    }

    /// Who has this very word, whatever its stem is there.
    pub(super) fn users(&self, word: &str) -> &[u32] {
        self.places.get(word).map_or(&[], |place| &self.uses[*place as usize])
    }

    /// Every word that is not far from one of the question's: its term, how near it is (in 1/1000), who has it.
    pub(super) fn near<'a>(&'a self, asked: &'a [i16]) -> impl Iterator<Item = (Term, i64, &'a [u32])> {
        let (vectors, _) = self.vectors.as_chunks::<COARSE>();
        vectors.iter().zip(&self.least).enumerate().filter_map(move |(place, (vector, least))| {
            let product = vector::dot(vector, asked);
            (product >= *least).then(|| {
                let near = i64::from(product) * 16_000 / (ASKED * i64::from(self.lengths[place]).max(1));
                (self.terms[place], near.min(1_000), self.uses[place].as_slice())
            })
        })
    }

    pub(super) fn weight(&self) -> usize {
        let uses: usize = self.uses.iter().map(|uses| 24 + 4 * uses.capacity()).sum();
        uses + self.vectors.capacity() + 16 * self.terms.capacity() + 64 * self.places.len()
    }
}

/// A word of a question, ready to be compared; nothing if nothing is known of it.
pub(super) fn asked(word: &str, embed: &dyn Embed) -> Option<Vec<i16>> {
    let vector = embed.word(word)?;
    let coarse: Vec<i64> = vector.0[..COARSE].iter().map(|x| i64::from(*x) << 20).collect();
    coarse.iter().any(|x| *x != 0).then(|| vector::scaled(&coarse, ASKED))
}
