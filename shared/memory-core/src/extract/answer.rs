//! An answer of a few words takes its meaning from the question: "Where do you live?" "Berlin."

use super::Act;
use super::clause::Sentence;
use super::lexicon::{AUXILIARY, LEXICON, NO, OPENER, SUBJECT, WH};
use super::reader::Reader;
use super::statement::{Draft, LIKELY};
use super::token::tokens;
use super::value::{Extent, value};

/// The longest answer that is read as one, in words.
const ANSWER_MAX: usize = 8;
/// How many bytes of a question are read, from its end.
const QUESTION_MAX: usize = 400;
/// What an answer begins with that tells nothing.
const EMPTY: [&str; 32] = [
    "yes", "yeah", "yep", "ok", "okay", "sure", "thanks", "thank", "maybe", "perhaps", "not", "none", "nothing", "hi",
    "dunno", "idk", "whatever", "depends", "later", "skip", "pass", "anything", "hello", "great", "good", "fine",
    "nice", "please", "cool", "perfect", "sorry", "nobody",
];

/// What a question or a remark is about.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) attribute: String,
    pub(super) preference: bool,
    pub(super) plan: bool,
    pub(super) single: bool,
}

/// What the last sentence of the other side is about.
pub(super) fn topic_of(before: &str) -> Option<Topic> {
    let asked = before.trim_end().trim_end_matches(['?', '.', '!']);
    let last = asked.rfind(['.', '!', '?', '\n']).map_or(asked, |end| &asked[end + 1..]);
    // The limit is for the work that a hostile text makes; a question is far shorter.
    let start =
        (last.len().saturating_sub(QUESTION_MAX)..=last.len()).find(|start| last.is_char_boundary(*start)).unwrap_or(0);
    let said = tokens(&last[start..]);
    let said: Vec<(&str, &str)> = said.iter().map(|token| (token.word.as_ref(), LEXICON.lemma(token))).collect();
    let fits =
        |words: &&Vec<&str>| words.iter().all(|word| said.iter().any(|(said, lemma)| said == word || lemma == word));
    LEXICON.topics.iter().find(|(_, _, _, ways)| ways.iter().any(|words| fits(&words))).map(
        |(attribute, kind, single, _)| Topic {
            attribute: (*attribute).to_owned(),
            preference: matches!(*kind, "prefer" | "like" | "dislike"),
            plan: *kind == "plan",
            single: *single,
        },
    )
}

/// Reads a text of one short sentence as an answer.
pub(super) fn answer(reader: &mut Reader<'_>, sentences: &[Sentence]) {
    let Some(before) = reader.before.filter(|before| before.trim_end().ends_with('?')) else { return };
    let [sentence] = sentences else { return };
    let mut from = sentence.tokens.start;
    let to = sentence.tokens.end;
    while from < to
        && (reader.tokens[from].mark
            || matches!(
                &*reader.tokens[from].word,
                "well" | "oh" | "um" | "hmm" | "in" | "at" | "from" | "as" | "probably"
            ))
    {
        from += 1;
    }
    let words = &reader.tokens[from..to];
    let Some(first) = words.first() else { return };
    let clausal = words.iter().any(|token| token.in_class(SUBJECT | AUXILIARY | WH));
    let empty = EMPTY.contains(&&*first.word) || first.in_class(NO | OPENER);
    if sentence.question || clausal || empty || words.len() > ANSWER_MAX {
        return;
    }
    let Some(topic) = topic_of(before) else { return };
    let act = if topic.plan {
        Act::Commitment
    } else if topic.preference {
        Act::Preference
    } else {
        Act::Fact
    };
    let value = value(&reader.tokens[..to], from, if topic.plan { Extent::Plan } else { Extent::Phrase });
    reader.state(Draft {
        act,
        attribute: topic.attribute,
        value,
        negated: false,
        single: topic.single,
        confidence: LIKELY,
    });
}
