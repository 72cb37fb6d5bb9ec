//! The command line of `ditask k8s render`, as clap reads it. Its flags are those of `ditask` where there are such.

use std::{ffi::OsString, time::Duration};

use clap::{Args, ValueEnum};
use tidings::Topology;

use crate::arguments::seconds;

/// What the job is to be.
#[derive(Debug, Clone, Default, Args)]
// So that `--gpus -1` is told as a wrong value of that flag.
#[command(allow_negative_numbers = true)]
pub(super) struct Render {
    /// How many pods to start.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) workers: u16,

    /// How many processes each pod starts; a list has a number for each pod.
    #[arg(long, value_name = "N,..", default_value = "1", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) parallel_workers: Vec<u16>,

    /// mesh: everyone to everyone; star: everyone to node 0, which forwards; alone: nobody to anybody.
    #[arg(long, value_name = "SHAPE", default_value_t)]
    pub(super) topology: Topology,

    /// The image of the pods. It holds ditask and the program.
    #[arg(long, value_name = "IMAGE")]
    pub(super) image: String,

    /// When the image is pulled. Default: what Kubernetes makes of its tag.
    #[arg(long, value_enum, value_name = "WHEN", ignore_case = true)]
    pub(super) image_pull_policy: Option<PullPolicy>,

    /// The name of the job, and the beginning of its pods' names. Default: that of the program.
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,

    /// The namespace. Default: the one that kubectl is set to.
    #[arg(long, value_name = "NAME")]
    pub(super) namespace: Option<String>,

    /// The folder of a cargo package, a zip of one, or an executable, in the image.
    #[arg(short, long, value_name = "PATH")]
    pub(super) package: Option<String>,

    /// The function to run: `my_module.main` or `my_module::main`. Default: the package's main.
    #[arg(short, long, value_name = "MODULE.FUNCTION")]
    pub(super) main: Option<String>,

    /// Labels of all nodes.
    #[arg(long, value_name = "LABEL,..")]
    pub(super) labels: Vec<String>,

    /// How many pods, the first ones, get a GPU and the label `gpu`.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) gpus: u16,

    /// How many GPUs each of these pods gets.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "gpus", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) gpus_per_worker: u16,

    /// The processors of each pod: `6`, `500m`.
    #[arg(long, value_name = "QUANTITY")]
    pub(super) cpu: Option<String>,

    /// The memory of each pod: `10Gi`.
    #[arg(long, value_name = "QUANTITY")]
    pub(super) memory: Option<String>,

    /// What a pod needs to be started, where that is not what it may use: `cpu=4,memory=8Gi`.
    #[arg(long, value_name = "RESOURCE=QUANTITY,..", value_delimiter = ',')]
    pub(super) requests: Vec<String>,

    /// What a pod may use, where that is not what it needs: `cpu=8,example.com/nic=1`.
    #[arg(long, value_name = "RESOURCE=QUANTITY,..", value_delimiter = ',')]
    pub(super) limits: Vec<String>,

    /// A variable of the program's environment, as it stands here: nothing in it is replaced.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) env: Vec<String>,

    /// What is seen at a path of the pod: a path of the machine, `pvc/NAME`, `configmap/NAME`, `secret/NAME`, or
    /// `empty` and `memory` for a folder that goes with the pod. `:ro` at the end: it cannot be written.
    #[arg(long, value_name = "SOURCE:PATH[:ro]")]
    pub(super) volume: Vec<String>,

    /// How long the job is kept when it is over: `1d`, `12h`, `30m`, `90s`. Default: until it is deleted.
    #[arg(long, value_name = "TIME")]
    pub(super) ttl: Option<String>,

    /// How long the job may take before it fails. Default: as long as it likes.
    #[arg(long, value_name = "TIME")]
    pub(super) deadline: Option<String>,

    /// The pods, by rank, whose success is the job's: the others are ended then. Default: all of them.
    #[arg(long, value_name = "RANK,..")]
    pub(super) success_on: Option<String>,

    /// How many pods may fail and be started again before the job fails.
    #[arg(long, value_name = "TIMES", default_value_t = 3)]
    pub(super) retries: u16,

    /// How many seconds joining may take in each pod. Default 300.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(super) connect_timeout: Option<Duration>,

    /// A Secret that is there already, whose key `secret` is what all nodes share. Default: one is made.
    #[arg(long, value_name = "NAME")]
    pub(super) secret_name: Option<String>,

    /// No secret: whoever reaches a pod is let in.
    #[arg(long, conflicts_with = "secret_name")]
    pub(super) insecure: bool,

    /// The program's arguments. Without --package the first one is the program.
    #[arg(last = true, value_name = "ARGUMENTS")]
    pub(super) program: Vec<OsString>,
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[value(rename_all = "PascalCase")]
pub(super) enum PullPolicy {
    /// Each time a pod starts.
    Always,
    /// When the machine has none of this name.
    IfNotPresent,
    /// Not at all: the machine has it.
    Never,
}
