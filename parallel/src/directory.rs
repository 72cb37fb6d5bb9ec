//! The run directory: private, short enough for sockets, and removed by the last one who uses it.

use std::{
    env,
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    sync::mpsc::sync_channel,
    thread,
    time::Duration,
};

use tidings_router_core::{Error, Result};

use crate::plan::random;

/// What run directories are called, before eight random digits.
const NAME: &str = "tidings-run-";

/// How long the path of the directory may be, in bytes. A socket's path has at most 107, and the names of
/// those in here need less than the rest.
const MAX_PATH: usize = 64;

/// How many entries of the parent directory are looked at for litter of others.
const MAX_SWEPT: usize = 4096;

/// A private directory of one run, in `$XDG_RUNTIME_DIR` or the directory for temporary files.
///
/// Launcher and children hold a shared lock on it, which the kernel gives back however they die. Who goes and
/// can have the lock alone is the last one, and removes the directory.
#[derive(Debug)]
pub(crate) struct RunDirectory {
    path: PathBuf,
    lock: File,
}

impl RunDirectory {
    /// Makes one, and removes those whose users have all been killed.
    pub(crate) fn create() -> Result<Self> {
        let parents =
            [env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from), Some(env::temp_dir()), Some("/tmp".into())];
        let mut last = io::Error::other("there is no directory for temporary files with a short path");
        for parent in parents.into_iter().flatten() {
            if parent.as_os_str().len() + NAME.len() + 9 > MAX_PATH || !parent.is_absolute() {
                continue;
            }
            sweep(&parent);
            // Who sweeps may take a directory that is not locked yet for litter, so it is tried more than
            // once.
            for _ in 0..3 {
                match Self::create_in(&parent) {
                    Ok(directory) => return Ok(directory),
                    Err(error) => last = error,
                }
            }
        }
        Err(Error::io("cannot make a run directory in $XDG_RUNTIME_DIR or $TMPDIR", last))
    }

    fn create_in(parent: &Path) -> io::Result<Self> {
        let number = u32::from_le_bytes(random().map_err(io::Error::other)?);
        let path = parent.join(format!("{NAME}{number:08x}"));
        let private = || {
            let mut builder = DirBuilder::new();
            builder.mode(0o700);
            builder
        };
        private().create(&path)?;
        let directory = Self::open(&path)?;
        private().create(directory.nodes())?;
        Ok(directory)
    }

    /// Uses one that is there.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let lock = File::open(path)?;
        lock.lock_shared()?;
        Ok(Self { path: path.to_owned(), lock })
    }

    /// Where the nodes' own files are: apart from this one's lock, because transports may lock what they use.
    pub(crate) fn nodes(&self) -> PathBuf {
        self.path.join("n")
    }

    /// Where the launcher's control socket is.
    pub(crate) fn control(&self) -> PathBuf {
        self.path.join("control")
    }

    /// Stops using it; the last one removes it.
    pub(crate) fn leave(&self) {
        // Of two that leave at once, both having given up their shared lock to get here, one gets it.
        if self.lock.try_lock().is_ok() {
            remove(&self.path);
        }
    }

    /// The same, but lets others who are about to leave go first, at most for so long: a process that is
    /// dying may hold its lock a little longer than its connections.
    pub(crate) fn leave_within(&self, limit: Duration) {
        let Ok(lock) = self.lock.try_clone() else { return self.leave() };
        let (path, (left, has_left)) = (self.path.clone(), sync_channel(1));
        let leaving = thread::Builder::new().name("tidings-leave".into()).spawn(move || {
            if lock.lock().is_ok() {
                remove(&path);
            }
            let _ = left.send(());
        });
        match leaving {
            Ok(_) => drop(has_left.recv_timeout(limit)),
            Err(_) => self.leave(),
        }
    }
}

fn remove(path: &Path) {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "cannot remove the run directory");
        }
        _ => {}
    }
}

impl Drop for RunDirectory {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Removes the run directories of this user that nobody uses any more, and returns them: all their users were
/// killed. Every run does so before it makes its own.
pub fn sweep_all() -> Vec<PathBuf> {
    let parents = [env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from), Some(env::temp_dir())];
    parents.into_iter().flatten().flat_map(|parent| sweep(&parent)).collect()
}

/// The same in one directory.
fn sweep(parent: &Path) -> Vec<PathBuf> {
    let mut gone = Vec::new();
    let Ok(entries) = fs::read_dir(parent) else { return gone };
    let user = rustix::process::geteuid().as_raw();
    for entry in entries.flatten().take(MAX_SWEPT) {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(NAME))
            && entry
                .metadata()
                .is_ok_and(|meta| meta.is_dir() && meta.uid() == user && meta.mode() & 0o077 == 0);
        if is_ours && let Ok(lock) = File::open(entry.path()) {
            // Dropped again at once: removed if nobody else has it.
            drop(RunDirectory { path: entry.path(), lock });
            if !entry.path().exists() {
                gone.push(entry.path());
            }
        }
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_user_removes_the_run_directory() {
        let launcher = RunDirectory::create().unwrap();
        let path = launcher.path.clone();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        let child = RunDirectory::open(&path).unwrap();
        fs::write(path.join("node.sock"), "").unwrap();
        launcher.leave();
        assert!(path.exists());
        child.leave();
        assert!(!path.exists());
    }

    #[test]
    fn what_killed_runs_left_is_swept_by_the_next_one_and_what_lives_is_not() {
        let living = RunDirectory::create().unwrap();
        let litter = living.path.with_file_name(format!("{NAME}litter"));
        DirBuilder::new().mode(0o700).create(&litter).unwrap();
        let next = RunDirectory::create().unwrap();
        assert!(!litter.exists() && living.path.exists() && next.path.exists());
    }
}
