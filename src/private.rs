//! What the macros' output calls. No part of the API.

#[cfg(feature = "task")]
pub use tidings_task::program::{Entry, inventory, run_program};
