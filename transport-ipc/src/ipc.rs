use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    thread::available_parallelism,
};

use rustix::process::geteuid;
use tidings_router_core::{
    Acceptor, Address, BoxFuture, Capability, Connector, Error, Link, ListenContext, Placement, Pool, Result,
    Transport, Wire,
};
use tokio::net::UnixStream;

use crate::{
    acceptor::IpcAcceptor,
    directory::Bases,
    link::IpcLink,
    shm::{SharedPool, Wanted},
};

/// The scheme of its addresses.
pub(crate) const SCHEME: &str = "ipc";

/// Reaches processes of the same user on the same machine over unix sockets.
///
/// What it promises and where it ends stands in the [crate's docs](crate). Making one does no I/O; what is
/// wrong with a path is an error of listening.
///
/// ```
/// use tidings_transport_ipc::Ipc;
///
/// let anywhere = Ipc::new();
/// let here = Ipc::bind("/run/user/1000/trainer.sock");
/// let same = Ipc::bind("ipc:///run/user/1000/trainer.sock");
/// ```
#[derive(Debug, Clone)]
#[must_use = "an `Ipc` is a configuration: give it to `.transport(..)`"]
pub struct Ipc {
    /// Where it listens; `None` is a name of its own in the private directory.
    path: Option<PathBuf>,
    /// The memory that its nodes share with their peers. Clones have it together.
    pool: Arc<SharedPool>,
    /// Its links are looked at again and again.
    busy_poll: bool,
}

/// How much memory a node shares with its peers if nobody says otherwise, in bytes.
const SHARED: usize = 64 << 20;

/// From which length on a payload travels in shared memory if nobody says otherwise, in bytes.
const SHARED_FROM: usize = 32 << 10;

impl Default for Ipc {
    fn default() -> Self {
        Self { path: None, pool: Arc::new(SharedPool::new(SHARED, SHARED_FROM)), busy_poll: false }
    }
}

impl Ipc {
    /// Listens on a socket with a name of its own in a private directory: `$XDG_RUNTIME_DIR/tidings` if that
    /// variable names a directory of this user, else `tidings-<uid>` in the directory for temporary files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Listens on this path, or on the path of this `ipc://` address. A relative one starts at the working
    /// directory of the moment of listening.
    ///
    /// Its directory must exist. Listening fails with [`Error::SocketPathTooLong`] if the path is too long
    /// for a socket, with [`Error::AddressInUse`] if somebody listens there, and with [`Error::Listen`] if
    /// anything but a socket is there. A socket where nobody listens any more is replaced.
    pub fn bind(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        let behind_scheme = path.to_str().and_then(|text| text.strip_prefix("ipc://"));
        Self { path: Some(behind_scheme.map_or_else(|| path.to_owned(), PathBuf::from)), ..Self::default() }
    }

    /// How much memory a node of this transport shares with its peers, in bytes: payloads that are on their
    /// way, or that somebody still holds. When it is full, payloads go through the socket, and
    /// [`Stats::unpooled`](tidings_router_core::Stats::unpooled) counts them. 0 turns it off; payloads that others
    /// share are taken all the same. Default 64 MiB, at most 64 GiB; Linux only, elsewhere there is none.
    ///
    /// Memory is used from the first large payload on, as much as there were payloads at once. Besides there are 512
    /// KiB in each direction of a link, through which everything else goes; with 0 it goes through the socket.
    pub fn shared_memory(self, bytes: usize) -> Self {
        let pool = Arc::new(SharedPool::new(bytes, self.pool.threshold()));
        Self { pool, ..self }
    }

    /// From which length on a payload travels in shared memory, in bytes. Default 32 KiB.
    pub fn shared_memory_from(self, len: usize) -> Self {
        let pool = Arc::new(SharedPool::new(self.pool.bytes(), len));
        Self { pool, ..self }
    }

    /// Has a thread look again and again whether something has come, instead of sleeping until it has. Default `false`.
    ///
    /// The round trip of a small message takes a fraction of the time then, if both ends do so and answer in
    /// handlers; if just one does, it saves the wake-up on its side. It costs a core: one for each process, however
    /// many routers and links that has. After 50 ms in which nothing has come, or when something
    /// else wants its core, the thread sleeps until something comes, which then takes as long as without.
    ///
    /// Where more threads look than there are cores, they give way to each other and to everybody else: nothing
    /// stops, but a message may take longer than without. A process that has only one core does not look. Linux only,
    /// and not where [`shared_memory`](Self::shared_memory) is 0: there it does nothing.
    pub fn busy_poll(self, on: bool) -> Self {
        Self { busy_poll: on, ..self }
    }

    /// How the bytes of its links go. With one core looking would only keep others from sending anything.
    fn rings(&self) -> Wanted {
        static CORES: OnceLock<usize> = OnceLock::new();
        match (self.pool.is_on(), self.busy_poll) {
            (false, _) => Wanted::Not,
            (true, true) if *CORES.get_or_init(|| available_parallelism().map_or(1, usize::from)) > 1 => {
                Wanted::Watched
            }
            (true, _) => Wanted::Rung,
        }
    }

    fn placed(&self, placement: &Placement) -> Result<Self> {
        if let Some(address) = &placement.address {
            let reason = "unix sockets have no address of a machine: leave it out, or use tcp";
            return Err(Error::invalid_address(address, reason));
        }
        let path = match &self.path {
            None => placement.directory.join(format!("{}.sock", placement.index)),
            Some(path) if placement.index == 0 => path.clone(),
            Some(path) => {
                let mut path = path.clone().into_os_string();
                path.push(format!(".{}", placement.index));
                path.into()
            }
        };
        let pool = Arc::new(SharedPool::new(self.pool.bytes(), self.pool.threshold()));
        Ok(Self { path: Some(path), pool, busy_poll: self.busy_poll })
    }
}

impl Transport for Ipc {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn capability(&self) -> Capability {
        Capability::reliable()
    }

    fn wire(&self) -> Wire {
        Wire::Links(Arc::new(self.clone()))
    }

    /// A private one listens on `<index>.sock` in the launch's directory. One that is bound to a path keeps
    /// it for index 0, and adds `.<index>` to it for the others. A port means nothing to it.
    fn place(&self, placement: &Placement) -> Result<Arc<dyn Transport>> {
        Ok(Arc::new(self.placed(placement)?))
    }
}

impl Connector for Ipc {
    fn listen<'a>(&'a self, context: &'a ListenContext) -> BoxFuture<'a, Result<Box<dyn Acceptor>>> {
        Box::pin(async move {
            let acceptor = match &self.path {
                Some(path) => IpcAcceptor::at(path, self.pool.clone(), self.rings()).await?,
                None => {
                    let bases = Bases::of_environment();
                    IpcAcceptor::private(&bases, context.node_id, self.pool.clone(), self.rings()).await?
                }
            };
            Ok(Box::new(acceptor) as Box<dyn Acceptor>)
        })
    }

    fn dial<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, io::Result<Arc<dyn Link>>> {
        Box::pin(async move {
            if address.scheme() != SCHEME {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("{address} is no ipc address"),
                ));
            }
            let stream = UnixStream::connect(address.target()).await?;
            // Whoever could put a socket there before its owner did would otherwise get what is meant for
            // him.
            let (uid, rings) = (geteuid().as_raw(), self.rings());
            let link = IpcLink::new(stream, uid, self.pool.clone(), rings, |_| address.to_string())?;
            Ok(Arc::new(link) as Arc<dyn Link>)
        })
    }

    fn pool(&self) -> Option<Arc<dyn Pool>> {
        self.pool.is_on().then(|| self.pool.clone() as Arc<dyn Pool>)
    }
}

#[cfg(test)]
mod tests {
    use tidings_router_core::NodeId;
    use tidings_testkit::links::run;

    use super::*;

    fn placed(ipc: &Ipc, index: usize) -> PathBuf {
        ipc.placed(&Placement::new(index, "/launch")).unwrap().path.unwrap()
    }

    #[test]
    fn a_path_and_its_address_are_the_same() {
        assert_eq!(Ipc::bind("/run/x.sock").path, Ipc::bind("ipc:///run/x.sock").path);
    }

    #[test]
    fn every_node_of_a_launch_gets_a_path_of_its_own() {
        assert_eq!(placed(&Ipc::new(), 0), Path::new("/launch/0.sock"));
        assert_eq!(placed(&Ipc::new(), 7), Path::new("/launch/7.sock"));
        assert_eq!(placed(&Ipc::bind("/run/x.sock"), 0), Path::new("/run/x.sock"));
        assert_eq!(placed(&Ipc::bind("/run/x.sock"), 2), Path::new("/run/x.sock.2"));
    }

    #[test]
    fn a_placement_with_the_address_of_a_machine_is_refused() {
        let mut placement = Placement::new(0, "/launch");
        placement.address = Some("10.0.0.7".to_owned());
        let error = Ipc::new().place(&placement).unwrap_err();
        assert!(matches!(error, Error::InvalidAddress { .. }), "{error}");
    }

    #[test]
    fn dialing_where_nobody_listens_is_an_error() {
        run(async {
            let directory = tempfile::tempdir().unwrap();
            let address = Address::new(SCHEME, directory.path().join("x").display()).unwrap();
            let error = Ipc::new().dial(&address).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
        });
    }

    #[test]
    fn dialing_the_address_of_another_transport_is_an_error() {
        run(async {
            let address = "tcp://127.0.0.1:1".parse().unwrap();
            let error = Ipc::new().dial(&address).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        });
    }

    #[test]
    fn a_relative_path_is_advertised_as_an_absolute_one() {
        run(async {
            let directory = tempfile::tempdir().unwrap();
            let depth = std::env::current_dir().unwrap().components().count() - 1;
            let below_root = directory.path().strip_prefix("/").unwrap().join("x.sock");
            let relative = PathBuf::from("../".repeat(depth)).join(&below_root);
            let acceptor =
                Ipc::bind(&relative).listen(&ListenContext::new(NodeId(0), "test", false)).await.unwrap();
            let address = acceptor.addresses().remove(0);
            assert!(Path::new(address.target()).is_absolute(), "{address}");
            assert!(Path::new(address.target()).ends_with(&below_root), "{address}");
        });
    }
}
