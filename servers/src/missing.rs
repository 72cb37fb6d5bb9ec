use std::io;

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Missing {
    /// The program is in no directory of the path, nor in `/usr/sbin`, where Debian has servers.
    #[error("{program} is not installed")]
    Program {
        /// Its name.
        program: String,
    },
    /// It has ended instead of getting ready.
    #[error("{program} did not start:\n{written}")]
    Start {
        /// Its name.
        program: String,
        /// All that it has written.
        written: String,
    },
    /// The operating system failed us.
    #[error("cannot start {program}")]
    Io {
        /// Its name.
        program: String,
        /// Why.
        source: io::Error,
    },
}
