//! How much a turn matters, before the bank is looked at: a sum of named parts, each 0..=1000 and each weighted by
//! the rules. The total is capped at 1000.
//!
//! | part | rises with |
//! |---|---|
//! | disclosure | the first person with a verb of being, having, wanting, planning or feeling |
//! | concreteness | numbers, names in the middle of a sentence, days, months and times |
//! | emotion | words of the small lexicon below; intensifiers raise, questions do not |
//! | explicit | "remember that", "don't forget", "important": somebody asks for it |
//! | safety | allergies, medication, risk: what must not be lost |
//! | substance | content words, up to twelve |
//!
//! What an assistant, a tool or a third party says counts half: the user's own word is what memory is for. A bare
//! question counts half as well, since it asks and does not tell.

use serde::{Deserialize, Serialize};

use crate::event::{Event, EventType, Origin};
use crate::rules::Weights;
use crate::text;

/// The parts of a turn's salience and their weighted sum, all 0..=1000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Salience {
    pub total: u16,
    pub parts: Parts,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    pub disclosure: u16,
    pub concreteness: u16,
    pub emotion: u16,
    pub explicit: u16,
    pub safety: u16,
    pub substance: u16,
}

const FULL: u16 = 1_000;

const FIRST_PERSON: [&str; 10] = ["i", "i'm", "i've", "i'll", "i'd", "my", "we", "our", "we're", "me"];
const DISCLOSING: [&str; 44] = [
    "am", "was", "have", "had", "live", "lived", "moved", "work", "worked", "love", "loved", "hate", "hated", "like",
    "liked", "prefer", "want", "wanted", "need", "needed", "plan", "planned", "planning", "decided", "started",
    "stopped", "feel", "felt", "think", "hope", "dream", "bought", "went", "visited", "met", "married", "born",
    "study", "studied", "learned", "take", "use", "always", "never",
];
const EMOTIONAL: [&str; 60] = [
    "afraid",
    "alone",
    "angry",
    "anxious",
    "ashamed",
    "awful",
    "bored",
    "broken",
    "calm",
    "cried",
    "cry",
    "crying",
    "delighted",
    "depressed",
    "desperate",
    "died",
    "disappointed",
    "dreadful",
    "ecstatic",
    "embarrassed",
    "excited",
    "exhausted",
    "fear",
    "frustrated",
    "furious",
    "glad",
    "grateful",
    "grief",
    "guilty",
    "happy",
    "hate",
    "heartbroken",
    "hopeless",
    "hurt",
    "jealous",
    "joy",
    "lonely",
    "lost",
    "love",
    "miserable",
    "miss",
    "nervous",
    "overwhelmed",
    "pain",
    "panic",
    "proud",
    "relieved",
    "sad",
    "scared",
    "sorry",
    "stressed",
    "terrible",
    "terrified",
    "thrilled",
    "tired",
    "upset",
    "wonderful",
    "worried",
    "worst",
    "worthless",
];
const INTENSE: [&str; 8] = ["very", "so", "extremely", "really", "totally", "completely", "incredibly", "deeply"];
const EXPLICIT: [&str; 12] = [
    "remember that",
    "remember this",
    "remember my",
    "please remember",
    "don't forget",
    "do not forget",
    "keep in mind",
    "for the record",
    "note that",
    "this is important",
    "it's important",
    "from now on",
];
const SAFETY: [&str; 30] = [
    "allergic",
    "allergy",
    "allergies",
    "anaphylaxis",
    "asthma",
    "blood",
    "dose",
    "dosage",
    "diabetes",
    "diabetic",
    "emergency",
    "epilepsy",
    "epipen",
    "hospital",
    "insulin",
    "medication",
    "medicine",
    "mg",
    "overdose",
    "penicillin",
    "pregnant",
    "prescribed",
    "prescription",
    "seizure",
    "self-harm",
    "suicidal",
    "suicide",
    "surgery",
    "warfarin",
    "ibuprofen",
];
const CALENDAR: [&str; 26] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "january",
    "february",
    "march",
    "april",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "yesterday",
    "today",
    "tomorrow",
    "tonight",
    "birthday",
    "anniversary",
    "weekend",
    "deadline",
];

/// The salience of an event. Controls have none: they are obeyed, not weighed.
#[must_use]
pub fn of(event: &Event, weights: &Weights) -> Salience {
    if !matches!(event.kind, EventType::Turn | EventType::Note) {
        return Salience::default();
    }
    let content = event.content.text();
    let parts = parts(&content);
    let weighted = [
        (parts.disclosure, weights.disclosure),
        (parts.concreteness, weights.concreteness),
        (parts.emotion, weights.emotion),
        (parts.explicit, weights.explicit),
        (parts.safety, weights.safety),
        (parts.substance, weights.substance),
    ];
    let mut total: u32 =
        weighted.iter().map(|(part, weight)| u32::from(*part) * u32::from(*weight) / u32::from(FULL)).sum();
    if event.origin != Origin::User {
        total /= 2;
    }
    if is_bare_question(&content) {
        total /= 2;
    }
    Salience { total: cap(total), parts }
}

fn parts(content: &str) -> Parts {
    let words: Vec<String> = text::words(content).collect();
    let count = |list: &[&str]| words.iter().filter(|word| list.contains(&word.as_str())).count();
    let first_person = count(&FIRST_PERSON) > 0;
    let disclosing = if first_person { count(&DISCLOSING) } else { 0 };
    let emotional = count(&EMOTIONAL);
    let intense = if emotional > 0 { count(&INTENSE) } else { 0 };
    let concrete = names_and_numbers(content) + count(&CALENDAR);
    let lower = content.to_lowercase();
    let explicit = EXPLICIT.iter().any(|phrase| lower.contains(phrase));
    let substance = text::terms(content).len();
    Parts {
        disclosure: steps(usize::from(first_person) + 2 * disclosing, 250),
        concreteness: steps(concrete, 250),
        emotion: steps(2 * emotional + intense, 250),
        explicit: if explicit { FULL } else { 0 },
        safety: steps(count(&SAFETY), 600),
        substance: steps(substance.saturating_sub(1), 90),
    }
}

/// `count` steps of `size`, at most 1000.
fn steps(count: usize, size: u32) -> u16 {
    cap(u32::try_from(count).unwrap_or(u32::MAX).saturating_mul(size))
}

fn cap(score: u32) -> u16 {
    u16::try_from(score.min(u32::from(FULL))).expect("it is at most 1000")
}

/// Words with a digit, and capitalised words that do not begin a sentence.
fn names_and_numbers(content: &str) -> usize {
    let mut begins = true;
    let mut count = 0;
    for token in content.split_whitespace() {
        let word = token.trim_matches(|c: char| !c.is_alphanumeric());
        let capital = word.chars().next().is_some_and(char::is_uppercase);
        let own_name = capital && !begins && !FIRST_PERSON.contains(&word.to_lowercase().as_str());
        if own_name || word.chars().any(|c| c.is_ascii_digit()) {
            count += 1;
        }
        begins = token.ends_with(['.', '!', '?', ':']);
    }
    count
}

fn is_bare_question(content: &str) -> bool {
    let content = content.trim_end();
    content.ends_with('?') && !content[..content.len() - 1].contains(['.', '!', '?'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Content;
    use crate::event::Role;
    use crate::ids::EventId;
    use crate::time::Timestamp;

    fn salience(role: Role, text: &str) -> u16 {
        let event = Event {
            id: EventId::try_new("e").expect("an id"),
            kind: EventType::Turn,
            user_id: Some("u".to_owned()),
            agent_id: None,
            app_id: None,
            session_id: None,
            role,
            speaker: None,
            content: Content::Text(text.to_owned()),
            time: Timestamp::EPOCH,
            origin: role.origin(),
            remember: true,
            recalled: false,
            tags: Vec::new(),
            metadata: serde_json::Map::new(),
            control: None,
        };
        of(&event, &Weights::default()).total
    }

    #[test]
    fn what_matters_outweighs_small_talk() {
        let matters = [
            "I'm allergic to penicillin, it put me in hospital in March.",
            "We moved to Berlin last Tuesday and I started at Siemens.",
            "I felt so lonely and scared after my mother died.",
            "Please remember that my daughter is called Ines.",
        ];
        let small_talk = ["Hi there!", "Thanks a lot.", "Ok.", "How are you?", "Sounds good to me", "haha"];
        for high in matters {
            for low in small_talk {
                let (high_score, low_score) = (salience(Role::User, high), salience(Role::User, low));
                assert!(high_score >= 400 && low_score < 200, "{high} {high_score} / {low} {low_score}");
            }
        }
    }

    #[test]
    fn the_users_word_counts_more_than_the_assistants() {
        let text = "I moved to Berlin in March and work at Siemens.";
        assert!(salience(Role::User, text) > salience(Role::Assistant, text));
    }

    #[test]
    fn a_bare_question_tells_little() {
        assert!(salience(Role::User, "Where is my order 4471?") < salience(Role::User, "My order is number 4471."));
    }
}
