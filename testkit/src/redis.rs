use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

use tidings_servers::{Guarded, Private};

use crate::{PrivateDir, ports::Port};

/// A private Redis server on a socket file, and on a port of loopback if it is told so. It is gone when this is dropped.
#[derive(Debug)]
pub struct RedisServer {
    server: Option<Private>,
    settings: Vec<String>,
    port: Port,
    directory: PrivateDir,
}

impl RedisServer {
    /// Starts one with default settings.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts one with settings as on its command line: `["--requirepass", "x"]`. `DIR` in them stands for its directory,
    /// and `PORT` for a port that nobody else has.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn with(settings: &[&str]) -> Self {
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut server = Self { server: None, settings, port: Port::new(), directory: PrivateDir::new() };
        server.run();
        server
    }

    fn run(&mut self) {
        let directory = self.directory.path().display().to_string();
        let place = self.directory.path();
        let server = self.port.start(|port| {
            let filled = |text: &String| text.replace("DIR", &directory).replace("PORT", &port.to_string());
            let settings: Vec<String> = self.settings.iter().map(filled).collect();
            Private::redis(place, &settings.iter().map(String::as_str).collect::<Vec<_>>())
        });
        self.server = Some(server);
    }

    /// The socket file.
    pub fn socket(&self) -> PathBuf {
        self.directory.join("redis.sock")
    }

    /// What `PORT` stands for.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Its directory, for certificates and the like.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What a client connects to.
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.server = None;
        // What is killed leaves its socket file behind.
        let _ = std::fs::remove_file(self.socket());
    }

    /// Starts it again, where it was.
    pub fn restart(&mut self) {
        self.kill();
        self.run();
    }

    /// The process.
    ///
    /// # Panics
    ///
    /// While it is killed.
    pub fn process(&self) -> &Guarded {
        self.server.as_ref().expect("the server runs").process()
    }

    /// Has it do something, and returns its answer as text: what a line says, or all lines of a list.
    ///
    /// # Panics
    ///
    /// When it cannot be reached.
    pub fn command(&self, words: &[&str]) -> String {
        let mut stream = UnixStream::connect(self.socket()).expect("the server is there");
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            command += &format!("${}\r\n{word}\r\n", word.len());
        }
        stream.write_all(command.as_bytes()).expect("the server reads");
        answer(&mut BufReader::new(stream))
    }
}

/// Reads one answer (RESP2).
fn answer(stream: &mut BufReader<UnixStream>) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).expect("the server answers");
    let (kind, rest) = line.trim_end().split_at(1);
    match kind {
        "$" => {
            let mut text = vec![0; rest.parse::<usize>().expect("a length") + 2];
            stream.read_exact(&mut text).expect("the server answers");
            String::from_utf8_lossy(&text).trim_end().to_owned()
        }
        "*" => {
            let count = rest.parse().expect("a length");
            let lines: Vec<_> = (0..count).map(|_: usize| answer(stream)).collect();
            lines.join("\n")
        }
        _ => rest.to_owned(),
    }
}
