//! `ditask k8s render`: what it prints, what it refuses, and what becomes of it.

mod pods;
mod refused;
mod rendered;
mod schemas;

use k8s_openapi::{
    api::{
        batch::v1::Job,
        core::v1::{Secret, Service},
    },
    serde::{Serialize, de::DeserializeOwned},
};
use serde_json::Value;

use crate::support::Place;

/// Seed 000: three pods with two processes each.
const SEED_000: &str = "--name test --workers 3 --parallel-workers 2 --topology star --cpu 6 --memory 10Gi \
                        --image registry.example/my-image:1 -- ./my_program";

/// Seed 001: three pods, of which the first two have a GPU.
const SEED_001: &str = "--name test --workers 3 --gpus 2 --topology star --image registry.example/my-image:1 \
                        -- ./my_program";

/// Command lines that use every flag.
const LINES: [&str; 11] = [
    SEED_000,
    SEED_001,
    // As seed 001 types them, but for the command's name and the image.
    "--workers 3 --package path/to/my/package --main my_module.main --topology star --image i",
    "--workers 3 --gpus 2 --package path/to/my/package --main my_module.main --topology star --image i",
    "--image i -- ./my_program",
    // The variables, the policy and the resources of seeds 000 and 002.
    "--image opendilab/ding:latest --image-pull-policy always --workers 3 --env PYTHONUNBUFFERED=1 --cpu 6 \
     --memory 10Gi --gpus 3 --volume /data/nfs/ding/qbert:/ding --package my_module --main my_module.main",
    "--image i --namespace learning --name a --success-on 0 --ttl 1d --deadline 12h --retries 0 -- x",
    "--image i --workers 3 --parallel-workers 1,4,4 --labels learner,big --connect-timeout 600 -- x",
    "--image i --insecure --topology mesh --requests cpu=500m --limits cpu=1.5,memory=1Gi,example.com/nic=2 -- x",
    "--image host:5000/a/b@sha256:0123 --secret-name my.secret --gpus 1 --gpus-per-worker 8 --cpu 100m -- x",
    "--image i --volume pvc/c:/c:ro --volume configmap/m:/m --volume secret/s:/s --volume empty:/e --volume \
     memory:/dev/shm --env A=yes --env B=$(A)$$ --env C=012 --env D= --env E=# --env F=1e3 -- x --- *a !b",
];

/// What `ditask k8s render` prints with these arguments.
fn render(place: &Place, arguments: &str) -> String {
    let outcome = place.types(&format!("ditask k8s render {arguments}"));
    assert_eq!(outcome.code, 0, "{outcome:?}");
    outcome.out
}

/// Manifests, each as what Kubernetes reads it as.
#[derive(Default)]
struct Manifests {
    secrets: Vec<Secret>,
    services: Vec<Service>,
    jobs: Vec<Job>,
}

impl Manifests {
    /// Reads them, and asserts that nothing is lost on the way: every field is one that Kubernetes has.
    fn read(text: &str) -> Self {
        let mut manifests = Self::default();
        for document in serde_saphyr::from_multiple::<Value>(text).unwrap() {
            match document["kind"].as_str().unwrap() {
                "Secret" => manifests.secrets.push(whole(&document)),
                "Service" => manifests.services.push(whole(&document)),
                "Job" => manifests.jobs.push(whole(&document)),
                other => panic!("{other} in {text}"),
            }
        }
        manifests
    }
}

fn whole<T: Serialize + DeserializeOwned>(document: &Value) -> T {
    let object: T =
        serde_json::from_value(document.clone()).unwrap_or_else(|error| panic!("{error}: {document}"));
    assert_eq!(&serde_json::to_value(&object).unwrap(), document);
    object
}
