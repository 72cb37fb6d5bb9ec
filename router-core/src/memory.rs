//! The in-process transport: byte streams between the routers of one process, with faults that a test can script.

mod link;

use std::{
    collections::{BTreeMap, VecDeque},
    fmt, io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
};

use crate::{
    Acceptor, Address, BoxFuture, Capability, Connector, Error, Link, ListenContext, Placement, Result,
    Transport, Wire,
};
use link::Ends;
pub use link::MemoryLink;

/// A network within this process. Clones are the same network: give one to each router.
///
/// ```
/// use tidings_router_core::{Memory, Router};
///
/// let network = Memory::network();
/// let a = <dyn Router>::builder().node_id(0).transport(network.clone()).open().wait()?;
/// let b = <dyn Router>::builder().node_id(1).transport(network).attach_to(a.addresses()).open().wait()?;
/// assert_eq!(b.peers().len(), 1);
/// # Ok::<(), tidings_router_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Memory {
    network: Arc<Network>,
}

/// What happens to a new link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing.
    None,
    /// It is refused, as where nobody listens.
    Refuse,
    /// It breaks when so many bytes have passed, in both directions together.
    CutAfter(u64),
    /// Nothing passes in either direction, without an error.
    Silence,
}

struct Network {
    number: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    waiting: BTreeMap<u64, Waiting>,
    script: VecDeque<Fault>,
    links: Vec<Weak<Ends>>,
}

/// The links that a listener has not accepted yet.
#[derive(Default)]
struct Waiting {
    links: VecDeque<Arc<dyn Link>>,
    waker: Option<Waker>,
}

/// How many links wait to be accepted; more are refused.
const BACKLOG: usize = 1024;

impl Memory {
    /// A new network.
    pub fn network() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Relaxed);
        Self { network: Arc::new(Network { number, state: Mutex::default() }) }
    }

    /// Says what happens to the next links that are dialled, in order; after that nothing does.
    pub fn script(&self, faults: impl IntoIterator<Item = Fault>) {
        self.network.lock().script.extend(faults);
    }

    /// The links that there are now, oldest first.
    pub fn links(&self) -> Vec<MemoryLink> {
        let mut state = self.network.lock();
        state.links.retain(|link| link.strong_count() > 0);
        let live = state.links.iter().filter_map(Weak::upgrade).filter(|ends| !ends.is_cut());
        live.map(MemoryLink::new).collect()
    }
}

impl Network {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dial(&self, address: &Address) -> io::Result<Arc<dyn Link>> {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let (network, listener) = address.target().split_once('/').ok_or_else(refused)?;
        if network.parse() != Ok(self.number) {
            return Err(refused());
        }
        let mut state = self.lock();
        let fault = state.script.pop_front().unwrap_or(Fault::None);
        let listener = listener.parse().ok().filter(|_| fault != Fault::Refuse);
        let waiting =
            listener.and_then(|listener: u64| state.waiting.get_mut(&listener)).ok_or_else(refused)?;
        if waiting.links.len() == BACKLOG {
            return Err(refused());
        }
        let (ends, here, there) = link::connect(address.to_string(), fault);
        waiting.links.push_back(there);
        let waker = waiting.waker.take();
        state.links.push(Arc::downgrade(&ends));
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(here)
    }
}

impl Transport for Memory {
    fn scheme(&self) -> &'static str {
        "memory"
    }

    fn capability(&self) -> Capability {
        Capability::reliable()
    }

    fn wire(&self) -> Wire {
        Wire::Links(Arc::new(self.clone()))
    }

    fn place(&self, _placement: &Placement) -> Result<Arc<dyn Transport>> {
        Err(Error::Setting {
            setting: "transport".into(),
            reason: "the memory transport does not leave the process: use `.in_process()`".into(),
        })
    }
}

impl Connector for Memory {
    fn listen<'a>(&'a self, _context: &'a ListenContext) -> BoxFuture<'a, Result<Box<dyn Acceptor>>> {
        Box::pin(async move {
            let mut state = self.network.lock();
            let number = state.next;
            state.next += 1;
            state.waiting.insert(number, Waiting::default());
            let address = Address::new("memory", format_args!("{}/{number}", self.network.number))?;
            Ok(Box::new(MemoryAcceptor { network: self.network.clone(), number, address })
                as Box<dyn Acceptor>)
        })
    }

    fn dial<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, io::Result<Arc<dyn Link>>> {
        Box::pin(async move { self.network.dial(address) })
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({})", self.network.number)
    }
}

struct MemoryAcceptor {
    network: Arc<Network>,
    number: u64,
    address: Address,
}

impl Acceptor for MemoryAcceptor {
    fn addresses(&self) -> Vec<Address> {
        vec![self.address.clone()]
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Arc<dyn Link>>> {
        let mut state = self.network.lock();
        let waiting = state.waiting.entry(self.number).or_default();
        match waiting.links.pop_front() {
            Some(link) => Poll::Ready(Ok(link)),
            None => {
                waiting.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for MemoryAcceptor {
    fn drop(&mut self) {
        let waiting = self.network.lock().waiting.remove(&self.number);
        waiting.into_iter().flat_map(|waiting| waiting.links).for_each(|link| link.close());
    }
}

impl fmt::Debug for MemoryAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryAcceptor({})", self.address)
    }
}
