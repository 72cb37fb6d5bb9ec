//! Directories that hold sockets: whose they are, and who may take a name in them now.

use std::{
    fs::{self, DirBuilder, File, Metadata},
    io,
    os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::geteuid;
use tokio::time::{Instant, sleep};

use crate::socket_file::{Identity, is_stale};

/// How long another one's hold of a directory is waited for. Ours last for microseconds; in a directory that
/// others may read, one of them could hold it for ever.
const HOLD_WITHIN: Duration = Duration::from_secs(1);

/// How many files one sweep looks at, so that a crowded directory does not delay a start.
const SWEEP_LIMIT: usize = 1024;

/// The places where the private directory can be.
#[derive(Debug)]
pub(crate) struct Bases {
    /// The user's own directory for sockets, as the session manager made it.
    pub(crate) runtime: Option<PathBuf>,
    /// The directory for temporary files.
    pub(crate) temporary: PathBuf,
}

impl Bases {
    pub(crate) fn of_environment() -> Self {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        Self { runtime, temporary: std::env::temp_dir() }
    }

    /// The path of the private directory. Who became another user (by `sudo`, say) may still have the first
    /// one's variables, so the runtime directory counts only if it is ours.
    pub(crate) fn private(&self) -> PathBuf {
        let uid = geteuid().as_raw();
        let is_ours = |path: &&PathBuf| {
            path.is_absolute() && fs::metadata(path).is_ok_and(|meta| meta.is_dir() && meta.uid() == uid)
        };
        match self.runtime.as_ref().filter(is_ours) {
            Some(runtime) => runtime.join("tidings"),
            None => self.temporary.join(format!("tidings-{uid}")),
        }
    }
}

/// The private directory; dropping it removes it if it is empty.
#[derive(Debug)]
pub(crate) struct PrivateDirectory {
    path: PathBuf,
}

impl PrivateDirectory {
    /// Makes the directory unless it is there, and holds it.
    ///
    /// The hold has to be dropped before the directory, which would otherwise stay.
    ///
    /// # Errors
    ///
    /// `PermissionDenied` if it belongs to somebody else, if others may enter it, or if it is no directory.
    pub(crate) async fn enter(path: PathBuf) -> io::Result<(Self, Option<Hold>)> {
        let mut tries = 0;
        loop {
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            // Until it is held, another one that leaves may remove it.
            match Self::check_and_hold(&path).await {
                Err(error) if error.kind() == io::ErrorKind::NotFound && tries < 100 => tries += 1,
                result => return result,
            }
        }
    }

    async fn check_and_hold(path: &Path) -> io::Result<(Self, Option<Hold>)> {
        let found = fs::symlink_metadata(path)?;
        check_private(path, &found)?;
        // From here on it is ours to remove.
        let directory = Self { path: path.to_owned() };
        let hold = Hold::of(path).await?;
        match Identity::at(path)? == Identity::of(&found) {
            true => Ok((directory, hold)),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Removes sockets of ours that nobody listens on any more: those of killed processes. Only under a hold,
    /// since a socket that is just being bound looks the same.
    pub(crate) fn sweep(&self, _hold: &Hold) {
        let uid = geteuid().as_raw();
        let Ok(entries) = fs::read_dir(&self.path) else { return };
        for entry in entries.take(SWEEP_LIMIT).flatten() {
            let is_our_socket =
                entry.metadata().is_ok_and(|meta| meta.file_type().is_socket() && meta.uid() == uid);
            if is_our_socket && is_stale(&entry.path()) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        // Whoever holds it is about to put a socket there, and will remove it in turn.
        let Ok(directory) = File::open(&self.path) else { return };
        if directory.try_lock().is_ok() {
            let _ = fs::remove_dir(&self.path);
        }
    }
}

fn check_private(path: &Path, found: &Metadata) -> io::Result<()> {
    let uid = geteuid().as_raw();
    let reason = if !found.is_dir() {
        "is no directory".to_owned()
    } else if found.uid() != uid {
        format!("belongs to user {}, not to {uid}", found.uid())
    } else if found.mode() & 0o077 != 0 {
        format!("can be entered by others (mode {:03o}; 700 is needed)", found.mode() & 0o777)
    } else {
        return Ok(());
    };
    let advice = "remove it, or choose a path with `Ipc::bind`";
    Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("{} {reason}: {advice}", path.display())))
}

/// The right to take names in a directory, as far as all who do so ask for it. The kernel takes it back from
/// a process that dies, and it leaves no file.
#[derive(Debug)]
pub(crate) struct Hold {
    _directory: File,
}

impl Hold {
    /// Waits for the directory; `None` if it cannot be held: the file system has no locks, we may not read
    /// it, or somebody keeps it. Then what is lost is only the protection from two that start at the same
    /// path at once.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such directory.
    pub(crate) async fn of(path: &Path) -> io::Result<Option<Self>> {
        let directory = match File::open(path) {
            Ok(directory) => directory,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(error),
            Err(_) => return Ok(None),
        };
        let deadline = Instant::now() + HOLD_WITHIN;
        loop {
            match directory.try_lock() {
                Ok(()) => return Ok(Some(Self { _directory: directory })),
                // The kernel tells nobody that a lock is free, except those that block a thread for it.
                Err(fs::TryLockError::WouldBlock) if Instant::now() < deadline => {
                    sleep(Duration::from_millis(1)).await;
                }
                Err(_) => return Ok(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::{
        fs::{PermissionsExt, symlink},
        net::UnixListener,
    };

    use tidings_testkit::links::run;

    use super::*;

    #[test]
    fn the_runtime_directory_of_this_user_is_preferred() {
        let home = tempfile::tempdir().unwrap();
        let bases = Bases { runtime: Some(home.path().to_owned()), temporary: "/tmp".into() };
        assert_eq!(bases.private(), home.path().join("tidings"));
    }

    #[test]
    fn without_a_runtime_directory_of_ours_the_temporary_one_is_used() {
        let own = format!("tidings-{}", geteuid().as_raw());
        let home = tempfile::tempdir().unwrap();
        for runtime in [None, Some("relative".into()), Some(home.path().join("missing"))] {
            let bases = Bases { runtime, temporary: home.path().to_owned() };
            assert_eq!(bases.private(), home.path().join(&own));
        }
    }

    #[test]
    fn the_private_directory_is_closed_to_others_and_removed_when_empty() {
        run(async {
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join("tidings");
            let (directory, hold) = PrivateDirectory::enter(path.clone()).await.unwrap();
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
            drop((hold, directory));
            assert!(!path.exists());
        });
    }

    #[test]
    fn the_private_directory_stays_while_another_one_uses_it() {
        run(async {
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join("tidings");
            let (first, hold) = PrivateDirectory::enter(path.clone()).await.unwrap();
            drop(hold);
            let (second, hold) = PrivateDirectory::enter(path.clone()).await.unwrap();
            drop(first);
            assert!(path.exists(), "the second one holds it");
            drop(hold);
            drop(second);
            assert!(!path.exists());
        });
    }

    #[test]
    fn a_directory_that_others_may_enter_is_refused() {
        run(async {
            let home = tempfile::tempdir().unwrap();
            fs::set_permissions(home.path(), fs::Permissions::from_mode(0o750)).unwrap();
            let error = PrivateDirectory::enter(home.path().to_owned()).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
            assert!(error.to_string().contains("mode 750"), "{error}");
            assert!(home.path().exists(), "it is not ours to remove");
        });
    }

    #[test]
    fn a_link_to_a_directory_is_refused() {
        run(async {
            let home = tempfile::tempdir().unwrap();
            let link = home.path().join("tidings");
            symlink(tempfile::tempdir().unwrap().path(), &link).unwrap();
            let error = PrivateDirectory::enter(link).await.unwrap_err();
            assert!(error.to_string().contains("is no directory"), "{error}");
        });
    }

    #[test]
    fn a_directory_of_another_user_is_refused() {
        // Who runs the tests owns none of the others' directories; root itself can make one.
        let home = tempfile::tempdir().unwrap();
        let others = match std::os::unix::fs::chown(home.path(), Some(geteuid().as_raw() + 1), None) {
            Ok(()) => home.path(),
            Err(_) => Path::new("/"),
        };
        let error = check_private(others, &fs::symlink_metadata(others).unwrap()).unwrap_err();
        assert!(error.to_string().contains("belongs to user"), "{error}");
    }

    #[test]
    fn two_cannot_hold_a_directory_at_once() {
        run(async {
            let home = tempfile::tempdir().unwrap();
            let first = Hold::of(home.path()).await.unwrap();
            assert!(first.is_some());
            let mut second = std::pin::pin!(Hold::of(home.path()));
            let waker = std::task::Waker::noop();
            assert!(second.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
            drop(first);
            assert!(second.await.unwrap().is_some());
        });
    }

    #[test]
    fn a_sweep_removes_dead_sockets_and_nothing_else() {
        run(async {
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join("tidings");
            let (directory, hold) = PrivateDirectory::enter(path.clone()).await.unwrap();
            let names = ["dead.sock", "live.sock", "file.sock"].map(|name| path.join(name));
            drop(UnixListener::bind(&names[0]).unwrap());
            let _live = UnixListener::bind(&names[1]).unwrap();
            fs::write(&names[2], "kept").unwrap();
            directory.sweep(&hold.unwrap());
            assert_eq!(names.each_ref().map(|name| name.exists()), [false, true, true]);
        });
    }
}
