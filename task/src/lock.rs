use std::sync::Arc;

use tokio::sync::Mutex;

use crate::{Branch, State, branch::RunPart};

/// Lets one of several branches run at a time that otherwise run at the same time.
///
/// ```
/// use tidings_task::{Shared, StepLock, Task};
///
/// let lock = StepLock::default();
/// let mut task = Task::builder().build();
/// task.parallel((
///     lock.exclusive(|_: &Shared<()>| println!("one")),
///     lock.exclusive(|_: &Shared<()>| println!("then the other")),
/// ));
/// task.run(1).wait()?;
/// # Ok::<(), tidings_router_core::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct StepLock(Arc<Mutex<()>>);

/// A branch under a [`StepLock`].
#[derive(Debug)]
pub struct Exclusive<B> {
    lock: StepLock,
    branch: B,
}

impl StepLock {
    /// A branch that waits until no other one under this lock runs.
    pub fn exclusive<B>(&self, branch: B) -> Exclusive<B> {
        Exclusive { lock: self.clone(), branch }
    }
}

impl<S: State, B: Branch<S>> Branch<S> for Exclusive<B> {
    fn into_part(self) -> RunPart<S> {
        let (lock, part) = (self.lock, self.branch.into_part());
        let part = part.0;
        RunPart(Arc::new(move |shared| {
            let (lock, part) = (lock.clone(), part.clone());
            Box::pin(async move {
                let _locked = lock.0.lock().await;
                part(shared).await
            })
        }))
    }
}
