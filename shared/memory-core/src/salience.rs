//! How much a turn matters, before the bank is looked at: a sum of named parts, each 0..=1000 and each weighted by
//! the rules. The total is between 0 and 1000.
//!
//! | part | rises with |
//! |---|---|
//! | disclosure | the first person, those near to it, and what it is, did, wants, decided and promised |
//! | concreteness | names, numbers, days and times, titles in quotation marks |
//! | emotion | how strongly it is felt ([`crate::emotion`]); fully only where somebody speaks of his own life |
//! | answer | the turn before asked, and this one tells something |
//! | substance | words that say something new, the rarer the more |
//! | explicit | "remember that", "don't forget", "from now on": somebody asks for it |
//! | safety | allergies, medication, risk, and the topics that the rules name: what must not be lost |
//! | small_talk | the share of greetings, thanks, acknowledgements and praise; it is taken off |
//!
//! A question asks and does not tell: what stands in one counts a third. What an assistant, a tool or a third party says
//! counts half: the user's own word is what memory is for. What is explicit or about safety is never talked down by the
//! small talk around it. A topic of safety that the rules name is a word or several in a row; `*` at the end of a word stands
//! for any ending.
//!
//! The word lists are text files (`salience/*.txt`). The actor knows only the open window, so nothing here asks how rare
//! a word is in this conversation; `common.txt` has the 3,000 commonest words of English in their order (that of the
//! vocabulary of BERT, Devlin et al. 2019, which goes by frequency), and what is not among them is rare.

use serde::{Deserialize, Serialize};

use crate::event::{Event, EventType, Origin};
use crate::rules::{Rules, Weights};

mod parts;
#[cfg(test)]
mod tests;
mod words;

/// The parts of a turn's salience and their weighted sum, all 0..=1000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Salience {
    pub total: u16,
    pub parts: Parts,
}

/// What speaks for a turn, and in [`Parts::small_talk`] against it; each 0..=1000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    pub disclosure: u16,
    pub concreteness: u16,
    pub emotion: u16,
    pub answer: u16,
    pub substance: u16,
    pub explicit: u16,
    pub safety: u16,
    pub small_talk: u16,
}

impl Parts {
    /// Whether there is nothing for or against it.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Each part with its name.
    #[must_use]
    pub const fn named(&self) -> [(&'static str, u16); 8] {
        let Self { disclosure, concreteness, emotion, answer, substance, explicit, safety, small_talk } = *self;
        [
            ("disclosure", disclosure),
            ("concreteness", concreteness),
            ("emotion", emotion),
            ("answer", answer),
            ("substance", substance),
            ("explicit", explicit),
            ("safety", safety),
            ("small_talk", small_talk),
        ]
    }
}

const FULL: u16 = 1_000;
/// The part of safety from which on a text is critical: health may depend on it.
pub(crate) const CRITICAL_AT: u16 = 500;

/// Whether health and safety may depend on a text that stands by itself.
pub(crate) fn is_critical(text: &str, rules: &Rules) -> bool {
    parts::of(text, None, &rules.safety_topics).safety >= CRITICAL_AT
}

/// The salience of an event that was said after `before`, in the same session. Controls have none: they are obeyed, not
/// weighed.
#[must_use]
pub fn of(event: &Event, before: Option<&Event>, rules: &Rules) -> Salience {
    if !matches!(event.kind, EventType::Turn | EventType::Note) {
        return Salience::default();
    }
    let content = event.content.text();
    let before = before.map(|before| before.content.text());
    let parts = parts::of(&content, before.as_deref(), &rules.safety_topics);
    Salience { total: total(&parts, &rules.weights, event.origin), parts }
}

fn total(parts: &Parts, weights: &Weights, origin: Origin) -> u16 {
    let weighted = |part: u16, weight: u16| u32::from(part) * u32::from(weight) / u32::from(FULL);
    let told = weighted(parts.disclosure, weights.disclosure)
        + weighted(parts.concreteness, weights.concreteness)
        + weighted(parts.emotion, weights.emotion)
        + weighted(parts.answer, weights.answer)
        + weighted(parts.substance, weights.substance);
    let matters = told.saturating_sub(weighted(parts.small_talk, weights.small_talk))
        + weighted(parts.explicit, weights.explicit)
        + weighted(parts.safety, weights.safety);
    cap(if origin == Origin::User { matters } else { matters / 2 })
}

fn cap(score: u32) -> u16 {
    u16::try_from(score.min(u32::from(FULL))).expect("it is at most 1000")
}
