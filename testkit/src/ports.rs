use std::ops::Range;

use tidings_servers::Missing;

/// Ports that no outgoing connection of this machine is given, so that a server gets its own one again.
const PORTS: Range<u16> = 15_000..32_000;

/// How many ports are tried that somebody else has.
const TRIES: usize = 20;

/// The port of a server, which it keeps once it has had it.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    settled: bool,
}

impl Port {
    /// One that perhaps nobody has.
    pub(crate) fn new() -> Self {
        Self { number: fastrand::u16(PORTS), settled: false }
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// Starts a server there; elsewhere, if somebody has the port.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub(crate) fn start<T>(&mut self, start: impl Fn(u16) -> Result<T, Missing>) -> T {
        for _ in 0..TRIES {
            match start(self.number) {
                Ok(server) => {
                    self.settled = true;
                    return server;
                }
                Err(missing) if self.settled || !is_taken(&missing) => {
                    panic!("{missing}: `cargo xtask test` installs it");
                }
                Err(_) => *self = Self::new(),
            }
        }
        panic!("there is no port for the server");
    }
}

/// Whether somebody else has its port.
fn is_taken(missing: &Missing) -> bool {
    missing.to_string().to_lowercase().contains("address already in use")
}
