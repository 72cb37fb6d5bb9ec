//! Roles and labels.

use tidings_router_core::{Memory, Router};
use tidings_task::Task;

#[test]
fn a_task_without_roles_has_them_all_and_one_with_roles_has_those() {
    let any = Task::builder().build();
    assert!(any.has_role("learner") && any.has_role("collector"));
    let both = Task::builder().role("learner").role("collector").build();
    assert!(both.has_role("learner") && both.has_role("collector") && !both.has_role("evaluator"));
}

#[test]
fn a_task_alone_has_its_own_labels_and_is_standalone() {
    let task = Task::builder().labels(["gpu0", "fast"]).build();
    assert_eq!(task.labels(), ["gpu0", "fast", "node.0", "standalone"]);
    assert!(
        task.match_labels(["node.0"]) && task.match_labels(["cpu", "gpu*"]) && task.match_labels(["gpu?"])
    );
    assert!(!task.match_labels(["node.1", "gpu", "distributed"]) && !task.match_labels([""; 0]));
}

#[test]
fn a_task_on_a_router_has_its_labels_too_and_is_distributed() {
    let router = <dyn Router>::builder().node_id(3).labels(["learner"]).transport(Memory::network()).open();
    let router = router.wait().unwrap();
    let task = Task::builder().labels(["own"]).router(router).build();
    assert_eq!(task.labels(), ["own", "learner", "node.3", "distributed"]);
    assert!(task.match_labels(["node.[3]", "node.?"]) && !task.match_labels(["standalone"]));
}
