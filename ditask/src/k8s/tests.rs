//! What a command line comes to, in the words of the manifests.

use clap::Parser;

use super::{arguments::Render, job, print};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    render: Render,
}

fn rendered(arguments: &str) -> String {
    let line = format!("render --insecure --name test --image i {arguments} -- ./my_program");
    let line = Line::try_parse_from(line.split_whitespace()).unwrap();
    print::text(&job::manifests(&line.render).unwrap()).unwrap()
}

/// The lines of a manifest that contain this.
fn lines(text: &str, part: &str) -> Vec<String> {
    text.lines().filter(|line| line.contains(part)).map(|line| line.trim().to_owned()).collect()
}

#[test]
fn pods_of_different_sizes_are_told_by_a_variable() {
    let text = rendered("--workers 3 --parallel-workers 1,4,4");
    assert!(text.contains("DI_WORKERS\n          value: 1,4,4\n"), "{text}");
    assert!(!text.contains("--parallel-workers"), "{text}");
    assert_eq!(lines(&text, "port: ").len(), 4, "{text}");
    assert!(!rendered("--workers 2 --parallel-workers 4,4").contains("DI_WORKERS"));
}

#[test]
fn pods_that_all_have_gpus_are_one_job() {
    let text = rendered("--workers 3 --gpus 3 --gpus-per-worker 2");
    assert_eq!(lines(&text, "kind: ").len(), 2, "{text}");
    assert!(text.contains("nvidia.com/gpu: \"2\"") && text.contains("name: DI_RANK\n"), "{text}");
}

#[test]
fn nothing_is_said_that_was_not_asked_for() {
    let text = rendered("");
    for part in
        ["resources", "volume", "namespace", "successPolicy", "Deadline", "ttl", "DI_LABELS", "DI_WORKERS"]
    {
        assert!(!text.contains(part), "{part} is in {text}");
    }
}
