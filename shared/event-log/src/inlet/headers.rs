//! The headers of a record: names in any case, both spellings of CloudEvents attributes, and what a signature needs
//! to know about them.

use crate::Record;
use crate::inlet::Refused;

/// A header by its name in any case; `None` when it is missing or null. Of several with the name, the first counts.
///
/// # Errors
/// [`Refused::HeaderNotText`].
pub fn text(record: &Record, name: &str) -> Result<Option<String>, Refused> {
    let found = record.headers.iter().find(|(n, value)| n.eq_ignore_ascii_case(name) && value.is_some());
    let Some((name, Some(value))) = found else { return Ok(None) };
    match std::str::from_utf8(value) {
        Ok(text) => Ok(Some(text.to_owned())),
        Err(_) => Err(Refused::HeaderNotText { name: name.clone() }),
    }
}

/// What [`parse`](super::parse) reads from this header (`content-type`, `ce_id` and so on), provided that nobody can
/// read it otherwise: it stands there once in whatever spelling, is not empty, and fits on one line.
///
/// # Errors
/// [`Refused::SignatureMalformed`], [`Refused::HeaderNotText`].
pub fn one_line(record: &Record, name: &str) -> Result<Option<String>, Refused> {
    let malformed = |problem| Refused::SignatureMalformed { header: name.to_owned(), problem };
    let attribute = attribute_name(name);
    let same = |other: &str| match attribute {
        Some(attribute) => attribute_name(other).is_some_and(|other| other.eq_ignore_ascii_case(attribute)),
        None => other.eq_ignore_ascii_case(name),
    };
    if record.headers.iter().filter(|(other, value)| value.is_some() && same(other)).count() > 1 {
        return Err(malformed("is there more than once: a signed record has it once"));
    }
    let found = match attribute {
        Some(attribute) => attribute_header(record, attribute)?,
        None => text(record, name)?,
    };
    match found {
        Some(text) if text.is_empty() => Err(malformed("is empty: give it a value, or leave it out")),
        Some(text) if text.chars().any(char::is_control) => {
            Err(malformed("holds a control character, such as a line feed: leave it out"))
        }
        found => Ok(found),
    }
}

/// The attribute's name, if the header is one in either spelling.
fn attribute_name(header: &str) -> Option<&str> {
    let (prefix, name) = header.split_at_checked(3)?;
    (prefix.eq_ignore_ascii_case("ce_") || prefix.eq_ignore_ascii_case("ce-")).then_some(name)
}

pub(super) fn is_binary(record: &Record) -> bool {
    record.headers.iter().any(|(name, _)| attribute_name(name).is_some())
}

/// An attribute from its header. HTTP's spelling comes with HTTP's percent-encoding.
pub(super) fn attribute_header(record: &Record, attribute: &str) -> Result<Option<String>, Refused> {
    if let Some(text) = text(record, &format!("ce_{attribute}"))? {
        return Ok(Some(text));
    }
    let name = format!("ce-{attribute}");
    let Some(text) = text(record, &name)? else { return Ok(None) };
    percent_decoded(&text).map(Some).ok_or(Refused::HeaderNotText { name })
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        let digits = behind.get(..2).filter(|_| byte == b'%').and_then(|two| std::str::from_utf8(two).ok());
        match digits.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &behind[2..];
            }
            None => {
                bytes.push(byte);
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).ok()
}
