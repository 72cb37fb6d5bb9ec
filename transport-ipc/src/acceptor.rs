use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use rustix::process::geteuid;
use tidings_router_core::{Acceptor, Address, Link, NodeId, Result};
use tokio::net::UnixListener;

use crate::{
    directory::{Bases, Hold, PrivateDirectory},
    ipc::SCHEME,
    link::IpcLink,
    shm::{SharedPool, Wanted},
    socket_file::{SocketFile, cannot_listen, check_length, listen},
};

/// How often at most it is said that other users knock.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// A listening unix socket.
///
/// Its fields are dropped in this order: the file goes before the socket, and the directory when it is empty.
#[derive(Debug)]
pub(crate) struct IpcAcceptor {
    _file: SocketFile,
    listener: UnixListener,
    _directory: Option<PrivateDirectory>,
    address: Address,
    /// Who is let in.
    uid: u32,
    strangers: Strangers,
    /// What is lent on the links.
    pool: Arc<SharedPool>,
    /// How the bytes of the links go.
    rings: Wanted,
}

impl IpcAcceptor {
    /// Listens on this path.
    pub(crate) async fn at(path: &Path, pool: Arc<SharedPool>, rings: Wanted) -> Result<Self> {
        let path = &std::path::absolute(path).map_err(|error| cannot_listen(path, error))?;
        check_length(path)?;
        let (Some(directory), Some(_)) = (path.parent(), path.file_name()) else {
            return Err(cannot_listen(path, "the path names no file"));
        };
        let _hold = Hold::of(directory).await.map_err(|_| {
            cannot_listen(path, format!("there is no directory {}: make it first", directory.display()))
        })?;
        Self::new(path, pool, rings)
    }

    /// Listens under a name of its own in the private directory.
    pub(crate) async fn private(
        bases: &Bases,
        node_id: NodeId,
        pool: Arc<SharedPool>,
        rings: Wanted,
    ) -> Result<Self> {
        let path = bases.private();
        let socket: PathBuf = path.join(format!("{node_id}-{:08x}.sock", fastrand::u32(..)));
        check_length(&socket)?;
        let entered = PrivateDirectory::enter(path).await;
        let (directory, hold) = entered.map_err(|error| cannot_listen(&socket, error))?;
        if let Some(hold) = &hold {
            directory.sweep(hold);
        }
        // On failure the hold has to go first, or the directory would take it for another one's and stay.
        let acceptor = Self::new(&socket, pool, rings);
        drop(hold);
        Ok(Self { _directory: Some(directory), ..acceptor? })
    }

    fn new(path: &Path, pool: Arc<SharedPool>, rings: Wanted) -> Result<Self> {
        let text = path.to_str().ok_or_else(|| cannot_listen(path, "the path is no text (UTF-8)"))?;
        let address = Address::new(SCHEME, text)?;
        let (file, listener) = listen(path)?;
        Ok(Self {
            _file: file,
            listener,
            _directory: None,
            address,
            uid: geteuid().as_raw(),
            strangers: Strangers::default(),
            pool,
            rings,
        })
    }
}

impl Acceptor for IpcAcceptor {
    fn addresses(&self) -> Vec<Address> {
        vec![self.address.clone()]
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Arc<dyn Link>>> {
        // Ends: tokio makes a task that has accepted many connections in one go wait for its next turn.
        loop {
            let (stream, _) = ready!(self.listener.poll_accept(cx))?;
            let name = |pid: Option<i32>| match pid {
                Some(pid) => format!("process {pid} at {}", self.address),
                None => format!("a process at {}", self.address),
            };
            match IpcLink::new(stream, self.uid, self.pool.clone(), self.rings, name) {
                Ok(link) => return Poll::Ready(Ok(Arc::new(link))),
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    self.strangers.refused(&self.address, &error);
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

/// Connections of other users, counted and said from time to time: they can be made at any rate.
#[derive(Debug, Default)]
struct Strangers {
    count: u64,
    said: Option<Instant>,
}

impl Strangers {
    fn refused(&mut self, address: &Address, error: &io::Error) {
        self.count += 1;
        let now = Instant::now();
        if self.said.is_none_or(|said| now.duration_since(said) >= SAY_EVERY) {
            self.said = Some(now);
            tracing::warn!(%address, refused = self.count, %error, "connections of other users are refused");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;
    use tidings_router_core::{Connector, Error};
    use tidings_testkit::links::{accept, read, run, write};

    use super::*;
    use crate::Ipc;

    async fn at(directory: &TempDir) -> Result<IpcAcceptor> {
        IpcAcceptor::at(&directory.path().join("x.sock"), no_pool(), Wanted::Rung).await
    }

    fn no_pool() -> Arc<SharedPool> {
        Arc::new(SharedPool::new(0, 1))
    }

    fn private_in(directory: &TempDir) -> Bases {
        Bases { runtime: None, temporary: directory.path().to_owned() }
    }

    async fn meet(acceptor: &mut IpcAcceptor) -> (Arc<dyn Link>, Arc<dyn Link>) {
        let address = acceptor.address.clone();
        let dialed = Ipc::new().dial(&address).await.unwrap();
        (dialed, accept(acceptor).await.unwrap())
    }

    #[test]
    fn who_dials_the_address_is_accepted() {
        run(async {
            let directory = tempfile::tempdir().unwrap();
            let mut acceptor = at(&directory).await.unwrap();
            let (dialed, accepted) = meet(&mut acceptor).await;
            write(&*dialed, &[b"ping"]).await;
            assert_eq!(read(&*accepted, 4).await, b"ping");
            write(&*accepted, &[b"pong"]).await;
            assert_eq!(read(&*dialed, 4).await, b"pong");
            assert_eq!(dialed.remote(), acceptor.address.to_string());
            assert!(
                accepted.remote().contains(&std::process::id().to_string()) || cfg!(not(target_os = "linux"))
            );
        });
    }

    #[test]
    fn a_process_of_another_user_is_cut_off_and_the_next_one_let_in() {
        run(async {
            let directory = tempfile::tempdir().unwrap();
            let mut acceptor = at(&directory).await.unwrap();
            let ours = acceptor.uid;
            acceptor.uid = ours + 1;
            let stranger = Ipc::new().dial(&acceptor.address.clone()).await.unwrap();
            let mut accepting = tokio::spawn(async move {
                let waits =
                    std::future::poll_fn(|cx| Poll::Ready(acceptor.poll_accept(cx).is_pending())).await;
                (waits, acceptor)
            });
            assert_eq!(read(&*stranger, 1).await, b"");
            let (waits, mut acceptor) = (&mut accepting).await.unwrap();
            assert!(waits, "the stranger is no link");
            assert_eq!(acceptor.strangers.count, 1);
            acceptor.uid = ours;
            meet(&mut acceptor).await;
        });
    }

    #[test]
    fn two_private_sockets_share_a_directory_that_goes_with_the_last() {
        run(async {
            let home = tempfile::tempdir().unwrap();
            let mut first =
                IpcAcceptor::private(&private_in(&home), NodeId(3), no_pool(), Wanted::Rung).await.unwrap();
            let second =
                IpcAcceptor::private(&private_in(&home), NodeId(3), no_pool(), Wanted::Rung).await.unwrap();
            assert_ne!(first.address, second.address);
            drop(second);
            meet(&mut first).await;
            drop(first);
            assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
        });
    }

    #[test]
    fn a_private_socket_sweeps_out_what_the_dead_left() {
        run(async {
            let home = tempfile::tempdir().unwrap();
            let first =
                IpcAcceptor::private(&private_in(&home), NodeId(0), no_pool(), Wanted::Rung).await.unwrap();
            let dead = private_in(&home).private().join("dead.sock");
            drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
            let _second =
                IpcAcceptor::private(&private_in(&home), NodeId(1), no_pool(), Wanted::Rung).await.unwrap();
            assert!(!dead.exists());
            assert!(Path::new(first.address.target()).exists());
        });
    }

    #[test]
    fn a_temporary_directory_with_too_long_a_path_leaves_nothing() {
        run(async {
            let home = tempfile::tempdir().unwrap();
            let long = home.path().join("d".repeat(100));
            fs::create_dir(&long).unwrap();
            let bases = Bases { runtime: None, temporary: long.clone() };
            let error = IpcAcceptor::private(&bases, NodeId(0), no_pool(), Wanted::Rung).await.unwrap_err();
            assert!(matches!(error, Error::SocketPathTooLong { .. }), "{error}");
            assert_eq!(fs::read_dir(&long).unwrap().count(), 0);
        });
    }

    #[test]
    fn the_path_of_a_live_listener_is_in_use_until_it_is_dropped() {
        run(async {
            let directory = tempfile::tempdir().unwrap();
            let mut first = at(&directory).await.unwrap();
            let error = at(&directory).await.unwrap_err();
            assert!(matches!(error, Error::AddressInUse { .. }), "{error}");
            meet(&mut first).await;
            drop(first);
            at(&directory).await.unwrap();
        });
    }

    #[test]
    fn of_many_that_start_at_one_stale_path_exactly_one_listens() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let start = std::sync::Barrier::new(8);
        // The winner must still listen when the others look.
        let results = std::sync::Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    run(async {
                        let result = IpcAcceptor::at(&path, no_pool(), Wanted::Rung).await;
                        results.lock().unwrap().push(result.map_err(|error| error.to_string()));
                    });
                });
            }
        });
        let (listening, refused): (Vec<_>, Vec<_>) =
            results.into_inner().unwrap().into_iter().partition(Result::is_ok);
        assert_eq!((listening.len(), refused.len()), (1, 7), "{refused:?}");
    }

    #[test]
    fn a_missing_directory_is_named() {
        run(async {
            let directory = tempfile::tempdir().unwrap();
            let error = IpcAcceptor::at(&directory.path().join("missing/x.sock"), no_pool(), Wanted::Rung)
                .await
                .unwrap_err();
            let Error::Listen { source, .. } = &error else { panic!("{error}") };
            assert!(source.to_string().contains("missing: make it first"), "{source}");
        });
    }

    #[test]
    fn a_path_without_a_file_name_is_refused() {
        run(async {
            for path in ["", "/", "/tmp/.."] {
                let error = IpcAcceptor::at(Path::new(path), no_pool(), Wanted::Rung).await.unwrap_err();
                assert!(matches!(error, Error::Listen { .. }), "{error}");
            }
        });
    }
}
