//! What a pod needs and what it may use.

use std::collections::BTreeMap;

use super::{arguments::Render, manifest, quantity::Quantity};
use crate::fault::{Fault, Result};

/// How Kubernetes calls a GPU.
const GPU: &str = "nvidia.com/gpu";

type Amounts = BTreeMap<String, Quantity>;

/// The resources of a pod with so many GPUs.
pub(super) fn of(render: &Render, gpus: u16) -> Result<Option<manifest::Resources>> {
    let mut both = Amounts::new();
    for (flag, resource, given) in [("--cpu", "cpu", &render.cpu), ("--memory", "memory", &render.memory)] {
        if let Some(text) = given {
            both.insert(resource.to_owned(), Quantity::read(flag, resource, text)?);
        }
    }
    let mut requests = both.clone();
    requests.extend(list("--requests", &render.requests)?);
    let mut limits = both;
    limits.extend(list("--limits", &render.limits)?);
    if gpus > 0 {
        for (flag, amounts) in [("--requests", &requests), ("--limits", &limits)] {
            if amounts.contains_key(GPU) {
                return Err(Fault::usage(format!(
                    "{flag} has {GPU}, which is what --gpus is for: one of the two"
                )));
            }
        }
        let gpus = Quantity { text: gpus.to_string(), value: gpus.into() };
        // A limit is its own request; it is said where requests are, as people expect it there.
        if !requests.is_empty() {
            requests.insert(GPU.to_owned(), gpus.clone());
        }
        limits.insert(GPU.to_owned(), gpus);
    }
    check(&requests, &limits)?;
    if requests.is_empty() && limits.is_empty() {
        return Ok(None);
    }
    let texts = |amounts: Amounts| amounts.into_iter().map(|(name, amount)| (name, amount.text)).collect();
    Ok(Some(manifest::Resources { requests: texts(requests), limits: texts(limits) }))
}

/// Reads `cpu=4`, `memory=8Gi`.
fn list(flag: &str, given: &[String]) -> Result<Amounts> {
    let mut amounts = Amounts::new();
    for text in given.iter().map(|text| text.trim()).filter(|text| !text.is_empty()) {
        let Some((resource, amount)) = text.split_once('=') else {
            return Err(Fault::usage(format!(
                "{flag} `{text}`: say how much, as in `cpu=4` or `memory=8Gi`"
            )));
        };
        if !is_resource(resource) {
            return Err(Fault::usage(format!(
                "{flag} `{text}`: no resource: cpu, memory, ephemeral-storage, or one with a domain, as `{GPU}`"
            )));
        }
        let quantity = Quantity::read(&format!("{flag} {resource}"), resource, amount)?;
        if amounts.insert(resource.to_owned(), quantity).is_some() {
            return Err(Fault::usage(format!("{flag} has {resource} twice")));
        }
    }
    Ok(amounts)
}

fn is_resource(name: &str) -> bool {
    if matches!(name, "cpu" | "memory" | "ephemeral-storage") {
        return true;
    }
    let is_part = |part: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let ends = |c: char| c.is_ascii_alphanumeric();
        !part.is_empty()
            && part.len() <= 63
            && part.chars().all(inner)
            && part.starts_with(ends)
            && part.ends_with(ends)
    };
    match name.split_once('/') {
        Some((domain, name)) => super::names::object("", domain).is_ok() && is_part(name),
        None => name.strip_prefix("hugepages-").is_some_and(is_part),
    }
}

/// Refuses what no API server takes: more needed than may be used.
fn check(requests: &Amounts, limits: &Amounts) -> Result {
    for (resource, request) in requests {
        let limit = limits.get(resource);
        let (need, may) = (&request.text, limit.map_or("nothing", |limit| &limit.text));
        if limit.is_some_and(|limit| request.value > limit.value) {
            return Err(Fault::usage(format!(
                "--requests {resource}={need} is more than the limit {may}: raise `--limits {resource}=..`"
            )));
        }
        // Such a resource cannot be lent to others meanwhile.
        let is_whole = resource.contains('/') || resource.starts_with("hugepages-");
        if is_whole && limit.is_none_or(|limit| limit.value != request.value) {
            return Err(Fault::usage(format!(
                "--requests {resource}={need}, but the limit is {may}: say `--limits {resource}={need}` alone"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(cpu: &str, requests: &[&str], limits: &[&str]) -> Render {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        let cpu = Some(cpu.to_owned()).filter(|cpu| !cpu.is_empty());
        Render { cpu, requests: owned(requests), limits: owned(limits), ..Render::default() }
    }

    fn shown(render: &Render, gpus: u16) -> String {
        let Some(resources) = of(render, gpus).unwrap() else { return String::new() };
        let list = |amounts: &BTreeMap<String, String>| {
            amounts.iter().map(|(name, amount)| format!("{name}={amount}")).collect::<Vec<_>>().join(",")
        };
        format!("{} of {}", list(&resources.requests), list(&resources.limits))
    }

    #[test]
    fn what_is_said_once_is_needed_and_allowed() {
        assert_eq!(shown(&render("6", &[], &[]), 0), "cpu=6 of cpu=6");
        assert_eq!(shown(&render("6", &["cpu=4"], &[]), 0), "cpu=4 of cpu=6");
        assert_eq!(shown(&render("6", &[], &["cpu=8", "memory=1Gi"]), 0), "cpu=6 of cpu=8,memory=1Gi");
        assert_eq!(shown(&render("", &["ephemeral-storage=1Gi"], &[]), 0), "ephemeral-storage=1Gi of ");
        assert_eq!(shown(&render("", &[], &[]), 0), "");
    }

    #[test]
    fn a_gpu_is_a_limit_and_a_request_where_there_are_others() {
        assert_eq!(shown(&render("", &[], &[]), 1), " of nvidia.com/gpu=1");
        assert_eq!(shown(&render("6", &[], &[]), 2), "cpu=6,nvidia.com/gpu=2 of cpu=6,nvidia.com/gpu=2");
    }

    #[test]
    fn what_no_server_takes_names_the_flag() {
        for (render, gpus, named) in [
            (render("six", &[], &[]), 0, "--cpu"),
            (render("6", &["cpu=8"], &[]), 0, "--limits cpu"),
            (render("6", &["cpu"], &[]), 0, "--requests"),
            (render("6", &["=4"], &[]), 0, "--requests"),
            (render("6", &[], &["gpu=1"]), 0, "--limits"),
            (render("6", &[], &["a/b/c=1"]), 0, "--limits"),
            (render("6", &[], &["cpu=1", "cpu=2"]), 0, "twice"),
            (render("6", &["example.com/nic=1"], &[]), 0, "--limits example.com/nic=1"),
            (render("6", &["example.com/nic=1"], &["example.com/nic=2"]), 0, "--limits"),
            (render("6", &[], &["nvidia.com/gpu=1"]), 1, "--gpus"),
        ] {
            let fault = of(&render, gpus).unwrap_err();
            assert!(fault.to_string().contains(named), "{named}: {fault}");
            assert_eq!(fault.code(), 64);
        }
    }
}
