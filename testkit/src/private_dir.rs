use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

/// A directory of one test, which only this user can open; removed with all that is in it on drop.
///
/// Its path is short, because a socket's path may have about 100 bytes.
#[derive(Debug)]
pub struct PrivateDir {
    path: PathBuf,
}

impl PrivateDir {
    /// Makes one.
    ///
    /// # Panics
    ///
    /// When the place for temporary files cannot be written to.
    pub fn new() -> Self {
        loop {
            let path = env::temp_dir().join(format!("tt-{:012x}", fastrand::u64(..) >> 16));
            match make(&path) {
                Ok(()) => return Self { path },
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => panic!("cannot make {}: {error}", path.display()),
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path in it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }
}

impl Default for PrivateDir {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for PrivateDir {
    fn drop(&mut self) {
        // A test that failed may have left what cannot be removed; that is no second failure.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn make(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_directory_is_gone_with_its_owner() {
        let directory = PrivateDir::new();
        let path = directory.path().to_owned();
        fs::write(directory.join("file"), "content").unwrap();
        assert!(path.is_dir());
        drop(directory);
        assert!(!path.exists());
    }
}
