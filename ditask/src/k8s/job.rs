//! The manifests of a job, out of its command line.

use std::collections::BTreeMap;

use super::{
    arguments::Render,
    command, environment,
    groups::{self, Group},
    indexes,
    manifest::{
        Condition, Container, ContainerPort, ExitCodes, FailureRule, Job, JobSpec, Labels, Manifest,
        Metadata, PodFailurePolicy, PodSpec, PodTemplate, Secret, Service, ServicePort, ServiceSpec,
        SuccessPolicy, SuccessRule,
    },
    names, resources, span, volumes,
};
use crate::{
    fault::{Fault, Result, USAGE},
    plan::PORT,
    secret,
};

/// The label by which the Service finds the pods.
const NAME: &str = "app.kubernetes.io/name";

/// The Secret if one is made, the Service, and a Job for each group of pods that are alike.
pub(super) fn manifests(render: &Render) -> Result<Vec<Manifest>> {
    let job = Whole::of(render)?;
    let mut manifests = Vec::new();
    // What the Jobs need comes before them.
    if !render.insecure && render.secret_name.is_none() {
        manifests.push(Manifest::Secret(job.secret()?));
    }
    manifests.push(Manifest::Service(job.service()));
    for group in &job.groups {
        manifests.push(Manifest::Job(Box::new(job.job(group)?)));
    }
    Ok(manifests)
}

/// What all parts of a job have to know.
struct Whole<'a> {
    render: &'a Render,
    name: String,
    groups: Vec<Group>,
    /// The host names of all pods, by rank, and how many nodes each starts.
    hosts: Vec<String>,
    workers: Vec<u16>,
}

impl<'a> Whole<'a> {
    fn of(render: &'a Render) -> Result<Self> {
        if render.program.is_empty() && render.package.is_none() {
            return Err(Fault::usage(
                "nothing to start: name the program behind `--`, or a package of the image with `--package`",
            ));
        }
        check_image(&render.image)?;
        if let Some(namespace) = &render.namespace {
            names::label("--namespace", namespace)?;
        }
        let name = names::of_job(render)?;
        let groups = groups::of(render, &name)?;
        if render.success_on.is_some() && groups.len() > 1 {
            return Err(Fault::usage(
                "--success-on cannot be where some pods have GPUs and some have none: they are two Jobs, and none \
                 ends with the other; give --gpus to all or none",
            ));
        }
        let hosts = groups::hosts(&name, &groups);
        Ok(Self { workers: groups::workers(render)?, render, name, groups, hosts })
    }

    fn metadata(&self, name: &str, component: Option<&str>) -> Metadata {
        let mut labels = self.labels(component);
        labels.insert("app.kubernetes.io/managed-by", "ditask".to_owned());
        Metadata { name: Some(name.to_owned()), namespace: self.render.namespace.clone(), labels }
    }

    fn labels(&self, component: Option<&str>) -> Labels {
        let component = component.map(|component| ("app.kubernetes.io/component", component.to_owned()));
        [(NAME, self.name.clone())].into_iter().chain(component).collect()
    }

    /// The secret that all nodes share. It cannot change while pods are there that know it: one that is started
    /// again would not be let in.
    fn secret(&self) -> Result<Secret> {
        Ok(Secret {
            api_version: "v1",
            kind: "Secret",
            metadata: self.metadata(&self.name, None),
            immutable: true,
            string_data: BTreeMap::from([(environment::KEY, secret::Text::make()?.reveal().to_owned())]),
        })
    }

    fn service(&self) -> Service {
        Service {
            api_version: "v1",
            kind: "Service",
            metadata: self.metadata(&self.name, None),
            spec: ServiceSpec {
                // Names stand for the pods themselves, and do so before the pods are ready: pods wait for each other.
                cluster_ip: "None",
                publish_not_ready_addresses: true,
                selector: self.labels(None),
                ports: self
                    .ports(&self.workers)
                    // Without it server-side apply fails on older servers.
                    .map(|(name, port)| ServicePort { name, port, protocol: "TCP" })
                    .collect(),
            },
        }
    }

    /// The ports of the pod with the most nodes.
    fn ports(&self, workers: &[u16]) -> impl Iterator<Item = (String, u16)> + use<> {
        let most = workers.iter().copied().max().unwrap_or(1);
        (0..most).map(|index| (format!("w{index}"), PORT + index))
    }

    fn job(&self, group: &Group) -> Result<Job> {
        let render = self.render;
        let span = |flag, text: &Option<String>, least| {
            text.as_deref().map(|text| span::seconds(flag, text, least)).transpose()
        };
        let success_on = render.success_on.as_deref();
        let succeeded =
            success_on.map(|ranks| indexes::read("--success-on", ranks, group.pods)).transpose()?;
        Ok(Job {
            api_version: "batch/v1",
            kind: "Job",
            metadata: self.metadata(&group.job, group.component),
            spec: JobSpec {
                completion_mode: "Indexed",
                completions: group.pods,
                // As many as completions: all run at once, and are scheduled so where Kubernetes can.
                parallelism: group.pods,
                backoff_limit: render.retries,
                // Never two pods with one rank.
                pod_replacement_policy: "Failed",
                pod_failure_policy: failure_policy(),
                success_policy: succeeded
                    .map(|succeeded_indexes| SuccessPolicy { rules: [SuccessRule { succeeded_indexes }] }),
                active_deadline_seconds: span("--deadline", &render.deadline, 1)?,
                ttl_seconds_after_finished: span("--ttl", &render.ttl, 0)?,
                template: PodTemplate {
                    metadata: Metadata { name: None, namespace: None, labels: self.labels(group.component) },
                    spec: self.pod(group)?,
                },
            },
        })
    }

    fn pod(&self, group: &Group) -> Result<PodSpec> {
        let render = self.render;
        let (volumes, volume_mounts) = volumes::of(&render.volume)?;
        let ranks = usize::from(group.base)..usize::from(group.base + group.pods);
        let port = |(name, container_port)| ContainerPort { name, container_port };
        Ok(PodSpec {
            subdomain: self.name.clone(),
            // A pod that failed is replaced by the Job, which counts it.
            restart_policy: "Never",
            containers: [Container {
                name: "di-container",
                image: render.image.clone(),
                image_pull_policy: render.image_pull_policy,
                command: command::of(render, &self.workers)?,
                env: environment::of(render, &self.name, group, &self.hosts, &self.workers)?,
                ports: self.ports(&self.workers[ranks]).map(port).collect(),
                resources: resources::of(render, group.gpus)?,
                volume_mounts,
            }],
            volumes,
        })
    }
}

/// A command line that cannot be is not tried again, and what is not a pod's fault is not counted against it.
fn failure_policy() -> PodFailurePolicy {
    let disrupted = Condition { kind: "DisruptionTarget", status: "True" };
    PodFailurePolicy {
        rules: [
            FailureRule {
                action: "FailJob",
                on_exit_codes: Some(ExitCodes { operator: "In", values: [USAGE] }),
                on_pod_conditions: None,
            },
            FailureRule { action: "Ignore", on_exit_codes: None, on_pod_conditions: Some([disrupted]) },
        ],
    }
}

/// Refuses what no registry and no machine calls an image. What it is called is theirs to know.
fn check_image(image: &str) -> Result {
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_./:@".contains(c);
    // The host of a registry may be in capitals, the rest but for its tag may not.
    let path = image.rsplit_once('/').map_or(image, |(_, last)| last);
    let path = path.split([':', '@']).next().unwrap_or_default();
    let is_sound = !image.contains("//")
        && image.chars().all(inner)
        && image.starts_with(|c: char| c.is_ascii_alphanumeric())
        && image.ends_with(|c: char| c.is_ascii_alphanumeric())
        && !path.is_empty()
        && !path.contains(|c: char| c.is_ascii_uppercase());
    match is_sound {
        true => Ok(()),
        false => Err(Fault::usage(format!(
            "--image `{image}` is no image: say it as in `registry.example/my-image:1`"
        ))),
    }
}
