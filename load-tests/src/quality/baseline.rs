//! The ranking that has to be beaten: plain BM25 (Robertson and Zaragoza 2009), one document for each turn with who
//! speaks in it, words stemmed and without stop words. It knows nothing of time, of sessions or of meaning.
//!
//! It is written apart from the product on purpose: a yardstick that changed with what it measures would be none.

use std::collections::{BTreeMap, BTreeSet};

use rust_stemmers::{Algorithm, Stemmer};
use unicode_segmentation::UnicodeSegmentation;

use crate::quality::data::Conversation;
use crate::quality::score::Found;

const K1: f64 = 1.2;
const B: f64 = 0.75;

/// As in other lists of its kind: articles, pronouns, auxiliary verbs, prepositions, question words.
const STOP_WORDS: &str = "a about after all am an and any are as at be because been before being but by can could did \
    do does doing down during each few for from further had has have having he her here hers him his how i if in into \
    is it its just me more most my no nor not now of off on once only or other our out over own same she should so \
    some such than that the their them then there these they this those through to too under until up very was we \
    were what when where which while who whom why will with would you your";

/// Ranks all turns for every question of a conversation. Those that share no word with the question come last, in the
/// order in which they were said.
#[must_use]
pub fn bm25(conversation: &Conversation) -> BTreeMap<usize, Found> {
    let index = Index::of(conversation);
    let found = |question: &str| Found { ranked: index.rank(question), ..Found::default() };
    conversation.questions.iter().map(|question| (question.index, found(&question.text))).collect()
}

struct Index {
    ids: Vec<String>,
    lengths: Vec<f64>,
    mean_length: f64,
    /// By word: the documents that have it, and how often.
    postings: BTreeMap<String, BTreeMap<usize, f64>>,
    words: Words,
}

impl Index {
    fn of(conversation: &Conversation) -> Self {
        let words = Words::new();
        let mut postings: BTreeMap<String, BTreeMap<usize, f64>> = BTreeMap::new();
        let mut lengths = Vec::new();
        for (document, turn) in conversation.turns.iter().enumerate() {
            let found = words.of(&format!("{}: {}", turn.speaker, turn.content()));
            lengths.push(found.len() as f64);
            for word in found {
                *postings.entry(word).or_default().entry(document).or_default() += 1.0;
            }
        }
        let mean_length = lengths.iter().sum::<f64>() / lengths.len().max(1) as f64;
        Self {
            ids: conversation.turns.iter().map(|turn| turn.id.clone()).collect(),
            lengths,
            mean_length,
            postings,
            words,
        }
    }

    fn rank(&self, question: &str) -> Vec<String> {
        let mut scores = vec![0.0; self.ids.len()];
        for word in self.words.of(question) {
            let Some(documents) = self.postings.get(&word) else { continue };
            let (all, having) = (self.ids.len() as f64, documents.len() as f64);
            let rarity = (1.0 + (all - having + 0.5) / (having + 0.5)).ln();
            for (document, count) in documents {
                let length = 1.0 - B + B * self.lengths[*document] / self.mean_length;
                scores[*document] += rarity * count * (K1 + 1.0) / (count + K1 * length);
            }
        }
        let mut ranked: Vec<(usize, f64)> = scores.into_iter().enumerate().collect();
        // A stable order: of equal scores the earlier turn is first.
        ranked.sort_by(|one, other| other.1.total_cmp(&one.1));
        ranked.into_iter().map(|(document, _)| self.ids[document].clone()).collect()
    }
}

struct Words {
    stemmer: Stemmer,
    stop: BTreeSet<&'static str>,
}

impl Words {
    fn new() -> Self {
        Self { stemmer: Stemmer::create(Algorithm::English), stop: STOP_WORDS.split_whitespace().collect() }
    }

    fn of(&self, text: &str) -> Vec<String> {
        let words = text.unicode_words().map(|word| word.to_lowercase().replace('\u{2019}', "'"));
        let words = words.map(|word| word.strip_suffix("'s").map_or_else(|| word.clone(), str::to_owned));
        words
            .filter(|word| !self.stop.contains(word.as_str()))
            .map(|word| self.stemmer.stem(&word).into_owned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::data;

    #[test]
    fn rarer_words_and_shorter_turns_come_first() {
        let file = r#"[{"sample_id": "c", "conversation": {
            "session_1_date_time": "1:56 pm on 8 May, 2023",
            "session_1": [
              {"dia_id": "D1:1", "speaker": "Ada", "text": "The garden is green, and the garden gate is green too, as every gate is."},
              {"dia_id": "D1:2", "speaker": "Ben", "text": "My garden has an old pear tree."},
              {"dia_id": "D1:3", "speaker": "Ada", "text": "Pears!"},
              {"dia_id": "D1:4", "speaker": "Ben", "text": "Hello."}]},
            "qa": [{"question": "Whose pear trees are they?", "evidence": [], "category": 4},
                   {"question": "What is Ben's garden like?", "evidence": [], "category": 4}]}]"#;
        let conversation = data::parse(file).expect("good data").remove(0);
        let found = bm25(&conversation);
        assert_eq!(found[&0].ranked, ["D1:2", "D1:3", "D1:1", "D1:4"]);
        assert_eq!(found[&1].ranked, ["D1:2", "D1:4", "D1:1", "D1:3"]);
    }
}
