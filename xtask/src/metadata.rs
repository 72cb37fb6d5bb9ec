use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use serde_json::Value;

use crate::{
    Result,
    command::{cargo, output},
};

/// One package of the workspace.
#[derive(Debug, Default)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// The folder of its manifest.
    pub(crate) folder: PathBuf,
    /// What its library, binaries and build script need.
    pub(crate) dependencies: BTreeSet<String>,
    /// What its tests, examples and benches need besides.
    pub(crate) dev_dependencies: BTreeSet<String>,
    /// Each feature with what it turns on.
    pub(crate) features: BTreeMap<String, BTreeSet<String>>,
    /// The examples.
    pub(crate) examples: BTreeSet<String>,
}

/// The packages of the workspace, as cargo tells.
pub(crate) fn packages() -> Result<Vec<Package>> {
    let text = output(&mut cargo(["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: Value = serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))?;
    list(&metadata["packages"]).iter().map(package).collect()
}

fn package(value: &Value) -> Result<Package> {
    let name = text(&value["name"]);
    let manifest = PathBuf::from(text(&value["manifest_path"]));
    let folder = manifest.parent().ok_or_else(|| format!("{name}: no manifest path"))?.to_owned();
    let dependencies = |dev: bool| {
        let all = list(&value["dependencies"]).iter();
        all.filter(|dependency| (dependency["kind"] == "dev") == dev).map(|it| text(&it["name"])).collect()
    };
    let features = value["features"].as_object().into_iter().flatten();
    let targets = list(&value["targets"]).iter();
    Ok(Package {
        dependencies: dependencies(false),
        dev_dependencies: dependencies(true),
        features: features.map(|(name, on)| (name.clone(), list(on).iter().map(text).collect())).collect(),
        examples: targets
            .filter(|target| list(&target["kind"]).iter().any(|kind| kind == "example"))
            .map(|target| text(&target["name"]))
            .collect(),
        name,
        folder,
    })
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
