//! What `#[derive(State)]` keeps and renews, and the states of reinforcement learning pipelines.

use tidings_macros::State;
use tidings_task::{Context, OfflineRlContext, OnlineRlContext, State, Task};
use tidings_testkit::deadline;

use crate::support::within_deadline;

#[derive(Debug, Default, PartialEq, State)]
#[state(crate = tidings_task)]
struct Rollout {
    #[keep]
    env_step: u64,
    batch: Vec<f32>,
    note: Option<String>,
}

#[derive(Debug, PartialEq, State)]
#[state(crate = tidings_task)]
struct Pair(u32, #[keep] u32);

#[derive(Debug, PartialEq, State)]
#[state(crate = tidings_task)]
struct Nothing;

#[derive(Debug, PartialEq, State)]
#[state(crate = tidings_task)]
struct Generic<T, const N: usize>
where
    T: Default + Send + 'static,
{
    #[keep]
    kept: [u8; N],
    renewed: T,
}

#[derive(Debug, PartialEq, State)]
#[state(crate = tidings_task)]
struct Bounded<T: Default + Send + 'static>(T);

#[test]
fn renewal_resets_every_field_but_those_that_are_kept() {
    let mut rollout = Rollout { env_step: 7, batch: vec![1.0], note: Some("new".into()) };
    rollout.renew();
    assert_eq!(rollout, Rollout { env_step: 7, batch: vec![], note: None });
}

#[test]
fn tuple_structs_unit_structs_and_generics_are_states_too() {
    let mut pair = Pair(1, 2);
    pair.renew();
    assert_eq!(pair, Pair(0, 2));
    let mut nothing = Nothing;
    nothing.renew();
    assert_eq!(nothing, Nothing);
    let mut generic = Generic { kept: [1, 2], renewed: String::from("new") };
    generic.renew();
    assert_eq!(generic, Generic { kept: [1, 2], renewed: String::new() });
    let mut bounded = Bounded(5u8);
    bounded.renew();
    assert_eq!(bounded, Bounded(0));
}

#[test]
fn the_state_is_renewed_after_each_step_and_not_before_its_end() {
    within_deadline(|| async {
        let mut task = Task::builder().state(Rollout::default()).build();
        task.step(|ctx: &mut Context<Rollout>| {
            assert!(ctx.batch.is_empty() && ctx.env_step == ctx.total_step);
            ctx.batch.push(1.0);
        });
        task.step(|ctx: &mut Context<Rollout>| ctx.env_step += ctx.batch.len() as u64);
        deadline("run", task.run(3)).await.unwrap();
        assert_eq!(**task.context(), Rollout { env_step: 3, ..Rollout::default() });
    });
}

#[test]
fn an_online_pipeline_keeps_its_counters_and_its_last_evaluation() {
    let fresh = OnlineRlContext::<u8>::default();
    assert_eq!((fresh.last_eval_iter, fresh.last_eval_value), (None, f64::NEG_INFINITY));
    let mut ctx = OnlineRlContext::<u8> {
        env_step: 1,
        env_episode: 2,
        train_iter: 3,
        last_eval_iter: Some(4),
        last_eval_value: 5.0,
        train_data: Some(vec![6]),
        trajectories: Some(vec![7]),
        trajectory_end_idx: vec![8],
        eval_value: 9.0,
        collect_kwargs: [("eps".to_owned(), 0.1)].into(),
    };
    ctx.renew();
    let kept = OnlineRlContext {
        env_step: 1,
        env_episode: 2,
        train_iter: 3,
        last_eval_iter: Some(4),
        last_eval_value: 5.0,
        ..OnlineRlContext::default()
    };
    assert_eq!(ctx, kept);
}

#[test]
fn an_offline_pipeline_keeps_its_counters_and_its_last_evaluation() {
    let mut ctx = OfflineRlContext::<u8> {
        trained_env_step: 1,
        train_epoch: 2,
        train_iter: 3,
        last_eval_iter: Some(4),
        last_eval_value: 5.0,
        train_data: Some(6),
        eval_value: 7.0,
    };
    ctx.renew();
    let kept = OfflineRlContext {
        trained_env_step: 1,
        train_epoch: 2,
        train_iter: 3,
        last_eval_iter: Some(4),
        last_eval_value: 5.0,
        ..OfflineRlContext::default()
    };
    assert_eq!(ctx, kept);
}
