//! The sum of the feelings in a text, sentence by sentence.

use super::{Emotion, Feeling, Lexicon, Shift};
use crate::text::language::Language;
use crate::text::scan::Token;

/// How many words a negation reaches.
const NEGATION_REACH: usize = 5;
/// How many words a degree reaches.
const DEGREE_REACH: usize = 3;
/// What is left of a good feeling that is denied, in 1/100 and turned round, and of a bad one.
const DENIED_GOOD: i32 = -75;
const DENIED_BAD: i32 = -40;
/// What a comparison after "never" is worth.
const INCOMPARABLE: i32 = 700;
/// What capitals or drawn-out letters add, in 1/100.
const LOUD: i32 = 125;
/// What is left of feelings before "but", and what those after it gain, in 1/100.
const BEFORE_BUT: i32 = 45;
const AFTER_BUT: i32 = 130;
/// What is left of the feelings in a question, in 1/100: less when it asks about somebody else.
const OWN_QUESTION: i32 = 80;
const QUESTION: i32 = 20;
/// What each exclamation mark makes of a feeling, in 1/100, and adds to arousal.
const EXCLAMATION: i32 = 110;
const EXCLAMATION_AROUSAL: i32 = 60;
const EXCLAMATIONS_MAX: i32 = 3;
/// The sum at which valence is half of what it can be.
const HALF: i32 = 450;

const FULL: i32 = 1_000;
/// The greatest sum of feelings: far beyond where valence still changes.
const SUM_MAX: i32 = 100 * FULL;

/// The valence and arousal of tokens, by the words of one language.
pub(super) fn emotion(tokens: &[Token<'_>], lexicon: &Lexicon) -> Emotion {
    let mut sum = 0;
    let mut arousal = 0;
    let mut exclamations = 0;
    for sentence in tokens.split_inclusive(|token| token.ends_sentence()) {
        let felt = Sentence::read(sentence, lexicon);
        if felt.contrasts {
            sum = sum * BEFORE_BUT / 100;
        }
        sum = (sum + felt.valence).clamp(-SUM_MAX, SUM_MAX);
        arousal = arousal.max(felt.arousal);
        // Only the first few marks of "!!!" strengthen what was felt.
        exclamations = if sentence.iter().all(Token::exclaims) { exclamations + 1 } else { 0 };
        if (1..EXCLAMATIONS_MAX).contains(&exclamations) && sum != 0 {
            sum = sum * EXCLAMATION / 100;
            arousal += EXCLAMATION_AROUSAL;
        }
    }
    let valence = i16::try_from(FULL * sum / (sum.abs() + HALF)).expect("less than 1000");
    Emotion { valence, arousal: u16::try_from(arousal.clamp(0, FULL)).expect("at most 1000") }
}

/// The feelings of one sentence.
#[derive(Default)]
struct Sentence {
    valence: i32,
    arousal: i32,
    /// It begins with "but".
    contrasts: bool,
}

/// What is in force at a word.
#[derive(Default)]
struct Context {
    /// The words that a negation still reaches, and whether it allows a comparison.
    negated: usize,
    never: bool,
    degree: i32,
    degree_reach: usize,
    after_but: bool,
}

impl Context {
    fn step(&mut self, words: usize) {
        self.negated = self.negated.saturating_sub(words);
        self.degree_reach = self.degree_reach.saturating_sub(words);
    }
}

impl Sentence {
    fn read(tokens: &[Token<'_>], lexicon: &Lexicon) -> Self {
        let mut this = Self::default();
        let mut context = Context::default();
        let mut at = 0;
        while at < tokens.len() {
            let here = &tokens[at..];
            let shift = lexicon.shift(here);
            let mut feeling = lexicon.feeling(here).filter(|_| !is_name(tokens, at, lexicon));
            // "Awfully" is a degree before a feeling and a feeling otherwise.
            if let (Some((length, _)), Some((as_feeling, _))) = (shift, feeling)
                && (length > as_feeling || length == as_feeling && lexicon.feeling(&here[length..]).is_some())
            {
                feeling = None;
            }
            at += match (feeling, shift) {
                (Some((length, feeling)), _) => {
                    this.feel(here, feeling, &context, lexicon);
                    context.step(length);
                    length
                }
                (None, Some((length, shift))) => {
                    this.shift(here, shift, &mut context);
                    length
                }
                (None, None) => {
                    if here[0].is_word {
                        context.step(1);
                    } else if matches!(here[0].raw, "," | ";" | ":" | "(" | ")" | "-" | "–" | "—") {
                        context = Context { after_but: context.after_but, ..Context::default() };
                    }
                    1
                }
            };
        }
        this.end(tokens)
    }

    /// Adds a feeling as what is in force makes it.
    fn feel(&mut self, here: &[Token<'_>], feeling: Feeling, context: &Context, lexicon: &Lexicon) {
        let loud = here[0].is_word && (here[0].is_loud() || is_drawn_out(&here[0].lower));
        let mut scale = if context.degree_reach > 0 { context.degree } else { 100 };
        if loud {
            scale = scale * LOUD / 100;
        }
        let mut valence = i32::from(feeling.valence) * scale / 100;
        if context.negated > 0 {
            let compares = context.never && lexicon.comparisons.longest(here).is_some();
            valence = match valence {
                1.. if compares => valence.max(INCOMPARABLE),
                1.. => valence * DENIED_GOOD / 100,
                _ => valence * DENIED_BAD / 100,
            };
        }
        if context.after_but {
            valence = valence * AFTER_BUT / 100;
        }
        self.valence = (self.valence + valence).clamp(-SUM_MAX, SUM_MAX);
        self.arousal = self.arousal.max(i32::from(feeling.arousal) * scale / 100);
    }

    fn shift(&mut self, here: &[Token<'_>], shift: Shift, context: &mut Context) {
        match shift {
            Shift::Negates => {
                context.never = matches!(&*here[0].lower, "never" | "nothing" | "couldn't" | "could");
                context.negated = NEGATION_REACH;
            }
            Shift::Affirms => {}
            Shift::Degree(degree) => {
                context.step(1);
                let before = if context.degree_reach > 0 { context.degree } else { 100 };
                context.degree = (before * i32::from(degree) / 100).clamp(40, 220);
                context.degree_reach = DEGREE_REACH;
            }
            Shift::But => {
                self.contrasts |= self.valence == 0;
                self.valence = self.valence * BEFORE_BUT / 100;
                *context = Context { after_but: true, ..Context::default() };
            }
        }
    }

    fn end(mut self, tokens: &[Token<'_>]) -> Self {
        let (Some(last), true) = (tokens.last(), self.valence != 0) else { return self };
        if last.asks() {
            let own =
                tokens.iter().any(|token| matches!(&*token.lower, "i" | "me" | "my" | "i'm" | "ich" | "yo" | "je"));
            self.valence = self.valence * if own { OWN_QUESTION } else { QUESTION } / 100;
        } else if last.exclaims() {
            self.valence = self.valence * EXCLAMATION / 100;
            self.arousal += EXCLAMATION_AROUSAL;
        }
        self
    }
}

/// Whether the word is a name: within an English sentence only names begin with a capital, unless all words do.
fn is_name(tokens: &[Token<'_>], at: usize, lexicon: &Lexicon) -> bool {
    if lexicon.language != Language::English || !tokens[at].is_capitalised() || at == 0 || !tokens[at - 1].is_word {
        return false;
    }
    let before = tokens[..at].iter().rposition(|before| !before.raw.starts_with(char::is_uppercase));
    at == 1 || before.is_some_and(|before| tokens[before].is_word)
}

/// Whether a letter of the word is drawn out: there are three or more of it in a row.
pub(super) fn is_drawn_out(word: &str) -> bool {
    word.as_bytes().windows(3).any(|run| run[0] == run[1] && run[1] == run[2] && run[0].is_ascii_alphabetic())
}

/// The word with each letter that is drawn out cut to `most` of it.
pub(super) fn squeeze(word: &str, most: usize) -> String {
    let letters: Vec<char> = word.chars().collect();
    let runs = letters.chunk_by(|one, next| one == next);
    runs.flat_map(|run| &run[..if run.len() > 2 { most } else { run.len() }]).collect()
}
