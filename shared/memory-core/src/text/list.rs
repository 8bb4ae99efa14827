//! Lists of words and phrases that stand in text files, each with what it means to the one who asks.
//!
//! A line of such a file is `CLASS NUMBERS: ENTRIES`, with none to two numbers; `#` begins a comment. An entry is a word
//! or, joined by `_`, a phrase. `*` at the end of a word stands for any ending; in a phrase `?` stands for no word or one
//! and `~` for none to three, but the first word is always told in full. All is lower-cased. The longest entry counts.

use super::scan::Token;

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
    /// In the order of their letters.
    words: Vec<Word<V>>,
    /// In the order of their first words.
    phrases: Vec<Phrase<V>>,
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
    first: &'static str,
    rest: &'static str,
    value: V,
}

impl<V: Copy> List<V> {
    pub(crate) fn new(entries: impl Iterator<Item = (&'static str, V)>) -> Self {
        let (mut words, mut phrases) = (Vec::new(), Vec::new());
        for (entry, value) in entries {
            if let Some((first, rest)) = entry.split_once('_') {
                phrases.push(Phrase { first, rest, value });
            } else {
                let letters = entry.trim_end_matches('*');
                words.push(Word { letters, open: letters.len() < entry.len(), value });
            }
        }
        words.sort_by_key(|word| (word.letters, word.open));
        phrases.sort_by_key(|phrase| phrase.first);
        Self { words, phrases }
    }

    /// The longest entry that the tokens begin with: how many tokens it takes, and its value.
    pub(crate) fn longest(&self, tokens: &[Token<'_>]) -> Option<(usize, V)> {
        let first: &str = &tokens.first()?.lower;
        let from = self.phrases.partition_point(|phrase| phrase.first < first);
        let phrases = self.phrases[from..].iter().take_while(|phrase| phrase.first == first);
        let lengths = phrases.filter_map(|phrase| Some((1 + length(phrase.rest, &tokens[1..])?, phrase.value)));
        // The first of those that are as long.
        let phrase = lengths.reduce(|best, next| if next.0 > best.0 { next } else { best });
        phrase.or_else(|| self.word(first).map(|value| (1, value)))
    }

    /// The value of a word; of the longest entry that it begins with, when the word itself is none.
    pub(crate) fn word(&self, word: &str) -> Option<V> {
        let mut key = word;
        loop {
            let end = self.words.partition_point(|entry| entry.letters <= key);
            let before = self.words[..end].last()?;
            if before.letters == word {
                return Some(before.value);
            }
            let mut common = before.letters.bytes().zip(key.bytes()).take_while(|(one, other)| one == other).count();
            if common == before.letters.len() {
                if before.open {
                    return Some(before.value);
                }
                common = common.checked_sub(1)?;
            }
            // Whatever else `word` could begin with is a beginning of what the two have in common.
            while !word.is_char_boundary(common) {
                common -= 1;
            }
            key = &word[..common];
        }
    }
}

/// How many tokens the words of a pattern take, if the tokens begin with it.
fn length(pattern: &str, tokens: &[Token<'_>]) -> Option<usize> {
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
