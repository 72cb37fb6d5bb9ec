//! The file of a listening socket: how it gets its place, and how it leaves it.

use std::{
    fs::{self, Metadata, Permissions},
    io,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::UnixDatagram,
    },
    path::{Path, PathBuf},
};

use rustix::io::Errno;
use tidings_router_core::{BoxError, Error, Result};
use tokio::net::UnixListener;

/// The longest path of a socket, in bytes: the size of `sockaddr_un.sun_path` without its closing zero.
pub(crate) const PATH_LIMIT: usize =
    if cfg!(any(target_os = "linux", target_os = "android")) { 107 } else { 103 };

/// The length of a temporary name, in bytes, where there is room for it: long enough to be unlike all others.
const TEMPORARY_NAME: usize = 9;

/// How often a place, or a temporary name, that somebody else takes at the same moment is tried again.
const TRIES: usize = 16;

/// Which file it is, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    pub(crate) fn of(meta: &Metadata) -> Self {
        Self { device: meta.dev(), inode: meta.ino() }
    }

    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        fs::symlink_metadata(path).map(|meta| Self::of(&meta))
    }
}

/// A file of ours. Dropping it removes it from its path, if it is still the one that is there.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

impl SocketFile {
    fn is_in_place(&self) -> bool {
        Identity::at(&self.path).is_ok_and(|found| found == self.identity)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_in_place() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Checks that the operating system takes `path` for a socket.
///
/// # Errors
///
/// [`Error::SocketPathTooLong`].
pub(crate) fn check_length(path: &Path) -> Result<()> {
    match path.as_os_str().len() <= PATH_LIMIT {
        true => Ok(()),
        false => Err(Error::SocketPathTooLong { path: path.to_owned(), limit: PATH_LIMIT }),
    }
}

/// Listens on `path`, which has passed [`check_length`] and whose directory the caller holds. It must be
/// called in a runtime.
///
/// The file of the result has to be dropped before the listener.
///
/// # Errors
///
/// [`Error::AddressInUse`] if somebody listens there, [`Error::Listen`] for everything else; nothing is left
/// behind.
pub(crate) fn listen(path: &Path) -> Result<(SocketFile, UnixListener)> {
    // Before anything is made: an occupied place is the usual failure.
    look(path)?;
    let (temporary, listener) = bind_temporary(path).map_err(|error| cannot_listen(path, error))?;
    let mode = Permissions::from_mode(0o600);
    fs::set_permissions(&temporary.path, mode).map_err(|error| cannot_listen(path, error))?;
    for _ in 0..TRIES {
        let placed = match look(path)? {
            // A hard link never replaces what is there; the temporary name goes with `temporary`.
            Occupant::Nobody => fs::hard_link(&temporary.path, path),
            Occupant::Stale => fs::rename(&temporary.path, path),
        };
        match placed {
            Ok(()) => {
                let file = SocketFile { path: path.to_owned(), identity: temporary.identity };
                // Without the directory's lock, another one may have seen the same stale file.
                return if file.is_in_place() { Ok((file, listener)) } else { Err(in_use(path)) };
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(cannot_listen(path, error)),
        }
    }
    Err(in_use(path))
}

/// An error of listening on `path`.
pub(crate) fn cannot_listen(path: &Path, source: impl Into<BoxError>) -> Error {
    Error::Listen { address: format!("ipc://{}", path.display()), source: source.into() }
}

fn in_use(path: &Path) -> Error {
    Error::AddressInUse { address: format!("ipc://{}", path.display()) }
}

/// Who has a place, if it can be taken.
#[derive(Debug, PartialEq, Eq)]
enum Occupant {
    Nobody,
    /// A socket that nobody listens on.
    Stale,
}

fn look(path: &Path) -> Result<Occupant> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Occupant::Nobody),
        Err(error) => return Err(cannot_listen(path, error)),
    };
    if !found.file_type().is_socket() {
        return Err(cannot_listen(path, "a file that is no socket is there, and is kept"));
    }
    match probe(path) {
        Err(Errno::CONNREFUSED) => Ok(Occupant::Stale),
        Err(Errno::NOENT) => Ok(Occupant::Nobody),
        Ok(()) | Err(Errno::PROTOTYPE) => Err(in_use(path)),
        Err(error) => Err(cannot_listen(path, io::Error::from(error))),
    }
}

/// Whether `path` is a socket that nobody listens on.
pub(crate) fn is_stale(path: &Path) -> bool {
    probe(path) == Err(Errno::CONNREFUSED)
}

/// Tries to connect a datagram socket. A stream socket that is alive answers that it is of another type and
/// never hears of it, so nobody is disturbed, and neither a full queue nor one that does not listen yet
/// counts as dead.
fn probe(path: &Path) -> Result<(), Errno> {
    let connected = UnixDatagram::unbound().and_then(|socket| socket.connect(path));
    connected.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

/// Listens under a temporary name in the directory of `path`.
fn bind_temporary(path: &Path) -> io::Result<(SocketFile, UnixListener)> {
    let mut tries = 0;
    loop {
        let temporary = temporary_name(path);
        match UnixListener::bind(&temporary) {
            Ok(listener) => {
                let identity = Identity::at(&temporary)?;
                return Ok((SocketFile { path: temporary, identity }, listener));
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries < TRIES => tries += 1,
            Err(error) => return Err(error),
        }
    }
}

/// A name in the directory of `path` that is another one, and no longer than a socket's path may be.
fn temporary_name(path: &Path) -> PathBuf {
    let own = path.file_name().unwrap_or_default();
    // A short name in a long directory leaves as little room for this one, down to one character.
    let room = PATH_LIMIT.saturating_sub(path.as_os_str().len() - own.len());
    let length = room.clamp(1, TEMPORARY_NAME);
    loop {
        let random = (1..length).map(|_| fastrand::alphanumeric());
        let first = if length > 1 { '.' } else { fastrand::alphanumeric() };
        let name: String = std::iter::once(first).chain(random).collect();
        // Some file systems do not tell `x` from `X`.
        if !own.eq_ignore_ascii_case(&name) {
            return path.with_file_name(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};

    use tempfile::TempDir;

    use tidings_testkit::links::run;

    use super::*;

    fn place() -> (TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.sock");
        (directory, path)
    }

    fn files_in(directory: &TempDir) -> Vec<String> {
        let entries = fs::read_dir(directory.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn listening_leaves_one_file_for_its_owner_alone() {
        run(async {
            let (directory, path) = place();
            let _listening = listen(&path).unwrap();
            assert_eq!(files_in(&directory), ["x.sock"]);
            let meta = fs::metadata(&path).unwrap();
            assert_eq!((meta.mode() & 0o777, meta.nlink()), (0o600, 1));
            StdStream::connect(&path).unwrap();
        });
    }

    #[test]
    fn dropping_leaves_nothing() {
        run(async {
            let (directory, path) = place();
            drop(listen(&path).unwrap());
            assert!(files_in(&directory).is_empty());
        });
    }

    #[test]
    fn a_stale_socket_is_replaced() {
        run(async {
            let (directory, path) = place();
            drop(StdListener::bind(&path).unwrap());
            assert!(path.exists(), "the standard library leaves the file");
            let listening = listen(&path).unwrap();
            StdStream::connect(&path).unwrap();
            assert_eq!(files_in(&directory), ["x.sock"]);
            drop(listening);
            assert!(files_in(&directory).is_empty());
        });
    }

    #[test]
    fn a_live_socket_is_in_use_and_goes_on_undisturbed() {
        run(async {
            let (directory, path) = place();
            let live = StdListener::bind(&path).unwrap();
            live.set_nonblocking(true).unwrap();
            let error = listen(&path).unwrap_err();
            assert!(matches!(error, Error::AddressInUse { .. }), "{error}");
            assert_eq!(
                live.accept().unwrap_err().kind(),
                io::ErrorKind::WouldBlock,
                "the probe is not heard"
            );
            StdStream::connect(&path).unwrap();
            live.accept().unwrap();
            assert_eq!(files_in(&directory), ["x.sock"]);
        });
    }

    #[test]
    fn a_live_socket_with_a_full_queue_is_in_use() {
        run(async {
            let (_directory, path) = place();
            let live = StdListener::bind(&path).unwrap();
            rustix::net::listen(&live, 0).unwrap();
            let _waiting = StdStream::connect(&path).unwrap();
            let error = listen(&path).unwrap_err();
            assert!(matches!(error, Error::AddressInUse { .. }), "{error}");
        });
    }

    #[test]
    fn a_file_that_is_no_socket_is_kept_and_refused() {
        run(async {
            let (directory, path) = place();
            fs::write(&path, "precious").unwrap();
            let error = listen(&path).unwrap_err();
            assert!(matches!(error, Error::Listen { .. }), "{error}");
            assert_eq!(fs::read(&path).unwrap(), b"precious");
            assert_eq!(files_in(&directory), ["x.sock"]);
        });
    }

    #[test]
    fn a_link_to_nowhere_is_kept_and_refused() {
        run(async {
            let (_directory, path) = place();
            std::os::unix::fs::symlink("nowhere", &path).unwrap();
            let error = listen(&path).unwrap_err();
            assert!(matches!(error, Error::Listen { .. }), "{error}");
            assert!(fs::symlink_metadata(&path).is_ok());
        });
    }

    #[test]
    fn a_successor_at_the_path_is_not_removed() {
        run(async {
            let (_directory, path) = place();
            let listening = listen(&path).unwrap();
            fs::remove_file(&path).unwrap();
            let _successor = StdListener::bind(&path).unwrap();
            drop(listening);
            StdStream::connect(&path).unwrap();
        });
    }

    #[test]
    fn a_path_of_exactly_the_limit_works_and_a_longer_one_is_too_long() {
        run(async {
            let directory = tempfile::tempdir().unwrap();
            let used = directory.path().as_os_str().len() + 1;
            // One byte of name at the limit leaves the temporary name no more than that.
            let deep = directory.path().join("d".repeat(PATH_LIMIT - used - 2));
            fs::create_dir(&deep).unwrap();
            let longest = deep.join("x");
            assert_eq!(longest.as_os_str().len(), PATH_LIMIT);
            check_length(&longest).unwrap();
            drop(listen(&longest).unwrap());
            let error = check_length(&deep.join("xy")).unwrap_err();
            assert!(matches!(error, Error::SocketPathTooLong { limit: PATH_LIMIT, .. }), "{error}");
        });
    }

    #[test]
    fn a_temporary_name_is_never_the_name_itself() {
        let directory = "d".repeat(PATH_LIMIT - 3);
        let path = PathBuf::from(format!("/{directory}/x"));
        for _ in 0..2000 {
            let temporary = temporary_name(&path);
            assert!(!temporary.as_os_str().eq_ignore_ascii_case(&path), "{}", temporary.display());
            assert_eq!(temporary.as_os_str().len(), PATH_LIMIT);
        }
    }
}
