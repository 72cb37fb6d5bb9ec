//! The end of a task, on all its nodes.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
};

use tidings_router_core::{Incarnation, Router};

/// How many tasks of one name have come to their end on one router. Nodes of one program run the same tasks in the same
/// order, so the number says which of them an end belongs to.
type Ended = HashMap<(Incarnation, String), u64>;

fn ended() -> MutexGuard<'static, Ended> {
    static ENDED: LazyLock<Mutex<Ended>> = LazyLock::new(Mutex::default);
    ENDED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What tells the next task of this name from those before it.
pub(crate) fn id(router: &dyn Router, name: &str) -> String {
    let number = ended().get(&(router.incarnation(), name.to_owned())).copied().unwrap_or_default();
    format!("{name}.{number}")
}

/// Notes that a task of this name has come to its end.
pub(crate) fn note(router: &dyn Router, name: &str) {
    *ended().entry((router.incarnation(), name.to_owned())).or_default() += 1;
}
