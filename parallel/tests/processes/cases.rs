use std::{
    io::Write,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tidings_parallel::Runner;
use tidings_router_core::{BoxError, Error, Router, Topology};

use crate::support::{PATIENCE, launch, launch_ignoring};

macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        pub(crate) const ALL: &[(&str, fn())] = &[$((stringify!($name), $name)),*];
    };
}

cases![
    two_processes_greet_each_other,
    leaves_of_a_star_greet_each_other,
    arguments_go_along,
    two_runs_in_one_program_each_start_their_own,
    a_failing_child_names_its_node_and_the_whole_error,
    a_panic_names_its_node_and_its_words,
    an_exit_code_becomes_the_launchers,
    a_killed_child_is_reported_and_ends_the_others,
    a_child_that_never_gets_to_its_run_is_reported,
    sigterm_ends_launcher_and_children,
    sigint_ends_launcher_and_children,
    sighup_ends_launcher_and_children,
    sigquit_ends_launcher_and_children,
    an_ignored_signal_stays_ignored,
    no_child_outlives_a_killed_launcher,
    no_stopped_child_outlives_a_killed_launcher,
    no_busy_child_outlives_a_killed_launcher,
    no_child_before_its_run_outlives_a_killed_launcher,
    a_child_that_ignores_everything_is_killed_by_the_deadline,
    a_second_signal_kills_at_once,
    a_single_node_runs_here_and_leaves_nothing_when_terminated,
    recovery_1_runs_a_failed_main_again_in_its_process_r14,
    recovery_0_fails_at_once,
    recovery_is_bounded_and_backs_off_r14,
    recovery_starts_a_dead_process_again,
    recovery_starts_a_dead_hub_again,
    lines_of_children_are_never_torn,
    lines_of_children_are_prefixed_on_request,
    eight_workers_begin_together_r11,
    a_run_is_awaited_in_a_current_thread_runtime,
    dropping_a_run_ends_its_children,
    a_child_cannot_launch,
    the_child_of_a_child_is_nobodys_node,
    a_run_without_a_transport_says_so,
    signals_end_the_program_again_after_a_run,
    nodes_in_one_process_greet_each_other,
    a_failing_node_in_this_process_is_named_and_ends_the_others,
    a_main_in_this_process_is_recovered_after_a_panic,
];

/// No orphan lives longer than this: the acceptance test's bound.
const ORPHAN: Duration = Duration::from_secs(1);

fn two_processes_greet_each_other() {
    let ended = launch("greeting", &[]).end();
    assert_eq!((ended.code, ended.lines()), (0, vec!["0 got Hi from 1", "1 got Hi from 0"]), "{}", ended.err);
}

fn leaves_of_a_star_greet_each_other() {
    let ended = launch("greeting in a star", &[]).end();
    assert_eq!((ended.code, ended.lines().len()), (0, 6), "{}", ended.err);
    assert!(ended.lines().contains(&"1 got Hi from 2") && ended.lines().contains(&"2 got Hi from 1"));
}

fn arguments_go_along() {
    let ended = launch("arguments", &["--alpha", "b c", ""]).end();
    assert_eq!(
        ended.lines(),
        [r#"0 ["--alpha", "b c", ""]"#, r#"1 ["--alpha", "b c", ""]"#],
        "{}",
        ended.err
    );
}

fn two_runs_in_one_program_each_start_their_own() {
    let ended = launch("twice", &[]).end();
    // What stands between the two runs in the launcher and before the second run in its two children.
    let expected = ["after", "between", "between", "between", "first 0", "first 1", "second 0", "second 1"];
    assert_eq!(ended.lines(), expected, "{}", ended.err);
    assert_eq!(ended.code, 0);
}

fn a_failing_child_names_its_node_and_the_whole_error() {
    for program in ["error", "error from main"] {
        let ended = launch(program, &[]).end();
        assert_eq!(ended.code, 1);
        assert!(ended.err.contains("node 1 failed: cannot learn: disk full"), "{}", ended.err);
    }
}

fn a_panic_names_its_node_and_its_words() {
    let ended = launch("panic", &[]).end();
    assert_eq!(ended.code, 101, "{}", ended.err);
    assert!(ended.err.contains("error: node 1 failed: panicked: ") && ended.err.contains("out of luck"));
}

fn an_exit_code_becomes_the_launchers() {
    let ended = launch("exit", &[]).end();
    assert_eq!(ended.code, 7);
    assert!(ended.err.contains("node 1 failed: its process ended with exit status 7"), "{}", ended.err);
}

fn a_killed_child_is_reported_and_ends_the_others() {
    let launched = launch("hold", &[]);
    let mut nodes = launched.nodes(3);
    nodes[1].signal(Signal::KILL);
    nodes.iter_mut().for_each(|node| node.gone_within(PATIENCE));
    let ended = launched.end();
    assert_eq!(ended.code, 137);
    assert!(ended.err.contains("node 1 failed: its process was killed by SIGKILL"), "{}", ended.err);
}

fn a_child_that_never_gets_to_its_run_is_reported() {
    let ended = launch("never there", &[]).end();
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("node 1 failed: its process ended before its main began"), "{}", ended.err);
}

fn ends_in_order(signal: Signal) {
    let launched = launch("hold", &[]);
    let mut nodes = launched.nodes(3);
    launched.signal(signal);
    nodes.iter_mut().for_each(|node| node.gone_within(ORPHAN));
    let ended = launched.end();
    assert_eq!(ended.code, 128 + signal.as_raw(), "{}", ended.err);
    assert!(ended.err.contains("interrupted by SIG"), "{}", ended.err);
}

fn sigterm_ends_launcher_and_children() {
    ends_in_order(Signal::TERM);
}

fn sigint_ends_launcher_and_children() {
    ends_in_order(Signal::INT);
}

fn sighup_ends_launcher_and_children() {
    ends_in_order(Signal::HUP);
}

fn sigquit_ends_launcher_and_children() {
    ends_in_order(Signal::QUIT);
}

fn an_ignored_signal_stays_ignored() {
    let launched = launch_ignoring("HUP", "hold");
    let mut nodes = launched.nodes(3);
    nodes.iter().for_each(|node| node.signal(Signal::HUP));
    launched.signal(Signal::HUP);
    launched.signal(Signal::TERM);
    nodes.iter_mut().for_each(|node| node.gone_within(PATIENCE));
    assert_eq!(launched.end().code, 143);
}

/// Kills the launcher of `program`, after something was done to its nodes.
fn leaves_no_orphan(program: &str, count: usize, before: Option<Signal>) {
    let launched = launch(program, &[]);
    let mut nodes = launched.nodes(count);
    if let Some(signal) = before {
        nodes.iter().for_each(|node| node.signal(signal));
    }
    launched.signal(Signal::KILL);
    let begin = Instant::now();
    nodes.iter_mut().for_each(|node| node.gone_within(ORPHAN));
    assert!(begin.elapsed() < ORPHAN, "{:?}", begin.elapsed());
    assert_eq!(launched.end().code, 137);
}

fn no_child_outlives_a_killed_launcher() {
    leaves_no_orphan("hold", 3, None);
}

fn no_stopped_child_outlives_a_killed_launcher() {
    leaves_no_orphan("hold", 3, Some(Signal::STOP));
}

fn no_busy_child_outlives_a_killed_launcher() {
    leaves_no_orphan("busy", 2, None);
}

fn no_child_before_its_run_outlives_a_killed_launcher() {
    leaves_no_orphan("slow start", 2, None);
}

fn a_child_that_ignores_everything_is_killed_by_the_deadline() {
    let launched = launch("busy", &[]);
    let mut nodes = launched.nodes(2);
    launched.signal(Signal::TERM);
    let begin = Instant::now();
    nodes.iter_mut().for_each(|node| node.gone_within(PATIENCE));
    assert_eq!(launched.end().code, 143);
    // Its deadline is 1 s; the rest is for a loaded machine.
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
}

fn a_second_signal_kills_at_once() {
    let launched = launch("hold", &[]);
    let mut nodes = launched.nodes(3);
    // Who is stopped does not end in order; the deadline is 5 s.
    nodes[0].signal(Signal::STOP);
    launched.signal(Signal::TERM);
    nodes[2].gone_within(PATIENCE);
    launched.signal(Signal::INT);
    let begin = Instant::now();
    nodes[0].gone_within(PATIENCE);
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    assert!(launched.end().code > 128);
}

fn a_single_node_runs_here_and_leaves_nothing_when_terminated() {
    let launched = launch("hold alone", &[]);
    let mut node = launched.next_node();
    launched.signal(Signal::TERM);
    node.gone_within(PATIENCE);
    assert_eq!(launched.end().code, 143);
}

fn recovery_1_runs_a_failed_main_again_in_its_process_r14() {
    let ended = launch("recover 1", &[]).end();
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.lines().contains(&"0 met 1") && ended.lines().contains(&"1 met 0"), "{}", ended.out);
}

fn recovery_0_fails_at_once() {
    let ended = launch("recover 0", &[]).end();
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("node 1 failed: not yet"), "{}", ended.err);
}

fn recovery_is_bounded_and_backs_off_r14() {
    let begin = Instant::now();
    let ended = launch("recover always", &[]).end();
    assert_eq!(ended.out, "try\ntry\ntry\n");
    assert!(ended.err.contains("node 1 failed: never"), "{}", ended.err);
    // At least half of 100 ms, then of 200 ms.
    assert!(begin.elapsed() >= Duration::from_millis(150), "{:?}", begin.elapsed());
}

fn recovery_starts_a_dead_process_again() {
    let ended = launch("die once", &[]).end();
    assert_eq!((ended.code, ended.lines()), (0, vec!["0 met 1", "1 lives again with 1"]), "{}", ended.err);
}

fn recovery_starts_a_dead_hub_again() {
    let ended = launch("hub dies once", &[]).end();
    let expected = vec!["0 lives again with 2", "1 met 0", "2 met 0"];
    assert_eq!((ended.code, ended.lines()), (0, expected), "{}", ended.err);
}

fn whole_lines(program: &str, prefix: impl Fn(u8) -> String) {
    let ended = launch(program, &[]).end();
    assert_eq!(ended.code, 0, "{}", ended.err);
    let mut counts = [0; 26];
    for line in ended.out.lines() {
        let expected =
            |letter: u8| format!("{}{}", prefix(letter), char::from(letter).to_string().repeat(1000));
        let letter = *line.as_bytes().last().unwrap();
        if !line.ends_with("end") {
            assert_eq!(line, expected(letter));
            counts[usize::from(letter - b'a')] += 1;
        }
    }
    assert_eq!(counts.iter().filter(|count| **count == 200).count(), 3, "{counts:?}");
    // The last line, which has no end.
    assert_eq!(ended.out.lines().filter(|line| line.ends_with("end")).count(), 3);
}

fn lines_of_children_are_never_torn() {
    whole_lines("lines", |_| String::new());
}

fn lines_of_children_are_prefixed_on_request() {
    whole_lines("prefixed lines", |letter| format!("[node {}] ", letter - b'a'));
}

/// Fault R11 of the reference: start-up is staggered by sleeps, over 7 s for 8 workers. The figure to reach
/// is 200 ms on an idle machine; the assertion leaves room for a loaded one.
fn eight_workers_begin_together_r11() {
    let started = Instant::now();
    let ended = launch("begin", &[]).end();
    let times: Vec<u64> = ended.out.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(times.len(), 8, "{}", ended.err);
    let spread = Duration::from_micros(times.iter().max().unwrap() - times.iter().min().unwrap());
    println!("8 mains began within {spread:?}; the whole run took {:?}", started.elapsed());
    assert!(spread < Duration::from_secs(2), "{spread:?}");
}

fn a_run_is_awaited_in_a_current_thread_runtime() {
    let ended = launch("own runtime", &[]).end();
    assert_eq!((ended.code, ended.lines()), (0, vec!["0 got Hi from 1", "1 got Hi from 0"]), "{}", ended.err);
}

fn dropping_a_run_ends_its_children() {
    let mut launched = launch("dropped", &[]);
    let mut nodes = launched.nodes(2);
    let mut stdin = launched.stdin();
    stdin.write_all(b"drop it\n").unwrap();
    // The launcher lives on meanwhile.
    nodes.iter_mut().for_each(|node| node.gone_within(PATIENCE));
    launched.directory.wait_until_clean();
    drop(stdin);
    let ended = launched.end();
    assert_eq!((ended.code, ended.out.as_str()), (0, "dropped\n"), "{}", ended.err);
}

fn a_child_cannot_launch() {
    let ended = launch("nested", &[]).end();
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.lines().contains(&"0 true") && ended.lines().contains(&"1 true"), "{}", ended.out);
}

fn the_child_of_a_child_is_nobodys_node() {
    let ended = launch("grandchild", &[]).end();
    assert_eq!(ended.code, 0, "{}", ended.err);
    let lines = ended.lines();
    assert!(lines[0] == "grandchild exit status: 0" && lines[1].starts_with("single 0 in "), "{lines:?}");
}

fn a_run_without_a_transport_says_so() {
    let ended = launch("no transport", &[]).end();
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("invalid setting `transport`"), "{}", ended.err);
}

fn signals_end_the_program_again_after_a_run() {
    let launched = launch("after a run", &[]);
    let mut program = launched.next_node();
    launched.signal(Signal::TERM);
    program.gone_within(PATIENCE);
    assert_eq!(launched.end().code, 143);
}

async fn greets(router: Arc<dyn Router>, heard: Arc<AtomicU32>) -> Result<(), BoxError> {
    let mut greetings = router.subscribe::<String>("greeting")?;
    router.emit("greeting", "Hi").only_remote().await?;
    for _ in 0..2 {
        greetings.next().await.ok_or("no greeting")?;
        heard.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn nodes_in_one_process_greet_each_other() {
    for topology in [Topology::Mesh, Topology::Star] {
        let heard = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&heard);
        let runner = Runner::new(3, None).topology(topology).in_process();
        runner.run(move |router| greets(router, Arc::clone(&count))).wait().unwrap();
        assert_eq!(heard.load(Ordering::Relaxed), 6);
    }
}

fn a_failing_node_in_this_process_is_named_and_ends_the_others() {
    let runner = Runner::new(3, None).node_ids([4, 7, 9]).in_process();
    let run = runner.run(|router| async move {
        match router.node_id().0 {
            7 => Err("out of paper"),
            _ => std::future::pending().await,
        }
    });
    let error = run.wait().unwrap_err();
    assert!(matches!(&error, Error::Failed { what, .. } if what == "node 7"), "{error:?}");
    assert_eq!(error.to_string(), "node 7 failed: out of paper");
}

fn a_main_in_this_process_is_recovered_after_a_panic() {
    let runs = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&runs);
    let run = Runner::new(2, None).auto_recover(1).in_process().run(move |router| {
        let seen = Arc::clone(&seen);
        async move {
            let node = router.node_id().0;
            let before = {
                let mut seen = seen.lock().unwrap();
                seen.push(node);
                seen.iter().filter(|other| **other == node).count()
            };
            assert!(node == 0 || before == 2, "the first time");
            Ok::<(), BoxError>(())
        }
    });
    run.wait().unwrap();
    let mut runs = runs.lock().unwrap().clone();
    runs.sort_unstable();
    assert_eq!(runs, [0, 1, 1]);
}
