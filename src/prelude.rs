//! What a program needs: `use tidings::prelude::*`.

pub use tidings_router_core::{
    Bytes, Error, Event, NodeId, Result, Scope, Secret, Topology,
    Topology::{Alone, Mesh, Star},
};

#[cfg(feature = "parallel")]
pub use crate::Parallel;
pub use crate::{Router, transport::compiled_in::*};

#[cfg(feature = "task")]
pub use tidings_macros::State;
#[cfg(feature = "task")]
pub use tidings_task::{Barrier, Context, Middleware, Next, Shared, State, StepTimer, Task, TaskHandle};
