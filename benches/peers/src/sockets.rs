//! Where the peers meet: files and ports of their own.

use std::{net::TcpListener, sync::Arc};

use tempfile::TempDir;

use crate::harness::Result;

/// A port of loopback that was free a moment ago, for libraries that cannot say which one they got.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A directory that is gone when the last clone is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Directory(Arc<TempDir>);

impl Directory {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(Arc::new(tempfile::tempdir()?)))
    }

    /// The path of `name` in it.
    pub(crate) fn path(&self, name: &str) -> Result<String> {
        Ok(self.0.path().join(name).to_str().ok_or("a path that is no text")?.to_owned())
    }
}
