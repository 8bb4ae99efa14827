//! JSON from outside, read strictly: no key twice, and no deeper than agreed.
//!
//! A parser that lets the last of two equal keys win shows this service another event than the one a reviewer or a
//! signature check saw. Depth is bounded because everything downstream walks the value recursively.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::inlet::Refused;

/// How much of a key an error message repeats.
const KEY_SHOWN: usize = 64;

/// Parses one JSON text of at most `max_depth` nested objects and arrays.
pub(super) fn parse(text: &[u8], max_depth: usize) -> Result<Value, Refused> {
    let refused = Cell::new(None);
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let seed = Strict { left: max_depth, max_depth, refused: &refused };
    let parsed = seed.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    parsed.map_err(|error| {
        refused.take().unwrap_or_else(|| Refused::InvalidJson { line: error.line(), column: error.column() })
    })
}

/// Reads one value. serde can only carry text in its errors, so what is refused travels beside it.
#[derive(Clone, Copy)]
struct Strict<'a> {
    left: usize,
    max_depth: usize,
    refused: &'a Cell<Option<Refused>>,
}

impl Strict<'_> {
    fn refuse<T, E: serde::de::Error>(self, why: Refused) -> Result<T, E> {
        self.refused.set(Some(why));
        Err(E::custom("refused"))
    }

    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.left.checked_sub(1) {
            Some(left) => Ok(Self { left, ..self }),
            None => self.refuse(Refused::TooDeep { limit: self.max_depth }),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if object.contains_key(&key) {
                return self.refuse(Refused::DuplicateKey { key: key.chars().take(KEY_SHOWN).collect() });
            }
            let value = entries.next_value_seed(inner)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_as_serde_json_reads_it() {
        let text = br#"{"a": [1, -2, 3.5, "\u00e9", true, null, {"b": {}}], "c": 18446744073709551615}"#;
        let expected: Value = serde_json::from_slice(text).expect("valid");
        assert_eq!(parse(text, 4), Ok(expected));
    }

    #[test]
    fn depth_counts_objects_and_arrays() {
        assert!(parse(b"1", 0).is_ok());
        assert!(parse(b"[[]]", 2).is_ok());
        assert_eq!(parse(b"[[[]]]", 2), Err(Refused::TooDeep { limit: 2 }));
        let bottomless = "[".repeat(100_000);
        assert_eq!(parse(bottomless.as_bytes(), 32), Err(Refused::TooDeep { limit: 32 }));
    }

    #[test]
    fn a_repeated_key_is_refused_at_any_depth_and_however_it_is_spelt() {
        for text in [r#"{"a": 1, "a": 1}"#, r#"{"b": [{"a": 1, "\u0061": 2}]}"#] {
            assert_eq!(parse(text.as_bytes(), 8), Err(Refused::DuplicateKey { key: "a".to_owned() }));
        }
    }

    #[test]
    fn what_follows_the_value_is_refused() {
        for text in ["{} {}", "{}x", "", "{", "\u{feff}{}", "1e999", "NaN"] {
            assert!(matches!(parse(text.as_bytes(), 8), Err(Refused::InvalidJson { .. })), "{text}");
        }
        assert!(matches!(parse(b"\"\xff\"", 8), Err(Refused::InvalidJson { .. })));
    }
}
