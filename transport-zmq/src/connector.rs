use std::{
    fmt, io,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tidings_router_core::{
    Acceptor, Address, BoxError, BoxFuture, Connector, Error, Link, ListenContext, Result, Router,
    host::host_of, outward::reachable,
};
use tokio::{net::lookup_host, sync::oneshot};

use crate::{
    acceptor::ZmqAcceptor,
    config::Zmq,
    curve::Curve,
    endpoint::Endpoint,
    engine::{Command, Engine},
    guests::next_door,
    leaving,
    line::Line,
    link::ZmqLink,
    options::SocketOptions,
};

/// The longest path of a unix socket that libzmq takes, in bytes; longer ones would be cut off.
const LONGEST_PATH: usize = 107;

/// Makes the links of one node.
pub(crate) struct ZmqConnector {
    config: Zmq,
    /// Started when it is needed first: a configuration does no I/O.
    engine: Mutex<Option<Arc<Engine>>>,
}

impl ZmqConnector {
    pub(crate) fn new(config: Zmq) -> Self {
        Self { config, engine: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Engine>>> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn engine(&self) -> io::Result<Arc<Engine>> {
        let mut engine = self.lock();
        if let Some(engine) = &*engine {
            return Ok(engine.clone());
        }
        let options = SocketOptions { curve: self.config.curve.clone() };
        Ok(engine.insert(Engine::start(options)?).clone())
    }

    async fn listen_on(&self, context: &ListenContext) -> Result<ZmqAcceptor> {
        self.config.curve.as_ref().map_or(Ok(()), |_| Curve::check())?;
        let advertise = self.config.advertise.as_deref().map(host_of).transpose()?;
        let has_keys = self.config.curve.is_some();
        let configured = Endpoint::parse(&self.config.listen)?;
        let engine = self.engine().map_err(|error| cannot_listen(&configured, error))?;
        let bound = bind(&configured, context.guarded || has_keys, |endpoint, answer| {
            engine.command(Command::Listen { endpoint, answer });
        });
        let address = match (configured.clone(), Endpoint::parse(&bound.await?)?) {
            (_, Endpoint::Tcp { host, port }) => {
                let own = host.parse().map_or(host, |address| reachable(address).to_string());
                Endpoint::Tcp { host: advertise.unwrap_or(own), port }.address()?
            }
            (configured, Endpoint::Ipc(_)) => configured.address()?,
        };
        if let Some(guests) = &self.config.guests {
            // A secret, which guests need not hold, does not guard them.
            let configured = Endpoint::parse(guests)?;
            if let Some(Endpoint::Ipc(path)) = beside(&configured) {
                check_path(&path).await?;
            }
            let queue = i32::try_from(self.config.guest_queue.max(1)).unwrap_or(i32::MAX);
            let doors = bind(&configured, context.insecure || has_keys, |endpoint, answer| {
                engine.command(Command::Admit { endpoint, queue, answer });
            });
            self.config.admitted_at(doors.await?);
        }
        Ok(ZmqAcceptor::new(engine, address))
    }

    async fn dial_to(&self, address: &Address) -> io::Result<Arc<dyn Link>> {
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
        let mut failed = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for endpoint in targets(&Endpoint::parse(address.as_str()).map_err(invalid)?).await? {
            match self.connect(&endpoint, address).await {
                Ok(link) => return Ok(link),
                Err(error) => failed = io::Error::new(error.kind(), format!("{endpoint}: {error}")),
            }
        }
        Err(failed)
    }

    async fn connect(&self, endpoint: &Endpoint, address: &Address) -> io::Result<Arc<dyn Link>> {
        let engine = self.engine()?;
        let (answer, opened) = oneshot::channel();
        let (id, line) = (engine.next_link(), Arc::new(Line::default()));
        let dial = Command::Dial { endpoint: endpoint.to_string(), link: id, line: line.clone(), answer };
        engine.command(dial);
        // Hangs up if nobody waits for it any more.
        let link = ZmqLink::new(engine, id, line, address.to_string());
        opened.await.map_err(|_| io::Error::from(io::ErrorKind::NotConnected))??;
        Ok(Arc::new(link))
    }
}

/// Where guests speak if this is where they hear.
fn beside(hear: &Endpoint) -> Option<Endpoint> {
    Endpoint::parse(&next_door(&hear.to_string())?).ok()
}

/// The endpoints that a name stands for, without names.
async fn targets(endpoint: &Endpoint) -> io::Result<Vec<Endpoint>> {
    let Endpoint::Tcp { host, port } = endpoint else { return Ok(vec![endpoint.clone()]) };
    let literal = |target: SocketAddr| Endpoint::Tcp { host: target.ip().to_string(), port: target.port() };
    // The zone of a link-local address is no part of an address that was looked up.
    if host.contains('%') {
        return Ok(vec![endpoint.clone()]);
    }
    Ok(lookup_host((host.as_str(), *port)).await?.map(literal).collect())
}

fn is_loopback(endpoint: &Endpoint) -> bool {
    match endpoint {
        Endpoint::Tcp { host, .. } => {
            host.parse().is_ok_and(|address: std::net::IpAddr| address.to_canonical().is_loopback())
        }
        // Who may open a file is for the file system to say.
        Endpoint::Ipc(_) => true,
    }
}

/// Binds the first endpoint that `configured` stands for and that this machine has.
async fn bind<T>(
    configured: &Endpoint,
    guarded: bool,
    command: impl Fn(String, oneshot::Sender<zmq::Result<T>>),
) -> Result<T> {
    let mut failed = cannot_listen(configured, "the host has no address");
    for target in targets(configured).await.map_err(|error| cannot_listen(configured, error))? {
        // Before anything listens, even for a moment.
        if !guarded && !is_loopback(&target) {
            return Err(Error::SecretRequired { address: format!("zmq+{target}") });
        }
        if let Endpoint::Ipc(path) = &target {
            check_path(path).await?;
        }
        loop {
            let (answer, bound) = oneshot::channel();
            command(target.to_string(), answer);
            match bound.await {
                Ok(Ok(bound)) => return Ok(bound),
                Ok(Err(zmq::Error::EADDRINUSE)) if leaving::left(&target.to_string()).await => {}
                // Another address of the same name might be free, and who dials the name would meet whoever is here.
                Ok(Err(zmq::Error::EADDRINUSE)) => {
                    return Err(Error::AddressInUse { address: format!("zmq+{target}") });
                }
                Ok(Err(error)) => {
                    failed = cannot_listen(&target, error);
                    break;
                }
                Err(_) => return Err(Error::Closed),
            }
        }
    }
    Err(failed)
}

/// What libzmq does not check: it cuts off what is too long, and takes a socket file from whoever listens there.
async fn check_path(path: &Path) -> Result<()> {
    let address = || format!("zmq+ipc://{}", path.display());
    let fault = |text: &str| Error::Listen { address: address(), source: text.into() };
    if path.as_os_str().len() > LONGEST_PATH {
        return Err(fault("the path of a unix socket has at most 107 bytes"));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(fault("there is no such directory"));
    }
    if path.exists() && tokio::net::UnixStream::connect(path).await.is_ok() {
        return Err(Error::AddressInUse { address: address() });
    }
    Ok(())
}

fn cannot_listen(endpoint: &Endpoint, source: impl Into<BoxError>) -> Error {
    Error::Listen { address: format!("zmq+{endpoint}"), source: source.into() }
}

impl Connector for ZmqConnector {
    fn listen<'a>(&'a self, context: &'a ListenContext) -> BoxFuture<'a, Result<Box<dyn Acceptor>>> {
        Box::pin(async move {
            let acceptor = self.listen_on(context).await?;
            Ok(Box::new(acceptor) as Box<dyn Acceptor>)
        })
    }

    fn opened(&self, router: Weak<dyn Router>) {
        if let Some(engine) = &*self.lock() {
            engine.command(Command::Introduce(router));
        }
    }

    fn dial<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, io::Result<Arc<dyn Link>>> {
        Box::pin(self.dial_to(address))
    }

    fn close(&self) {
        if let Some(engine) = &*self.lock() {
            engine.close();
        }
    }

    fn flushed(&self) -> BoxFuture<'_, ()> {
        let engine = self.lock().clone();
        Box::pin(async move {
            if let Some(engine) = engine {
                engine.ended().await;
            }
        })
    }
}

impl Drop for ZmqConnector {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for ZmqConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZmqConnector").field("config", &self.config).finish_non_exhaustive()
    }
}
