//! The built-in table against the reference: `testdata/golden.json` holds what the model's own tokenizer and floating-point
//! arithmetic made of some texts in many scripts, and the digests of the vectors in integers.

use serde_json::Value;

use super::*;

fn golden() -> Vec<Value> {
    let text = include_str!("../testdata/golden.json");
    let cases: Vec<Value> = serde_json::from_str(text).expect("make-table.py writes JSON");
    assert!(cases.len() >= 40, "only {} texts were seen", cases.len());
    cases
}

fn text_of(case: &Value) -> String {
    let times = case["times"].as_u64().expect("a text has a count");
    case["text"].as_str().expect("a text is text").repeat(usize::try_from(times).expect("it is small"))
}

fn tokens(text: &str) -> Vec<usize> {
    let mut found = Vec::new();
    table().each_token(text, |token| found.push(token));
    found
}

fn cosine(vector: &Vector, floats: &[f64]) -> f64 {
    let (mut dot, mut square, mut other) = (0.0, 0.0, 0.0);
    for (&x, &y) in vector.components().iter().zip(floats) {
        dot += f64::from(x) * y;
        square += f64::from(x) * f64::from(x);
        other += y * y;
    }
    dot / (square * other).sqrt()
}

#[test]
fn text_is_cut_as_the_reference_cuts_it() {
    for case in golden() {
        let text = text_of(&case);
        let found = tokens(&text);
        let count = usize::try_from(case["count"].as_u64().expect("a count")).expect("it is small");
        assert_eq!(found.len(), count.min(MOST_TOKENS), "{:?}", case["text"]);
        let expected = case["tokens"].as_array().expect("a list");
        let shown: Vec<String> = found.iter().take(64).map(|&token| table().token(token)).collect();
        assert_eq!(&shown, expected, "{:?}", case["text"]);
    }
}

#[test]
fn vectors_point_where_the_floating_point_ones_point() {
    let mut least: f64 = 1.0;
    for case in golden() {
        let floats: Vec<f64> = case["floats"].as_array().expect("a list").iter().filter_map(Value::as_f64).collect();
        let vector = embed(&text_of(&case));
        if floats.is_empty() {
            assert!(vector.is_zero(), "{:?}", case["text"]);
            continue;
        }
        let cosine = cosine(&vector, &floats);
        assert!(cosine >= 0.995, "{:?}: {cosine}", case["text"]);
        least = least.min(cosine);
    }
    assert!(least < 1.0, "some rounding must have been seen");
}

// law: L04
#[test]
fn vectors_are_the_same_bytes_everywhere() {
    for case in golden() {
        let bytes = embed(&text_of(&case)).components().map(i8::cast_unsigned);
        assert_eq!(blake3::hash(&bytes).to_hex().as_str(), case["digest"], "{:?}", case["text"]);
    }
}

#[test]
fn nothing_known_is_the_zero_vector() {
    for text in ["", "   ", "🦄", "\u{200b}\u{0301}", &"x".repeat(101)] {
        assert!(embed(text).is_zero(), "{text:?}");
        assert_eq!(word(text), None, "{text:?}");
    }
}

#[test]
fn an_unknown_word_changes_nothing() {
    assert_eq!(embed("a bicycle 🦄 in Lyon"), embed("a bicycle in Lyon"));
    let known = embed("puppy");
    assert_eq!(embed(&format!("{} puppy", "x".repeat(200))), known);
}

#[test]
fn order_and_case_of_words_make_no_difference() {
    assert_eq!(embed("the dog bites the man"), embed("the man bites THE Dog"));
    assert_eq!(embed("Café Zürich"), embed("cafe\u{301} ZU\u{308}RICH"));
    assert_ne!(embed("the dog bites the man"), embed("the dog bites a man"));
}

#[test]
fn what_comes_after_the_last_token_that_is_read_makes_no_difference() {
    let read = format!("{}{}", "dog ".repeat(MOST_TOKENS / 2), "bicycle ".repeat(MOST_TOKENS / 2));
    assert_eq!(embed(&format!("{read}{}", "doctor ".repeat(MOST_TOKENS))), embed(&read));
    assert_eq!(tokens(&read).len(), MOST_TOKENS);
    let unfinished = &read["dog ".len()..];
    assert_eq!(tokens(&format!("{unfinished} transmogrification")).len(), MOST_TOKENS, "cut within a word");
}

#[test]
fn a_word_is_what_a_text_of_that_word_is() {
    assert_eq!(word("Bicycle"), Some(embed("bicycle")));
    assert!(tokens("transmogrification").len() > 1);
    assert_eq!(word("transmogrification"), Some(embed("transmogrification")));
}

#[test]
fn near_meanings_are_near() {
    let similar = |one: &str, other: &str| similarity(&embed(one), &embed(other));
    assert!(similar("I adopted a puppy last week", "She got a new dog") > 300);
    assert!(similar("I adopted a puppy last week", "The stock market fell") < 200);
    assert!(similar("doctor", "physician") > similar("doctor", "bicycle") + 200);
    let own = embed("A sentence is as near to itself as can be.");
    assert!(similarity(&own, &own) >= 990, "{}", similarity(&own, &own));
}

#[test]
fn the_model_says_what_it_is() {
    assert_eq!(model().dimension, DIMENSION);
    assert_eq!(model().name, "all-MiniLM-L6-v2/static-256");
    assert!((29_000..30_000).contains(&model().tokens));
    assert_eq!(model().digest, BYTES[BYTES.len() - 32..]);
    let (name, digest) = model().id().split_once('@').map(|(n, d)| (n.to_owned(), d.to_owned())).expect("an @");
    assert_eq!((name.as_str(), digest.len()), (model().name.as_str(), 16));
    assert!(BYTES.len() <= 9_000_000, "what every binary carries stays below 9 MB");
}

#[test]
fn every_token_finds_itself() {
    // A token that the pre-tokenizer takes apart again (`[PAD]` would be one) could never be reached.
    let whole = |token: usize| tokens(&table().token(token)) == [token];
    let reached = (0..model().tokens).filter(|&token| !table().token(token).starts_with("##")).filter(|&t| whole(t));
    assert!(reached.count() > 23_000, "the index finds the tokens that begin words");
    assert!((0..model().tokens).all(|token| table().weight(token) > 0));
}

#[test]
fn a_damaged_table_is_refused() {
    let open = |bytes: &[u8]| Table::open(bytes).expect_err("it is damaged");
    let changed = |at: usize| {
        let mut bytes = BYTES.to_vec();
        bytes[at] ^= 1;
        open(&bytes)
    };
    assert_eq!(open(b""), Error::Foreign);
    assert_eq!(open(&BYTES[..20]), Error::Length { found: 20, expected: 72 });
    let short = BYTES.len() - 1;
    assert_eq!(open(&BYTES[..short]), Error::Length { found: short, expected: short + 1 });
    assert_eq!(changed(0), Error::Foreign);
    assert_eq!(changed(8), Error::Format { found: 0 });
    assert_eq!(changed(10), Error::Dimension { found: 257 });
    assert!(matches!(changed(12), Error::Length { .. }));
    for at in [40, BYTES.len() / 2, BYTES.len() - 33, BYTES.len() - 1] {
        assert_eq!(changed(at), Error::Damaged, "byte {at}");
    }
}

#[test]
fn a_table_that_makes_no_sense_is_refused_though_it_is_whole() {
    let sealed = |change: fn(&mut Vec<u8>)| {
        let mut bytes = BYTES[..BYTES.len() - 32].to_vec();
        change(&mut bytes);
        let digest = blake3::hash(&bytes);
        bytes.extend_from_slice(digest.as_bytes());
        Table::open(&bytes).err()
    };
    assert_eq!(sealed(|_| ()), None);
    assert!(matches!(sealed(|bytes| bytes[48] = 9), Some(Error::Nonsense { .. })), "a class of characters");
    assert!(matches!(sealed(|bytes| *bytes.last_mut().expect("a byte") = 255), Some(Error::Nonsense { .. })), "a name");
}
