//! Times on the wire: RFC 3339 in UTC, with as many digits of a second as there are.

use memory_core::Timestamp;
use serde::{Deserialize, Deserializer, Serializer, de};

/// A time as text. Times outside the years -9999 to 9999 are shown as the nearest one inside.
#[must_use]
pub fn to_text(time: Timestamp) -> String {
    let nearest = if time < Timestamp::EPOCH { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    jiff::Timestamp::from_microsecond(time.micros()).unwrap_or(nearest).to_string()
}

/// Reads RFC 3339 with its offset; `None` when it is something else.
#[must_use]
pub fn parse(text: &str) -> Option<Timestamp> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_micros(time.as_microsecond()))
}

/// For `#[serde(serialize_with)]` and `#[serde(with)]`.
pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&to_text(*time))
}

/// For `#[serde(with)]`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).ok_or_else(refused)
}

fn refused<E: de::Error>() -> E {
    E::custom("must be a time like 2026-05-08T13:56:00Z (RFC 3339, with its offset)")
}

/// The same for a time that may be null.
pub mod option {
    use super::{Deserialize, Deserializer, Serializer, Timestamp, parse, refused, to_text};

    /// For `#[serde(with)]`.
    #[expect(clippy::ref_option, reason = "serde calls it with a reference to the field")]
    pub fn serialize<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => serializer.serialize_str(&to_text(*time)),
            None => serializer.serialize_none(),
        }
    }

    /// For `#[serde(with)]`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| parse(&text).ok_or_else(refused)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_writes() {
        for micros in [0, 1_778_248_560_000_000, 1_778_248_560_123_456, -1] {
            let time = Timestamp::from_micros(micros);
            assert_eq!(parse(&to_text(time)), Some(time));
        }
        assert_eq!(to_text(Timestamp::from_micros(1_778_248_560_000_000)), "2026-05-08T13:56:00Z");
        assert_eq!(parse("2026-05-08T15:56:00+02:00"), Some(Timestamp::from_micros(1_778_248_560_000_000)));
        assert_eq!(parse("yesterday"), None);
        assert_eq!(
            to_text(Timestamp::from_micros(i64::MAX)).get(..5),
            Some("9999-"),
            "{}",
            to_text(Timestamp::from_micros(i64::MAX))
        );
    }
}
