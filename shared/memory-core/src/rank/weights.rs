//! What each sign of a good answer weighs, and what a score means.
//!
//! The weights of the signs from `window` to `form`, and that of `salience`, were fitted by maximum likelihood (a
//! multinomial logit over a question's candidates, ridge 5 on standardised signs) to 582 questions with known evidence over
//! four long conversations of two people; leaving out one conversation at a time, recall@1/5/10 of the fit on the other
//! three is 53 / 78 / 84 %. The shapes of `window` and `meaning` are from the same questions: a product and a square beside
//! the signs, fitted with them. `role` was set by hand on conversations of users with assistants, what an end of validity
//! costs by hand as well; `recency` and `reinforcement` are small on purpose: they decide between equals. To refit, write
//! [`super::weighed`] for questions with known evidence (`cargo run --release -p load-tests --example ranking-signs`) and
//! run `load-tests/fit-ranking.py`: it prints by what to multiply each.
//!
//! A score says how sure one may be, from the best hit of a question, that the memory holds an answer at all: 500 where
//! as many answered as unanswerable questions of the development data had such a best hit, 900 where nine of ten were
//! answered. It only depends on the weighted sum, so it never changes the order.

/// A sum of weighted signs, in millionths.
pub(super) type Points = i64;

/// Per unit of a sign, in 1/1000. All signs but `role` lie between 0 and about 1 (the windows' and the answers' reach
/// 2).
pub(super) const WINDOW: i64 = 4_403;
/// The windows' where several things are asked for, which are seldom told at one place.
pub(super) const WINDOW_OF_SEVERAL: i64 = 2_464;
/// How much less the windows' for a text that has every word itself, in 1/1000.
pub(super) const SAID_ITSELF: i64 = 323;
pub(super) const WORDS: i64 = 4_424;
pub(super) const MEANING: i64 = 7_292;
/// Where more likeness tells nothing more: a cosine, in millionths.
pub(super) const MEANING_TOP: i64 = 460_284;
pub(super) const KIND: i64 = 1_226;
pub(super) const RARITY: i64 = 2_752;
pub(super) const SPEAKER: i64 = 1_308;
pub(super) const SUBJECT: i64 = 1_253;
pub(super) const DATE: i64 = 7_231;
pub(super) const ANSWERS: i64 = 1_325;
pub(super) const ANSWERS_MEANING: i64 = 2_274;
pub(super) const WHEN: i64 = 1_620;
pub(super) const MANY: i64 = 943;
pub(super) const PLAN: i64 = 1_083;
pub(super) const PLACE: i64 = 3_452;
/// Less for whom the question names where he ends by asking.
pub(super) const ASKING: i64 = 490;
pub(super) const ROLE: i64 = 1_000;
pub(super) const ENDED: i64 = 1_000;
pub(super) const SALIENCE: i64 = 7_380;
pub(super) const RECENCY: i64 = 100;
pub(super) const REINFORCEMENT: i64 = 300;

/// More salience than this makes no better answer, in 1/1000. It is about what the rules keep by default: more of it would
/// put what is told of oneself before what is asked for (measured on conversations with assistants).
pub(super) const SALIENT: u16 = 100;

/// Without a question, what was said lately, mattered and was said again is first.
pub(super) const LISTED_SALIENCE: i64 = 400;
pub(super) const LISTED_RECENCY: i64 = 400;
pub(super) const LISTED_REINFORCEMENT: i64 = 200;

/// What a question gives to many texts at once, and so tells nothing of whether one of them answers it: it names a
/// speaker, or a date. It is taken off before a score is read from the curve.
pub(super) const GIVEN_BY_NAME: Points = 1_000 * (SPEAKER + SUBJECT);
pub(super) const GIVEN_BY_DATE: Points = 2_000_000;

/// Points in 1/1000 and the score there; straight lines between. A logistic curve with slope 0.811 and middle 9.52, fitted
/// to the best points of the 582 questions and of as many asked of a memory that cannot know, with the names exchanged.
const CURVE: [(i64, i64); 14] = [
    (-2_000, 0),
    (2_000, 2),
    (4_000, 11),
    (5_000, 25),
    (6_000, 55),
    (7_000, 115),
    (8_000, 226),
    (9_000, 397),
    (10_000, 597),
    (11_000, 769),
    (12_000, 882),
    (14_000, 974),
    (18_000, 999),
    (20_000, 1_000),
];

/// The score of so many points, 0..=1000.
pub(super) fn score(points: Points) -> u16 {
    let milli = points.div_euclid(1_000);
    let end = CURVE.partition_point(|(at, _)| *at <= milli);
    let score = match (end.checked_sub(1).and_then(|start| CURVE.get(start)), CURVE.get(end)) {
        (None, _) => 0,
        (Some((_, last)), None) => *last,
        (Some((from, low)), Some((to, high))) => low + (high - low) * (milli - from) / (to - from),
    };
    u16::try_from(score).expect("between 0 and 1000")
}

/// The score of so many points where nothing was asked: the points themselves.
pub(super) fn listed(points: Points) -> u16 {
    u16::try_from((points / 1_000).clamp(0, 1_000)).expect("clamped to 1000")
}

/// What spoke for a result. The parts sum to its score: each has its share of what was in favour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts([u16; NAMES.len()]);

/// The names of the parts.
const NAMES: [&str; 13] = [
    "window",
    "words",
    "meaning",
    "kind",
    "rarity",
    "speaker",
    "date",
    "answers",
    "form",
    "role",
    "salience",
    "recency",
    "reinforcement",
];

/// The weighted signs of one text, in the order of [`Parts::named`].
pub type Signs = [i64; NAMES.len()];

impl Parts {
    /// Divides `score` by the shares of the signs in favour; what rounding leaves goes to the greatest.
    pub(super) fn of(signs: &Signs, score: u16) -> Self {
        let total: i64 = signs.iter().map(|sign| (*sign).max(0)).sum();
        let share =
            |sign: Points| u16::try_from(sign.max(0) * i64::from(score) / total.max(1)).expect("at most the score");
        let mut parts = signs.map(share);
        let given: u16 = parts.iter().sum();
        let greatest = (0..signs.len()).max_by_key(|place| (signs[*place], std::cmp::Reverse(*place)));
        if let Some(greatest) = greatest {
            parts[greatest] += score - given;
        }
        Self(parts)
    }

    /// The score.
    #[must_use]
    pub fn sum(&self) -> u16 {
        self.0.iter().sum()
    }

    /// Each part with its name.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u16); NAMES.len()] {
        std::array::from_fn(|place| (NAMES[place], self.0[place]))
    }

    /// One part by its name; 0 for a name that is none.
    #[must_use]
    pub fn get(&self, name: &str) -> u16 {
        self.named().iter().find(|(known, _)| *known == name).map_or(0, |(_, part)| *part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_points_never_have_a_lower_score() {
        let scores: Vec<u16> = (-5_000_000..25_000_000).step_by(50_000).map(score).collect();
        assert!(scores.is_sorted());
        assert_eq!((scores[0], *scores.last().expect("some")), (0, 1_000));
        assert_eq!((score(8_500_000), score(11_000_000)), (311, 769));
    }

    #[test]
    fn parts_sum_to_the_score_and_what_speaks_against_has_none() {
        let mut signs = [0; NAMES.len()];
        (signs[0], signs[1], signs[9]) = (3_333_333, 6_666_667, -1_000_000);
        let parts = Parts::of(&signs, 700);
        assert_eq!(parts.sum(), 700);
        assert_eq!((parts.get("window"), parts.get("words"), parts.get("role")), (233, 467, 0));
        assert_eq!(Parts::of(&[0; NAMES.len()], 0).sum(), 0);
    }
}
