use std::ops::Range;

/// Ports that no outgoing connection of this machine is given, so that a server gets its own one again.
const PORTS: Range<u16> = 15_000..32_000;

/// How many ports are tried that somebody else has.
pub(crate) const TRIES: usize = 20;

/// A port that perhaps nobody has.
pub(crate) fn any() -> u16 {
    fastrand::u16(PORTS)
}

/// Whether this is what a server says whose port somebody else has.
pub(crate) fn is_taken(said: &str) -> bool {
    said.to_lowercase().contains("address already in use")
}
