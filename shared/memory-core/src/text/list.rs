//! Lists of words and phrases that stand in text files, each with what it means to the one who asks.
//!
//! A line of such a file is `CLASS NUMBERS: ENTRIES`, with none to two numbers; `#` begins a comment. An entry is a word
//! or, joined by `_`, a phrase. `*` at the end of a word stands for any ending; in a phrase `?` stands for no word or one
//! and `~` for none to three, but the first word is always told in full. All is lower-cased. The longest entry counts.

use std::collections::BTreeMap;

use super::scan::Token;
use super::table::{HASH_OF_NOTHING, hash, hash_on};

/// The most words that `~` stands for.
const FREE_WORDS: usize = 3;

/// One entry of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub(crate) class: &'static str,
    pub(crate) numbers: [i16; 2],
    pub(crate) entry: &'static str,
}

/// The entries of a file, in its order.
pub(crate) fn lines(file: &'static str) -> impl Iterator<Item = Line> {
    let told = file.lines().filter(|line| !line.starts_with('#'));
    told.filter_map(|line| line.split_once(": ")).flat_map(|(head, entries)| {
        let mut head = head.split(' ');
        let class = head.next().unwrap_or_default();
        let mut number = || head.next().and_then(|number| number.parse().ok()).unwrap_or_default();
        let numbers = [number(), number()];
        entries.split_whitespace().map(move |entry| Line { class, numbers, entry })
    })
}

/// Words and phrases with a value each.
#[derive(Debug)]
pub(crate) struct List<V> {
    words: Vec<Word<V>>,
    by_letters: Index,
    /// Of the entries with any ending: the shortest, and of all words the longest, in bytes.
    shortest_open: usize,
    longest: usize,
    /// The phrases that begin with the same word, by that word.
    phrases: Vec<(&'static str, Vec<Phrase<V>>)>,
    by_first: Index,
}

#[derive(Debug)]
struct Word<V> {
    letters: &'static str,
    /// Whether it is the beginning of more words.
    open: bool,
    value: V,
}

#[derive(Debug)]
struct Phrase<V> {
    /// What follows the first word.
    rest: &'static str,
    value: V,
}

impl<V: Copy> List<V> {
    pub(crate) fn new(entries: impl Iterator<Item = (&'static str, V)>) -> Self {
        let mut words = Vec::new();
        let mut phrases: BTreeMap<&str, Vec<Phrase<V>>> = BTreeMap::new();
        for (entry, value) in entries {
            if let Some((first, rest)) = entry.split_once('_') {
                phrases.entry(first).or_default().push(Phrase { rest, value });
            } else {
                let letters = entry.trim_end_matches('*');
                words.push(Word { letters, open: letters.len() < entry.len(), value });
            }
        }
        // Of two with the same letters the exact one is found.
        words.sort_by_key(|word| word.open);
        let open = words.iter().filter(|word| word.open).map(|word| word.letters.len());
        let phrases: Vec<_> = phrases.into_iter().collect();
        Self {
            by_letters: Index::new(words.iter().map(|word| word.letters)),
            shortest_open: open.min().unwrap_or(usize::MAX),
            longest: words.iter().map(|word| word.letters.len()).max().unwrap_or_default(),
            words,
            by_first: Index::new(phrases.iter().map(|(first, _)| *first)),
            phrases,
        }
    }

    /// The longest entry that the tokens begin with: how many tokens it takes, and its value.
    pub(crate) fn longest(&self, tokens: &[Token<'_>]) -> Option<(usize, V)> {
        let (first, after) = tokens.split_first()?;
        let phrases = self.by_first.find(hash(&first.lower), |place| self.phrases[place].0 == first.lower);
        let phrases = phrases.map_or(&[][..], |place| &self.phrases[place].1).iter();
        let lengths = phrases.filter_map(|phrase| Some((1 + length(phrase.rest, after)?, phrase.value)));
        // The first of those that are as long.
        let phrase = lengths.reduce(|best, next| if next.0 > best.0 { next } else { best });
        phrase.or_else(|| self.word(&first.lower).map(|value| (1, value)))
    }

    /// The value of a word; of the longest entry that it begins with, when the word itself is none.
    pub(crate) fn word(&self, word: &str) -> Option<V> {
        let mut found = None;
        let mut state = HASH_OF_NOTHING;
        // The hash of every beginning is met on the way to that of the word.
        for (end, byte) in (1..=self.longest).zip(word.bytes()) {
            state = hash_on(state, byte);
            let whole = end == word.len();
            if whole || end >= self.shortest_open {
                let begin = &word.as_bytes()[..end];
                let fits = |entry: &Word<V>| (whole || entry.open) && entry.letters.as_bytes() == begin;
                found = self.by_letters.find(state, |place| fits(&self.words[place])).or(found);
            }
        }
        found.map(|place| self.words[place].value)
    }
}

/// Where the first entry with a key is: a table with open addressing, at most half full. It is never walked, so the order
/// in it cannot matter.
#[derive(Debug)]
struct Index {
    /// A part of the key's hash, and the number of its entry, from 1 on; 0 where there is none.
    slots: Vec<(u32, u32)>,
}

impl Index {
    fn new<'a>(keys: impl Iterator<Item = &'a str>) -> Self {
        let keys: Vec<u64> = keys.map(hash).collect();
        let mut slots = vec![(0_u32, 0_u32); (2 * keys.len()).next_power_of_two()];
        for (number, key) in (1..).zip(keys) {
            let (begin, tag) = Self::begin(key, slots.len());
            let mut path = (begin..slots.len()).chain(0..begin);
            let free = path.find(|slot| slots[*slot].1 == 0).expect("half of them are free");
            slots[free] = (tag, number);
        }
        Self { slots }
    }

    /// The first entry with this hash that is the one.
    fn find(&self, key: u64, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        let (mut slot, tag) = Self::begin(key, self.slots.len());
        // Half of the slots are empty, so this ends.
        while let (other, number @ 1..) = self.slots[slot] {
            let place = number as usize - 1;
            if other == tag && is_it(place) {
                return Some(place);
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        None
    }

    /// The first slot in which a key may be, and the part of it that is kept there.
    #[expect(clippy::cast_possible_truncation, reason = "any part of a hash is one")]
    const fn begin(key: u64, slots: usize) -> (usize, u32) {
        ((key >> 40) as usize & (slots - 1), key as u32)
    }
}

/// How many tokens the words of a pattern take, if the tokens begin with it.
fn length(pattern: &str, tokens: &[Token<'_>]) -> Option<usize> {
    // Most patterns fail at their first letter.
    let letters = (pattern.as_bytes().first(), tokens.first().and_then(|token| token.lower.as_bytes().first()));
    if letters.0 != letters.1 && !pattern.starts_with(['?', '~']) {
        return None;
    }
    let (word, rest) = pattern.split_once('_').unwrap_or((pattern, ""));
    let after = |taken: usize| {
        let tokens = tokens.get(taken..)?;
        let end = if rest.is_empty() { Some(0) } else { length(rest, tokens) };
        end.map(|end| taken + end)
    };
    let free = match word {
        "?" => 1,
        "~" => FREE_WORDS,
        _ => {
            let told: &str = &tokens.first()?.lower;
            let same = word.strip_suffix('*').map_or(told == word, |begin| told.starts_with(begin));
            return if same { after(1) } else { None };
        }
    };
    let words = tokens.iter().take(free).take_while(|token| token.is_word).count();
    (0..=words).find_map(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::scan::scan;

    const FILE: &str = "# a comment: x\n\
        one 1 -2: sad sadd* sa lost_?_job lost passed_~_exam* über*\n\
        two: the_end a_b";

    fn longest(text: &str) -> Option<(usize, i16)> {
        let list =
            List::new(lines(FILE).map(|line| (line.entry, line.numbers[0] + i16::from(line.class == "two") * 5)));
        list.longest(&scan(text))
    }

    #[test]
    fn a_line_has_a_class_numbers_and_entries() {
        let read: Vec<(&str, [i16; 2], &str)> =
            lines(FILE).map(|line| (line.class, line.numbers, line.entry)).collect();
        assert_eq!(read[0], ("one", [1, -2], "sad"));
        assert_eq!(read.last(), Some(&("two", [0, 0], "a_b")));
    }

    #[test]
    fn words_are_whole_unless_they_are_open() {
        let found = |text| longest(text).is_some();
        assert!(found("sad") && found("saddle") && found("sadd") && found("sa") && found("überall"));
        assert!(!found("sade") && !found("s") && !found("sab") && !found("üb") && !found("") && !found("ûber"));
    }

    #[test]
    fn the_longest_entry_counts_and_ends_at_a_mark() {
        assert_eq!(longest("Lost my job"), Some((3, 1)));
        assert_eq!(longest("lost job"), Some((2, 1)));
        assert_eq!(longest("lost my old job"), Some((1, 1)), "one word may be between");
        assert_eq!(longest("lost, job"), Some((1, 1)));
        assert_eq!(longest("passed my very last exams"), Some((5, 1)));
        assert_eq!(longest("the end"), Some((2, 5)));
        assert_eq!(longest("the"), None);
    }
}
