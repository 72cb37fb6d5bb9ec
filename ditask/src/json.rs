use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

/// Any payload as JSON. What JSON has no form for gets one that can be read: bytes are an object with their
/// hexadecimal digits, keys that are no text are their text, numbers that are none are null.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Json(pub(crate) Value);

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any).map(Json)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_f32<E>(self, value: f32) -> Result<Value, E> {
        // By way of its text: 0.1 is to stay 0.1.
        let number = value.to_string().parse().ok().and_then(Number::from_f64);
        Ok(number.map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        let digits: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Value::Object(Map::from_iter([("bytes".to_owned(), Value::String(digits))])))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Json(value)) = values.next_element()? {
            list.push(value);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((Json(key), Json(value))) = entries.next_entry()? {
            let key = if let Value::String(key) = key { key } else { key.to_string() };
            map.insert(key, value);
        }
        Ok(map.into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;
    use tidings::{Bytes, Router};

    use super::*;

    #[test]
    fn every_payload_has_a_form_in_json() {
        let router = Router::builder().open().wait().unwrap();
        let mut all = router.subscribe::<Json>("*").unwrap();
        let mut seen = |emit: &dyn Fn()| {
            emit();
            all.next_wait().unwrap().payload.0
        };
        let keyed = BTreeMap::from([(1_u8, Some(0.1_f32)), (2, None)]);
        assert_eq!(seen(&|| router.emit("e", &keyed).wait().unwrap()), json!({"1": 0.1, "2": null}));
        assert_eq!(seen(&|| router.emit("e", "Hi").wait().unwrap()), json!("Hi"));
        assert_eq!(seen(&|| router.emit("e", &(1, -2, true)).wait().unwrap()), json!([1, -2, true]));
        assert_eq!(seen(&|| router.emit("e", &()).wait().unwrap()), json!(null));
        let bytes = Bytes::from_static(&[0, 255]);
        assert_eq!(seen(&|| router.emit("e", bytes.clone()).wait().unwrap()), json!({"bytes": "00ff"}));
    }
}
