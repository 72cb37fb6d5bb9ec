use std::{fmt, sync::Arc};

use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::{Codec, NodeId, Result, payload, wire::data::DataHeader};

/// A message on its way: the event's name, who emitted it, and the payload's bytes.
///
/// It is one slice of the buffer that it was read into; name and payload are views into it.
#[derive(Clone)]
pub struct Envelope {
    header: DataHeader,
    /// The name, where it does not stand in front of the payload: then the payload is the user's own `Bytes`.
    name: Option<Arc<str>>,
    rest: Bytes,
}

impl Envelope {
    /// The envelope of a frame whose header was read and checked: `rest` is the name with the payload behind it.
    pub(crate) fn new(header: DataHeader, rest: Bytes) -> Self {
        Self { header, name: None, rest }
    }

    /// The envelope of a payload that stays where it is.
    pub(crate) fn shared(header: DataHeader, name: Arc<str>, payload: Bytes) -> Self {
        Self { header, name: Some(name), rest: payload }
    }

    /// The event's name.
    pub fn event(&self) -> &str {
        match &self.name {
            Some(name) => name,
            None => std::str::from_utf8(&self.rest[..self.name_len()])
                .expect("the name was checked when the frame was read"),
        }
    }

    /// How many bytes of `rest` stand in front of the payload.
    fn name_len(&self) -> usize {
        if self.name.is_some() { 0 } else { usize::from(self.header.name_len) }
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
        self.rest.slice(self.name_len()..)
    }

    pub(crate) fn payload_slice(&self) -> &[u8] {
        &self.rest[self.name_len()..]
    }

    /// How many bytes it counts for in a queue.
    pub(crate) fn size(&self) -> usize {
        DataHeader::LEN + self.rest.len()
    }

    /// The payload as a `T`.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`](crate::Error::Decode) when it is no `T`.
    pub fn decode<T: DeserializeOwned + 'static>(&self) -> Result<T> {
        payload::decode(self)
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("event", &self.event())
            .field("source", &self.source())
            .field("payload_bytes", &self.payload_slice().len())
            .finish_non_exhaustive()
    }
}
