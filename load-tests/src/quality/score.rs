//! What a ranking of turns is worth.
//!
//! | figure | is |
//! |---|---|
//! | recall@k | the share of a question's evidence in the first k turns |
//! | all@k | 1 when all of it is there |
//! | MRR | 1 / the rank of the first evidence |
//! | gold@B | the share of the evidence that is read when the turns, best first, are put in B tokens and the first that does not fit ends it |
//! | context@B | the share of the evidence among the sources of the context block that memos made for B tokens |
//!
//! Each is the mean over the questions that have evidence; "overall" leaves out category 5. A token is a run of letters,
//! digits and underscores, or one other mark that is no space. Letters and digits are those of Unicode's categories L
//! and N: other languages' regular expressions see it so, and scorers are written in them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

use crate::quality::data::{Conversation, Question, Turn};

/// Sizes of context that are looked at, in tokens.
pub const BUDGETS: [usize; 3] = [500, 1000, 2000];
/// The category of questions that the memory has no answer to.
pub const UNANSWERABLE: &str = "5";

static TOKEN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[\p{L}\p{N}_]+|[^\p{L}\p{N}_\s\x1c-\x1f]").expect("a good expression"));

/// What was found for one question.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The ids of turns, best first.
    pub ranked: Vec<String>,
    /// What the context blocks of [`BUDGETS`] quote; empty where there are none.
    pub contexts: Vec<Vec<String>>,
    /// The score of the best result, 0 to 1; `None` when nothing was found.
    pub best: Option<f64>,
}

/// What one question got.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    pub conversation: String,
    pub category: String,
    /// How many turns answer it.
    pub gold: usize,
    /// Their ranks, from 0, in order; those that were not found are missing.
    pub ranks: Vec<usize>,
    /// How many of them are read within each of [`BUDGETS`].
    pub read: [usize; 3],
    /// How many of them each context block quotes.
    pub quoted: Option<[usize; 3]>,
}

/// Scores what was found for a conversation's questions, which are looked up by their index. A question that was not
/// asked found nothing; one without evidence has no score.
#[must_use]
pub fn score(conversation: &Conversation, found: &BTreeMap<usize, Found>) -> Vec<Scored> {
    let turns: BTreeMap<&str, &Turn> = conversation.turns.iter().map(|turn| (turn.id.as_str(), turn)).collect();
    let nothing = Found::default();
    let asked = conversation.questions.iter().filter(|question| !question.evidence.is_empty());
    asked
        .map(|question| {
            let found = found.get(&question.index).unwrap_or(&nothing);
            score_one(&conversation.id, question, found, &turns)
        })
        .collect()
}

fn score_one(conversation: &str, question: &Question, found: &Found, turns: &BTreeMap<&str, &Turn>) -> Scored {
    let gold: BTreeSet<&str> = question.evidence.iter().map(String::as_str).collect();
    let mut seen = BTreeSet::new();
    let ranked: Vec<&Turn> = found
        .ranked
        .iter()
        .filter(|id| seen.insert(id.as_str()))
        .filter_map(|id| turns.get(id.as_str()).copied())
        .collect();
    let is_gold = |turn: &Turn| gold.contains(turn.id.as_str());
    let ranks = ranked.iter().enumerate().filter(|(_, turn)| is_gold(turn)).map(|(rank, _)| rank).collect();
    let costs: Vec<(usize, bool)> = ranked.iter().map(|turn| (tokens(&rendered(turn)), is_gold(turn))).collect();
    let quoted = |sources: &Vec<String>| {
        let sources: BTreeSet<&str> = sources.iter().map(String::as_str).collect();
        gold.intersection(&sources).count()
    };
    Scored {
        conversation: conversation.to_owned(),
        category: question.category.clone(),
        gold: gold.len(),
        ranks,
        read: BUDGETS.map(|budget| read(&costs, budget)),
        quoted: (found.contexts.len() == BUDGETS.len())
            .then(|| [quoted(&found.contexts[0]), quoted(&found.contexts[1]), quoted(&found.contexts[2])]),
    }
}

/// How much evidence is read before the budget ends.
fn read(costs: &[(usize, bool)], budget: usize) -> usize {
    let mut left = budget;
    let fitting = costs.iter().take_while(|(cost, _)| {
        let fits = *cost <= left;
        left = left.saturating_sub(*cost);
        fits
    });
    fitting.filter(|(_, gold)| *gold).count()
}

/// A turn as a prompt would show it.
fn rendered(turn: &Turn) -> String {
    let Turn { date, speaker, text, caption, .. } = turn;
    let image = if caption.is_empty() { String::new() } else { format!(" [image: {caption}]") };
    format!("[{date}] {speaker}: {text}{image}")
}

/// What a text costs.
#[must_use]
pub fn tokens(text: &str) -> usize {
    TOKEN.find_iter(text).count()
}

impl Scored {
    /// The share of the evidence in the first `k`.
    #[must_use]
    pub fn recall(&self, k: usize) -> f64 {
        self.share(self.ranks.iter().filter(|rank| **rank < k).count())
    }

    fn share(&self, count: usize) -> f64 {
        count as f64 / self.gold as f64
    }
}

/// Means over questions, in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    pub questions: usize,
    pub recall_at_1: f64,
    pub recall_at_5: f64,
    pub recall_at_10: f64,
    pub recall_at_20: f64,
    pub recall_at_50: f64,
    pub all_at_10: f64,
    pub mrr: f64,
    /// Within each of [`BUDGETS`].
    pub gold: [f64; 3],
    /// Within each of [`BUDGETS`]; 0 without context blocks.
    pub context: [f64; 3],
}

impl Summary {
    /// The means over some questions; zeros over none.
    #[must_use]
    pub fn of<'a>(questions: impl IntoIterator<Item = &'a Scored>) -> Self {
        let questions: Vec<&Scored> = questions.into_iter().collect();
        let mean = |value: &dyn Fn(&Scored) -> f64| {
            let sum: f64 = questions.iter().map(|one| value(one)).sum();
            if questions.is_empty() { 0.0 } else { 100.0 * sum / questions.len() as f64 }
        };
        Self {
            questions: questions.len(),
            recall_at_1: mean(&|one| one.recall(1)),
            recall_at_5: mean(&|one| one.recall(5)),
            recall_at_10: mean(&|one| one.recall(10)),
            recall_at_20: mean(&|one| one.recall(20)),
            recall_at_50: mean(&|one| one.recall(50)),
            all_at_10: mean(&|one| if one.recall(10) >= 1.0 { 1.0 } else { 0.0 }),
            mrr: mean(&|one| one.ranks.first().map_or(0.0, |rank| 1.0 / (*rank + 1) as f64)),
            gold: [0, 1, 2].map(|at| mean(&|one| one.share(one.read[at]))),
            context: [0, 1, 2].map(|at| mean(&|one| one.quoted.map_or(0.0, |quoted| one.share(quoted[at])))),
        }
    }

    /// The means over everything but the unanswerable.
    #[must_use]
    pub fn overall(questions: &[Scored]) -> Self {
        Self::of(questions.iter().filter(|one| one.category != UNANSWERABLE))
    }
}

/// How well the best score tells a question with an answer from one without: the chance that a random one of the former
/// has the higher score, a tie counting half. 1 is perfect and 0.5 is a coin; `None` without both sorts.
#[must_use]
pub fn separation(answerable: &[f64], unanswerable: &[f64]) -> Option<f64> {
    let pairs = answerable.len() * unanswerable.len();
    let won = |yes: f64| {
        let against = |no: &f64| {
            if yes > *no {
                1.0
            } else if yes < *no {
                0.0
            } else {
                0.5
            }
        };
        unanswerable.iter().map(against).sum::<f64>()
    };
    (pairs > 0).then(|| answerable.iter().map(|yes| won(*yes)).sum::<f64>() / pairs as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::data;

    /// Two sessions: three turns of 20 tokens each, and one of 490.
    fn conversation() -> Conversation {
        let long = "word ".repeat(475);
        let file = format!(
            r#"[{{"sample_id": "c", "conversation": {{
              "session_1_date_time": "1:56 pm on 8 May, 2023",
              "session_1": [
                {{"dia_id": "D1:1", "speaker": "Ada", "text": "one two three four five six."}},
                {{"dia_id": "D1:2", "speaker": "Ben", "text": "one", "blip_caption": "a b"}},
                {{"dia_id": "D1:3", "speaker": "Ada", "text": "{long}"}}],
              "session_2_date_time": "2:00 pm on 9 May, 2023",
              "session_2": [{{"dia_id": "D2:1", "speaker": "Ben", "text": "x"}}]}},
              "qa": [
                {{"question": "a", "evidence": ["D1:2", "D2:1"], "category": 1}},
                {{"question": "b", "evidence": ["D1:1"], "category": 4}},
                {{"question": "c", "evidence": ["D1:1"], "category": 5}},
                {{"question": "d", "evidence": [], "category": 5}}]}}]"#
        );
        data::parse(&file).expect("good data").remove(0)
    }

    fn found(ranked: &[&str]) -> Found {
        Found { ranked: ranked.iter().map(|id| (*id).to_owned()).collect(), ..Found::default() }
    }

    #[test]
    fn tokens_are_counted_as_regular_expressions_of_other_languages_do() {
        // Counted by hand, and with Python's \w+|[^\w\s].
        for (text, count) in [
            ("[1:56 pm on 8 May, 2023] Ada: it's", 16),
            ("snake_case 3.50 €", 5),
            ("हिन्दी", 6),
            ("日本語、です", 3),
            ("e\u{301}t", 3),
            ("½ ² Ⅷ", 3),
            ("a\u{1c}b\u{a0}c", 3),
            ("", 0),
        ] {
            assert_eq!(tokens(text), count, "{text}");
        }
    }

    #[test]
    fn ranks_are_those_of_known_turns_each_counted_once() {
        let conversation = conversation();
        let all = BTreeMap::from([(0, found(&["D9:9", "D1:1", "D1:1", "D1:2", "D1:3", "D2:1"]))]);
        let scored = score(&conversation, &all);
        assert_eq!(scored.len(), 3, "a question without evidence has no score");
        assert_eq!((scored[0].gold, scored[0].ranks.as_slice()), (2, [1, 3].as_slice()));
        assert_eq!((scored[0].recall(1), scored[0].recall(2), scored[0].recall(4)), (0.0, 0.5, 1.0));
        assert_eq!(scored[1].ranks, [] as [usize; 0], "what was not asked found nothing");
    }

    #[test]
    fn the_first_turn_that_does_not_fit_ends_the_context() {
        let conversation = conversation();
        let costs: Vec<usize> = conversation.turns.iter().map(|turn| tokens(&rendered(turn))).collect();
        // "[1:56 pm on 8 May, 2023] Ada: " is 13 tokens; a picture costs four marks more than its words.
        assert_eq!(costs, [20, 20, 488, 14]);
        let all = BTreeMap::from([(0, found(&["D1:2", "D1:3", "D2:1"]))]);
        // 20 + 488 > 500, although 20 + 14 would fit.
        assert_eq!(score(&conversation, &all)[0].read, [1, 2, 2]);
    }

    #[test]
    fn a_summary_is_the_mean_and_leaves_out_what_has_no_answer() {
        let conversation = conversation();
        let mut first = found(&["D1:2", "D1:1"]);
        first.contexts = vec![vec!["D2:1".to_owned()], vec!["D2:1".to_owned(), "D1:2".to_owned()], Vec::new()];
        let all = BTreeMap::from([(0, first), (1, found(&["D2:1", "D1:1"])), (2, found(&["D1:1"]))]);
        let scored = score(&conversation, &all);
        let overall = Summary::overall(&scored);
        assert_eq!((overall.questions, overall.recall_at_1, overall.recall_at_5), (2, 25.0, 75.0));
        assert_eq!((overall.mrr, overall.all_at_10), (75.0, 50.0));
        assert_eq!((overall.gold, overall.context), ([75.0; 3], [25.0, 50.0, 0.0]));
        assert_eq!(Summary::of(&[]), Summary::default());
    }

    #[test]
    fn separation_is_the_chance_of_the_right_order() {
        assert_eq!(separation(&[0.9, 0.5], &[0.5, 0.1]), Some(0.875));
        assert_eq!(separation(&[], &[0.5]), None);
    }
}
