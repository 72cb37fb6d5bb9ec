use std::time::Duration;

use bytes::Bytes;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

use crate::deadline;

/// A client that speaks NATS and knows nothing of nodes: it listens along, or publishes what no node would.
#[derive(Debug)]
pub struct NatsClient {
    stream: BufReader<TcpStream>,
}

impl NatsClient {
    /// Connects to the server at `host:port`.
    ///
    /// # Panics
    ///
    /// When it is not there, here and below.
    pub async fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("the server is there");
        let mut client = Self { stream: BufReader::new(stream) };
        let options = r#"CONNECT {"verbose":false,"pedantic":false,"echo":false,"protocol":1}"#;
        client.send(format!("{options}\r\n").as_bytes()).await;
        client.settle().await;
        client
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the server takes it");
    }

    /// Returns when the server has done what it was told. What was heard meanwhile is lost.
    pub async fn settle(&mut self) {
        self.send(b"PING\r\n").await;
        while deadline("PONG", self.line()).await != "PONG" {}
    }

    /// Subscribes to a subject, with wildcards or without.
    pub async fn subscribe(&mut self, subject: &str) {
        self.send(format!("SUB {subject} 1\r\n").as_bytes()).await;
        self.settle().await;
    }

    /// Publishes to a subject.
    pub async fn publish(&mut self, subject: &str, payload: &[u8]) {
        self.send(format!("PUB {subject} {}\r\n", payload.len()).as_bytes()).await;
        self.send(&[payload, b"\r\n"].concat()).await;
        self.settle().await;
    }

    /// The next message, its subject and its payload, or none within the time.
    pub async fn next_within(&mut self, limit: Duration) -> Option<(String, Bytes)> {
        timeout(limit, self.message()).await.ok()
    }

    async fn message(&mut self) -> (String, Bytes) {
        loop {
            let line = self.line().await;
            if line == "PING" {
                self.send(b"PONG\r\n").await;
            }
            let words: Vec<&str> = line.split(' ').collect();
            if let ["MSG", subject, .., len] = words[..] {
                let mut payload = vec![0; len.parse::<usize>().expect("a number of bytes") + 2];
                self.stream.read_exact(&mut payload).await.expect("the server goes on");
                payload.truncate(payload.len() - 2);
                return (subject.to_owned(), payload.into());
            }
        }
    }

    async fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).await.expect("the server goes on");
        assert!(!line.is_empty(), "the server has closed the connection");
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }
}
