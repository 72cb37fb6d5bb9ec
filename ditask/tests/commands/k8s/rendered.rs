//! What is printed.

use std::{collections::BTreeSet, fs, path::Path};

use super::{LINES, Manifests, SEED_000, SEED_001, render};
use crate::support::Place;

/// The manifests as they are meant to be, with a word in the place of the secret, which differs each time.
fn golden(name: &str, arguments: &str) {
    let text = render(&Place::new(), arguments);
    let secret = Manifests::read(&text).secrets[0].string_data.clone().unwrap()["secret"].clone();
    assert!(secret.len() == 64 && secret.bytes().all(|byte| byte.is_ascii_hexdigit()), "{text}");
    let text = text.replace(&secret, "SECRET");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/commands/k8s/golden").join(name);
    let expected = fs::read_to_string(&path).unwrap_or_default();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &text).unwrap();
        return;
    }
    assert_eq!(text, expected, "{} is another; UPDATE_GOLDEN=1 writes it anew", path.display());
}

#[test]
fn seed_000_is_one_job_of_three_pods() {
    golden("seed-000.yaml", SEED_000);
}

#[test]
fn seed_001_is_a_job_for_the_pods_with_gpus_and_one_for_the_others() {
    golden("seed-001.yaml", SEED_001);
}

#[test]
fn every_manifest_is_one_that_kubernetes_types_read_whole() {
    let place = Place::new();
    for line in LINES {
        let manifests = Manifests::read(&render(&place, line));
        assert!(!manifests.jobs.is_empty() && manifests.services.len() == 1, "{line}");
    }
}

/// What no schema can say: what one object says of another one holds.
#[test]
fn pods_services_and_names_fit_together() {
    let place = Place::new();
    for line in LINES {
        let manifests = Manifests::read(&render(&place, line));
        let service = &manifests.services[0];
        let spec = service.spec.clone().unwrap();
        let mut hosts = Vec::new();
        let mut told = BTreeSet::new();
        for job in &manifests.jobs {
            let job_spec = job.spec.clone().unwrap();
            let pod = job_spec.template.spec.clone().unwrap();
            let labels = job_spec.template.metadata.clone().unwrap().labels.unwrap();
            assert!(
                spec.selector.iter().flatten().all(|(name, value)| labels.get(name) == Some(value)),
                "{line}"
            );
            assert_eq!(pod.subdomain, service.metadata.name, "{line}");
            assert_eq!(job_spec.parallelism, job_spec.completions, "{line}");
            let name = job.metadata.name.clone().unwrap();
            let subdomain = pod.subdomain.unwrap();
            hosts.extend(
                (0..job_spec.completions.unwrap()).map(|index| format!("{name}-{index}.{subdomain}")),
            );
            let variables = pod.containers[0].env.clone().unwrap();
            let nodes = variables.iter().find(|variable| variable.name == "DI_NODES").unwrap();
            told.insert(nodes.value.clone().unwrap());
            for reference in
                variables.iter().filter_map(|variable| variable.value_from.as_ref()?.secret_key_ref.as_ref())
            {
                let made = manifests.secrets.iter().any(|secret| {
                    let has_key = secret.string_data.iter().flatten().any(|(key, _)| *key == reference.key);
                    secret.metadata.name.as_deref() == Some(&reference.name) && has_key
                });
                assert!(made || line.contains("--secret-name"), "{line}");
            }
        }
        assert_eq!(told, BTreeSet::from([hosts.join(",")]), "{line}");
    }
}

#[test]
fn a_secret_is_made_anew_each_time_and_stands_nowhere_else() {
    let place = Place::new();
    let (one, other) = (render(&place, SEED_000), render(&place, SEED_000));
    assert_ne!(one, other);
    let secret = Manifests::read(&one).secrets[0].string_data.clone().unwrap()["secret"].clone();
    assert_eq!(one.matches(&secret).count(), 1, "{one}");
    let own = render(&place, "--secret-name mine --image i -- x");
    assert!(!own.contains("kind: Secret") && own.contains("name: mine\n"), "{own}");
    let insecure = render(&place, "--insecure --image i -- x");
    assert!(!insecure.contains("TIDINGS_SECRET") && insecure.contains("- --insecure\n"), "{insecure}");
}

#[test]
fn manifests_that_nobody_reads_are_an_error() {
    let place = Place::new();
    let mut command = place.typed(&format!("ditask k8s render {SEED_000}"));
    command.stdout(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write the manifests"), "{output:?}");
}
