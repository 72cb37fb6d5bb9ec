/// How far a task is. Its runs are counted, because an end belongs to one of them: nodes of one program run their tasks
/// equally often, but not at the same time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Phase {
    /// How many runs have begun.
    pub(crate) runs: u64,
    /// The last run that has finished, here or on another node.
    pub(crate) finished: u64,
    /// There is an error that `run` has not returned yet.
    pub(crate) failed: bool,
    /// The task is gone.
    pub(crate) closed: bool,
    /// How often there was an end of any kind: who waits for one must not miss it when the next run begins.
    pub(crate) ends: u64,
}

impl Phase {
    /// The run that is under way, or was last, or is the first to come.
    pub(crate) fn run(&self) -> u64 {
        self.runs.max(1)
    }

    /// Whether that run has finished.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished >= self.run()
    }

    /// Whether a step has nothing to wait for any more.
    pub(crate) fn is_over(&self) -> bool {
        self.closed || self.failed || self.is_finished()
    }
}
