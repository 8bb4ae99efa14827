//! The language of the tables: a line says how a statement is worded and what it states.
//!
//! A pattern is a verb's lemma and what must follow it, in order. Adverbs may stand anywhere between.
//!
//! | part | fits |
//! |---|---|
//! | `to`, `in\|at` | one of the words |
//! | `new?` | one of the words, or nothing |
//! | `#`, `N` | a number; a word with a capital |
//! | `*` | one to five words of any kind |
//! | `.` | the end of the clause |
//! | `<old>`, `<v>`, `<attr>` | one to eight words: the value that ends, the value, the name of the attribute |
//! | `^x` | `x`, and the value begins with it |
//!
//! Without `<v>` and `^` the value is what follows the pattern. Words in `{}` at the end of a line: one of them must be in
//! the value.

use std::ops::Range;

use super::lexicon::{ADVERB, DEGREE, NOW, NUMBER};
use super::token::Token;

/// What a line states, before negation, tense and corrections have their say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Like,
    Dislike,
    Prefer,
    Fact,
    Change,
    /// Something ended: the statement is a negation.
    End,
    Plan,
    /// A plan if a time is said, nothing otherwise.
    Soon,
    /// An obligation: as [`Kind::Soon`].
    Duty,
    /// A wish: a plan if a time is said, a goal otherwise.
    Goal,
    /// Says what was meant.
    Fix,
    /// A fact only if it is denied or said to be a habit.
    Rare,
    /// Says nothing to keep.
    Nothing,
}

#[derive(Clone, Debug)]
enum Part {
    Words(Vec<&'static str>),
    Maybe(Vec<&'static str>),
    Number,
    Capital,
    Any,
    End,
    Old,
    Value,
    Attribute,
}

#[derive(Clone, Debug)]
pub(super) struct Rule {
    parts: Vec<(Part, bool)>,
    pub(super) attribute: &'static str,
    pub(super) kind: Kind,
    pub(super) single: bool,
    /// The simple past says something that lasts ("I studied in Graz"), or is how the change is told.
    pub(super) past: bool,
    /// The value is all that follows the verb.
    whole: bool,
    /// The value is one word.
    pub(super) head: bool,
    /// The value begins with the verb: "work from home".
    verb: bool,
    needs: Vec<&'static str>,
}

/// Where the parts of a statement stand, in tokens.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) value: Range<usize>,
    pub(super) old: Option<Range<usize>>,
    pub(super) attribute: Option<Range<usize>>,
    /// The value was closed by a word of the pattern, so nothing may be added to it.
    pub(super) closed: bool,
    /// Where the pattern itself begins, for a rule of what stands before it.
    pub(super) begins: usize,
}

impl Rule {
    /// A line of `verbs.txt` with its head, which is a lemma or several.
    pub(super) fn read(line: &'static str) -> (&'static str, Self) {
        let (pattern, says) = line.split_once(" > ").expect("a line of verbs has a pattern and what it says");
        let (says, needs) = says.split_once(" {").unwrap_or((says, ""));
        let (head, rest) = pattern.split_once(' ').unwrap_or((pattern, ""));
        let mut flags = says.split(' ');
        let attribute = flags.next().expect("split gives a first part");
        let kind = kind(flags.next().expect("a line of verbs has a kind"));
        let flags: Vec<&str> = flags.collect();
        let rule = Self {
            parts: rest.split(' ').filter(|part| !part.is_empty()).map(part).collect(),
            attribute,
            kind,
            single: flags.contains(&"one"),
            past: flags.contains(&"past"),
            whole: flags.contains(&"whole"),
            head: flags.contains(&"head"),
            verb: flags.contains(&"verb"),
            needs: needs.trim_end_matches('}').split('|').filter(|need| !need.is_empty()).collect(),
        };
        (head, rule)
    }

    /// A line of `tails.txt`: what is said of a thing, which stands before it.
    pub(super) fn read_tail(line: &'static str) -> Self {
        let (says, pattern) = line.split_once(": ").expect("a line of tails has a pattern");
        let (attribute, said) = says.split_once(' ').expect("a line of tails has an attribute and a kind");
        let parts = pattern.split(' ').map(part).collect();
        let kind = kind(said);
        let (single, past, whole, head, verb, needs) = (false, false, false, false, false, Vec::new());
        Self { parts, attribute, kind, single, past, whole, head, verb, needs }
    }

    /// Fits the rule to what follows the verb: the tokens from `from`, within the clause that they are.
    pub(super) fn fit(&self, tokens: &[Token<'_>], from: usize) -> Option<Found> {
        let mut found = Found { value: 0..0, ..Found::default() };
        let mut at = from;
        let mut begins = None;
        for (place, (part, marks)) in self.parts.iter().enumerate() {
            let start = if matches!(part, Part::Maybe(_) | Part::End) { at } else { skip(part, tokens, at) };
            if *marks {
                begins = Some(start);
            }
            at = match part {
                Part::Words(_) | Part::Number | Part::Capital => one(part, tokens, start).then_some(start + 1)?,
                Part::Maybe(_) => {
                    let skipped = skip(part, tokens, at);
                    if one(part, tokens, skipped) { skipped + 1 } else { at }
                }
                Part::End => (at >= tokens.len() || tokens[at].mark).then_some(at)?,
                Part::Any | Part::Old | Part::Value | Part::Attribute => {
                    let most = if matches!(part, Part::Any) { 5 } else { 8 };
                    let end = self.slot_end(place + 1, tokens, start, most)?;
                    match part {
                        Part::Old => found.old = Some(start..end),
                        Part::Value => {
                            found.value = start..end;
                            found.closed = true;
                        }
                        Part::Attribute => found.attribute = Some(start..end),
                        Part::Words(_) | Part::Maybe(_) | Part::Number | Part::Capital | Part::Any | Part::End => {}
                    }
                    end
                }
            };
        }
        if self.whole {
            found.value = from..tokens.len();
        } else if self.verb {
            found.value = from - 1..tokens.len();
        } else if !found.closed {
            found.value = begins.unwrap_or(at)..tokens.len();
        }
        self.has_what_it_needs(&tokens[found.value.start.min(tokens.len())..]).then_some(found)
    }

    /// Where a slot ends: before the first word that fits the next part, or with the clause if there is none.
    fn slot_end(&self, next: usize, tokens: &[Token<'_>], start: usize, most: usize) -> Option<usize> {
        if start >= tokens.len() {
            return None;
        }
        let (wanted, _) = self.parts[next..]
            .iter()
            .find(|(part, _)| !matches!(part, Part::Maybe(_)))
            .map_or((None, false), |(part, marks)| (Some(part), *marks));
        let Some(wanted) = wanted else { return Some(tokens.len()) };
        (start + 1..=(start + most).min(tokens.len().saturating_sub(1))).find(|at| one(wanted, tokens, *at))
    }

    fn has_what_it_needs(&self, value: &[Token<'_>]) -> bool {
        let needed = |need: &&str| {
            let mut words = need.split(' ');
            let first = words.next().unwrap_or_default();
            let rest: Vec<&str> = words.collect();
            let fits = |at: usize| {
                value[at].is(first)
                    && rest
                        .iter()
                        .enumerate()
                        .all(|(place, word)| value.get(at + 1 + place).is_some_and(|token| token.is(word)))
            };
            (0..value.len()).any(fits) || *need == "N" && value.first().is_some_and(|token| token.capital)
        };
        self.needs.is_empty() || self.needs.iter().any(needed)
    }

    /// Finds a rule of `tails.txt` in a clause: what it is said of ends before [`Found::begins`].
    pub(super) fn find(&self, tokens: &[Token<'_>], from: usize) -> Option<Found> {
        (from + 1..tokens.len())
            .filter(|at| self.first_is(tokens, *at))
            .find_map(|at| Some(Found { begins: at, ..self.fit(tokens, at)? }))
    }

    /// Whether the pattern begins at the very word, without adverbs before it.
    fn first_is(&self, tokens: &[Token<'_>], at: usize) -> bool {
        self.parts.first().is_some_and(|(part, _)| one(part, tokens, at))
    }
}

/// Skips adverbs before a part, unless the part is one.
fn skip(part: &Part, tokens: &[Token<'_>], mut at: usize) -> usize {
    while at < tokens.len() && tokens[at].in_class(ADVERB | DEGREE | NOW) && !one(part, tokens, at) {
        at += 1;
    }
    at
}

fn one(part: &Part, tokens: &[Token<'_>], at: usize) -> bool {
    let Some(token) = tokens.get(at) else { return false };
    match part {
        Part::Words(words) | Part::Maybe(words) => {
            words.iter().any(|word| token.is(word) || *word == "be" && token.in_class(super::lexicon::BE))
        }
        Part::Number => token.has_digit() || token.in_class(NUMBER),
        Part::Capital => token.capital,
        Part::Any | Part::Old | Part::Value | Part::Attribute => !token.mark,
        Part::End => false,
    }
}

fn part(said: &'static str) -> (Part, bool) {
    let (said, marks) = said.strip_prefix('^').map_or((said, false), |rest| (rest, true));
    let part = match said {
        "#" => Part::Number,
        "N" => Part::Capital,
        "*" => Part::Any,
        "." => Part::End,
        "<old>" => Part::Old,
        "<v>" => Part::Value,
        "<attr>" => Part::Attribute,
        words => match words.strip_suffix('?') {
            Some(words) => Part::Maybe(words.split('|').collect()),
            None => Part::Words(words.split('|').collect()),
        },
    };
    (part, marks)
}

fn kind(name: &str) -> Kind {
    match name {
        "like" => Kind::Like,
        "dislike" => Kind::Dislike,
        "prefer" => Kind::Prefer,
        "fact" => Kind::Fact,
        "change" => Kind::Change,
        "end" => Kind::End,
        "plan" => Kind::Plan,
        "soon" => Kind::Soon,
        "duty" => Kind::Duty,
        "goal" => Kind::Goal,
        "fix" => Kind::Fix,
        "rare" => Kind::Rare,
        "none" => Kind::Nothing,
        other => panic!("the tables have no kind {other}"),
    }
}
