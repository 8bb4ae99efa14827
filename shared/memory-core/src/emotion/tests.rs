use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;

/// Sentences with their feeling, written before the code.
const DEVELOPMENT: &str = include_str!("../../testdata/emotion-dev.jsonl");

#[derive(Deserialize)]
struct Labelled {
    label: String,
    text: String,
}

fn tone(label: &str) -> Tone {
    match label {
        "positive" => Tone::Positive,
        "negative" => Tone::Negative,
        "none" => Tone::None,
        other => panic!("{other} is no label"),
    }
}

fn valence(text: &str) -> i16 {
    of(text).valence
}

/// The mean over the tones of the harmonic mean of precision and recall, in 1/1000, and what is wrong.
fn macro_f1(sentences: &[Labelled]) -> (usize, String) {
    let mut table: BTreeMap<(Tone, Tone), usize> = BTreeMap::new();
    let mut wrong = String::new();
    for Labelled { label, text } in sentences {
        let (meant, felt) = (tone(label), of(text));
        *table.entry((meant, felt.tone())).or_default() += 1;
        if meant != felt.tone() {
            wrong.push_str(&format!("{label:8} {:5} {text}\n", felt.valence));
        }
    }
    let tones = [Tone::Negative, Tone::None, Tone::Positive];
    let f1 = |tone: Tone| {
        let right = table.get(&(tone, tone)).copied().unwrap_or_default();
        let missed: usize = table.iter().filter(|((meant, _), _)| *meant == tone).map(|(_, count)| count).sum();
        let said: usize = table.iter().filter(|((_, said), _)| *said == tone).map(|(_, count)| count).sum();
        2_000 * right / (missed + said).max(1)
    };
    (tones.into_iter().map(f1).sum::<usize>() / tones.len(), wrong)
}

#[test]
fn most_labelled_sentences_are_felt_as_they_are_meant() {
    let read = |line| serde_json::from_str(line).expect("a labelled sentence");
    let sentences: Vec<Labelled> = DEVELOPMENT.lines().map(read).collect();
    assert!(sentences.len() >= 150);
    let (f1, wrong) = macro_f1(&sentences);
    assert!(f1 >= 930, "macro-F1 is {f1}/1000\n{wrong}");
}
