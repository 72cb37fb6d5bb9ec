//! The messages that guests hear and say: the event's name, a header, the payload. Written down in `WIRE.md`.

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use tidings_router_core::{BoxError, Codec, Encoded, Envelope, Payload};

/// The version of the header.
const VERSION: u32 = 1;

/// The codec of a payload, as a number.
const RAW: u8 = 0;
const MESSAGE_PACK: u8 = 1;

/// The second part of a message, a map in MessagePack.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    version: u32,
    /// Who emitted it; guests need not say anything.
    #[serde(default)]
    source: u32,
    codec: u8,
    /// How many messages of this name were sent before.
    #[serde(default)]
    number: u64,
}

/// The header for what a node has heard. Its payload is of a codec that guests do not know if there is none.
pub(crate) fn header(envelope: &Envelope, number: u64) -> Option<Vec<u8>> {
    let codec = match envelope.codec() {
        Codec::Raw => RAW,
        Codec::MessagePack => MESSAGE_PACK,
        _ => return None,
    };
    let header = Header { version: VERSION, source: envelope.source().0, codec, number };
    rmp_serde::to_vec_named(&header).ok()
}

/// What a guest has said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) event: String,
    pub(crate) payload: Encoding,
}

/// A payload that is encoded already.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Raw(Bytes),
    MessagePack(Bytes),
}

impl Payload for Encoding {
    fn encode(&self, buffer: &mut Vec<u8>) -> Result<Encoded, BoxError> {
        match self {
            Self::Raw(bytes) => Ok(Encoded::Shared(bytes.clone())),
            Self::MessagePack(bytes) => {
                buffer.extend_from_slice(bytes);
                Ok(Encoded::Appended(Codec::MessagePack))
            }
        }
    }

    fn shared(&self) -> Option<&Bytes> {
        match self {
            Self::Raw(bytes) => Some(bytes),
            Self::MessagePack(_) => None,
        }
    }
}

impl Said {
    /// None for what is no such message. Whether the name may be emitted is for the router to say.
    pub(crate) fn decode(parts: Vec<Vec<u8>>) -> Option<Self> {
        let [event, header, payload] = <[Vec<u8>; 3]>::try_from(parts).ok()?;
        let event = String::from_utf8(event).ok()?;
        let header: Header =
            rmp_serde::from_slice(&header).ok().filter(|it: &Header| it.version == VERSION)?;
        let payload = match header.codec {
            RAW => Encoding::Raw(payload.into()),
            MESSAGE_PACK if is_one_value(&payload) => Encoding::MessagePack(payload.into()),
            _ => return None,
        };
        Some(Self { event, payload })
    }
}

/// Whether nothing but one value stands there.
fn is_one_value(mut bytes: &[u8]) -> bool {
    rmp_serde::from_read::<_, IgnoredAny>(&mut bytes).is_ok() && bytes.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(event: &[u8], header: &impl Serialize, payload: &[u8]) -> Option<Said> {
        Said::decode(vec![event.to_vec(), rmp_serde::to_vec_named(header).unwrap(), payload.to_vec()])
    }

    #[derive(Serialize)]
    struct Short {
        version: u32,
        codec: u8,
    }

    #[test]
    fn a_guest_need_not_say_more_than_version_and_codec() {
        let payload = Encoding::MessagePack(Bytes::from_static(&[7]));
        assert_eq!(
            said(b"x", &Short { version: 1, codec: 1 }, &[7]),
            Some(Said { event: "x".to_owned(), payload })
        );
        let payload = Encoding::Raw(Bytes::from_static(b"anything"));
        assert_eq!(
            said(b"x", &Short { version: 1, codec: 0 }, b"anything"),
            Some(Said { event: "x".to_owned(), payload })
        );
    }

    #[test]
    fn what_is_no_message_is_none() {
        let header = Short { version: 1, codec: 1 };
        assert_eq!(said(b"\xff", &header, &[7]), None, "no text");
        assert_eq!(said(b"x", &header, &[]), None, "no value");
        assert_eq!(said(b"x", &header, &[7, 7]), None, "two values");
        assert_eq!(
            said(b"x", &header, &[0xdd, 0xff, 0xff, 0xff, 0xff]),
            None,
            "a long array that is not there"
        );
        assert_eq!(said(b"x", &Short { version: 2, codec: 1 }, &[7]), None);
        assert_eq!(said(b"x", &Short { version: 1, codec: 9 }, &[7]), None);
        assert_eq!(said(b"x", &"header", &[7]), None);
        for parts in [0, 1, 2, 4] {
            assert_eq!(Said::decode(vec![b"x".to_vec(); parts]), None);
        }
    }
}
