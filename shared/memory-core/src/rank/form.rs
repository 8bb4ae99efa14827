//! The form of an answer: what a question asks for, and which texts have something of that form.
//!
//! Only English question words are read, so elsewhere a question has no form, and nothing is won or lost by it.

use super::dates::Span;
use super::weights;
use crate::text;

/// Words that are numbers.
const NUMBER_WORDS: [&str; 19] = [
    "couple", "dozen", "eight", "eleven", "few", "five", "four", "nine", "once", "one", "seven", "several", "six",
    "ten", "three", "thrice", "twelve", "twice", "two",
];
/// Words that ask for what is still to come, and words that tell of it.
const PLANS_ASKED: [&str; 10] =
    ["hope", "hopes", "hoping", "intend", "intends", "plan", "planned", "planning", "plans", "will"];
const PLANS_TOLD: [&str; 14] = [
    "going", "gonna", "hope", "hoping", "i'll", "next", "plan", "planning", "plans", "soon", "tomorrow", "wanna",
    "we'll", "will",
];
/// "Which city", and what stands before the name of one.
const PLACES: [&str; 12] =
    ["area", "areas", "cities", "city", "countries", "country", "place", "places", "state", "states", "town", "towns"];
const AT: [&str; 8] = ["around", "at", "from", "in", "near", "to", "visit", "visited"];
/// What is asked for, or what is there: a time, a number, a plan, a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) time: bool,
    pub(super) number: bool,
    pub(super) plan: bool,
    pub(super) place: bool,
}

impl Form {
    /// What a question asks for, from its words in lower case.
    pub(super) fn asked(words: &[String]) -> Self {
        let any = |list: &[&str]| words.iter().any(|word| has(list, word));
        let which = |list: &[&str]| {
            let after = |at: usize| words.iter().skip(at + 1).take(2).any(|word| has(list, word));
            (0..words.len()).any(|at| matches!(words[at].as_str(), "what" | "which") && after(at))
        };
        let pair = |one: &[&str], other: &[&str]| {
            words.windows(2).any(|pair| one.contains(&pair[0].as_str()) && other.contains(&pair[1].as_str()))
        };
        Self {
            time: asks_when(words),
            number: pair(&["how"], &["many", "much", "often"]),
            plan: any(&PLANS_ASKED) || pair(&["going", "want", "wants"], &["to"]),
            place: any(&["where"]) || which(&PLACES),
        }
    }

    /// What a text has. It speaks of the days of `spans`.
    pub(super) fn told(content: &str, spans: &[Span]) -> Self {
        let words: Vec<String> = text::words(content).collect();
        Self {
            time: !spans.is_empty(),
            number: content.contains(|c: char| c.is_numeric()) || words.iter().any(|word| has(&NUMBER_WORDS, word)),
            plan: words.iter().any(|word| has(&PLANS_TOLD, word)),
            place: is_somewhere(content),
        }
    }

    /// What it is worth, in 1/1000, that a text of this form has what is asked for.
    pub(super) fn points(self, asked: Self) -> i64 {
        weights::WHEN * i64::from(self.time && asked.time)
            + weights::MANY * i64::from(self.number && asked.number)
            + weights::PLAN * i64::from(self.plan && asked.plan)
            + weights::PLACE * i64::from(self.place && asked.place)
    }
}

/// The lists are in order.
fn has(list: &[&str], word: &str) -> bool {
    list.binary_search(&word).is_ok()
}

/// Whether a text has a capital where a place may stand within a sentence: "in Oslo", "to the Alps".
fn is_somewhere(content: &str) -> bool {
    let mut before = ["", ""];
    content.split_whitespace().any(|token| {
        let at = if matches!(before[1], "a" | "the") { before[0] } else { before[1] };
        let bare = token.trim_matches(|c: char| !c.is_alphanumeric());
        let is_pronoun = bare == "I" || bare.starts_with("I'") || bare.starts_with("I’");
        before = [before[1], token];
        token.starts_with(char::is_uppercase) && !is_pronoun && has(&AT, &at.to_lowercase())
    })
}

fn asks_when(words: &[String]) -> bool {
    let word = |place: usize| words.get(place).map_or("", String::as_str);
    let starts = word(0) == "when"
        || word(0) == "since" && word(1) == "when"
        || word(0) == "what" && matches!(word(1), "year" | "month" | "date" | "day");
    starts
        || words.windows(2).any(|pair| match pair[0].as_str() {
            "when" => matches!(pair[1].as_str(), "did" | "was" | "is" | "will"),
            "how" => pair[1] == "long",
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::lexis;

    fn asked(question: &str) -> Form {
        Form::asked(&lexis::cut(question))
    }

    fn told(content: &str) -> Form {
        Form::told(content, &[])
    }

    #[test]
    fn the_lists_are_in_order() {
        assert!(NUMBER_WORDS.is_sorted() && PLANS_ASKED.is_sorted() && PLANS_TOLD.is_sorted());
        assert!(PLACES.is_sorted() && AT.is_sorted());
    }

    #[test]
    fn questions_for_a_time_are_known() {
        assert!(asked("When did she leave?").time && asked("How long has he lived there?").time);
        assert!(asked("What year was it?").time && !asked("Where was he when I called?").time);
    }

    #[test]
    fn questions_for_plans_and_places_are_known() {
        assert!(asked("What does Ann want to do?").plan && asked("Will he come?").plan);
        assert!(!asked("What did Ann want?").plan);
        assert!(asked("Where does he live?").place && asked("Which European country was it?").place);
        assert!(!asked("Is the town far?").place);
    }

    #[test]
    fn a_capital_after_a_preposition_is_a_place() {
        assert!(told("We moved to Oslo.").place && told("a week in the Alps").place);
        assert!(!told("My dog is Rex.").place && !told("Great! That is what I came to. I'm in a hurry.").place);
        assert!(told("We'll go soon").plan && told("I have two").number && !told("I had it").plan);
    }

    #[test]
    fn only_what_is_asked_for_counts() {
        let oslo = told("We are going to Oslo.");
        assert_eq!(oslo.points(asked("Where do they go?")), weights::PLACE);
        assert_eq!(oslo.points(asked("Who are they?")), 0);
    }
}
