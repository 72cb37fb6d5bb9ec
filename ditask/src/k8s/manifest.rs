//! The parts of Kubernetes' API that a job needs, under the names that they have there.

use std::collections::BTreeMap;

use serde::Serialize;

use super::arguments::PullPolicy;

/// The labels of an object.
pub(super) type Labels = BTreeMap<&'static str, String>;

/// An object that Kubernetes keeps.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Manifest {
    Secret(Secret),
    Service(Service),
    Job(Box<Job>),
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Metadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<String>,
    pub(super) labels: Labels,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Secret {
    pub(super) api_version: &'static str,
    pub(super) kind: &'static str,
    pub(super) metadata: Metadata,
    pub(super) immutable: bool,
    pub(super) string_data: BTreeMap<&'static str, String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Service {
    pub(super) api_version: &'static str,
    pub(super) kind: &'static str,
    pub(super) metadata: Metadata,
    pub(super) spec: ServiceSpec,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceSpec {
    #[serde(rename = "clusterIP")]
    pub(super) cluster_ip: &'static str,
    pub(super) publish_not_ready_addresses: bool,
    pub(super) selector: Labels,
    pub(super) ports: Vec<ServicePort>,
}

#[derive(Debug, Serialize)]
pub(super) struct ServicePort {
    pub(super) name: String,
    pub(super) port: u16,
    pub(super) protocol: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Job {
    pub(super) api_version: &'static str,
    pub(super) kind: &'static str,
    pub(super) metadata: Metadata,
    pub(super) spec: JobSpec,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JobSpec {
    pub(super) completion_mode: &'static str,
    pub(super) completions: u16,
    pub(super) parallelism: u16,
    pub(super) backoff_limit: u16,
    pub(super) pod_replacement_policy: &'static str,
    pub(super) pod_failure_policy: PodFailurePolicy,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) success_policy: Option<SuccessPolicy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) active_deadline_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ttl_seconds_after_finished: Option<u32>,
    pub(super) template: PodTemplate,
}

#[derive(Debug, Serialize)]
pub(super) struct PodFailurePolicy {
    pub(super) rules: [FailureRule; 2],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FailureRule {
    pub(super) action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) on_exit_codes: Option<ExitCodes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) on_pod_conditions: Option<[Condition; 1]>,
}

#[derive(Debug, Serialize)]
pub(super) struct ExitCodes {
    pub(super) operator: &'static str,
    pub(super) values: [u8; 1],
}

#[derive(Debug, Serialize)]
pub(super) struct Condition {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) status: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct SuccessPolicy {
    pub(super) rules: [SuccessRule; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SuccessRule {
    pub(super) succeeded_indexes: String,
}

#[derive(Debug, Serialize)]
pub(super) struct PodTemplate {
    pub(super) metadata: Metadata,
    pub(super) spec: PodSpec,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodSpec {
    pub(super) subdomain: String,
    pub(super) restart_policy: &'static str,
    pub(super) containers: [Container; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) volumes: Vec<Volume>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Container {
    pub(super) name: &'static str,
    pub(super) image: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) image_pull_policy: Option<PullPolicy>,
    pub(super) command: Vec<String>,
    pub(super) env: Vec<EnvVar>,
    pub(super) ports: Vec<ContainerPort>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resources: Option<Resources>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) volume_mounts: Vec<Mount>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ContainerPort {
    pub(super) name: String,
    pub(super) container_port: u16,
}

#[derive(Debug, Serialize)]
pub(super) struct Resources {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) requests: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) limits: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EnvVar {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_from: Option<ValueFrom>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum ValueFrom {
    FieldRef(FieldRef),
    SecretKeyRef(SecretKeyRef),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FieldRef {
    field_path: &'static str,
}

#[derive(Debug, Serialize)]
struct SecretKeyRef {
    name: String,
    key: &'static str,
}

impl EnvVar {
    /// A variable with this value.
    pub(super) fn value(name: &str, value: impl Into<String>) -> Self {
        Self { name: name.to_owned(), value: Some(value.into()), value_from: None }
    }

    /// A variable whose value is a field of the pod.
    pub(super) fn field(name: &str, field_path: &'static str) -> Self {
        let from = ValueFrom::FieldRef(FieldRef { field_path });
        Self { name: name.to_owned(), value: None, value_from: Some(from) }
    }

    /// A variable whose value a Secret has.
    pub(super) fn secret(name: &str, secret: String, key: &'static str) -> Self {
        let from = ValueFrom::SecretKeyRef(SecretKeyRef { name: secret, key });
        Self { name: name.to_owned(), value: None, value_from: Some(from) }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Mount {
    pub(super) name: String,
    pub(super) mount_path: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) read_only: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Volume {
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) source: Source,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Source {
    HostPath(HostPath),
    PersistentVolumeClaim(ClaimSource),
    ConfigMap(ConfigMapSource),
    Secret(SecretSource),
    EmptyDir(EmptySource),
}

#[derive(Debug, Serialize)]
pub(super) struct HostPath {
    pub(super) path: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClaimSource {
    pub(super) claim_name: String,
}

#[derive(Debug, Serialize)]
pub(super) struct ConfigMapSource {
    pub(super) name: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SecretSource {
    pub(super) secret_name: String,
}

#[derive(Debug, Serialize)]
pub(super) struct EmptySource {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) medium: Option<&'static str>,
}
