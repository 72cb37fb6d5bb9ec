//! What a pod sees at its paths: `SOURCE:PATH[:ro]`.

use super::{
    manifest::{ClaimSource, ConfigMapSource, EmptySource, HostPath, Mount, SecretSource, Source, Volume},
    names,
};
use crate::fault::{Fault, Result};

/// The volumes of a pod, and where its container has them.
pub(super) fn of(given: &[String]) -> Result<(Vec<Volume>, Vec<Mount>)> {
    let (mut volumes, mut mounts) = (Vec::new(), Vec::<Mount>::new());
    for (index, text) in given.iter().enumerate() {
        let wrong = |why: &str| Fault::usage(format!("--volume `{text}`: {why}"));
        let parts: Vec<&str> = text.split(':').collect();
        let (source, path, read_only) = match parts.as_slice() {
            [source, path] | [source, path, "rw"] => (*source, *path, false),
            [source, path, "ro"] => (*source, *path, true),
            _ => return Err(wrong("say `SOURCE:PATH`, or `SOURCE:PATH:ro`")),
        };
        if !is_path(path) || path == "/" {
            return Err(wrong("the path in the pod begins with `/`, has no `..`, and is not `/` itself"));
        }
        if mounts.iter().any(|mount| mount.mount_path.trim_end_matches('/') == path.trim_end_matches('/')) {
            return Err(wrong("something else is at this path already"));
        }
        let name = format!("volume-{index}");
        let source = read(source, text)?;
        volumes.push(Volume { name: name.clone(), source });
        mounts.push(Mount { name, mount_path: path.to_owned(), read_only });
    }
    Ok((volumes, mounts))
}

fn read(source: &str, text: &str) -> Result<Source> {
    let wrong = |why: &str| Fault::usage(format!("--volume `{text}`: {why}"));
    if source.starts_with('/') {
        return match is_path(source) {
            true => Ok(Source::HostPath(HostPath { path: source.to_owned() })),
            false => Err(wrong("a path of the machine has no `..`")),
        };
    }
    let named = |name: &str| names::object(&format!("--volume `{text}`"), name).map(|()| name.to_owned());
    match source.split_once('/') {
        Some(("pvc", name)) => Ok(Source::PersistentVolumeClaim(ClaimSource { claim_name: named(name)? })),
        Some(("configmap", name)) => Ok(Source::ConfigMap(ConfigMapSource { name: named(name)? })),
        Some(("secret", name)) => Ok(Source::Secret(SecretSource { secret_name: named(name)? })),
        None if source == "empty" => Ok(Source::EmptyDir(EmptySource { medium: None })),
        None if source == "memory" => Ok(Source::EmptyDir(EmptySource { medium: Some("Memory") })),
        _ => Err(wrong(
            "no source: a path that begins with `/`, `pvc/NAME`, `configmap/NAME`, `secret/NAME`, `empty`, or \
             `memory`",
        )),
    }
}

fn is_path(path: &str) -> bool {
    path.starts_with('/') && !path.split('/').any(|part| part == "..") && !path.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_volume_names_the_flag() {
        for text in [
            "",
            "/data",
            "/data:",
            "/data:ding",
            "/data:/",
            "/data:/../etc",
            "/../data:/ding",
            "data:/ding",
            "pvc/:/ding",
            "pvc/A:/ding",
            "nfs/server:/ding",
            "empty/x:/ding",
            "/data:/ding:rx",
            "/data:/ding:ro:ro",
        ] {
            let fault = of(&[text.to_owned()]).unwrap_err();
            assert!(fault.to_string().starts_with("--volume"), "{text}: {fault}");
            assert_eq!(fault.code(), 64);
        }
        let twice = ["/a:/ding".to_owned(), "empty:/ding/".to_owned()];
        assert!(of(&twice).unwrap_err().to_string().contains("already"));
    }
}
