//! Tidings between the processes of one machine, over unix sockets and shared memory.
//!
//! ```
//! use tidings_router_core::Router;
//! use tidings_transport_ipc::Ipc;
//!
//! let a = <dyn Router>::builder().node_id(0).transport(Ipc::new()).open().wait()?;
//! let b = <dyn Router>::builder().node_id(1).transport(Ipc::new()).attach_to(a.addresses()).open().wait()?;
//! assert_eq!(b.peers().len(), 1);
//! # Ok::<(), tidings_router_core::Error>(())
//! ```
//!
//! # What it promises
//!
//! * **Reliable.** A link is a stream: what is written arrives whole and in order until the link breaks, and the death
//!   of a process breaks its links at once.
//! * **Ours alone.** A socket's file has mode 0600, and both ends let in only processes of the same effective
//!   user id, as the kernel knows it. The directory of [`Ipc::new`] has mode 0700 and is refused if it is
//!   anybody else's.
//! * **Nothing stays behind.** Dropping a listener removes its file, and the private directory with the last
//!   file in it. What a killed process leaves is replaced by whoever listens there next, and swept out of the
//!   private directory by the next one that listens in it.
//! * **Nobody is robbed.** A path where somebody listens is an error, and so is a file that is no socket;
//!   neither is touched.
//!
//! # Its limits
//!
//! * One machine, and one user on it. Processes in containers reach each other if they share the directory.
//! * A path has at most 107 bytes (103 on macOS and the BSDs), the operating system's limit for sockets.
//! * The path must be text (UTF-8), since it is an address, and its directory must exist.
//! * On Linux, what is sent is copied into memory that both ends of a link map, and out of it again; payloads from
//!   [`Ipc::shared_memory_from`] on are copied once, into memory that all receivers map, or not at all if they were
//!   written into a loan. Elsewhere all go through the kernel.
//! * Everyone who was let in can read all that a node shares, also payloads that are meant for others.
//!
//! # Invariants
//!
//! * **The file goes before the socket.** A listener removes its file while it still listens, so that nobody
//!   takes the file for a stale one and puts his own there just before it is removed.
//! * **A file listens from its first moment.** A socket is bound under a temporary name, and gets its own
//!   name when it listens and has its mode.
//! * **One at a time.** Who takes a name in a directory holds a lock on that directory.

mod acceptor;
mod directory;
mod ipc;
mod link;
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "memory that another process shares")]
mod shm;
#[cfg(not(target_os = "linux"))]
#[path = "shm_elsewhere.rs"]
mod shm;
mod socket_file;

pub use ipc::Ipc;
