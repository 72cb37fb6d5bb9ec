//! Wrong values: every one is told with its flag, with exit status 64, and nothing is printed.

use crate::support::Place;

#[test]
fn a_wrong_value_of_any_flag_names_the_flag() {
    let place = Place::new();
    for (arguments, said) in [
        ("--workers 0", "--workers"),
        ("--workers x", "--workers"),
        ("--workers 1025", "--workers"),
        ("--parallel-workers 0", "--parallel-workers"),
        ("--workers 3 --parallel-workers 1,2", "--parallel-workers"),
        ("--topology ring", "--topology"),
        ("--image a b", "b"),
        ("--image", "--image"),
        ("--image Ding", "--image"),
        ("--image -x", "--image"),
        ("--image ding:", "--image"),
        ("--image a//b", "--image"),
        ("--image-pull-policy sometimes", "--image-pull-policy"),
        ("--name A", "--name"),
        ("--name a_b", "--name"),
        ("--name 1a", "--name"),
        ("--name a-", "--name"),
        ("--name a123456789b123456789c123456789d123456789e123456789f123456789x --workers 11", "--name"),
        ("--name a123456789b123456789c123456789d123456789e123456789f1234567 --workers 2 --gpus 1", "--name"),
        ("--namespace A", "--namespace"),
        ("--namespace a.b", "--namespace"),
        ("--namespace -", "--namespace"),
        ("--main a..b", "--main"),
        ("--gpus 2", "--gpus"),
        ("--gpus -1", "--gpus"),
        ("--gpus-per-worker 2", "--gpus"),
        ("--gpus 1 --gpus-per-worker 0", "--gpus-per-worker"),
        ("--gpus 1 --limits nvidia.com/gpu=1", "--gpus"),
        ("--cpu six", "--cpu"),
        ("--cpu 0", "--cpu"),
        ("--cpu -1", "--cpu"),
        ("--cpu 0.0001", "--cpu"),
        ("--memory 10", "--memory"),
        ("--memory 10GB", "--memory"),
        ("--memory 10m", "--memory"),
        ("--requests cpu", "--requests"),
        ("--requests gpu=1", "--requests"),
        ("--cpu 1 --requests cpu=2", "--limits cpu"),
        ("--limits memory=10XB", "--limits memory"),
        ("--env A", "--env"),
        ("--env =1", "--env"),
        ("--env 1A=1", "--env"),
        ("--env A-é=1", "--env"),
        ("--env A=1 --env A=2", "--env"),
        ("--env DI_RANK=1", "--env"),
        ("--env TIDINGS_SECRET=x", "--env"),
        ("--volume /data", "--volume"),
        ("--volume data:/ding", "--volume"),
        ("--volume /data:ding", "--volume"),
        ("--volume /data:/ding:rx", "--volume"),
        ("--volume pvc/A:/ding", "--volume"),
        ("--volume /a:/ding --volume /b:/ding", "--volume"),
        ("--ttl soon", "--ttl"),
        ("--ttl -1", "--ttl"),
        ("--deadline 0s", "--deadline"),
        ("--deadline 99999d", "--deadline"),
        ("--success-on 1", "--success-on"),
        ("--success-on x", "--success-on"),
        ("--workers 2 --gpus 1 --success-on 0", "--success-on"),
        ("--retries -1", "--retries"),
        ("--connect-timeout 0", "--connect-timeout"),
        ("--secret-name A", "--secret-name"),
        ("--secret-name a --insecure", "--insecure"),
        ("--frobnicate", "--frobnicate"),
    ] {
        let image =
            if arguments.contains("--image ") || arguments.ends_with("--image") { "" } else { "--image i" };
        let outcome = place.types(&format!("ditask k8s render {image} {arguments} -- ./my_program"));
        assert_eq!(outcome.code, 64, "`{arguments}`: {outcome:?}");
        assert!(outcome.err.contains(said), "`{arguments}` does not say `{said}`: {outcome:?}");
        assert_eq!(outcome.out, "", "`{arguments}`");
    }
}

#[test]
fn what_is_missing_is_named() {
    let place = Place::new();
    for (arguments, said) in [
        ("k8s render -- ./my_program", "--image"),
        ("k8s render --image i", "`--`"),
        ("k8s render --image i -- ./3d", "--name"),
        ("k8s", "render"),
        ("k8s apply", "apply"),
    ] {
        let outcome = place.types(&format!("ditask {arguments}"));
        assert_eq!(outcome.code, 64, "`{arguments}`: {outcome:?}");
        assert!(outcome.err.contains(said), "`{arguments}` does not say `{said}`: {outcome:?}");
    }
}

/// A variable may be a password.
#[test]
fn no_error_tells_the_value_of_a_variable() {
    let outcome = Place::new().types("ditask k8s render --image i --env DI_RANK=hunter2 -- x");
    outcome.fails(64, &["DI_RANK"]);
    assert!(!outcome.err.contains("hunter2"), "{outcome:?}");
}
