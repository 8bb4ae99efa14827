//! Words into tokens: the longest piece of the vocabulary that the word begins with, then the longest that continues it,
//! and so on (WordPiece). A word of which some part is in no piece is unknown as a whole.
//!
//! The vocabulary is looked up in a hash index that lies in the table, so a process starts with nothing to build. The hash
//! of a piece grows byte by byte, which gives those of all pieces that begin at one place in one pass.

/// Characters of a word; a longer one is unknown. The model's tokenizer has the same bound.
pub(crate) const LONGEST_WORD: usize = 100;

const SEED: u32 = 0x811C_9DC5;
/// Keeps what continues a word apart from what begins one.
const CONTINUES: u32 = 0x5BD1_E995;
const PRIME: u32 = 0x0100_0193;

/// The tokens of one word.
#[derive(Debug)]
pub(crate) struct Pieces([u16; LONGEST_WORD]);

impl Pieces {
    pub(crate) fn new() -> Self {
        Self([0; LONGEST_WORD])
    }
}

/// The tokens in the order of their numbers: first those that begin a word, then those that continue one.
#[derive(Debug)]
pub(crate) struct Vocabulary<'a> {
    beginnings: usize,
    /// Where each token ends in the pool, and a 0 before the first.
    ends: &'a [[u8; 4]],
    slots: &'a [[u8; 2]],
    pool: &'a [u8],
    /// Bytes of the longest token: no piece need be looked for beyond.
    longest: usize,
}

impl<'a> Vocabulary<'a> {
    /// `None` if a token lies outside of the pool, a slot names no token, or the index could be searched for ever.
    pub(crate) fn new(beginnings: usize, ends: &'a [[u8; 4]], slots: &'a [[u8; 2]], pool: &'a [u8]) -> Option<Self> {
        let tokens = ends.len() - 1;
        let mut all = Self { beginnings, ends, slots, pool, longest: 0 };
        for token in 0..tokens {
            let (start, end) = (all.end(token), all.end(token + 1));
            if start > end || end > pool.len() {
                return None;
            }
            all.longest = all.longest.max(end - start);
        }
        let named = |slot: &[u8; 2]| usize::from(u16::from_le_bytes(*slot));
        let bounded = slots.len().is_power_of_two()
            && slots.iter().all(|slot| named(slot) <= tokens)
            && slots.iter().any(|slot| named(slot) == 0);
        bounded.then_some(all)
    }

    /// The tokens of a word of at most [`LONGEST_WORD`] characters; none if it is unknown.
    pub(crate) fn cut<'p>(&self, word: &str, pieces: &'p mut Pieces) -> &'p [u16] {
        let mut count = 0;
        let mut start = 0;
        while start < word.len() {
            let Some((token, end)) = self.longest_piece(word, start) else {
                return &[];
            };
            pieces.0[count] = token;
            count += 1;
            start = end;
        }
        &pieces.0[..count]
    }

    /// The longest piece at `start`, and where it ends.
    fn longest_piece(&self, word: &str, start: usize) -> Option<(u16, usize)> {
        let continues = start > 0;
        let bytes = &word.as_bytes()[start..];
        let bytes = &bytes[..bytes.len().min(self.longest)];
        let mut hashes = [(0, 0); LONGEST_WORD];
        let mut count = 0;
        let mut hash = if continues { SEED ^ CONTINUES } else { SEED };
        for (at, &byte) in bytes.iter().enumerate() {
            hash = (hash ^ u32::from(byte)).wrapping_mul(PRIME);
            if word.is_char_boundary(start + at + 1) {
                hashes[count] = (at + 1, hash);
                count += 1;
            }
        }
        let found = |&(length, hash): &(usize, u32)| {
            let token = self.find(&bytes[..length], hash, continues)?;
            Some((token, start + length))
        };
        hashes[..count].iter().rev().find_map(found)
    }

    fn find(&self, piece: &[u8], hash: u32, continues: bool) -> Option<u16> {
        let mask = self.slots.len() - 1;
        let mut slot = usize::try_from(hash ^ (hash >> 16)).expect("memos runs on 64 bits") & mask;
        loop {
            let token = u16::from_le_bytes(self.slots[slot]).checked_sub(1)?;
            let number = usize::from(token);
            if (number >= self.beginnings) == continues && self.piece(number) == piece {
                return Some(token);
            }
            slot = (slot + 1) & mask;
        }
    }

    fn piece(&self, token: usize) -> &'a [u8] {
        &self.pool[self.end(token)..self.end(token + 1)]
    }

    fn end(&self, at: usize) -> usize {
        usize::try_from(u32::from_le_bytes(self.ends[at])).expect("memos runs on 64 bits")
    }

    #[cfg(test)]
    pub(crate) fn token(&self, token: usize) -> String {
        let mark = if token < self.beginnings { "" } else { "##" };
        format!("{mark}{}", String::from_utf8_lossy(self.piece(token)))
    }
}
