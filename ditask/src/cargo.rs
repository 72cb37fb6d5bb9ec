//! Builds a cargo package.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{
    fault::{Fault, Result},
    finish,
};

/// Builds the program of the package in `folder` that `main` stands in, and returns where it is. What cargo says is
/// shown. `target` is where it builds, unless the environment says so.
///
/// # Errors
///
/// When the folder is no package, when it has no such program, and when it does not build.
pub(crate) fn build(
    folder: &Path,
    main: Option<&str>,
    profile: &str,
    target: Option<&Path>,
) -> Result<PathBuf> {
    let manifest = folder.join("Cargo.toml");
    let program = program_of(&manifest, main)?;
    let mut command = cargo("build", &manifest);
    command.args(["--message-format=json-render-diagnostics", "--profile", profile, "--bin", &program]);
    if let Some(target) = target.filter(|_| env::var_os("CARGO_TARGET_DIR").is_none()) {
        command.arg("--target-dir").arg(target);
    }
    let (status, printed) = finish::output(command)?;
    let shown = folder.display();
    if !status.success() {
        return Err(Fault::new(format!(
            "the package {shown} does not build ({status}): see what cargo says above"
        )));
    }
    let executable = messages(&printed).filter_map(|message| {
        let is_it = message["target"]["name"] == program.as_str() && message["target"]["kind"][0] == "bin";
        message["executable"].as_str().filter(|_| is_it).map(PathBuf::from)
    });
    executable
        .last()
        .ok_or_else(|| Fault::new(format!("cargo built {shown}, but does not say where `{program}` is")))
}

fn cargo(what: &str, manifest: &Path) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.arg(what).arg("--manifest-path").arg(manifest);
    command
}

/// The messages that cargo prints, one on each line.
fn messages(printed: &[u8]) -> impl Iterator<Item = Value> {
    printed.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok())
}

/// The name of the program to build.
fn program_of(manifest: &Path, main: Option<&str>) -> Result<String> {
    let mut command = cargo("metadata", manifest);
    command.args(["--format-version", "1", "--no-deps"]);
    let (status, printed) = finish::output(command)?;
    let shown = manifest.display();
    if !status.success() {
        return Err(Fault::new(format!("{shown} is no manifest that cargo reads: see what it says above")));
    }
    let metadata: Value = serde_json::from_slice(&printed)
        .map_err(|error| Fault::new(format!("cannot read what cargo says of {shown}: {error}")))?;
    let file = |path: &Path| path.canonicalize().ok();
    let is_it =
        |package: &&Value| package["manifest_path"].as_str().map(Path::new).and_then(file) == file(manifest);
    let packages = metadata["packages"].as_array().cloned().unwrap_or_default();
    let Some(package) = packages.iter().find(is_it) else {
        let names: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
        return Err(Fault::usage(format!(
            "{shown} is a workspace: name the folder of one of its packages with `--package` ({})",
            names.join(", ")
        )));
    };
    choose(package, main).map_err(|why| Fault::usage(format!("{shown}: {why}")))
}

/// The program of a package that `main` stands in, or the one that `cargo run` would run.
fn choose(package: &Value, main: Option<&str>) -> Result<String, String> {
    let targets = package["targets"].as_array().map_or(&[][..], Vec::as_slice);
    let bins: Vec<&str> = targets
        .iter()
        .filter(|target| {
            target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "bin"))
        })
        .filter_map(|target| target["name"].as_str())
        .collect();
    let crate_of = |name: &str| name.replace('-', "_");
    let module = main.map(|main| main.replace("::", ".")).filter(|main| main.contains('.'));
    let first = module.as_deref().and_then(|main| main.split('.').next()).map(crate_of);
    if let Some(bin) = bins.iter().find(|bin| Some(crate_of(bin)) == first) {
        return Ok((*bin).to_owned());
    }
    let named = |name: &Value| bins.iter().find(|bin| name.as_str() == Some(bin));
    match (bins.as_slice(), named(&package["default_run"]).or_else(|| named(&package["name"]))) {
        ([], _) => {
            Err("the package has no program: it needs `src/main.rs` with `#[tidings::main]`".to_owned())
        }
        ([only], _) => Ok((*only).to_owned()),
        (_, Some(usual)) => Ok((*usual).to_owned()),
        (many, None) => Err(format!(
            "the package has several programs: say which with `--main PROGRAM.FUNCTION` ({})",
            many.join(", ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn package(name: &str, bins: &[&str], default_run: Value) -> Value {
        let bins: Vec<Value> = bins.iter().map(|bin| json!({"name": bin, "kind": ["bin"]})).collect();
        json!({"name": name, "targets": bins, "default_run": default_run})
    }

    #[test]
    fn the_program_is_the_one_that_main_stands_in_or_the_usual_one() {
        let two = package("my-module", &["my-module", "other"], Value::Null);
        assert_eq!(choose(&two, None).unwrap(), "my-module");
        assert_eq!(choose(&two, Some("my_module.main")).unwrap(), "my-module");
        assert_eq!(choose(&two, Some("other::main")).unwrap(), "other");
        assert_eq!(choose(&two, Some("main")).unwrap(), "my-module");
        assert_eq!(choose(&package("x", &["a", "b"], json!("b")), None).unwrap(), "b");
        assert_eq!(choose(&package("x", &["a"], Value::Null), Some("y.main")).unwrap(), "a");
        assert!(choose(&package("x", &["a", "b"], Value::Null), None).unwrap_err().contains("a, b"));
        assert!(choose(&package("x", &[], Value::Null), None).is_err());
    }
}
