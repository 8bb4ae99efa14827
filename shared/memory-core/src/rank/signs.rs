//! The signs of a good answer, for every text of a shelf.
//!
//! | sign | is |
//! |---|---|
//! | window | BM25 (Robertson and Zaragoza 2009) of the text with four neighbours on either side, as a share of the question's rarity, the more of it the more words are asked for, and the less the text itself has of them |
//! | words | for each word of the question the nearest word of the text, by stem or by vector; the mean, by rarity |
//! | meaning | cosine of the vectors of question and text, without what all texts of the bank share; ever less for more of it |
//! | kind | how near a word of the text is to the kind of thing asked for, which it need not name |
//! | rarity | how rare the words of the text are |
//! | speaker | the question names who speaks; more for the one it names first, less where he ends by asking |
//! | date | the day of the text, or one that it speaks of, is near a day asked about |
//! | answers | the text just before asks something, and has the question's words (BM25) or its meaning |
//! | form | a time for a question that asks when, a number, a plan or a place for one that asks for it ([`super::form`]) |
//! | role | against what the user did not say himself, the longer the more (not if the question is about it), and against what no longer holds |
//! | salience | the text matters whatever is asked, up to what is worth keeping |
//!
//! Shares of the question, not ranks or deviations: they mean the same in a bank of fifty texts and of ten thousand.

use super::question::{self, Question};
use super::recency;
use super::shelf::{Entry, K1, Shelf, WINDOW};
use super::weights::{self, Signs};
use crate::time::Timestamp;
use crate::vector;

/// A word of a text is taken for one of the question from this cosine (in 1/1000) on.
const LIKE: i64 = 350;

/// What was found by searching, per slot.
pub(super) struct Found {
    /// BM25 times the terms' rarities, in millionths of a bit.
    window: Vec<u64>,
    own: Vec<u64>,
    /// Nearness times rarity, in millionths of a bit.
    words: Vec<u64>,
    /// In 1/1000.
    kind: Vec<u16>,
    /// Cosine with the question's vector, in millionths.
    meaning: Vec<i64>,
    /// Where the neighbour before asks, the weighted points that it has of `own` and of `meaning`.
    asked_before: Vec<i64>,
    /// Per number of a speaker, what it is worth that this one speaks.
    speakers: Vec<i64>,
}

impl Found {
    pub(super) fn new(shelf: &Shelf, question: &Question) -> Self {
        let slots = shelf.entries.len();
        let mut found = Self {
            window: vec![0; slots],
            own: vec![0; slots],
            words: vec![0; slots],
            kind: vec![0; slots],
            meaning: vec![0; slots],
            asked_before: vec![0; slots],
            speakers: speakers(shelf, question),
        };
        let mut counts = vec![0_u32; slots];
        let mut nearest = vec![0_u16; slots];
        for word in &question.words {
            found.search(shelf, word, &mut counts);
            found.compare(shelf, word, &mut nearest);
        }
        for (slot, entry) in shelf.entries.iter().enumerate() {
            let Some(entry) = entry else { continue };
            let product = vector::dot(&shelf.vectors[slot], &question.vector);
            found.meaning[slot] = i64::from(product) * 1_000_000 / (i64::from(vector::LENGTH) * question::LENGTH);
            if entry.traits.asks
                && let Some(next) = shelf.after(slot)
            {
                found.asked_before[next] = weights::ANSWERS * share(found.own[slot], question) / 1_000
                    + weights::ANSWERS_MEANING * found.meaning[slot].max(0) / 1_000;
            }
        }
        found
    }

    /// BM25 of one term, for the texts that have it and for the windows around them.
    fn search(&mut self, shelf: &Shelf, word: &question::Asked, counts: &mut [u32]) {
        let mut touched = Vec::new();
        for (slot, count) in shelf.postings(word.term) {
            let (slot, count) = (*slot as usize, u32::from(*count).min(255));
            self.own[slot] += word.rarity * saturation(count * 1_000, shelf.norms[slot]);
            for (other, weight) in shelf.around(slot).chain([(slot, WINDOW[0])]) {
                if counts[other] == 0 {
                    touched.push(other);
                }
                counts[other] += weight * count;
            }
        }
        for slot in touched {
            self.window[slot] += word.rarity * saturation(counts[slot] * 500, shelf.window_norms[slot]);
            counts[slot] = 0;
        }
    }

    /// The nearest word of each text to one of the question.
    fn compare(&mut self, shelf: &Shelf, word: &question::Asked, nearest: &mut [u16]) {
        let mut touched = Vec::new();
        let same = shelf.postings(word.term).iter().map(|(slot, _)| slot).chain(shelf.vocabulary.users(&word.word));
        for slot in same.map(|slot| *slot as usize) {
            if nearest[slot] == 0 {
                touched.push(slot);
            }
            nearest[slot] = 1_000;
        }
        for (term, near, slots) in word.vector.iter().flat_map(|vector| shelf.vocabulary.near(vector)) {
            if term == word.term || near < LIKE && !word.kind {
                continue;
            }
            let near16 = u16::try_from(near.max(0)).expect("at most 1000");
            for slot in slots.iter().map(|slot| *slot as usize) {
                if word.kind {
                    self.kind[slot] = self.kind[slot].max(near16);
                }
                if near >= LIKE && nearest[slot] < near16 {
                    if nearest[slot] == 0 {
                        touched.push(slot);
                    }
                    nearest[slot] = near16;
                }
            }
        }
        for slot in touched {
            self.words[slot] += word.rarity * u64::from(nearest[slot]);
            nearest[slot] = 0;
        }
    }

    /// The weighted signs of the text at a slot.
    pub(super) fn signs(
        &self,
        shelf: &Shelf,
        slot: usize,
        entry: &Entry,
        question: &Question,
        now: Timestamp,
    ) -> Signs {
        let own = |weight: i64, milli: u16| weight * i64::from(milli);
        let words = share(self.words[slot], question);
        [
            window(question.window * share(self.window[slot], question) / 1_000, words),
            weights::WORDS * words / 1_000,
            meaning(self.meaning[slot]),
            own(weights::KIND, self.kind[slot]),
            weights::RARITY * i64::from(shelf.rare[slot]) / 1_000,
            entry.speaker.map_or_else(|| self.unnamed(entry), |speaker| spoken(self.speakers[speaker as usize], entry)),
            weights::DATE * date(question, entry) / 1_000,
            self.asked_before[slot],
            1_000 * entry.traits.form.points(question.form),
            weights::ROLE * role(question, entry) / 1_000 - ended(entry, now),
            own(weights::SALIENCE, salient(entry)),
            own(weights::RECENCY, recency(entry.time, now, entry.half_life)),
            own(weights::REINFORCEMENT, entry.reinforcement),
        ]
    }

    /// What nobody is said to have said, and no assistant answered, was asked to be remembered: it may be about whoever the
    /// question names.
    fn unnamed(&self, entry: &Entry) -> i64 {
        if entry.traits.answer { 0 } else { self.speakers.iter().copied().max().unwrap_or(0) }
    }
}

/// The weighted signs where nothing was asked.
pub(super) fn listed(entry: &Entry, now: Timestamp) -> Signs {
    let own = |weight: i64, milli: u16| weight * i64::from(milli);
    let mut signs = Signs::default();
    signs[10] = own(weights::LISTED_SALIENCE, entry.salience);
    signs[11] = own(weights::LISTED_RECENCY, recency(entry.time, now, entry.half_life));
    signs[12] = own(weights::LISTED_REINFORCEMENT, entry.reinforcement);
    signs
}

/// A parabola up to its top: the first half of a likeness tells more than the second. Below zero there are hardly degrees,
/// and the more so in a language of which the table knows little. The cosine is in millionths.
fn meaning(cosine: i64) -> i64 {
    let above = cosine.clamp(0, weights::MEANING_TOP);
    weights::MEANING * (above - above * above / (2 * weights::MEANING_TOP) + cosine.min(0) / 2) / 1_000
}

/// What the text itself says its neighbourhood need not say again. `words` is in millionths.
fn window(points: i64, words: i64) -> i64 {
    points - points * words.min(1_000_000) / 1_000 * weights::SAID_ITSELF / 1_000_000
}

/// Whoever ends with a question passes the word on, and tells less of himself.
fn spoken(points: i64, entry: &Entry) -> i64 {
    if entry.traits.ends_asking { (points - 1_000 * weights::ASKING).max(0) } else { points }
}

/// The share of the question's rarity, in millionths.
fn share(bits: u64, question: &Question) -> i64 {
    i64::try_from(bits * 1_000 / question.rarity).unwrap_or(i64::MAX / 10_000)
}

/// tf·(k1 + 1) / (tf + norm), in 1/1000, for a tf and a norm in 1/1000.
fn saturation(count_milli: u32, norm_milli: u32) -> u64 {
    let count = u64::from(count_milli);
    count * (K1 + 1_000) / (count + u64::from(norm_milli)).max(1)
}

/// More for the speaker that the question names first.
fn speakers(shelf: &Shelf, question: &Question) -> Vec<i64> {
    let mut points = vec![0; shelf.speakers_ever() as usize];
    for (place, name) in question.named.iter().enumerate() {
        if let Some((number, _)) = shelf.speakers.get(name) {
            points[*number as usize] = 1_000 * (weights::SPEAKER + if place == 0 { weights::SUBJECT } else { 0 });
        }
    }
    points
}

/// How near the text is to a day asked about, in millionths: half at a week, for a day that it speaks of at three.
fn date(question: &Question, entry: &Entry) -> i64 {
    let day = super::dates::Span { from: entry.traits.day, to: entry.traits.day };
    let near = |asked: &super::dates::Asked| {
        let said = 7_000 / (7 + day.gap(asked.span));
        let spoken = entry.traits.spans.iter().map(|span| span.sharpness() * 3 / (3 + span.gap(asked.span))).max();
        asked.sharpness * said.max(spoken.unwrap_or(0))
    };
    question.spans.iter().map(near).max().unwrap_or(0)
}

/// Against an answer that was given to the user, in millionths: half, and as much again per hundred tokens, up to 1.5.
fn role(question: &Question, entry: &Entry) -> i64 {
    if !entry.traits.answer || question.of_answers {
        return 0;
    }
    -(500_000 + 5_000 * i64::from(entry.traits.tokens.min(200)))
}

/// What an assistant says has half the salience that the user's own word would have; against that is `role`.
fn salient(entry: &Entry) -> u16 {
    let times = if entry.traits.answer { 2 } else { 1 };
    (times * entry.salience.min(weights::SALIENT)).min(weights::SALIENT)
}

/// Against what no longer holds.
fn ended(entry: &Entry, now: Timestamp) -> i64 {
    if entry.has_ended(now) { 1_000 * weights::ENDED } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_likeness_is_better_and_ever_less_so_up_to_its_top() {
        let points: Vec<i64> = (-10..=10).map(|tenth| meaning(tenth * 100_000)).collect();
        assert!(points.is_sorted() && points[0] < 0 && points[10] == 0);
        assert!(points[12] - points[11] < points[11] && points[19] == points[20]);
    }

    #[test]
    fn a_neighbourhood_tells_less_of_a_text_that_has_the_words_itself() {
        assert!(window(1_000_000, 1_000_000) > 0 && window(1_000_000, 1_000_000) < window(1_000_000, 500_000));
        assert_eq!(window(1_000_000, 0), 1_000_000);
    }

    #[test]
    fn more_of_a_word_is_better_and_ever_less_so() {
        let norm = 1_200;
        let (once, twice, often) = (saturation(1_000, norm), saturation(2_000, norm), saturation(50_000, norm));
        assert!(once < twice && twice < often && often < K1 + 1_000);
        assert_eq!(once, 1_000);
        assert!(saturation(1_000, 3 * norm) < once, "the same word weighs less in a longer text");
    }
}
