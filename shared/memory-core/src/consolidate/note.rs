//! Authored notes, which may be long, are remembered in pieces: a question is about a paragraph, not about a file.

/// A piece is not longer, in bytes, unless one word is.
const PIECE_BYTES_MAX: usize = 1_000;

/// The pieces of a note, in order: paragraphs, as many together as fit; a long one is cut between sentences, or between
/// words where it has none.
pub(super) fn parts(note: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = note.trim();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(piece_end(rest));
        parts.push(piece.trim_end());
        rest = after.trim_start();
    }
    parts
}

/// Where the first piece ends.
fn piece_end(text: &str) -> usize {
    if text.len() <= PIECE_BYTES_MAX {
        return text.len();
    }
    let most = (0..=PIECE_BYTES_MAX).rfind(|end| text.is_char_boundary(*end)).unwrap_or(text.len());
    let head = &text[..most];
    let after = |mark: &str| head.rfind(mark).map(|at| at + mark.len());
    let sentence = [". ", "! ", "? ", ".\n", "。", "؟ "].into_iter().filter_map(after).max();
    let end = after("\n\n").or_else(|| after("\n")).or(sentence).or_else(|| after(" "));
    end.filter(|end| *end > 0).unwrap_or(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_cut_between_paragraphs_then_sentences_then_words() {
        assert_eq!(parts("  short \n\n note "), ["short \n\n note"]);
        assert_eq!(parts(" \n "), [""; 0]);
        let (one, other) = ("a".repeat(600), "b".repeat(600));
        assert_eq!(parts(&format!("{one}\n\n{other}")), [one.as_str(), other.as_str()]);
        let long = "The patient sleeps well. ".repeat(100);
        let pieces = parts(&long);
        assert!(pieces.iter().all(|piece| piece.len() <= PIECE_BYTES_MAX && piece.ends_with('.')), "{pieces:?}");
        assert_eq!(pieces.join(" "), long.trim());
        for odd in ["x".repeat(5_000), "日本語".repeat(2_000), "😀".repeat(3_000)] {
            let pieces = parts(&odd);
            assert_eq!(pieces.concat(), odd);
            assert!(pieces.iter().all(|piece| piece.len() <= PIECE_BYTES_MAX));
        }
    }
}
