//! `ditask doctor`: one step after the other, each tried and explained.

use std::{
    env, fs, io,
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    os::unix::{
        fs::{FileTypeExt, MetadataExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::json;
use tidings::{Address, Error};

use crate::{
    arguments::{Cluster, Doctor},
    fault::{Fault, Result},
    observer, secret, unpack,
};

/// How long a port may take to answer.
const ANSWER: Duration = Duration::from_secs(3);

/// Looks into it.
pub(crate) fn run(doctor: &Doctor) -> Result {
    if doctor.clean {
        clean();
        if doctor.cluster.at.is_none() {
            return Ok(());
        }
    }
    let mut report = Report { json: doctor.cluster.json };
    examine(&doctor.cluster, &mut report)
}

/// What has been found out.
struct Report {
    json: bool,
}

impl Report {
    fn good(&mut self, step: &str, found: &str) {
        self.line("ok", step, found);
    }

    /// What is wrong, and what to do about it.
    fn bad(&mut self, step: &str, wrong: &str) -> Fault {
        self.line("no", step, wrong);
        Fault::said()
    }

    fn line(&self, verdict: &str, step: &str, text: &str) {
        match self.json {
            true => println!("{}", json!({"step": step, "ok": verdict == "ok", "found": text})),
            false => println!("{verdict}  {step:8} {text}"),
        }
    }
}

fn examine(cluster: &Cluster, report: &mut Report) -> Result {
    let address = match observer::address(cluster) {
        Ok(address) => address,
        Err(fault) => return Err(report.bad("address", &fault.to_string())),
    };
    report.good("address", &address.to_string());
    match address.scheme() {
        "tcp" => port(&address, report)?,
        "ipc" => socket(Path::new(address.target()), report)?,
        _ => {}
    }
    match secret::given(cluster.secret_file.as_deref()) {
        Ok(Some(_)) => report.good("secret", "there is one, and it can be read"),
        Ok(None) => report.good("secret", "none was given; whether one is needed, the node says"),
        Err(fault) => return Err(report.bad("secret", &fault.to_string())),
    }
    let name = cluster.cluster.as_deref().unwrap_or("tidings");
    match observer::open(cluster, &address, observer::Hears::Members) {
        Ok(router) => {
            report.good("join", &format!("it let us in: same secret, same cluster `{name}`, same version"));
            let peers = router.peers();
            let ids: Vec<String> = peers.iter().map(|peer| peer.node_id.to_string()).collect();
            report.good("nodes", &format!("{} in a {}: {}", peers.len(), router.topology(), ids.join(", ")));
            router.shutdown(observer::LEAVE).wait();
            Ok(())
        }
        Err(error) => Err(report.bad(step_of(&error), &explained(error))),
    }
}

fn port(address: &Address, report: &mut Report) -> Result {
    let addresses: Vec<SocketAddr> = match address.target().to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        Err(error) => {
            let host = address.target();
            return Err(report.bad(
                "name",
                &format!("{host} does not resolve ({error}): check its spelling, or say the IP address"),
            ));
        }
    };
    let shown: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    report.good("name", &format!("resolves to {}", shown.join(", ")));
    let mut last = None;
    for address in &addresses {
        match TcpStream::connect_timeout(address, ANSWER) {
            Ok(_) => {
                report.good("port", &format!("{address} answers"));
                return Ok(());
            }
            Err(error) => last = Some((address, error)),
        }
    }
    let Some((address, error)) = last else { return Err(report.bad("name", "it stands for no address")) };
    let why = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "the machine is there, but nobody listens on that port: start the node, or check its --ports and \
             whether its --address is one that others reach"
                .to_owned()
        }
        io::ErrorKind::TimedOut => {
            "no answer: the machine is down, or a firewall drops what is sent to that port".to_owned()
        }
        _ => error.to_string(),
    };
    Err(report.bad("port", &format!("{address}: {why}")))
}

fn socket(path: &Path, report: &mut Report) -> Result {
    let shown = path.display();
    match UnixStream::connect(path) {
        Ok(_) => report.good("socket", &format!("{shown} answers")),
        Err(error) => {
            let why = match error.kind() {
                io::ErrorKind::NotFound => {
                    "there is no such socket: start the node, or check the path".to_owned()
                }
                io::ErrorKind::ConnectionRefused => {
                    "nobody listens any more: its node was killed; `ditask doctor --clean` removes it"
                        .to_owned()
                }
                io::ErrorKind::PermissionDenied => "it belongs to another user: run as that one".to_owned(),
                _ => error.to_string(),
            };
            return Err(report.bad("socket", &format!("{shown}: {why}")));
        }
    }
    Ok(())
}

/// Which step it is that an error ended.
fn step_of(error: &Error) -> &'static str {
    match error {
        Error::WrongSecret { .. } => "secret",
        Error::WrongCluster { .. } => "cluster",
        Error::WrongVersion { .. } => "version",
        Error::WrongTopology { .. } => "topology",
        Error::NotTidings { .. } => "protocol",
        _ => "join",
    }
}

fn explained(error: Error) -> String {
    let more = match &error {
        Error::NotTidings { .. } => "; another program has that port",
        Error::WrongTopology { .. } => "; in a star give `--at` the address of node 0",
        _ => "",
    };
    format!("{}{more}", Fault::from(error))
}

/// Removes what killed nodes have left on this machine.
fn clean() {
    let mut gone = unpack::sweep();
    gone.extend(tidings::parallel::sweep());
    gone.extend(sockets().into_iter().filter(|path| fs::remove_file(path).is_ok()));
    gone.iter().for_each(|path| println!("removed {}", path.display()));
    println!("{} removed", gone.len());
}

/// The sockets of ours that nobody listens on.
fn sockets() -> Vec<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let runtime = env::var_os("XDG_RUNTIME_DIR").map(|folder| PathBuf::from(folder).join("tidings"));
    let folders = runtime.into_iter().chain([env::temp_dir().join(format!("tidings-{user}"))]);
    let files = folders.flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
    let is_dead = |path: &PathBuf| {
        fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket() && found.uid() == user)
            && UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    };
    files.map(|file| file.path()).filter(is_dead).collect()
}
