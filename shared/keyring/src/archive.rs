//! All keys in one file, to move them from where they are kept to another place.
//!
//! Each line is a JSON object. The first holds a wrapping key of this file alone, wrapped with the root; then comes one
//! wrapped key per line, and one line for each subject of which something was forgotten, with the floor of its keys; the last
//! says how many there are and the hash of everything before it, so that a file that was cut off is not taken for a whole
//! one. The floors go along because a log that moves takes along what was sealed below them. Such a file outlives the keys that are destroyed after it was written: it has to
//! be removed when it has served its purpose.

use std::io::{BufRead, Write};

use memory_core::{Handle, Seq, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{KeyId, Keyring, Minted, Nonces, Owner, RootKey, RootName, Roots, WRAPPED, Wrapping};

const FORMAT: u32 = 1;
/// The only epoch in a file.
const EPOCH: u32 = 1;
/// No line is longer.
const LINE_MAX: u64 = 4_096;

/// Why keys could not be written to or read from an archive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("{what} the file of keys")]
    Io {
        what: &'static str,
        #[source]
        source: std::io::Error,
    },
    #[error("line {line} is not one of a file of keys")]
    Line { line: u64 },
    #[error("the file of keys has format {format}, which only a later release reads")]
    Format { format: u32 },
    #[error("the file of keys is of another root key: it needs {needed}; put that one below the current one")]
    WrongRoot { needed: RootName },
    #[error("the key in line {line} does not open")]
    Tampered { line: u64 },
    #[error("the file of keys is not complete, or was changed")]
    Incomplete,
    #[error("read the random source of the operating system")]
    Random(#[source] getrandom::Error),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    memos_keys: u32,
    root: String,
    wrapped: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// As in [`Owner::kind`].
    kind: u8,
    owner: String,
    id: String,
    /// Microseconds.
    made: i64,
    wrapped: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FloorLine {
    subject: String,
    floor: Seq,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    keys: u64,
    floors: u64,
    hash: String,
}

/// How many keys, and floors of subjects of which something was forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub keys: u64,
    pub floors: u64,
}

/// What was read of an archive.
#[derive(Debug, Default)]
pub struct Contents {
    pub keys: Vec<Minted>,
    pub floors: Vec<(Handle, Seq)>,
}

impl Contents {
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts { keys: self.keys.len() as u64, floors: self.floors.len() as u64 }
    }

    /// Takes everything over into a ring: the floors first, so that no key comes that is doomed there or here. Answers how many
    /// were new. It may be broken off and done again.
    ///
    /// # Errors
    /// [`crate::Error::Vault`].
    pub fn adopt(self, ring: &Keyring) -> Result<Counts, crate::Error> {
        let floors = ring.adopt_floors(&self.floors)? as u64;
        Ok(Counts { keys: ring.adopt(self.keys)? as u64, floors })
    }
}

/// Writes all keys and floors of a ring, sorted; answers how many.
///
/// # Errors
/// When it cannot be written.
pub fn write(ring: &Keyring, root: &RootKey, out: impl Write) -> Result<Counts, ArchiveError> {
    let nonces = Nonces::new().map_err(ArchiveError::Random)?;
    let wrapping = Wrapping::random(EPOCH).map_err(ArchiveError::Random)?;
    let mut lines = Lines { out, hash: blake3::Hasher::new() };
    let wrapped = hex(&root.wrap(&nonces, &wrapping));
    lines.put(&Head { memos_keys: FORMAT, root: root.name().to_string(), wrapped })?;
    let mut keys = ring.all();
    keys.sort_by_key(|key| (key.owner, key.id));
    for key in &keys {
        lines.put(&Line {
            kind: key.owner.kind(),
            owner: hex(key.owner.as_bytes()),
            id: hex(key.id.as_bytes()),
            made: key.made.micros(),
            wrapped: hex(&wrapping.wrap(&nonces, key)),
        })?;
    }
    let mut floors = ring.floors();
    floors.sort_unstable();
    for (subject, floor) in &floors {
        lines.put(&FloorLine { subject: hex(subject.as_bytes()), floor: *floor })?;
    }
    let counts = Counts { keys: keys.len() as u64, floors: floors.len() as u64 };
    let hash = lines.hash.finalize().to_hex().to_string();
    lines.put(&End { keys: counts.keys, floors: counts.floors, hash })?;
    lines.out.flush().map_err(io("write"))?;
    Ok(counts)
}

struct Lines<W> {
    out: W,
    hash: blake3::Hasher,
}

impl<W: Write> Lines<W> {
    fn put(&mut self, line: &impl Serialize) -> Result<(), ArchiveError> {
        let mut text = serde_json::to_vec(line).map_err(std::io::Error::from).map_err(io("write"))?;
        text.push(b'\n');
        self.hash.update(&text);
        self.out.write_all(&text).map_err(io("write"))
    }
}

/// Reads all of an archive. What it names was whole when it was written; nothing is answered of one that is not.
///
/// # Errors
/// When it is something else, of another root, changed, or cut off.
pub fn read(roots: &Roots, mut from: impl BufRead) -> Result<Contents, ArchiveError> {
    let (mut hash, mut text, mut number) = (blake3::Hasher::new(), Vec::new(), 1);
    next_line(&mut from, &mut text)?;
    let wrapping = head(roots, &text)?;
    hash.update(&text);
    let mut found = Contents::default();
    loop {
        number += 1;
        next_line(&mut from, &mut text)?;
        if let Ok(end) = serde_json::from_slice::<End>(&text) {
            let counts = Counts { keys: end.keys, floors: end.floors };
            let whole = counts == found.counts() && end.hash == hash.finalize().to_hex().as_str();
            return if whole { Ok(found) } else { Err(ArchiveError::Incomplete) };
        }
        hash.update(&text);
        if let Ok(line) = serde_json::from_slice::<FloorLine>(&text) {
            let subject = unhex(&line.subject).map(Handle::from_bytes).ok_or(ArchiveError::Line { line: number })?;
            found.floors.push((subject, line.floor));
        } else {
            found.keys.push(key(&wrapping, &text, number)?);
        }
    }
}

fn next_line(from: &mut impl BufRead, text: &mut Vec<u8>) -> Result<(), ArchiveError> {
    text.clear();
    std::io::Read::take(from, LINE_MAX).read_until(b'\n', text).map_err(io("read"))?;
    if text.ends_with(b"\n") { Ok(()) } else { Err(ArchiveError::Incomplete) }
}

fn head(roots: &Roots, text: &[u8]) -> Result<Wrapping, ArchiveError> {
    let other = || ArchiveError::Line { line: 1 };
    let head: Head = serde_json::from_slice(text).map_err(|_| other())?;
    if head.memos_keys != FORMAT {
        return Err(ArchiveError::Format { format: head.memos_keys });
    }
    let id = unhex(&head.root).ok_or_else(other)?;
    let root = roots.find(id).ok_or(ArchiveError::WrongRoot { needed: RootName(id) })?;
    let wrapped: [u8; WRAPPED] = unhex(&head.wrapped).ok_or_else(other)?;
    root.unwrap(EPOCH, &wrapped).map_err(|_| ArchiveError::Tampered { line: 1 })
}

fn key(wrapping: &Wrapping, text: &[u8], number: u64) -> Result<Minted, ArchiveError> {
    let parse = || {
        let line: Line = serde_json::from_slice(text).ok()?;
        let owner = Owner::from_parts(line.kind, unhex(&line.owner)?)?;
        let wrapped: [u8; WRAPPED] = unhex(&line.wrapped)?;
        Some((owner, KeyId::from_bytes(unhex(&line.id)?), Timestamp::from_micros(line.made), wrapped))
    };
    let (owner, id, made, wrapped) = parse().ok_or(ArchiveError::Line { line: number })?;
    wrapping.open(owner, id, made, &wrapped).map_err(|_| ArchiveError::Tampered { line: number })
}

fn io(what: &'static str) -> impl Fn(std::io::Error) -> ArchiveError {
    move |source| ArchiveError::Io { what, source }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes: Option<Vec<u8>> = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    if rest.is_empty() { bytes?.try_into().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use memory_core::subject::TenantTag;
    use memory_core::{Handle, Seq};

    use super::*;

    fn ring() -> Keyring {
        let ring = Keyring::in_memory().expect("a ring");
        let wanted: Vec<_> = (0..5).map(|number| (Handle::from_bytes([number; 16]), Seq::new(2))).collect();
        ring.of_subjects(&wanted, Timestamp::EPOCH).expect("keys");
        ring.epoch(TenantTag::from_bytes([9; 16]), Timestamp::from_seconds(-7)).expect("a key");
        ring.destroy(Handle::from_bytes([4; 16]), Seq::new(3)).expect("it is destroyed");
        ring
    }

    fn root() -> RootKey {
        RootKey::random().expect("a root")
    }

    #[test]
    fn keys_come_through_a_file_unchanged() {
        let (from, to) = (ring(), Keyring::in_memory().expect("a ring"));
        let roots = Roots::new(root(), Vec::new());
        let mut file = Vec::new();
        let all = Counts { keys: 5, floors: 1 };
        assert_eq!(write(&from, roots.current(), &mut file).expect("it is written"), all);
        // What was forgotten there is forgotten here, also where it had come before.
        let late = to.of_subjects(&[(Handle::from_bytes([4; 16]), Seq::new(2))], Timestamp::EPOCH).expect("a key")[0];
        let adopt = || read(&roots, file.as_slice()).expect("it is read").adopt(&to).expect("they are kept");
        assert_eq!(adopt(), all);
        assert!(late.is_some_and(|late| !to.is_held(late)));
        assert_eq!(adopt(), Counts::default(), "everything is there");
        assert_eq!(to.floors(), from.floors());
        // And a key that is doomed here does not come back.
        to.destroy(Handle::from_bytes([2; 16]), Seq::new(3)).expect("it is destroyed");
        assert_eq!(adopt(), Counts::default());
        assert_eq!(to.len(), 4);
        let owner = Owner::Subject(Handle::from_bytes([3; 16]));
        let sealed = from.seal(from.of_subject(Handle::from_bytes([3; 16]))[0], b"here", b"text").expect("sealed");
        assert_eq!(to.open(owner, b"here", &sealed).expect("it opens"), Some(b"text".to_vec()));
        assert_eq!(to.epochs(), from.epochs());
    }

    #[test]
    fn a_file_that_is_not_whole_or_of_another_root_is_refused() {
        let roots = Roots::new(root(), Vec::new());
        let mut file = Vec::new();
        write(&ring(), roots.current(), &mut file).expect("it is written");
        for length in 0..file.len() {
            assert!(read(&roots, &file[..length]).is_err(), "cut off at {length}");
        }
        for at in 0..file.len() - 1 {
            let mut changed = file.clone();
            changed[at] ^= 1;
            assert!(read(&roots, changed.as_slice()).is_err(), "byte {at}");
        }
        let other = Roots::new(root(), Vec::new());
        assert!(matches!(read(&other, file.as_slice()), Err(ArchiveError::WrongRoot { .. })));
        let lines: Vec<&[u8]> = file.split_inclusive(|byte| *byte == b'\n').collect();
        let without = [lines[0], lines[2], lines[7]].concat();
        assert_eq!(lines.len(), 8, "the first, five keys, one floor, the last");
        assert!(matches!(read(&roots, without.as_slice()), Err(ArchiveError::Incomplete)));
    }
}
