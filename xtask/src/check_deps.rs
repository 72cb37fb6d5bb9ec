use std::{collections::BTreeSet, fs};

use crate::{
    Result,
    command::root,
    foreign_types,
    metadata::{self, Package},
};

/// The package that users name.
const FACADE: &str = "tidings";

/// Who may depend on which of our packages. `tidings-transport-*` stands for every transport.
const DIRECTIONS: [(&str, &[&str]); 12] = [
    ("tidings-topology", &[]),
    ("tidings-macros", &[]),
    ("tidings-servers", &[]),
    ("tidings-router-core", &["tidings-topology"]),
    ("tidings-transport-*", &["tidings-router-core"]),
    ("tidings-task", &["tidings-router-core"]),
    ("tidings-parallel", &["tidings-router-core"]),
    ("tidings-testkit", &["tidings-router-core", "tidings-servers"]),
    (
        FACADE,
        &["tidings-router-core", "tidings-transport-*", "tidings-task", "tidings-parallel", "tidings-macros"],
    ),
    ("ditask", &[FACADE, "tidings-servers"]),
    ("gridworld", &[FACADE]),
    ("xtask", &[]),
];

/// The list of the conformance suite's cases.
const SUITE: &str = "testkit/src/conformance.rs";

/// Checks who depends on whom, the facade's features, the README's tables, and the public signatures; lists everything that is wrong.
pub(crate) fn run() -> Result {
    let packages = metadata::packages()?;
    let mut faults = Vec::new();
    for package in &packages {
        faults.extend(directions(package));
        faults.extend(foreign_types::check(package)?);
    }
    let facade = packages.iter().find(|package| package.name == FACADE).ok_or("the facade is missing")?;
    let readme =
        fs::read_to_string(root().join("README.md")).map_err(|error| format!("README.md: {error}"))?;
    faults.extend(features(facade, &readme));
    let suite = fs::read_to_string(root().join(SUITE)).map_err(|error| format!("{SUITE}: {error}"))?;
    faults.extend(promises(&readme, &suite));
    match faults.is_empty() {
        true => {
            println!("check-deps: {} packages, no fault", packages.len());
            Ok(())
        }
        false => Err(faults.join("\n")),
    }
}

/// Whether `name` is what `pattern` names: itself, or any of a family that ends in `*`.
fn names(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |family| name.starts_with(family))
}

fn directions(package: &Package) -> Vec<String> {
    let Some((_, allowed)) = DIRECTIONS.iter().find(|(pattern, _)| names(pattern, &package.name)) else {
        return vec![format!(
            "{}: DIRECTIONS in xtask/src/check_deps.rs does not say what it may import",
            package.name
        )];
    };
    let is_ours = |name: &&String| names("tidings*", name);
    let wrong =
        package.dependencies.iter().filter(is_ours).filter(|name| !allowed.iter().any(|it| names(it, name)));
    let facade = package.dev_dependencies.iter().filter(|name| *name == FACADE);
    wrong.chain(facade).map(|name| format!("{} must not depend on {name}", package.name)).collect()
}

/// `full` turns on every feature, and the README's table has a row for each.
fn features(facade: &Package, readme: &str) -> Vec<String> {
    let nothing = BTreeSet::new();
    let full = facade.features.get("full").unwrap_or(&nothing);
    let mut faults = Vec::new();
    for feature in facade.features.keys().filter(|feature| *feature != "default") {
        if feature != "full" && !full.contains(feature) {
            faults.push(format!("feature `full` does not list `{feature}`"));
        }
        if !readme.lines().any(|line| line.starts_with(&format!("| `{feature}` |"))) {
            faults.push(format!("the README's table of features has no row for `{feature}`"));
        }
    }
    faults
}

/// Each promise in the README names a case that the conformance suite has.
fn promises(readme: &str, suite: &str) -> Vec<String> {
    let cases: BTreeSet<&str> = suite.lines().filter_map(|line| line.trim().strip_suffix(',')).collect();
    let shown_by = |promise: usize| {
        let row = readme.lines().find(|line| line.starts_with(&format!("| {promise} | **")))?;
        row.split('|').nth(3).map(|cell| cell.trim().trim_matches('`'))
    };
    let check = |promise| match shown_by(promise) {
        None => Some(format!("the README's table of promises has no row {promise}")),
        Some(case) if cases.contains(case) => None,
        Some(case) => Some(format!("promise {promise} is shown by `{case}`, which {SUITE} does not list")),
    };
    (1..=12).filter_map(check).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[&str], dev: &[&str]) -> Package {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Package {
            name: name.to_owned(),
            dependencies: set(dependencies),
            dev_dependencies: set(dev),
            ..Package::default()
        }
    }

    #[test]
    fn a_transport_that_imports_another_one_is_a_fault() {
        let good = package("tidings-transport-tcp", &["tidings-router-core", "tokio"], &["tidings-testkit"]);
        assert_eq!(directions(&good), Vec::<String>::new());
        let bad = package("tidings-transport-tcp", &["tidings-router-core", "tidings-transport-ipc"], &[]);
        assert_eq!(directions(&bad), ["tidings-transport-tcp must not depend on tidings-transport-ipc"]);
    }

    #[test]
    fn whoever_imports_the_facade_even_for_tests_is_at_fault() {
        let bad = package("tidings-task", &["tidings-router-core"], &["tidings"]);
        assert_eq!(directions(&bad), ["tidings-task must not depend on tidings"]);
    }

    #[test]
    fn a_package_that_nobody_has_placed_is_a_fault() {
        assert_eq!(directions(&package("tidings-new", &[], &[])).len(), 1);
    }

    #[test]
    fn a_feature_that_is_neither_in_full_nor_in_the_readme_is_two_faults() {
        let mut facade = package(FACADE, &[], &[]);
        facade.features.insert("full".into(), ["ipc".to_owned()].into());
        facade.features.insert("ipc".into(), BTreeSet::new());
        facade.features.insert("tcp".into(), BTreeSet::new());
        let readme = "| `full` | everything |\n| `ipc` | one machine |\n";
        assert_eq!(features(&facade, readme).len(), 2);
    }

    #[test]
    fn a_promise_that_no_case_shows_is_a_fault() {
        let row = |promise| format!("| {promise} | **Order.** | `it_is_kept` | yes |\n");
        let readme: String = (1..=12).map(row).collect();
        assert_eq!(promises(&readme, "  it_is_kept,\n"), Vec::<String>::new());
        assert_eq!(promises(&readme, "  another,\n").len(), 12);
        assert_eq!(promises("", "  it_is_kept,\n").len(), 12);
    }
}
