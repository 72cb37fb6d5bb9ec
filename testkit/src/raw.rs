use std::{fmt, io, time::Duration};

use tidings_router_core::{
    Address, Incarnation, NodeId, Topology,
    wire::hello::{Handshake, Hello, PROOF_LEN},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};

use crate::deadline;

/// A client that says to a node whatever a test wants.
pub struct Raw {
    stream: Box<dyn Stream>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Raw {
    /// Connects to a node's `tcp` or `ipc` address.
    ///
    /// # Errors
    ///
    /// When nobody listens there.
    pub async fn connect(address: &Address) -> io::Result<Self> {
        let stream: Box<dyn Stream> = match address.scheme() {
            "tcp" => {
                let stream = TcpStream::connect(address.target()).await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            "ipc" => Box::new(UnixStream::connect(address.target()).await?),
            scheme => return Err(io::Error::other(format!("no raw connection to {scheme}"))),
        };
        Ok(Self { stream })
    }

    /// Connects and shakes hands as node `id` of a cluster without a secret.
    ///
    /// # Errors
    ///
    /// When the node does not let it in.
    pub async fn admitted(address: &Address, id: u32, cluster: &str, topology: Topology) -> io::Result<Self> {
        let mut raw = Self::connect(address).await?;
        raw.send(&frame(&hello(id, cluster, topology))).await?;
        raw.receive().await?;
        raw.send(&frame(&Handshake::Proof(Vec::new()))).await?;
        let answer = raw.receive().await?;
        match Handshake::decode(&answer) {
            Ok(Handshake::Accept) => Ok(raw),
            answer => Err(io::Error::other(format!("not let in: {answer:?}"))),
        }
    }

    /// Writes bytes.
    ///
    /// # Errors
    ///
    /// When the node has closed the link.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Writes bytes one by one, so far apart, until all are written or the node closes the link. Returns how
    /// many.
    pub async fn trickle(&mut self, bytes: &[u8], apart: Duration) -> usize {
        for (index, byte) in bytes.iter().enumerate() {
            let mut answer = [0; 256];
            let waited = tokio::time::timeout(apart, self.stream.read(&mut answer)).await;
            if matches!(waited, Ok(Ok(0) | Err(_))) || self.send(&[*byte]).await.is_err() {
                return index;
            }
        }
        bytes.len()
    }

    /// Reads one whole frame of the node's.
    ///
    /// # Errors
    ///
    /// When the link ends first.
    pub async fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut frame = vec![0; 4];
        deadline("frame of the node", self.stream.read_exact(&mut frame)).await?;
        let length = u32::from_le_bytes([frame[0], frame[1], frame[2], frame[3]]) as usize;
        frame.resize(4 + length, 0);
        deadline("frame of the node", self.stream.read_exact(&mut frame[4..])).await?;
        Ok(frame)
    }

    /// Reads until the node closes the link, and returns what it said before.
    pub async fn until_closed(&mut self) -> Vec<u8> {
        let mut said = Vec::new();
        // A reset is an end too.
        deadline("end of the link", self.stream.read_to_end(&mut said)).await.unwrap_or_default();
        said
    }

    /// Closes the writing half of the link.
    ///
    /// # Errors
    ///
    /// When the node has closed the link.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Raw").finish_non_exhaustive()
    }
}

/// The bytes of a frame.
pub fn frame(handshake: &Handshake) -> Vec<u8> {
    let mut bytes = Vec::new();
    handshake.encode(&mut bytes);
    bytes
}

/// What a node without a secret says first.
pub fn hello(id: u32, cluster: &str, topology: Topology) -> Handshake {
    Handshake::Hello(Hello {
        nonce: std::array::from_fn::<u8, PROOF_LEN, _>(|_| fastrand::u8(..)),
        guarded: false,
        cluster: cluster.to_owned(),
        node_id: NodeId(id),
        incarnation: Incarnation(fastrand::u64(..)),
        topology,
        max_frame: 1 << 20,
        window: 1 << 20,
        address: String::new(),
        labels: Vec::new(),
    })
}
