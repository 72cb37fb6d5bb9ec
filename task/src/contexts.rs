//! The states of reinforcement learning pipelines, with the fields of DI-engine's contexts.

use std::collections::BTreeMap;

use crate::State;

/// What an online pipeline keeps, and what one step hands on to the next middleware.
///
/// `T` is a transition, `D` what a learner trains on. `total_step` is the [`Context`](crate::Context)'s.
#[derive(Debug, Clone, PartialEq)]
pub struct OnlineRlContext<T = (), D = Vec<T>> {
    /// Environment steps so far. Kept.
    pub env_step: u64,
    /// Finished episodes so far. Kept.
    pub env_episode: u64,
    /// Training iterations so far. Kept.
    pub train_iter: u64,
    /// What the learner is to train on.
    pub train_data: Option<D>,
    /// What the collector is to be told, by name.
    pub collect_kwargs: BTreeMap<String, f64>,
    /// Transitions that this step has collected.
    pub trajectories: Option<Vec<T>>,
    /// Where each trajectory ends.
    pub trajectory_end_idx: Vec<usize>,
    /// The mean return of this step's evaluation; minus infinity before it.
    pub eval_value: f64,
    /// The training iteration of the last evaluation; `None` before it. Kept.
    pub last_eval_iter: Option<u64>,
    /// The mean return of the last evaluation; minus infinity before it. Kept.
    pub last_eval_value: f64,
}

impl<T, D> Default for OnlineRlContext<T, D> {
    fn default() -> Self {
        Self {
            env_step: 0,
            env_episode: 0,
            train_iter: 0,
            train_data: None,
            collect_kwargs: BTreeMap::new(),
            trajectories: None,
            trajectory_end_idx: Vec::new(),
            eval_value: f64::NEG_INFINITY,
            last_eval_iter: None,
            last_eval_value: f64::NEG_INFINITY,
        }
    }
}

impl<T: Send + 'static, D: Send + 'static> State for OnlineRlContext<T, D> {
    fn renew(&mut self) {
        *self = Self {
            env_step: self.env_step,
            env_episode: self.env_episode,
            train_iter: self.train_iter,
            last_eval_iter: self.last_eval_iter,
            last_eval_value: self.last_eval_value,
            ..Self::default()
        };
    }
}

/// What an offline pipeline keeps, and what one step hands on to the next middleware. `D` is what a learner trains on.
#[derive(Debug, Clone, PartialEq)]
pub struct OfflineRlContext<D = ()> {
    /// Environment steps that the data trained on so far stands for. Kept.
    pub trained_env_step: u64,
    /// Passes over the data set so far. Kept.
    pub train_epoch: u64,
    /// Training iterations so far. Kept.
    pub train_iter: u64,
    /// What the learner is to train on.
    pub train_data: Option<D>,
    /// The mean return of this step's evaluation; minus infinity before it.
    pub eval_value: f64,
    /// The training iteration of the last evaluation; `None` before it. Kept.
    pub last_eval_iter: Option<u64>,
    /// The mean return of the last evaluation; minus infinity before it. Kept.
    pub last_eval_value: f64,
}

impl<D> Default for OfflineRlContext<D> {
    fn default() -> Self {
        Self {
            trained_env_step: 0,
            train_epoch: 0,
            train_iter: 0,
            train_data: None,
            eval_value: f64::NEG_INFINITY,
            last_eval_iter: None,
            last_eval_value: f64::NEG_INFINITY,
        }
    }
}

impl<D: Send + 'static> State for OfflineRlContext<D> {
    fn renew(&mut self) {
        self.train_data = None;
        self.eval_value = f64::NEG_INFINITY;
    }
}
