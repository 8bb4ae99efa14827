//! One test per sign: two memories that are alike but for it, of which the one with the sign must be first.

use super::*;
use crate::ids::ConsolidationId;
use crate::step::{Body, Change, RowKey, Step};
use crate::vector::{DIMENSION, Embed, Vector};

/// Three directions; every other word is unknown. The first components are those that words are compared by.
#[derive(Debug)]
struct Toy;

static TOY: Toy = Toy;

impl Toy {
    fn sum(text: &str) -> [i32; 3] {
        let mut sum = [0; 3];
        for word in text::words(text) {
            match word.as_str() {
                "instrument" | "instruments" => sum[0] += 160,
                "clarinet" => (sum[0], sum[1]) = (sum[0] + 120, sum[1] + 100),
                "canoe" => sum[2] += 160,
                _ => {}
            }
        }
        sum
    }
}

impl Embed for Toy {
    fn text(&self, text: &str) -> Vector {
        let sum = Self::sum(text);
        let length = sum.iter().map(|x| x * x).sum::<i32>().isqrt().max(1);
        let mut vector = [0; DIMENSION];
        for (x, part) in vector.iter_mut().zip(sum) {
            *x = i8::try_from((part * 160 / length).clamp(-127, 127)).expect("clamped");
        }
        Vector(vector)
    }

    fn word(&self, word: &str) -> Option<Vector> {
        Some(self.text(word)).filter(|vector| *vector != Vector::ZERO)
    }
}

/// A memory said by somebody in a session; numbers count up within it.
fn said(number: u64, session: &str, speaker: &str, text: &str) -> Memory {
    let Row::Memory(mut memory) = memory(number, text, 0, 300) else { unreachable!("it is a memory") };
    memory.session_id = Some(session.to_owned());
    memory.speaker = Some(speaker.to_owned());
    memory
}

fn ranked(memories: Vec<Memory>) -> Bank {
    Bank::load_ranked(StepNumber::FIRST, memories.into_iter().map(Row::Memory), &TOY)
}

/// What is filler: it has nothing to do with any question here.
fn filler(from: u64) -> Vec<Memory> {
    let texts = ["The roof leaks.", "Paint dries slowly.", "Nobody came.", "Bread rises overnight.", "Snow fell."];
    texts.iter().zip(from..).map(|(text, number)| said(number, &format!("filler {number}"), "Zed", text)).collect()
}

fn first(question: &str, memories: Vec<Memory>) -> String {
    let mut all = memories;
    all.extend(filler(900));
    let bank = ranked(all);
    texts(&rank(&query(question), &bank, &[], now()))[0].clone()
}

#[test]
fn the_speaker_whom_the_question_names_is_preferred_also_by_a_short_name() {
    let both = || vec![said(1, "a", "Caroline", "I paint the garden."), said(2, "b", "Melanie", "I paint the lake.")];
    assert!(first("What does Caroline paint?", both()).contains("garden"));
    assert!(first("What does Mel paint?", both()).contains("lake"));
    assert!(first("What does Melanie paint for Caroline?", both()).contains("lake"), "the first is the subject");
    assert!(first("What does Caroline paint for Melanie?", both()).contains("garden"), "the first is the subject");
    let mut three = both();
    three.push(said(3, "c", "Bob", "I paint the fence."));
    let bank = ranked(three);
    for (question, left_out) in
        [("What do Bob and Melanie paint?", "garden"), ("What do Caroline and Mel paint?", "fence")]
    {
        let hits = rank(&query(question), &bank, &[], now());
        assert!(texts(&hits)[2].contains(left_out), "{question}");
        let speaker: Vec<u16> = hits.iter().map(|hit| hit.parts.get("speaker")).collect();
        assert!(speaker[0] > speaker[1] && speaker[1] > 0 && speaker[2] == 0, "{question}: {speaker:?}");
    }
}

#[test]
fn a_neighbour_of_what_has_the_words_is_found_in_its_session_only() {
    let memories = vec![
        said(1, "a", "Ann", "My turtle is called Rosie."),
        said(2, "a", "Bob", "Seven of them."),
        said(3, "b", "Bob", "Eight of them."),
    ];
    let mut all = memories;
    all.extend(filler(900));
    let bank = ranked(all);
    let hits = rank(&query("Is the turtle called Rosie?"), &bank, &[], now());
    let window = |text: &str| {
        let hit = hits.iter().find(|hit| texts(&[**hit])[0].contains(text)).expect("there");
        hit.parts.get("window")
    };
    assert!(window("turtle") > 0 && window("Seven") > 0);
    assert_eq!(window("Eight"), 0);
}

#[test]
fn an_answer_to_a_matching_question_is_found() {
    let memories = |mark: &str| {
        vec![said(1, "a", "Ann", &format!("Which turtle have you got{mark}")), said(2, "a", "Bob", "A red one.")]
    };
    let parts = |mark: &str| {
        let bank = ranked(memories(mark));
        let hits = rank(&query("turtle"), &bank, &[], now());
        hits.iter().find(|hit| texts(&[**hit])[0].contains("red")).expect("there").parts
    };
    assert!(parts("?").get("answers") > 0);
    assert_eq!(parts(".").get("answers"), 0);
}

#[test]
fn a_word_that_means_nearly_the_same_is_as_good_as_half_the_word() {
    let found = first(
        "What instruments does she play?",
        vec![said(1, "a", "Ann", "Now the clarinet again."), said(2, "b", "Ann", "Now the canoe again.")],
    );
    assert!(found.contains("clarinet"));
    let both = vec![said(1, "a", "Ann", "Now the clarinet again."), said(2, "b", "Ann", "Now the canoe again.")];
    let bank = ranked(both);
    let hits = rank(&query("What instruments does she play?"), &bank, &[], now());
    for part in ["words", "kind", "meaning"] {
        assert!(hits[0].parts.get(part) > 0, "{part}");
        assert_eq!(hits[1].parts.get(part), 0, "{part}");
    }
}

#[test]
fn a_date_in_the_question_finds_what_was_said_then_and_what_tells_of_then() {
    let mut then = said(1, "a", "Ann", "We swam in the sea.");
    then.event_time = Timestamp::from_seconds(19_550 * DAY);
    let mut told = said(2, "b", "Ann", "We swam in the lake, on 12 July 2023.");
    told.event_time = Timestamp::from_seconds(19_900 * DAY);
    let mut other = said(3, "c", "Ann", "We swam in the pool.");
    other.event_time = Timestamp::from_seconds(19_900 * DAY);
    let mut all = vec![then, told, other];
    all.extend(filler(900));
    let found = texts(&rank(&query("Where did they swim in July 2023?"), &ranked(all), &[], now()));
    assert!(found[2].contains("pool") && found[..2].iter().all(|text| text.contains("swam")), "{found:?}");
}

#[test]
fn who_asks_when_or_how_many_wants_a_time_or_a_number() {
    let texts = || vec![said(1, "a", "Ann", "We met last week."), said(2, "b", "Ann", "We met by chance.")];
    assert!(first("When did we meet?", texts()).contains("week"));
    let numbers = || vec![said(1, "a", "Ann", "We own four goats."), said(2, "b", "Ann", "We own these goats.")];
    assert!(first("How many goats do we own?", numbers()).contains("four"));
    let bank = ranked(numbers());
    let form = |question: &str| rank(&query(question), &bank, &[], now())[0].parts.get("form");
    assert!(form("How many goats do we own?") > 0);
    assert_eq!(form("Which goats do we own?"), 0);
}

#[test]
fn what_the_user_says_comes_before_a_long_answer_unless_the_question_is_about_that() {
    let answer = "About your goats: goats eat hay, and there is more to be said about how hay is made and kept dry. ";
    let pair = || {
        let mut long = said(1, "a", "Ann", &answer.repeat(3));
        (long.role, long.speaker) = (Role::Assistant, None);
        let mut short = said(2, "b", "Ann", "My goats eat apples.");
        short.speaker = None;
        vec![long, short]
    };
    assert!(first("What do my goats eat?", pair()).contains("apples"));
    let parts = |question: &str| {
        let bank = ranked(pair());
        let hits = rank(&query(question), &bank, &[], now());
        let hit = hits.iter().find(|hit| texts(&[**hit])[0].contains("hay")).expect("there");
        hit.parts.sum()
    };
    assert!(parts("What did you say goats eat?") > parts("What did they say goats eat?"));
}

#[test]
fn a_question_without_an_answer_has_a_low_best_score() {
    let mut all = vec![said(1, "a", "Ann", "My turtle is called Rosie and eats basil.")];
    all.extend(filler(900));
    let bank = ranked(all);
    let best = |question: &str| rank(&query(question), &bank, &[], now())[0].parts.sum();
    let (answered, not) = (best("What does the turtle Rosie eat?"), best("Which passport did Ulrich lose?"));
    assert!(answered > 500 && not < 200, "{answered} {not}");
    let strict = Query { min_score: 500, ..query("Which passport did Ulrich lose?") };
    assert!(rank(&strict, &bank, &[], now()).is_empty());
}

#[test]
fn without_a_question_what_is_recent_and_salient_is_first() {
    let mut old = said(1, "a", "Ann", "An old and dull thing.");
    old.event_time = now().plus_seconds(-400 * DAY);
    let mut salient = said(2, "b", "Ann", "A salient thing.");
    salient.salience = 900;
    let bank = ranked(vec![old, salient, said(3, "c", "Ann", "A new thing.")]);
    let hits = rank(&query(""), &bank, &[], now());
    assert_eq!(texts(&hits), ["A salient thing.", "A new thing.", "An old and dull thing."]);
    assert_eq!(hits[0].parts.sum(), 760);
}

/// A bank that grew, with changes and deletions in between, ranks as one that was loaded at once.
#[test]
fn a_bank_that_grew_ranks_as_one_that_was_loaded() {
    let talk: Vec<Memory> = (0..40)
        .map(|n| {
            let who = if n % 2 == 0 { "Ann" } else { "Bob" };
            said(n, &format!("s{}", n / 10), who, &format!("Topic {} and clarinet number {n}, yesterday?", n % 7))
        })
        .collect();
    let mut grown = ranked(Vec::new());
    let mut number = StepNumber::FIRST;
    let tenant = TenantId::try_new("t").expect("a tenant");
    let subject = Subject::owner(&tenant, Some("u"), None, None).expect("an owner").handle(&HashSecret::new([1; 32]));
    let mut apply = |changes: Vec<Change>| {
        let (from, to) = (Seq::FIRST, Seq::FIRST);
        let consolidation = {
            let event = EventId::try_new("e").expect("an id");
            ConsolidationId::of_window(subject, &event, &event, b"", "test")
        };
        let body = Body::Changes { consolidation, from, to, changes };
        grown.apply(&Step { subject, number, body, consumed: None });
        number = number.next();
    };
    for memory in talk.iter().rev() {
        apply(vec![Change::Put(Row::Memory(Memory { text: "To be replaced canoe.".to_owned(), ..memory.clone() }))]);
    }
    for memory in &talk {
        apply(vec![Change::Put(Row::Memory(memory.clone()))]);
    }
    apply(talk.iter().skip(30).map(|memory| Change::Delete(RowKey::Memory(memory.id))).collect());
    let loaded = ranked(talk.into_iter().take(30).collect());
    for question in ["What did Ann say of topic 3?", "clarinet yesterday", "instruments", "", "canoe"] {
        let shown = |bank: &Bank| {
            let hits = rank(&Query { limit: 50, ..query(question) }, bank, &[], now());
            hits.iter().map(|hit| (texts(&[*hit]), hit.parts)).collect::<Vec<_>>()
        };
        assert_eq!(shown(&grown), shown(&loaded), "{question}");
    }
}

#[test]
fn the_signs_that_weights_are_fitted_on_order_as_ranking_does() {
    let mut all = vec![said(1, "a", "Ann", "My turtle is called Rosie."), said(2, "a", "Bob", "Which turtle?")];
    all.extend(filler(900));
    let bank = ranked(all);
    let question = "What is the turtle of Ann called?";
    let mut weighed = weighed(question, &bank, now());
    weighed.sort_by_key(|(_, signs)| Reverse(signs.iter().sum::<i64>()));
    let order: Vec<String> = weighed.iter().map(|(memory, _)| memory.text.clone()).collect();
    assert_eq!(order[..2], texts(&rank(&query(question), &bank, &[], now()))[..2]);
    assert_eq!(order.len(), bank.len());
}
