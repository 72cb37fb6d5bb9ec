use std::{fmt, path::Path, sync::Arc};

use crate::{Error, Result};

/// What all nodes of a cluster know and nobody else: it lets them in. Never printed.
///
/// Nodes prove to each other that they hold it without sending it (an HMAC-SHA-256 over both ends' random numbers and
/// all they have said). It protects who gets in, not what is said: the bytes on the wire are not encrypted.
#[derive(Clone)]
pub struct Secret(Arc<[u8]>);

impl Secret {
    /// The shortest secret, in bytes.
    pub const MIN_LEN: usize = 32;

    /// A secret of these bytes, which should be random.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Arc::new(bytes))
    }

    /// The secret in this file; white space at both ends does not count.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file cannot be read, [`Error::InvalidSecret`] when it holds fewer than
    /// [`MIN_LEN`](Self::MIN_LEN) bytes or when others than its owner may read it.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path)
            .map_err(|error| Error::io(format!("cannot read the secret {}", path.display()), error))?;
        let invalid = |reason| Error::InvalidSecret { path: Some(path.to_owned()), reason };
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(path).map(|meta| meta.permissions().mode()).unwrap_or(0);
            if mode & 0o077 != 0 {
                return Err(invalid(format!("others may read it (mode {:03o}): chmod 600", mode & 0o777)));
            }
        }
        Self::new(bytes.trim_ascii()).map_err(invalid)
    }

    /// The secret that these bytes are, if there are enough of them.
    fn new(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() < Self::MIN_LEN {
            return Err(format!("{} bytes, at least {} are needed", bytes.len(), Self::MIN_LEN));
        }
        Ok(Self(bytes.into()))
    }

    /// The bytes, for a launcher that hands them on by a private channel.
    #[doc(hidden)]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<&[u8]> for Secret {
    type Error = Error;

    /// A secret of any length from [`MIN_LEN`](Self::MIN_LEN) on.
    fn try_from(bytes: &[u8]) -> Result<Self> {
        Self::new(bytes).map_err(|reason| Error::InvalidSecret { path: None, reason })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
