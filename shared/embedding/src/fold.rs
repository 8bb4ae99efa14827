//! Text into words as the model's tokenizer cuts them: lower case, without accents, punctuation and ideographs each by
//! themselves. What becomes of a character is looked up, never asked of a Unicode library (the crate's doc says why).

use std::ops::ControlFlow;

use crate::pieces::LONGEST_WORD;

/// What a character is to the tokenizer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Class {
    /// Part of a word.
    Letter,
    /// Accents, controls, variation selectors: as if it were not there.
    Dropped,
    /// Ends a word.
    Space,
    /// A word by itself.
    Alone,
}

/// Neighbouring characters of one class. What is in no range is a letter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    first: u32,
    last: u32,
    class: Class,
}

impl Range {
    pub(crate) fn new(first: u32, last: u32, class: u32) -> Option<Self> {
        let class = match class {
            1 => Class::Dropped,
            2 => Class::Space,
            3 => Class::Alone,
            _ => return None,
        };
        Some(Self { first, last, class })
    }
}

/// A character that turns into others: capitals, letters with accents.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fold {
    from: u32,
    into: [Option<char>; 3],
}

impl Fold {
    pub(crate) fn new(from: u32, into: [u32; 3]) -> Option<Self> {
        let mut read = [None; 3];
        for (read, point) in read.iter_mut().zip(into).filter(|(_, point)| *point != 0) {
            *read = Some(char::from_u32(point)?);
        }
        Some(Self { from, into: read })
    }
}

/// The table's knowledge of characters, both lists sorted.
#[derive(Debug)]
pub(crate) struct Folds {
    ranges: Vec<Range>,
    folds: Vec<Fold>,
    /// Most of what is looked up, without a search. ASCII folds to ASCII.
    ascii: [(Class, char); 128],
}

impl Folds {
    pub(crate) fn new(ranges: Vec<Range>, folds: Vec<Fold>) -> Self {
        let mut all = Self { ranges, folds, ascii: [(Class::Letter, '\0'); 128] };
        for byte in 0..128_u8 {
            let character = char::from(byte);
            let folded = all.fold(character).and_then(|fold| fold.into[0]).unwrap_or(character);
            all.ascii[usize::from(byte)] = (all.class(character), folded);
        }
        all
    }

    fn class(&self, character: char) -> Class {
        let point = u32::from(character);
        let next = self.ranges.partition_point(|range| range.first <= point);
        match next.checked_sub(1).map(|at| self.ranges[at]) {
            Some(range) if point <= range.last => range.class,
            Some(_) | None => Class::Letter,
        }
    }

    fn fold(&self, character: char) -> Option<&Fold> {
        let at = self.folds.binary_search_by_key(&u32::from(character), |fold| fold.from).ok()?;
        Some(&self.folds[at])
    }
}

/// A word as it grows, in lower case. One that is too long to be known is not kept, however long it gets.
struct Word {
    text: String,
    characters: usize,
}

impl Word {
    fn push(&mut self, character: char) {
        self.characters += 1;
        if self.characters <= LONGEST_WORD {
            self.text.push(character);
        }
    }

    fn push_folded(&mut self, folds: &Folds, character: char) {
        if let Some(fold) = folds.fold(character) {
            fold.into.into_iter().flatten().for_each(|folded| self.push(folded));
        } else if let Some(letters) = hangul(character) {
            letters.into_iter().flatten().for_each(|letter| self.push(letter));
        } else {
            self.push(character);
        }
    }

    fn finish(&mut self, each: &mut impl FnMut(&str) -> ControlFlow<()>) -> ControlFlow<()> {
        let known = (1..=LONGEST_WORD).contains(&self.characters);
        let outcome = if known { each(&self.text) } else { ControlFlow::Continue(()) };
        self.text.clear();
        self.characters = 0;
        outcome
    }
}

/// Calls `each` with every word of the text that may be known, until it breaks off.
pub(crate) fn each_word(folds: &Folds, text: &str, mut each: impl FnMut(&str) -> ControlFlow<()>) -> ControlFlow<()> {
    let mut word = Word { text: String::new(), characters: 0 };
    for character in text.chars() {
        let ascii = u8::try_from(character).ok().and_then(|byte| folds.ascii.get(usize::from(byte)));
        let class = ascii.map_or_else(|| folds.class(character), |(class, _)| *class);
        if matches!(class, Class::Space | Class::Alone) {
            word.finish(&mut each)?;
        }
        if matches!(class, Class::Letter | Class::Alone) {
            match ascii {
                Some((_, folded)) => word.push(*folded),
                None => word.push_folded(folds, character),
            }
        }
        if class == Class::Alone {
            word.finish(&mut each)?;
        }
    }
    word.finish(&mut each)
}

/// The letters of a Korean syllable: 11,172 characters follow this one rule, so the table does not list them.
fn hangul(character: char) -> Option<[Option<char>; 3]> {
    let index = u32::from(character).checked_sub(0xAC00).filter(|index| *index < 11_172)?;
    let last = index % 28;
    Some([
        char::from_u32(0x1100 + index / 588),
        char::from_u32(0x1161 + index % 588 / 28),
        (last != 0).then(|| char::from_u32(0x11A7 + last)).flatten(),
    ])
}
