//! What each process of a platform is to be, as its user says: `{"tasks": [{"labels": .., "node_ids": ..}, ..]}`.

use std::{fs, path::Path};

use serde::Deserialize;
use serde_json::Value;

use crate::fault::{Fault, Result};

/// The largest file, in bytes.
const LARGEST: u64 = 4 << 20;

/// One entry for each process, by rank.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(crate) struct Spec {
    pub(crate) tasks: Vec<Task>,
}

/// What is said of one process. What is not said is as the platform has it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Task {
    /// The first port or a list of them.
    #[serde(default, deserialize_with = "list")]
    pub(crate) ports: Option<String>,
    /// The host that the others dial.
    #[serde(default)]
    pub(crate) address: Option<String>,
    /// The first id or a list of them.
    #[serde(default, deserialize_with = "list")]
    pub(crate) node_ids: Option<String>,
    /// Addresses; `$node.N` stands for the one of node N.
    #[serde(default, deserialize_with = "list")]
    pub(crate) attach_to: Option<String>,
    /// Labels.
    #[serde(default, deserialize_with = "list")]
    pub(crate) labels: Option<String>,
}

/// A number, a text with commas, or a list of either: as the text with commas.
fn list<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let one = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(serde::de::Error::custom(format!("`{other}` is neither a text nor a number"))),
    };
    match Option::<Value>::deserialize(deserializer)? {
        None | Some(Value::Null) => Ok(None),
        // A list of one is a list, and not the first of a row.
        Some(Value::Array(values)) => {
            let all: Vec<String> = values.iter().map(one).collect::<Result<_, _>>()?;
            Ok(Some(all.join(",") + if values.len() == 1 { "," } else { "" }))
        }
        Some(value) => one(&value).map(Some),
    }
}

impl Spec {
    /// The spec in `text` if that is JSON, or in the file of this name.
    pub(crate) fn read(text: &str) -> Result<Self> {
        let wrong = |why: &dyn std::fmt::Display| Fault::usage(format!("--platform-spec: {why}"));
        if text.trim_start().starts_with('{') {
            return serde_json::from_str(text).map_err(|error| wrong(&error));
        }
        let path = Path::new(text);
        let about = |why: &dyn std::fmt::Display| wrong(&format_args!("{}: {why}", path.display()));
        let size = fs::metadata(path).map_err(|error| about(&error))?.len();
        if size > LARGEST {
            return Err(about(&format_args!("{size} bytes, at most {LARGEST} are read")));
        }
        let content = fs::read_to_string(path).map_err(|error| about(&error))?;
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("yaml" | "yml") => serde_saphyr::from_str(&content).map_err(|error| about(&error)),
            _ => serde_json::from_str(&content).map_err(|error| about(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"type": "slurm", "tasks": [
        {"labels": "league,collect", "node_ids": 10, "ports": 50000},
        {"labels": ["learn"], "node_ids": [20, 21], "attach_to": "$node.10"},
        {}
    ]}"#;
    const YAML: &str = "tasks:\n- {labels: 'league,collect', node_ids: 10, ports: 50000}\n- labels: [learn]\n  node_ids: [20, 21]\n  attach_to: $node.10\n- {}\n";

    #[test]
    fn json_and_yaml_say_the_same_as_text_and_as_files() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = directory.path().join(name);
            fs::write(&path, content).unwrap();
            Spec::read(path.to_str().unwrap())
        };
        let spec = Spec::read(JSON).unwrap();
        assert_eq!(spec.tasks[0].node_ids.as_deref(), Some("10"));
        assert_eq!(spec.tasks[0].ports.as_deref(), Some("50000"));
        assert_eq!(spec.tasks[1].node_ids.as_deref(), Some("20,21"));
        assert_eq!(spec.tasks[1].labels.as_deref(), Some("learn,"));
        assert_eq!(spec.tasks[2], Task::default());
        assert_eq!(file("spec.json", JSON).unwrap(), spec);
        assert_eq!(file("spec.yaml", YAML).unwrap(), spec);
        assert_eq!(file("spec.yml", YAML).unwrap(), spec);
        assert!(file("wrong.yaml", "tasks: {").is_err());
    }

    #[test]
    fn what_is_no_spec_says_where() {
        for (text, named) in [
            ("{", "EOF"),
            ("{}", "tasks"),
            (r#"{"tasks": [{"node_id": 1}]}"#, "node_ids"),
            (r#"{"tasks": [{"node_ids": {}}]}"#, "neither"),
            ("/nowhere/spec.yaml", "/nowhere/spec.yaml"),
        ] {
            let fault = Spec::read(text).unwrap_err().to_string();
            assert!(fault.starts_with("--platform-spec: ") && fault.contains(named), "{fault}");
        }
    }
}
