use std::{
    future::Future,
    panic,
    pin::Pin,
    sync::mpsc::{RecvTimeoutError, sync_channel},
    thread,
    time::Duration,
};

use tidings_router_core::Topology;

use crate::{Fixture, Setup};

/// How long a test may take in all.
const WATCHDOG: Duration = Duration::from_secs(30);

/// Runs a test on a runtime of its own, under a watchdog that also catches a thread that blocks.
///
/// # Panics
///
/// When the test does, and when it is not over within 30 s.
pub fn run<F: Future<Output = ()> + 'static>(name: &'static str, test: impl FnOnce() -> F + Send + 'static) {
    run_boxed(name, Box::new(|| Box::pin(test())));
}

/// Not generic, so that it is compiled once and not once for each test.
fn run_boxed(name: &str, test: Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>) {
    let (over, ended) = sync_channel::<()>(1);
    let body = move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("the operating system gives us threads");
        runtime.block_on(async { test().await });
        runtime.shutdown_background();
        // Nobody listens any more when the watchdog has barked.
        let _ = over.send(());
    };
    let thread = thread::Builder::new().name(name.to_owned()).spawn(body);
    let thread = thread.expect("the operating system gives us a thread");
    match ended.recv_timeout(WATCHDOG) {
        Err(RecvTimeoutError::Timeout) => panic!("{name} was not over within {WATCHDOG:?}"),
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {
            if let Err(panic) = thread.join() {
                panic::resume_unwind(panic);
            }
        }
    }
}

/// Runs the case of this name, `group::case`, in this topology.
///
/// # Panics
///
/// When the case does, and when it is not over within 30 s.
pub fn run_case(name: &'static str, setup: fn(Topology) -> Setup, topology: Topology) {
    run(name, move || async move {
        let setup = setup(topology);
        case(name, &setup).await;
    });
}

/// The case of this name. All cases are compiled here, and a test only names one.
fn case<'a>(name: &str, fixture: &'a dyn Fixture) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
    crate::__conformance_cases!(__conformance_table[name fixture])
}

/// Stamps out every case of the suite as a `#[test]`, for one transport and each topology.
///
/// The expression is evaluated anew for each test and gives what [`Setup::new`](crate::Setup::new) takes: a
/// function that makes transports of one network.
///
/// ```
/// tidings_testkit::conformance!(memory, {
///     let network = tidings_router_core::Memory::network();
///     move |_directory, _number| network.clone()
/// });
/// ```
#[macro_export]
macro_rules! conformance {
    ($name:ident, $transports:expr) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            fn setup(topology: $crate::cases::Topology) -> $crate::Setup {
                $crate::Setup::new(topology, $transports)
            }
            mod alone {
                $crate::__conformance_cases!(__conformance_stamp[Alone]);
            }
            mod star {
                $crate::__conformance_cases!(__conformance_stamp[Star]);
            }
            mod mesh {
                $crate::__conformance_cases!(__conformance_stamp[Mesh]);
            }
        }
    };
}

/// The same for a bus, where everyone is attached to everyone: as a mesh, and as a star.
#[macro_export]
macro_rules! bus_conformance {
    ($name:ident, $transports:expr) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            fn setup(topology: $crate::cases::Topology) -> $crate::Setup {
                $crate::Setup::new(topology, $transports)
            }
            mod star {
                $crate::__conformance_cases!(__conformance_stamp[Star]);
            }
            mod mesh {
                $crate::__conformance_cases!(__conformance_stamp[Mesh]);
            }
        }
    };
}

/// The list of all cases, handed to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_cases {
    ($with:ident $arguments:tt) => {
        $crate::$with! { $arguments
            identity: [
                a_node_says_who_it_is,
                addresses_are_what_the_node_really_listens_on,
                clusters_never_hear_each_other,
                a_node_of_another_cluster_is_refused,
                a_node_id_that_is_taken_is_refused,
                the_id_of_the_node_that_is_attached_to_is_refused,
                a_restarted_node_replaces_its_old_self,
                nodes_that_hold_the_same_secret_connect,
                a_secret_is_never_printed,
            ],
            scope: [
                an_event_reaches_every_listener_in_every_node_once,
                only_local_stays_in_this_process,
                only_remote_skips_this_process,
                to_names_one_node,
                to_this_node_reaches_only_this_process,
                to_an_unknown_node_is_an_error,
                a_message_is_never_echoed_to_its_sender,
                an_event_says_its_name_and_who_emitted_it,
            ],
            topology: [
                a_node_that_attaches_to_one_member_reaches_whom_its_topology_says,
                every_node_hears_every_other_one_exactly_once,
                a_peer_behind_the_hub_names_the_hub,
                nodes_that_attach_to_each_other_at_once_have_one_link,
                attaching_twice_changes_nothing,
                a_star_has_the_hub_at_one_end_of_every_link,
                a_node_that_stands_alone_joins_any_topology,
            ],
            interest: [
                patterns_match_in_other_nodes,
                an_event_that_nobody_listens_for_is_not_sent,
                unsubscribing_stops_the_sending,
                an_event_goes_only_to_the_nodes_that_listen,
                a_listener_that_comes_later_hears_later_events,
                two_listeners_of_one_node_cost_one_message,
                listeners_that_overlap_each_hear_an_event_once,
                a_listener_for_one_message_takes_one,
            ],
            ready: [
                the_first_message_after_open_is_heard,
                the_first_message_is_kept_for_a_listener_that_comes_later,
                the_first_message_to_a_node_that_has_just_joined_is_kept,
                first_messages_are_heard_in_any_start_order,
                a_listener_for_one_message_may_take_what_another_has_had,
                what_nobody_claims_is_counted,
                waiting_for_peers_ends_when_they_are_there,
                waiting_for_listeners_ends_when_they_are_there,
                waiting_in_vain_is_a_timeout,
                waiting_for_listeners_of_what_is_no_event_is_an_error,
            ],
            order: [
                publishers_at_the_same_time_are_each_heard_in_order,
                tasks_of_one_node_are_each_heard_in_order,
                small_and_large_messages_keep_their_order,
                events_of_different_names_keep_their_order,
            ],
            delivery: [
                a_burst_to_three_peers_arrives_whole,
                large_messages_to_two_peers_arrive_whole,
                payloads_of_any_size_arrive_as_they_were,
                payloads_of_any_type_arrive_as_they_were,
                an_event_name_may_contain_anything_but_a_pattern,
                nodes_that_send_to_each_other_lose_nothing,
                counters_add_up,
            ],
            runtimes: [
                threads_without_a_runtime_use_the_blocking_twins,
                a_runtime_of_one_thread_is_enough,
                a_busy_thread_of_the_user_does_not_silence_the_node,
                futures_need_no_runtime_of_the_user,
            ],
            pressure: [
                a_full_queue_makes_the_sender_wait,
                trying_now_says_full_and_loses_nothing,
                a_reader_that_has_taken_everything_holds_up_nobody,
                what_waits_stays_within_its_bounds,
                a_slow_listener_does_not_stall_the_others,
                a_slow_listener_that_keeps_taking_is_waited_for,
                a_peer_that_takes_nothing_does_not_stall_the_others,
                handlers_that_answer_every_message_do_not_lock_up,
                a_handler_beyond_its_budget_is_told,
                drop_oldest_keeps_the_newest,
                drop_newest_keeps_the_oldest,
                latest_keeps_the_newest_of_each_event,
                a_listener_that_is_evicted_finds_the_end,
                a_listener_that_lags_here_is_treated_by_its_policy,
                a_peer_that_lags_and_is_evicted_comes_back,
            ],
            membership: [
                changes_begins_with_the_members,
                a_cluster_that_forms_tells_of_no_leave,
                joins_and_leaves_are_told_with_their_reason,
                a_node_that_is_dropped_is_noticed,
                a_node_that_comes_back_joins_anew,
                leaves_learn_that_the_hub_has_left,
                a_thousand_subscriptions_are_restored_twice,
                a_node_that_leaves_does_not_disturb_the_others,
                nodes_that_come_and_go_leave_nothing_behind,
            ],
            shutdown: [
                what_is_queued_is_flushed,
                a_second_shutdown_has_nothing_to_do,
                both_ends_part_when_they_shut_down_together,
                full_queues_do_not_hold_it_up,
                every_emit_around_it_is_delivered_or_counted,
                a_closed_router_refuses,
                streams_end,
                senders_that_wait_are_told,
                dropping_a_router_outside_a_runtime_is_enough,
                an_open_that_is_dropped_leaves_nothing_behind,
            ],
            errors: [
                a_message_beyond_the_frame_limit_is_refused,
                a_message_beyond_the_limit_of_a_peer_is_refused,
                names_that_are_none_are_refused,
                a_payload_that_cannot_be_encoded_is_refused,
                a_payload_of_another_type_is_skipped_and_counted,
                a_node_with_another_secret_is_refused,
                a_secret_on_one_side_only_is_refused,
                topologies_that_do_not_go_together_are_refused,
                an_address_where_nobody_listens_is_unreachable,
                an_address_without_a_scheme_is_none,
                an_address_of_a_transport_that_is_not_there_names_the_feature,
                attaching_to_oneself_is_refused,
                settings_that_cannot_be_are_refused,
            ],
            cancel: [
                an_emit_that_is_dropped_has_emitted_nothing,
                a_next_that_is_dropped_has_taken_nothing,
                waits_that_are_dropped_leave_nothing_behind,
                an_open_that_is_dropped_can_be_tried_again,
            ],
        }
    };
}

/// One `#[test]` for each case.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_stamp {
    ([$topology:ident] $($group:ident: [$($case:ident,)*],)*) => {
        $(
            mod $group {
                $(
                    #[test]
                    fn $case() {
                        let name = concat!(stringify!($group), "::", stringify!($case));
                        $crate::run_case(name, super::super::setup, $crate::cases::Topology::$topology);
                    }
                )*
            }
        )*
    };
}

/// The future of the case of this name.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_table {
    ([$name:ident $fixture:ident] $($group:ident: [$($case:ident,)*],)*) => {
        match $name {
            $($(
                concat!(stringify!($group), "::", stringify!($case)) => {
                    Box::pin($crate::cases::$group::$case($fixture))
                }
            )*)*
            _ => panic!("there is no case {}", $name),
        }
    };
}
