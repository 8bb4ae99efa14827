//! Looking for words in raw bytes: files, and the device under them.
//!
//! A canary is a random word that stands in what somebody says. It is looked for as it is, in UTF-16 and UTF-32 of both
//! orders (the latter is also how a vector of its letters would lie there), in hexadecimal, in base64 at each of its three
//! alignments, and escaped as in JSON. Blocks that are compressed with LZ4 need no unpacking: it replaces what it has seen
//! before, and the first time a random word stands in a block it stands there letter by letter.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Bytes that are looked through at a time.
const CHUNK: usize = 4 << 20;

/// The words that are looked for.
pub(crate) struct Canaries {
    automaton: AhoCorasick,
    /// Whose pattern it is, and in what form.
    names: Vec<(String, &'static str)>,
    longest: usize,
}

/// A word that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) word: String,
    pub(crate) form: &'static str,
    pub(crate) at: u64,
}

impl Canaries {
    /// # Panics
    /// When a word is so short that it could stand anywhere by chance.
    pub(crate) fn new<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut patterns, mut names) = (Vec::new(), Vec::new());
        for word in words {
            assert!(word.len() >= 12 && word.is_ascii(), "`{word}` is no canary");
            for (form, pattern) in forms(word) {
                patterns.push(pattern);
                names.push((word.to_owned(), form));
            }
        }
        let longest = patterns.iter().map(Vec::len).max().unwrap_or(1);
        Self { automaton: AhoCorasick::new(&patterns).expect("patterns are few"), names, longest }
    }

    /// Where any of the words stands in these bytes.
    pub(crate) fn find(&self, mut from: impl Read) -> Vec<Found> {
        let mut found = Vec::new();
        let (mut buffer, mut kept, mut begin) = (vec![0; CHUNK + self.longest], 0, 0_u64);
        loop {
            let read = from.read(&mut buffer[kept..]).expect("the bytes can be read");
            if read == 0 {
                return found;
            }
            let filled = kept + read;
            for hit in self.automaton.find_overlapping_iter(&buffer[..filled]) {
                // What ends in the part that was kept was told of before.
                if hit.end() > kept {
                    let (word, form) = self.names[hit.pattern().as_usize()].clone();
                    found.push(Found { word, form, at: begin + hit.start() as u64 });
                }
            }
            let stays = filled.min(self.longest - 1);
            buffer.copy_within(filled - stays..filled, 0);
            begin += (filled - stays) as u64;
            kept = stays;
        }
    }

    /// The same in every file below a directory, and in the names of files.
    pub(crate) fn find_below(&self, dir: &Path) -> Vec<(String, Found)> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(dir).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            let name = path.display().to_string();
            found.extend(self.find(name.as_bytes()).into_iter().map(|hit| (name.clone(), hit)));
            if path.is_dir() {
                found.extend(self.find_below(&path));
            } else {
                // Whoever writes here may have removed it by now.
                let Ok(file) = File::open(&path) else { continue };
                found.extend(self.find(file).into_iter().map(|hit| (name.clone(), hit)));
            }
        }
        found
    }
}

fn forms(word: &str) -> Vec<(&'static str, Vec<u8>)> {
    let units = |bytes: fn(char) -> Vec<u8>| word.chars().flat_map(bytes).collect::<Vec<u8>>();
    let mut forms = vec![
        ("plain", word.as_bytes().to_vec()),
        ("UTF-16LE", units(|letter| vec![letter as u8, 0])),
        ("UTF-16BE", units(|letter| vec![0, letter as u8])),
        ("UTF-32LE", units(|letter| u32::from(letter).to_le_bytes().to_vec())),
        ("f32 LE", units(|letter| f32::from(letter as u8).to_le_bytes().to_vec())),
        ("hex", word.bytes().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes()),
        ("HEX", word.bytes().map(|byte| format!("{byte:02X}")).collect::<String>().into_bytes()),
        ("JSON", word.bytes().map(|byte| format!("\\u{byte:04x}")).collect::<String>().into_bytes()),
    ];
    for shift in 0..3 {
        // Bytes before and after it decide the letters at its ends; those in between it decides alone.
        let padded = [&vec![b' '; shift][..], word.as_bytes()].concat();
        let inner = |text: String| text[(shift * 8).div_ceil(6)..padded.len() * 8 / 6].to_owned();
        forms.push(("base64", inner(STANDARD_NO_PAD.encode(&padded)).into_bytes()));
        forms.push(("base64url", inner(URL_SAFE_NO_PAD.encode(&padded)).into_bytes()));
    }
    forms
}

/// A canary of a number: 20 letters that stand nowhere by chance.
pub(crate) fn canary(seed: u64, name: &str, number: u64) -> String {
    let mut bits = memory_core::EventId::try_new(format!("{seed} {name} {number}")).expect("a name").fingerprint();
    let mut word = String::from("zq");
    for _ in 0..12 {
        word.push(char::from(b'a' + u8::try_from(bits % 26).expect("a letter")));
        bits /= 26;
    }
    word
}

#[test]
fn a_word_is_found_in_every_form_and_across_the_borders_of_reads() {
    let word = canary(7, "test", 1);
    let canaries = Canaries::new([word.as_str()]);
    for (form, pattern) in forms(&word) {
        for before in [0, 1, 2, 3, CHUNK - 5, CHUNK] {
            let mut bytes = vec![b'x'; before];
            bytes.extend_from_slice(&pattern);
            bytes.extend_from_slice(b"yyy");
            let found = canaries.find(bytes.as_slice());
            let here = found.iter().filter(|hit| hit.form == form).count();
            assert!(here >= 1, "{form} behind {before} bytes");
        }
    }
    for shift in 0..3 {
        let text = format!("{}{word}, and so on", "a".repeat(shift));
        let encoded = STANDARD_NO_PAD.encode(text);
        assert!(canaries.find(encoded.as_bytes()).iter().any(|hit| hit.form == "base64"), "shift {shift}");
    }
    assert_eq!(canaries.find(&b"nothing of it"[..]), []);
}
