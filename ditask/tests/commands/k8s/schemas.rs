//! Every manifest against the official schemas, by the Python package `kubernetes-validate`, which
//! `cargo xtask test` installs.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{LINES, Manifests, render};
use crate::support::Place;

/// The versions of Kubernetes that upstream keeps, and those that are to come.
const VERSIONS: [&str; 5] = ["1.33", "1.34", "1.35", "1.36", "1.37"];

/// The program, or `None`, said on standard error: a failure where `TIDINGS_TEST_REQUIRE` names `schemas`.
fn validator() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let program = target.join("kubernetes-validate/bin/kubernetes-validate");
    if program.is_file() {
        return Some(program);
    }
    let required = env::var("TIDINGS_TEST_REQUIRE").is_ok_and(|list| list.contains("schemas"));
    assert!(!required, "{} is missing", program.display());
    eprintln!("skipped: `cargo xtask test` installs kubernetes-validate");
    None
}

/// What the program says of this manifest, and whether it is content.
fn check(validator: &Path, version: &str, manifest: &Path) -> (bool, String) {
    let output = Command::new(validator).args(["--strict", "-k", version]).arg(manifest).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn every_manifest_fits_the_schemas_of_every_version() {
    let Some(validator) = validator() else { return };
    let place = Place::new();
    // All in one file: what takes long is to start the program.
    let manifests: Vec<String> = LINES.iter().map(|line| render(&place, line)).collect();
    let text = manifests.join("---\n");
    let read = Manifests::read(&text);
    let count = read.secrets.len() + read.services.len() + read.jobs.len();
    let file = place.path().join("all.yaml");
    fs::write(&file, text).unwrap();
    for version in VERSIONS {
        let (fits, said) = check(&validator, version, &file);
        assert!(fits, "{version}: {said}");
        // A kind or a version that it does not know is a warning, and no failure.
        assert!(!said.contains("WARN"), "{version}: {said}");
        let passed = said.lines().filter(|line| line.contains(&format!("against version {version}"))).count();
        assert_eq!(passed, count, "{version}: {said}");
    }
}

/// The check is worth something: it sees a field that is not there, and a value of another type.
#[test]
fn what_is_no_manifest_does_not_fit() {
    let Some(validator) = validator() else { return };
    let place = Place::new();
    let text = render(&place, LINES[0]);
    for (right, wrong) in [("completions: 3", "completion: 3"), ("completions: 3", "completions: three")] {
        let file = place.path().join("wrong.yaml");
        fs::write(&file, text.replace(right, wrong)).unwrap();
        let (fits, said) = check(&validator, VERSIONS[0], &file);
        assert!(!fits, "{wrong}: {said}");
    }
}
