use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use tidings_router_core::Address;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::watch,
    task::JoinHandle,
};

/// Carries the bytes between the nodes that dial it and one other node, and cuts, stalls or refuses them on
/// demand.
///
/// It works on the runtime that it was made on, holds at most 64 KiB for each direction, and ends with its
/// owner.
#[derive(Debug)]
pub struct Proxy {
    address: Address,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

/// A direction through a [`Proxy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From who dialled to the other node.
    Up,
    /// From the other node to who dialled.
    Down,
}

#[derive(Debug)]
struct State {
    mode: watch::Sender<Mode>,
    /// How many more bytes get through before the next cut.
    budget: AtomicU64,
    cuts: AtomicU64,
    links: AtomicU64,
}

/// What happens to links; a link is cut when `cut` is not what it was when the link was made.
#[derive(Debug, Clone, Copy, Default)]
struct Mode {
    stalled: [bool; 2],
    refusing: bool,
    cut: u64,
}

/// No limit to the bytes that get through.
const UNLIMITED: u64 = u64::MAX;

/// How many bytes are carried at once.
const BUFFER: usize = 64 * 1024;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Proxy {
    /// A proxy in front of `target`: of a TCP address on a free port of loopback, of a socket file with a
    /// socket file in `directory`.
    ///
    /// # Errors
    ///
    /// When it cannot listen, or the target is neither `tcp` nor `ipc`.
    pub async fn new(target: &Address, directory: &Path) -> io::Result<Self> {
        let state = Arc::new(State {
            mode: watch::channel(Mode::default()).0,
            budget: AtomicU64::new(UNLIMITED),
            cuts: AtomicU64::new(0),
            links: AtomicU64::new(0),
        });
        let (shared, target) = (state.clone(), target.clone());
        let (address, accepting) = match target.scheme() {
            "tcp" => {
                let listener = TcpListener::bind("127.0.0.1:0").await?;
                let address = format!("tcp://{}", listener.local_addr()?);
                let accepting = tokio::spawn(async move {
                    while let Ok((link, _)) = listener.accept().await {
                        link.set_nodelay(true).unwrap_or_default();
                        tokio::spawn(carry(shared.clone(), Box::new(link), target.clone()));
                    }
                });
                (address, accepting)
            }
            "ipc" => {
                let path = directory.join(format!("proxy-{:08x}.sock", fastrand::u32(..)));
                let listener = UnixListener::bind(&path)?;
                let accepting = tokio::spawn(async move {
                    while let Ok((link, _)) = listener.accept().await {
                        tokio::spawn(carry(shared.clone(), Box::new(link), target.clone()));
                    }
                });
                (format!("ipc://{}", path.display()), accepting)
            }
            scheme => return Err(io::Error::other(format!("no proxy for {scheme}"))),
        };
        let address = address.parse().map_err(io::Error::other)?;
        Ok(Self { address, state, accepting })
    }

    /// What to dial instead of the target.
    pub fn address(&self) -> Address {
        self.address.clone()
    }

    /// How many links were cut by the proxy.
    pub fn cuts(&self) -> u64 {
        self.state.cuts.load(Relaxed)
    }

    /// How many links were made.
    pub fn links(&self) -> u64 {
        self.state.links.load(Relaxed)
    }

    /// Cuts all links now.
    pub fn cut(&self) {
        self.state.cut();
    }

    /// Lets exactly `bytes` more through, both directions together, then cuts all links.
    pub fn cut_after(&self, bytes: u64) {
        self.state.budget.store(bytes, Relaxed);
    }

    /// Lets nothing through in this direction from now on: the other end hears nothing, not even of an end.
    pub fn stall(&self, direction: Direction) {
        self.state.mode.send_modify(|mode| mode.stalled[direction as usize] = true);
    }

    /// Lets everything through again, what was held included.
    pub fn resume(&self) {
        self.state.mode.send_modify(|mode| mode.stalled = [false; 2]);
    }

    /// Whether links that are dialled from now on are closed at once.
    pub fn refuse(&self, refusing: bool) {
        self.state.mode.send_modify(|mode| mode.refusing = refusing);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.state.mode.send_modify(|mode| mode.cut += 1);
        if self.address.scheme() == "ipc" {
            // It may be gone with its directory already.
            let _ = std::fs::remove_file(self.address.target());
        }
    }
}

impl State {
    fn cut(&self) {
        self.budget.store(UNLIMITED, Relaxed);
        self.cuts.fetch_add(1, Relaxed);
        self.mode.send_modify(|mode| mode.cut += 1);
    }

    /// How many of `wanted` bytes may get through, and whether the links are to be cut behind them.
    fn spend(&self, wanted: usize) -> (usize, bool) {
        let spend = |left| Some(if left == UNLIMITED { left } else { left - (wanted as u64).min(left) });
        match self.budget.fetch_update(Relaxed, Relaxed, spend) {
            Ok(left) if left != UNLIMITED && left <= wanted as u64 => (left as usize, true),
            _ => (wanted, false),
        }
    }
}

async fn carry(state: Arc<State>, link: Box<dyn Stream>, target: Address) {
    let mut mode = state.mode.subscribe();
    let Mode { refusing, cut, .. } = *mode.borrow_and_update();
    if refusing {
        return;
    }
    let other: io::Result<Box<dyn Stream>> = match target.scheme() {
        "tcp" => TcpStream::connect(target.target()).await.map(|other| {
            other.set_nodelay(true).unwrap_or_default();
            Box::new(other) as _
        }),
        _ => UnixStream::connect(target.target()).await.map(|other| Box::new(other) as _),
    };
    let Ok(other) = other else { return };
    state.links.fetch_add(1, Relaxed);
    let (from_link, to_link) = tokio::io::split(link);
    let (from_other, to_other) = tokio::io::split(other);
    let ended = async move {
        while mode.borrow_and_update().cut == cut {
            if mode.changed().await.is_err() {
                return;
            }
        }
    };
    // Whichever ends first, both sockets close.
    tokio::select! {
        () = pump(&state, Direction::Up, from_link, to_other) => {}
        () = pump(&state, Direction::Down, from_other, to_link) => {}
        () = ended => {}
    }
}

async fn pump(
    state: &State,
    direction: Direction,
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
) {
    let mut mode = state.mode.subscribe();
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = from.read(&mut buffer).await;
        // What has come while the direction is stalled waits here, an end too.
        if mode.wait_for(|mode| !mode.stalled[direction as usize]).await.is_err() {
            return;
        }
        let count = match read {
            Ok(0) | Err(_) => return,
            Ok(count) => count,
        };
        let (allowed, last) = state.spend(count);
        if to.write_all(&buffer[..allowed]).await.is_err() {
            return;
        }
        if last {
            state.cut();
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PrivateDir, deadline, run};

    /// A server that says back what it hears.
    async fn echo() -> Address {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("tcp://{}", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move {
            while let Ok((mut link, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = link.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        address
    }

    async fn through(proxy: &Proxy) -> TcpStream {
        TcpStream::connect(proxy.address().target()).await.unwrap()
    }

    #[test]
    fn a_proxy_carries_bytes_both_ways_until_it_cuts_at_exactly_the_byte_that_was_asked_for() {
        run("proxy", || async {
            let directory = PrivateDir::new();
            let proxy = Proxy::new(&echo().await, directory.path()).await.unwrap();
            let mut link = through(&proxy).await;
            let mut answer = [0; 5];
            link.write_all(b"hello").await.unwrap();
            deadline("answer", link.read_exact(&mut answer)).await.unwrap();
            assert_eq!(&answer, b"hello");
            // Five up, two down.
            proxy.cut_after(7);
            link.write_all(b"hello").await.unwrap();
            let mut rest = Vec::new();
            deadline("end", link.read_to_end(&mut rest)).await.unwrap_or_default();
            assert_eq!(rest, b"he");
            assert_eq!((proxy.cuts(), proxy.links()), (1, 1));
        });
    }

    #[test]
    fn a_stalled_direction_gives_everything_when_it_is_resumed() {
        run("proxy", || async {
            let directory = PrivateDir::new();
            let proxy = Proxy::new(&echo().await, directory.path()).await.unwrap();
            let mut link = through(&proxy).await;
            proxy.stall(Direction::Down);
            link.write_all(b"hello").await.unwrap();
            let mut answer = [0; 5];
            let early =
                tokio::time::timeout(std::time::Duration::from_millis(50), link.read_exact(&mut answer));
            assert!(early.await.is_err());
            proxy.resume();
            deadline("answer", link.read_exact(&mut answer)).await.unwrap();
            assert_eq!(&answer, b"hello");
        });
    }

    #[test]
    fn a_proxy_that_refuses_closes_at_once() {
        run("proxy", || async {
            let directory = PrivateDir::new();
            let proxy = Proxy::new(&echo().await, directory.path()).await.unwrap();
            proxy.refuse(true);
            let mut link = through(&proxy).await;
            assert_eq!(deadline("end", link.read(&mut [0; 1])).await.unwrap_or(0), 0);
        });
    }
}
