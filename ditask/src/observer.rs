//! A node that looks on: it is no member to the others.

use std::{
    env, fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use tidings::{
    Address, Error, Router, Topology,
    transport::{Tcp, listening_as},
};

use crate::{
    arguments::Cluster,
    fault::{Fault, Result},
    plan::PORT,
    progress::Progress,
    secret,
};

/// How long a port of this machine may take to answer.
const HERE: Duration = Duration::from_millis(500);

/// How long leaving may take.
pub(crate) const LEAVE: Duration = Duration::from_secs(2);

/// Whom an observer is to hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hears {
    /// The members.
    Members,
    /// Other observers as well, which have to find it for that: it listens where members do, if they need a secret
    /// or are on this machine.
    Everyone,
}

/// Connects to the cluster.
pub(crate) fn attach(cluster: &Cluster, hears: Hears) -> Result<Arc<Router>> {
    let address = address(cluster)?;
    let _progress = Progress::begin(format!("connecting to {address}"));
    match open(cluster, &address, hears) {
        Ok(router) => Ok(router),
        Err(error) => {
            let hint = format!("`ditask doctor --at {address}` looks into it");
            Err(Fault::from(error).hint(&hint))
        }
    }
}

/// Connects to the cluster of the node at this address, whatever its shape.
pub(crate) fn open(cluster: &Cluster, address: &Address, hears: Hears) -> Result<Arc<Router>, Error> {
    let secret = match secret::given(cluster.secret_file.as_deref()) {
        Ok(secret) => secret,
        Err(fault) => return Err(Error::Setting { setting: "secret".into(), reason: fault.to_string() }),
    };
    let host = match (is_here(address), &secret) {
        (true, _) => Some(IpAddr::from(Ipv4Addr::LOCALHOST)),
        (false, Some(_)) => Some(Tcp::outward()),
        // Listening there would let everybody in.
        (false, None) => None,
    };
    let try_as = |topology: Topology| {
        let transport = match address.scheme() {
            "tcp" => Arc::new(Tcp::bind(SocketAddr::new(host.unwrap_or(Ipv4Addr::LOCALHOST.into()), 0))),
            // A way to its broker, or to its sockets.
            "ipc" => listening_as("ipc", None)?,
            _ => tidings::transport::listening_on(address)?,
        };
        let mut builder = Router::builder()
            .observer()
            .topology(topology)
            .shared_transport(transport)
            .connect_timeout(cluster.connect_timeout);
        // On a broker nobody dials anybody.
        if ["tcp", "ipc", "zmq+tcp", "zmq+ipc"].contains(&address.scheme()) {
            builder = builder.attach_to([address]);
        }
        if let Some(name) = &cluster.cluster {
            builder = builder.cluster(name);
        }
        if let Some(secret) = secret.clone() {
            builder = builder.secret(secret);
        }
        if hears == Hears::Everyone && host.is_some() {
            builder = builder.listening_observer();
        }
        builder.open().wait()
    };
    // The cluster's shape is not known; who is of another one says so.
    match try_as(Topology::Mesh) {
        Err(Error::WrongTopology { theirs, .. }) if theirs != Topology::Mesh => try_as(theirs),
        result => result,
    }
}

/// Whether only this machine reaches it.
fn is_here(address: &Address) -> bool {
    let host = address.target().rsplit_once(':').map_or("", |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    address.scheme() != "tcp"
        || host == "localhost"
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The address that was given, or that of a node of this machine.
pub(crate) fn address(cluster: &Cluster) -> Result<Address> {
    if let Some(text) = cluster.at.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        let text = if text.contains(':') { text.to_owned() } else { format!("{text}:{PORT}") };
        return text.parse().map_err(|error: Error| Fault::usage(format!("--at: {error}")));
    }
    let hosts: [IpAddr; 2] = [Tcp::outward(), Ipv4Addr::LOCALHOST.into()];
    let answers = |host: &IpAddr| TcpStream::connect_timeout(&SocketAddr::new(*host, PORT), HERE).is_ok();
    if let Some(host) = hosts.iter().find(|host| answers(host)) {
        return Ok(Address::new("tcp", SocketAddr::new(*host, PORT))?);
    }
    // Sooner a launch without ports than none.
    match sockets().as_slice() {
        [socket] => Ok(Address::new("ipc", socket.display())?),
        [] => Err(Fault::usage(format!(
            "nobody listens on port {PORT} of this machine: say with `--at HOST:PORT` where a node of the cluster is"
        ))),
        several => {
            let all: Vec<String> =
                several.iter().map(|socket| format!("ipc://{}", socket.display())).collect();
            Err(Fault::usage(format!(
                "several clusters run here: say with `--at` which ({})",
                all.join(", ")
            )))
        }
    }
}

/// The socket of the first node of each launch over ipc that runs on this machine.
fn sockets() -> Vec<PathBuf> {
    let folders = [env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from), Some(env::temp_dir())];
    let mut folders: Vec<PathBuf> = folders.into_iter().flatten().collect();
    folders.dedup();
    let runs = folders.iter().flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
    let of_runs = runs.filter(|run| run.file_name().to_string_lossy().starts_with("tidings-run-"));
    of_runs
        .map(|run| run.path().join("n/0.sock"))
        .filter(|socket| UnixStream::connect(socket).is_ok())
        .collect()
}
