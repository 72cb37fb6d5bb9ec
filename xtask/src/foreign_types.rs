//! A check of the sources: no type of a library that we use stands in a public signature.
//!
//! It reads lines, not Rust: it knows `pub fn`, the functions of a `pub trait`, public fields and `pub type`. A type
//! is foreign when its path starts with a foreign crate, or when the file imports it from one.

use std::{collections::BTreeSet, fs, path::Path};

use crate::{Result, metadata::Package};

/// Crates that may not show.
const FOREIGN: [&str; 15] = [
    "async_nats",
    "percent_encoding",
    "tokio",
    "tokio_util",
    "socket2",
    "rustix",
    "rmp_serde",
    "hmac",
    "sha2",
    "getrandom",
    "fastrand",
    "arc_swap",
    "foldhash",
    "tracing",
    "proptest",
];

/// Files whose items are hidden from the docs: our own packages call them, users do not.
const HIDDEN: [&str; 2] = ["router-core/src/runtime.rs", "router-core/src/handler.rs"];

/// The one file that may ask which transports are compiled in.
const TRANSPORT_CFGS: &str = "src/transport.rs";

/// Every public signature of `package` that shows a foreign type, and every transport's `cfg` in the wrong place.
pub(crate) fn check(package: &Package) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    visit(&package.folder.join("src"), &mut |path, text| {
        let shown = path.strip_prefix(crate::command::root()).unwrap_or(path).display().to_string();
        if !HIDDEN.contains(&shown.as_str()) {
            faults.extend(foreign_signatures(text).into_iter().map(|found| format!("{shown}: {found}")));
        }
        if package.name == "tidings" && shown != TRANSPORT_CFGS {
            let cfgs = ["ipc", "tcp", "nats"].map(|feature| format!("feature = \"{feature}\""));
            let wrong = cfgs.iter().filter(|cfg| text.contains(cfg.as_str()));
            faults.extend(wrong.map(|cfg| format!("{shown}: `{cfg}` belongs into {TRANSPORT_CFGS}")));
        }
    })?;
    Ok(faults)
}

fn visit(folder: &Path, see: &mut impl FnMut(&Path, &str)) -> Result {
    let failed = |error| format!("{}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            visit(&path, see)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            see(&path, &fs::read_to_string(&path).map_err(failed)?);
        }
    }
    Ok(())
}

/// The public signatures of a file that show a foreign type.
fn foreign_signatures(text: &str) -> Vec<String> {
    let imported = imported_names(text);
    let shows = |signature: &str| {
        let words: Vec<&str> = signature.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        FOREIGN.iter().any(|name| signature.contains(&format!("{name}::")))
            || words.iter().any(|word| imported.contains(*word))
    };
    public_signatures(text).into_iter().filter(|signature| shows(signature)).collect()
}

/// The names that a file imports from foreign crates.
fn imported_names(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for statement in text.split(';') {
        let Some(path) = statement.trim_start().lines().find_map(|line| line.trim().strip_prefix("use "))
        else {
            continue;
        };
        if !FOREIGN.iter().any(|name| path.starts_with(&format!("{name}::"))) {
            continue;
        }
        let start = statement.find("use ").expect("it was found a line ago");
        let words = statement[start..].split(|c: char| !c.is_alphanumeric() && c != '_');
        names.extend(words.filter(|word| word.starts_with(char::is_uppercase)).map(str::to_owned));
    }
    names
}

/// The signatures that a user of the file's items sees, each on one line.
fn public_signatures(text: &str) -> Vec<String> {
    let mut signatures = Vec::new();
    let mut in_trait = false;
    let mut lines = text.lines().map(str::trim_end).take_while(|line| *line != "#[cfg(test)]");
    while let Some(line) = lines.next() {
        let code = line.trim_start();
        if line == "}" {
            in_trait = false;
        }
        in_trait |= line.starts_with("pub trait ");
        let is_function = code.starts_with("pub ") && code.contains("fn ")
            || in_trait && (code.starts_with("fn ") || code.starts_with("async fn "));
        let is_field = code.starts_with("pub ") && code.ends_with(',');
        let is_item = ["pub type ", "pub struct ", "pub const ", "pub static ", "pub trait "]
            .iter()
            .any(|start| code.starts_with(start));
        if !(is_function || is_field || is_item) {
            continue;
        }
        let mut signature = code.to_owned();
        while !is_field && !signature.ends_with(['{', '}', ';']) {
            let Some(next) = lines.next() else { break };
            signature.push(' ');
            signature.push_str(next.trim());
        }
        // Private fields of a tuple struct are nobody's business.
        if code.starts_with("pub struct ") && !signature.contains("(pub ") {
            signature.truncate(signature.find(['(', '{']).unwrap_or(signature.len()));
        }
        signatures.push(signature);
    }
    signatures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_type_in_a_public_function_is_found() {
        assert_eq!(
            foreign_signatures("pub fn handle(\n    &self,\n) -> tokio::runtime::Handle {\n").len(),
            1
        );
        assert_eq!(
            foreign_signatures("use tokio::net::{self,\n TcpStream};\npub fn stream(s: TcpStream) {}\n")
                .len(),
            1
        );
    }

    #[test]
    fn a_foreign_type_in_a_public_trait_or_field_is_found() {
        assert_eq!(
            foreign_signatures("pub trait T {\n    fn f(&self) -> rustix::fd::OwnedFd;\n}\n").len(),
            1
        );
        assert_eq!(foreign_signatures("pub struct S {\n    pub socket: socket2::Socket,\n}\n").len(), 1);
        assert_eq!(foreign_signatures("pub struct S(pub socket2::Socket);\n").len(), 1);
    }

    #[test]
    fn a_foreign_type_that_is_private_is_nobodys_business() {
        let text = "use tokio::sync::watch::Receiver;\npub struct S(Receiver<u64>);\npub(crate) fn f(r: Receiver<u8>) {}\n\
                    pub fn g(&self) -> u8 {\n    tokio::spawn(async {});\n}\n";
        assert_eq!(foreign_signatures(text), Vec::<String>::new());
    }
}
