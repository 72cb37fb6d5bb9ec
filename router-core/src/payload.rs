//! What is emitted, and how it becomes bytes and a value again.

use std::{any::Any, any::TypeId, any::type_name};

use bytes::Bytes;
use serde::{
    Serialize,
    de::{DeserializeOwned, IntoDeserializer, value::BytesDeserializer},
};

use crate::{BoxError, Error, Result, wire::data::DataHeader};

/// How the bytes of a payload are to be read; one byte on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Codec {
    /// As they are.
    Raw,
    /// As MessagePack, with the names of a struct's fields.
    MessagePack,
}

impl Codec {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Raw => 0,
            Self::MessagePack => 1,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [Self::Raw, Self::MessagePack].into_iter().find(|codec| codec.code() == code)
    }
}

/// A payload as bytes.
#[derive(Debug)]
pub enum Encoded {
    /// Written to the end of the buffer that was handed in.
    Appended(Codec),
    /// Bytes that there were already; they travel without a copy.
    Shared(Bytes),
}

/// What can be emitted: a reference to any [`Serialize`], or [`Bytes`].
///
/// A payload that serializes as bytes (`Bytes`, `serde_bytes`) travels raw, all others as MessagePack. `Bytes` given
/// by value travels without a copy, `&Bytes` with one.
pub trait Payload: Send + Sync {
    /// Writes the payload to the end of `buffer`, or hands over the bytes that it is.
    ///
    /// # Errors
    ///
    /// What the value's `Serialize` returned.
    fn encode(&self, buffer: &mut Vec<u8>) -> Result<Encoded, BoxError>;

    /// The bytes that it is, if it is raw bytes already; then it is never encoded.
    fn shared(&self) -> Option<&Bytes> {
        None
    }
}

impl<T: Serialize + Sync + ?Sized> Payload for &T {
    fn encode(&self, buffer: &mut Vec<u8>) -> Result<Encoded, BoxError> {
        let start = buffer.len();
        rmp_serde::encode::write_named(buffer, *self)?;
        // A value that is nothing but bytes: what it is made of is raw, and the marker in front of it goes.
        let marker = match buffer.get(start) {
            Some(0xC4) => 2,
            Some(0xC5) => 3,
            Some(0xC6) => 5,
            _ => return Ok(Encoded::Appended(Codec::MessagePack)),
        };
        buffer.drain(start..start + marker);
        Ok(Encoded::Appended(Codec::Raw))
    }
}

impl Payload for Bytes {
    fn encode(&self, _buffer: &mut Vec<u8>) -> Result<Encoded, BoxError> {
        Ok(Encoded::Shared(self.clone()))
    }

    fn shared(&self) -> Option<&Bytes> {
        Some(self)
    }
}

/// Whether a `T` is the payload as it travelled, whatever its codec.
pub(crate) fn is_bytes<T: 'static>() -> bool {
    TypeId::of::<T>() == TypeId::of::<Bytes>()
}

/// The payload of a message as a `T`, without a copy where that is [`Bytes`].
pub(crate) fn decode<T: DeserializeOwned + 'static>(
    header: &DataHeader,
    event: &str,
    payload: Bytes,
) -> Result<T> {
    if !is_bytes::<T>() {
        return decode_slice(header, event, &payload);
    }
    let mut payload = Some(payload);
    let slot: &mut dyn Any = &mut payload;
    let payload = slot.downcast_mut::<Option<T>>().and_then(Option::take);
    Ok(payload.expect("`T` is `Bytes`"))
}

/// The payload of a message as a `T` that is not [`Bytes`].
pub(crate) fn decode_slice<T: DeserializeOwned + 'static>(
    header: &DataHeader,
    event: &str,
    payload: &[u8],
) -> Result<T> {
    let decoded = match header.codec {
        Codec::MessagePack => rmp_serde::from_slice(payload).map_err(BoxError::from),
        Codec::Raw => raw(payload).map_err(BoxError::from),
    };
    decoded.map_err(|source| Error::Decode {
        event: event.to_owned(),
        source_node: header.source,
        wanted: type_name::<T>(),
        source,
    })
}

fn raw<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde::de::value::Error> {
    let deserializer: BytesDeserializer<'_, _> = bytes.into_deserializer();
    T::deserialize(deserializer)
}
