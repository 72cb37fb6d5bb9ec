//! What is emitted, and how it becomes bytes and a value again.

use std::{any::Any, any::TypeId, any::type_name};

use bytes::Bytes;
use serde::{
    Serialize,
    de::{DeserializeOwned, IntoDeserializer, value::BytesDeserializer},
};

use crate::{BoxError, Envelope, Error, Result};

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
}

/// The payload of `envelope` as a `T`.
///
/// `Bytes` is the payload as it travelled, whatever its codec.
pub(crate) fn decode<T: DeserializeOwned + 'static>(envelope: &Envelope) -> Result<T> {
    if TypeId::of::<T>() == TypeId::of::<Bytes>() {
        let mut payload = Some(envelope.payload());
        let slot: &mut dyn Any = &mut payload;
        if let Some(payload) = slot.downcast_mut::<Option<T>>().and_then(Option::take) {
            return Ok(payload);
        }
    }
    let decoded = match envelope.codec() {
        Codec::MessagePack => rmp_serde::from_slice(envelope.payload_slice()).map_err(BoxError::from),
        Codec::Raw => raw(envelope.payload_slice()).map_err(BoxError::from),
    };
    decoded.map_err(|source| Error::Decode {
        event: envelope.event().to_owned(),
        source_node: envelope.source(),
        wanted: type_name::<T>(),
        source,
    })
}

fn raw<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde::de::value::Error> {
    let deserializer: BytesDeserializer<'_, _> = bytes.into_deserializer();
    T::deserialize(deserializer)
}
