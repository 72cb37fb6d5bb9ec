//! What the benches share: two ends in two processes, rounds that alternate between everything that is
//! compared, and rows of figures.

mod arguments;
mod bench;
mod message;
mod quiet;
mod receiver;
mod row;
mod run;
mod session;
mod statistics;
mod subject;
mod table;
pub(crate) mod tidings;
mod tidings_handler;
mod watchdog;

pub(crate) use bench::Bench;
#[allow(
    unused_imports,
    reason = "what a peer is written against; the benches of Tidings alone have none"
)]
pub(crate) use message::{MARK_BYTES, Messages, mark_of};
#[allow(unused_imports, reason = "what is measured by other means than a session")]
pub(crate) use row::{Row, bytes, grouped};
pub(crate) use run::main;
#[allow(unused_imports, reason = "what is measured by other means than a session")]
pub(crate) use run::with_sources;
#[allow(unused_imports, reason = "what is measured by other means than a session")]
pub(crate) use statistics::Summary;
#[allow(
    unused_imports,
    reason = "what a peer is written against; the benches of Tidings alone have none"
)]
pub(crate) use subject::{End, Listening, Result, Route, Subject, Wire};
