/// A node on the bus; made by `Router::builder()`, held as `Arc<Router>`.
///
/// It emits events and listens for them, knows its peers, and leaves with `shutdown`.
/// Without a transport it is a router of this process alone:
///
/// ```
/// use std::time::Duration;
/// use tidings::prelude::*;
///
/// let router = Router::builder().open().wait()?;
/// let mut greetings = router.subscribe::<String>("greet*")?;
/// router.emit("greeting", "Hi").wait()?;
/// let event = greetings.next_wait().expect("the router is open");
/// assert_eq!((&*event.name, event.source, event.payload.as_str()), ("greeting", NodeId(0), "Hi"));
/// router.shutdown(Duration::from_secs(1)).wait();
/// # Ok::<(), tidings::Error>(())
/// ```
///
/// With one it is a member of a cluster. `open` returns when the peers that it attaches to are connected, and the
/// first message after that is not lost:
///
/// ```
/// use tidings::prelude::*;
///
/// let network = Memory::network();
/// let hub = Router::builder().node_id(0).topology(Star).transport(network.clone()).open().wait()?;
/// let leaf = Router::builder().node_id(1).topology(Star).transport(network).attach_to(hub.addresses()).open().wait()?;
/// let mut answers = hub.subscribe::<u64>("answer")?;
/// leaf.emit("answer", &42u64).only_remote().wait()?;
/// assert_eq!(answers.next_wait().expect("the router is open").payload, 42);
/// # Ok::<(), tidings::Error>(())
/// ```
///
/// The promises that it keeps stand at the trait, [`Router`](trait@tidings_router_core::Router).
pub type Router = dyn tidings_router_core::Router;
