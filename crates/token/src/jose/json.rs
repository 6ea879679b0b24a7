//! JSON as tokens may write it: an object, no member twice, bounded depth.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How deep a token's JSON may nest.
pub const MAX_DEPTH: u8 = 32;

/// Not JSON as tokens may write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a JSON object without repeated members")]
pub struct InvalidJson;

/// Reads an object.
pub fn object(bytes: &[u8]) -> Result<Map<String, Value>, InvalidJson> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let whole = Strict { below: MAX_DEPTH };
    match whole.deserialize(&mut reader) {
        Ok(Value::Object(map)) if reader.end().is_ok() => Ok(map),
        _ => Err(InvalidJson),
    }
}

/// Reads a value that may nest so much deeper.
#[derive(Clone, Copy)]
struct Strict {
    below: u8,
}

impl Strict {
    fn nested<E: Error>(self) -> Result<Self, E> {
        let below = self.below.checked_sub(1);
        let below = below.ok_or_else(|| E::custom("nested too deep"))?;
        Ok(Self { below })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated members")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("not finite"))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let nested = self.nested()?;
        let mut list = Vec::new();
        while let Some(value) = from.next_element_seed(nested)? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let nested = self.nested()?;
        let mut map = Map::new();
        while let Some(name) = from.next_key::<String>()? {
            let value = from.next_value_seed(nested)?;
            if map.insert(name, value).is_some() {
                return Err(A::Error::custom("a member is repeated"));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_member_is_refused_at_any_depth() {
        assert!(object(br#"{"a":1,"b":{"c":[{"d":1}]}}"#).is_ok());
        assert!(object(br#"{"alg":"none","alg":"ES256"}"#).is_err());
        assert!(object(br#"{"a":{"b":1,"b":1}}"#).is_err());
        assert!(object(br#"{"a":1,"\u0061":2}"#).is_err());
    }

    #[test]
    fn depth_is_bounded_and_brackets_in_strings_do_not_count() {
        let nested = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n));
        assert!(object(nested(31).as_bytes()).is_ok());
        assert!(object(nested(32).as_bytes()).is_err());
        assert!(object(format!("{{\"a\":\"{}\\\"[\"}}", "[".repeat(99)).as_bytes()).is_ok());
    }

    #[test]
    fn only_an_object_is_an_object() {
        for bad in [&b"[]"[..], b"1", b"", b"{} {}", b"{\"a\":1e999}", b"\xff"] {
            assert!(object(bad).is_err());
        }
    }
}
