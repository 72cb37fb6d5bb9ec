use std::{fmt, sync::Arc, time::Duration};

use serde::de::DeserializeOwned;

use crate::{
    Address, BoxFuture, Changes, Emit, EmitOptions, Error, Incarnation, ListenOptions, Listener, Loan,
    NodeId, Payload, Peer, Publish, Report, Result, Revision, RouterBuilder, Stats, Subscription, Topology,
    Wait, pattern::check_name, runtime,
};

/// A node on the bus: who it is, and how it reaches everyone.
///
/// The verbs that a user calls stand on `dyn Router`: [`builder`](trait@Router#method.builder),
/// [`emit`](trait@Router#method.emit), [`subscribe`](trait@Router#method.subscribe) and the waits.
///
/// # The promises
///
/// 1. **Identity.** Nodes of different clusters never hear each other.
/// 2. **Scope.** An event reaches every listener in every node, this process included, unless its scope says
///    otherwise, and is never echoed to its sender.
/// 3. **Topology.** Mesh and star: everyone reaches everyone. Alone: only what is attached to.
/// 4. **Interest.** An event is sent only where somebody listens for it.
/// 5. **Ready.** When `open` returns this node's listening works, the peers that it was told to attach to are
///    connected, and the first message is not lost.
/// 6. **Order.** First in, first out per publisher and listener.
/// 7. **Delivery.** Nothing is dropped while a link lives; a full queue makes the sender wait; a loss is never
///    silent.
/// 8. **Peers come and go,** and [`changes`](Self::changes) says so. Listening is restored by itself.
/// 9. **Shutdown** is over by its deadline, and nothing stays behind.
/// 10. **Failures are errors,** at the caller, naming the setting.
/// 11. **Safe by default:** what is open to other machines needs a secret, and nothing is allocated on a stranger's
///     word.
/// 12. **Everything is bounded.**
pub trait Router: fmt::Debug + Send + Sync + 'static {
    /// The number that names this node in its cluster.
    fn node_id(&self) -> NodeId;

    /// Which life of this node this is.
    fn incarnation(&self) -> Incarnation;

    /// The name of the cluster.
    fn cluster(&self) -> &str;

    /// The labels that this node was given.
    fn labels(&self) -> &[String];

    /// The shape of the cluster.
    fn topology(&self) -> Topology;

    /// What this node really listens on, the port filled in. Empty without a transport.
    fn addresses(&self) -> Vec<Address>;

    /// The other members of the cluster that can be reached now, by node id.
    fn peers(&self) -> Vec<Peer>;

    /// Those who look on now and are no members: see [`RouterBuilder::observer`].
    fn observers(&self) -> Vec<Peer> {
        Vec::new()
    }

    /// How many listeners in other nodes get `event`, as far as they have said. Observers do not count,
    /// but those for whom the hub of a star asks.
    fn listeners(&self, event: &str) -> usize;

    /// The counters since the router was opened.
    fn stats(&self) -> Stats;

    /// The current members as [`Change::Joined`](crate::Change::Joined), then every change.
    fn changes(&self) -> Changes;

    /// Tells when peers or their listeners have changed.
    fn revision(&self) -> Revision;

    /// One try to queue an event for everyone who gets it: for all of them, or for none.
    ///
    /// # Errors
    ///
    /// Those of [`Emit`].
    fn publish(&self, event: &str, payload: &dyn Payload, options: &EmitOptions) -> Result<Publish>;

    /// Memory of this length to fill with a payload in place; see [`Loan`].
    fn loan(&self, len: usize) -> Loan;

    /// Listens for events of this name or pattern, from the call on, without decoding them.
    ///
    /// In the moment after a node has joined ([`Limits::hold`](crate::Limits::hold)), messages that came from other
    /// nodes before anybody listened are handed to the first listener that matches. A listener for
    /// [one message](ListenOptions::once), if it is the first such one for that event, may also take one that another
    /// listener has had: so `on` followed by `wait_for` gets what came between the two.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidEvent`], [`Error::Closed`].
    fn listen(&self, pattern: &str, options: ListenOptions) -> Result<Listener>;

    /// Connects to more peers, until all are connected.
    ///
    /// # Errors
    ///
    /// Those of [`RouterBuilder::open`].
    fn attach(&self, addresses: Vec<Address>) -> BoxFuture<'_, Result<()>>;

    /// Leaves the cluster: sends what is queued, says goodbye, and is back by the deadline.
    fn close(&self, deadline: Duration) -> BoxFuture<'_, Report>;
}

/// So that what takes a `&dyn Router` also takes an `&Arc<Router>`.
impl<R: Router + ?Sized> Router for Arc<R> {
    fn node_id(&self) -> NodeId {
        (**self).node_id()
    }

    fn incarnation(&self) -> Incarnation {
        (**self).incarnation()
    }

    fn cluster(&self) -> &str {
        (**self).cluster()
    }

    fn labels(&self) -> &[String] {
        (**self).labels()
    }

    fn topology(&self) -> Topology {
        (**self).topology()
    }

    fn addresses(&self) -> Vec<Address> {
        (**self).addresses()
    }

    fn peers(&self) -> Vec<Peer> {
        (**self).peers()
    }

    fn observers(&self) -> Vec<Peer> {
        (**self).observers()
    }

    fn listeners(&self, event: &str) -> usize {
        (**self).listeners(event)
    }

    fn stats(&self) -> Stats {
        (**self).stats()
    }

    fn changes(&self) -> Changes {
        (**self).changes()
    }

    fn revision(&self) -> Revision {
        (**self).revision()
    }

    fn publish(&self, event: &str, payload: &dyn Payload, options: &EmitOptions) -> Result<Publish> {
        (**self).publish(event, payload, options)
    }

    fn loan(&self, len: usize) -> Loan {
        (**self).loan(len)
    }

    fn listen(&self, pattern: &str, options: ListenOptions) -> Result<Listener> {
        (**self).listen(pattern, options)
    }

    fn attach(&self, addresses: Vec<Address>) -> BoxFuture<'_, Result<()>> {
        (**self).attach(addresses)
    }

    fn close(&self, deadline: Duration) -> BoxFuture<'_, Report> {
        (**self).close(deadline)
    }
}

impl dyn Router {
    /// Starts to describe a router.
    ///
    /// ```
    /// use tidings_router_core::{Memory, Router};
    ///
    /// let router = <dyn Router>::builder().node_id(1).transport(Memory::network()).open().wait()?;
    /// assert_eq!(router.node_id().0, 1);
    /// # Ok::<(), tidings_router_core::Error>(())
    /// ```
    pub fn builder() -> RouterBuilder {
        RouterBuilder::default()
    }

    /// Emits an event to everyone who listens for it. See [`Emit`].
    ///
    /// ```
    /// use tidings_router_core::Router;
    ///
    /// let router = <dyn Router>::builder().open().wait()?;
    /// let mut greetings = router.subscribe::<String>("greeting")?;
    /// router.emit("greeting", "Hi").wait()?;
    /// assert_eq!(greetings.next_wait().unwrap().payload, "Hi");
    /// # Ok::<(), tidings_router_core::Error>(())
    /// ```
    pub fn emit<'a, P: Payload + Unpin>(&'a self, event: &'a str, payload: P) -> Emit<'a, P> {
        Emit::new(self, event, payload)
    }

    /// Listens for events of this name or pattern (`*` stands for any run of characters, `?` for any one), from the
    /// call on. `T` is what they are decoded into; `Bytes` is the payload as it travelled.
    ///
    /// ```
    /// use tidings_router_core::Router;
    ///
    /// let router = <dyn Router>::builder().open().wait()?;
    /// let mut all = router.subscribe::<u32>("loss.*")?;
    /// router.emit("loss.train", &7u32).wait()?;
    /// let event = all.next_wait().unwrap();
    /// assert_eq!((&*event.name, event.payload), ("loss.train", 7));
    /// # Ok::<(), tidings_router_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidEvent`], [`Error::Closed`].
    pub fn subscribe<T: DeserializeOwned + 'static>(&self, event: &str) -> Result<Subscription<T>> {
        Ok(Subscription::new(self.listen(event, ListenOptions::default())?))
    }

    /// Waits until at least `count` other nodes are members.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tidings_router_core::{Memory, Router};
    ///
    /// let network = Memory::network();
    /// let a = <dyn Router>::builder().node_id(0).transport(network.clone()).open().wait()?;
    /// let b = <dyn Router>::builder().node_id(1).transport(network).attach_to(a.addresses()).open().wait()?;
    /// a.wait_for_peers(1).timeout(Duration::from_secs(5)).wait()?;
    /// # Ok::<(), tidings_router_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`], [`Error::Closed`].
    pub fn wait_for_peers(&self, count: usize) -> Wait<'_, ()> {
        self.wait_until(format!("{count} peers"), move |router| router.peers().len() >= count)
    }

    /// Waits until other nodes have at least `count` listeners for `event`.
    ///
    /// ```
    /// use tidings_router_core::{Memory, Router};
    ///
    /// let network = Memory::network();
    /// let a = <dyn Router>::builder().node_id(0).transport(network.clone()).open().wait()?;
    /// let b = <dyn Router>::builder().node_id(1).transport(network).attach_to(a.addresses()).open().wait()?;
    /// let greetings = b.subscribe::<String>("greet*")?;
    /// a.wait_for_listeners("greeting", 1).wait()?;
    /// # Ok::<(), tidings_router_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidEvent`] when it is no event's name, [`Error::Timeout`], [`Error::Closed`].
    pub fn wait_for_listeners<'a>(&'a self, event: &'a str, count: usize) -> Wait<'a, ()> {
        let what = format!("{count} listeners of `{event}`");
        if let Err(error) = check_name(event) {
            return Wait::new(what, std::future::ready(Err(error)));
        }
        self.wait_until(what, move |router| router.listeners(event) >= count)
    }

    fn wait_until<'a>(&'a self, what: String, reached: impl Fn(&Self) -> bool + Send + 'a) -> Wait<'a, ()> {
        let mut revision = self.revision();
        Wait::new(what, async move {
            while !reached(self) {
                if !revision.changed().await {
                    return Err(Error::Closed);
                }
            }
            Ok(())
        })
    }

    /// Leaves the cluster: sends what is queued, says goodbye, and is back by the deadline with what was delivered
    /// and what was not. Safe to call again: the second call reports nothing to do.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tidings_router_core::Router;
    ///
    /// let router = <dyn Router>::builder().open().wait()?;
    /// let report = router.shutdown(Duration::from_secs(1)).wait();
    /// assert_eq!(report.discarded, 0);
    /// # Ok::<(), tidings_router_core::Error>(())
    /// ```
    pub fn shutdown(&self, deadline: Duration) -> Shutdown<'_> {
        Shutdown { future: self.close(deadline) }
    }
}

/// A shutdown about to begin; made by `Router::shutdown`.
#[must_use = "a `Shutdown` does nothing unless awaited or `.wait()`ed for"]
pub struct Shutdown<'a> {
    future: BoxFuture<'a, Report>,
}

impl Shutdown<'_> {
    /// Blocks this thread until it is over.
    pub fn wait(self) -> Report {
        runtime::block_on(self.future)
    }
}

impl<'a> IntoFuture for Shutdown<'a> {
    type Output = Report;
    type IntoFuture = BoxFuture<'a, Report>;

    fn into_future(self) -> Self::IntoFuture {
        self.future
    }
}

impl fmt::Debug for Shutdown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown").finish_non_exhaustive()
    }
}
