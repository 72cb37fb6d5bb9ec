//! What launcher and children say to each other, in frames: a length in four bytes, little end first, then a
//! message in MessagePack.

use std::io::{self, Read, Write};

use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::host::Hosted;

/// The largest frame, in bytes: the addresses of the largest run fit.
const MAX_FRAME: usize = 1 << 20;

/// What a child says.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) enum FromNode {
    /// The first word: the token that it was handed.
    Hello { token: String },
    /// Its router is open and listens here.
    Opened { addresses: Vec<String> },
    /// It is connected with all that it was told of.
    Ready,
    /// Its main failed and is run again; so many retries are left.
    Recovering { left: u32 },
    /// It failed, and ends.
    Failed { message: String, code: u8 },
}

/// What the launcher says.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) enum ToNode {
    /// It is let in.
    Welcome(Welcome),
    /// Connect to these, and wait until the nodes of these ids are there. After [`Go`](Self::Go): connect as
    /// well.
    Attach { addresses: Vec<String>, expect: Vec<u32> },
    /// Begin.
    Go,
    /// End in order.
    Stop,
}

/// What a child must know that its own program does not tell.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Welcome {
    /// The cluster of a run that nobody else is to join.
    pub(crate) cluster: Option<String>,
    /// Its secret.
    pub(crate) secret: Option<[u8; 32]>,
    /// How often its main may be run again.
    pub(crate) recoveries: u32,
    /// It replaces a process that died.
    pub(crate) again: bool,
    /// Who it is, if its own program does not say.
    pub(crate) hosted: Option<Box<Hosted>>,
}

/// A message as a frame.
pub(crate) fn frame(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let body = rmp_serde::to_vec(message).map_err(io::Error::other)?;
    if body.len() > MAX_FRAME {
        return Err(io::Error::other("a control message is too long"));
    }
    let mut frame = (body.len() as u32).to_le_bytes().to_vec();
    frame.extend(body);
    Ok(frame)
}

/// Writes a message; blocks.
pub(crate) fn write(mut stream: impl Write, message: &FromNode) -> io::Result<()> {
    stream.write_all(&frame(message)?)
}

/// Reads a message; blocks. The end of the stream is an error.
pub(crate) fn read(mut stream: impl Read) -> io::Result<ToNode> {
    let mut header = [0; 4];
    stream.read_exact(&mut header)?;
    let mut body = vec![0; length(header)?];
    stream.read_exact(&mut body)?;
    decode(&body)
}

/// The same, without blocking.
pub(crate) async fn receive(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<FromNode> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).await?;
    let mut body = vec![0; length(header)?];
    stream.read_exact(&mut body).await?;
    decode(&body)
}

fn length(header: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_le_bytes(header) as usize;
    if length > MAX_FRAME { Err(io::Error::other("a control message is too long")) } else { Ok(length) }
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> io::Result<T> {
    rmp_serde::from_slice(body).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_and_a_length_beyond_the_bound_is_refused() {
        let sent = ToNode::Attach { addresses: vec!["tcp://127.0.0.1:1".into()], expect: vec![1, 2] };
        let bytes = frame(&sent).unwrap();
        let ToNode::Attach { addresses, expect } = read(&bytes[..]).unwrap() else {
            panic!("another message")
        };
        assert_eq!((addresses.len(), expect), (1, vec![1, 2]));
        assert!(read(&[0xff; 64][..]).is_err());
        assert!(read(&bytes[..bytes.len() - 1]).is_err());
    }
}
