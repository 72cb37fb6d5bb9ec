use std::{fmt, str::FromStr};

use crate::{Error, Result};

/// The longest one, in bytes.
const MAX: usize = 128;

/// A place in a journal: behind one entry, in front of the next. Text that only the transport understands that has made
/// it, of at most 128 bytes; keep it where you like.
///
/// ```
/// use tidings_router_core::Position;
///
/// let position: Position = "1700000000000-0".parse()?;
/// assert_eq!(position.to_string(), "1700000000000-0");
/// # Ok::<(), tidings_router_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Position(Box<str>);

impl Position {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Position {
    type Err = Error;

    /// # Errors
    ///
    /// [`Error::Setting`] for what no journal calls a place.
    fn from_str(text: &str) -> Result<Self> {
        if text.is_empty() || text.len() > MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let reason = format!("a position is 1 to {MAX} printable characters of ASCII");
            return Err(Error::Setting { setting: "position".to_owned(), reason });
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Position({self})")
    }
}
