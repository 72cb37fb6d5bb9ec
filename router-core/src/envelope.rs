use std::{fmt, sync::Arc};

use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::{Codec, Event, NodeId, Result, payload, wire::data::DataHeader};

/// A message on its way: the event's name, who emitted it, and the payload's bytes.
///
/// The payload is a slice of the buffer that it was read into, or the bytes that were emitted in this process.
#[derive(Clone)]
pub struct Envelope {
    name: Arc<str>,
    header: DataHeader,
    payload: Bytes,
}

impl Envelope {
    pub(crate) fn new(name: Arc<str>, header: DataHeader, payload: Bytes) -> Self {
        Self { name, header, payload }
    }

    pub(crate) fn into_parts(self) -> (Arc<str>, DataHeader, Bytes) {
        (self.name, self.header, self.payload)
    }

    /// The event's name.
    pub fn event(&self) -> &str {
        &self.name
    }

    /// The node that emitted it.
    pub fn source(&self) -> NodeId {
        self.header.source
    }

    /// The one node that it is for, if it is not for all that listen.
    pub fn destination(&self) -> Option<NodeId> {
        self.header.destination
    }

    /// How the payload is to be read.
    pub fn codec(&self) -> Codec {
        self.header.codec
    }

    /// The payload as it travelled, without a copy.
    pub fn payload(&self) -> Bytes {
        self.payload.clone()
    }

    /// How many bytes it counts for in a queue.
    pub(crate) fn size(&self) -> usize {
        DataHeader::LEN + self.name.len() + self.payload.len()
    }

    /// The payload as a `T`.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`](crate::Error::Decode) when it is no `T`.
    pub fn decode<T: DeserializeOwned + 'static>(&self) -> Result<T> {
        if payload::is_bytes::<T>() {
            return payload::decode(&self.header, &self.name, self.payload());
        }
        payload::decode_slice(&self.header, &self.name, &self.payload)
    }

    /// The event with the payload as a `T`.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`](crate::Error::Decode) when it is no `T`.
    pub fn into_event<T: DeserializeOwned + 'static>(self) -> Result<Event<T>> {
        let payload = payload::decode(&self.header, &self.name, self.payload)?;
        Ok(Event { name: self.name, source: self.header.source, payload })
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("event", &self.event())
            .field("source", &self.source())
            .field("payload_bytes", &self.payload.len())
            .finish_non_exhaustive()
    }
}
