//! What Kubernetes and the name service take for a name.

use std::path::Path;

use super::arguments::Render;
use crate::fault::{Fault, Result};

/// The longest label of a host name, and of Kubernetes: RFC 1035.
pub(super) const LONGEST: usize = 63;

/// The longest name of most objects: RFC 1123.
const LONGEST_NAME: usize = 253;

/// Checks a label of RFC 1123: the name of a namespace.
pub(super) fn label(flag: &str, text: &str) -> Result {
    if text.len() > LONGEST {
        return Err(Fault::usage(format!("{flag} `{text}`: {} characters, at most {LONGEST}", text.len())));
    }
    match is_label(text) {
        true => Ok(()),
        false => Err(Fault::usage(format!(
            "{flag} `{text}`: only lower-case letters, digits and `-` are possible, and a letter or digit at \
             either end"
        ))),
    }
}

/// Checks labels with dots between them: the name of a Secret, a ConfigMap, a claim.
pub(super) fn object(flag: &str, text: &str) -> Result {
    match text.len() <= LONGEST_NAME && text.split('.').all(is_label) {
        true => Ok(()),
        false => Err(Fault::usage(format!(
            "{flag}: `{text}` is no name: lower-case letters, digits, `-` and `.`, at most {LONGEST_NAME}"
        ))),
    }
}

/// The job's name: the given one, or else one that is made of the program's.
pub(super) fn of_job(render: &Render) -> Result<String> {
    let Some(name) = &render.name else { return of_program(render) };
    label("--name", name)?;
    match starts_with_letter(name) {
        true => Ok(name.clone()),
        // The Service has this name too, and its rules are older: RFC 1035.
        false => Err(Fault::usage(format!(
            "--name `{name}`: the first character is a letter, for the Service's sake"
        ))),
    }
}

/// Checks that a pod's host name is not too long: `JOB-INDEX`.
pub(super) fn host(name: &str, job: &str, pods: usize) -> Result {
    let host = format!("{job}-{}", pods.saturating_sub(1));
    match host.len().checked_sub(LONGEST) {
        None | Some(0) => Ok(()),
        Some(more) => Err(Fault::usage(format!(
            "--name `{name}` is too long by {more}: the host name `{host}` has more than {LONGEST} characters"
        ))),
    }
}

fn of_program(render: &Render) -> Result<String> {
    let first = render.program.first().map(|program| program.to_string_lossy());
    let Some(program) = render.package.as_deref().or(first.as_deref()) else {
        return Err(Fault::usage("nothing to start: name the program behind `--`"));
    };
    let stem = Path::new(program).file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    let name: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let name = name.trim_matches('-');
    match is_label(name) && starts_with_letter(name) && name.len() <= LONGEST {
        true => Ok(name.to_owned()),
        false => Err(Fault::usage(format!("the job cannot be called after `{program}`: say `--name`"))),
    }
}

fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.len() <= LONGEST
        && !text.is_empty()
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn starts_with_letter(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: Option<&str>, program: &str) -> Result<String> {
        let program = vec![program.into()];
        of_job(&Render { name: name.map(str::to_owned), program, ..Render::default() })
    }

    #[test]
    fn a_job_is_called_after_its_program() {
        assert_eq!(named(None, "./my_program").unwrap(), "my-program");
        assert_eq!(named(None, "/opt/Trainer.sh").unwrap(), "trainer");
        assert_eq!(named(Some("test"), "./x").unwrap(), "test");
        for program in ["./3d", "...", "/", "-", "./训练"] {
            assert!(named(None, program).unwrap_err().to_string().contains("--name"), "{program}");
        }
    }

    #[test]
    fn what_no_host_can_be_called_is_refused() {
        let long = "x".repeat(64);
        for name in ["", "-a", "a-", "A", "a_b", "a.b", "1a", "a b", "é", &long] {
            assert!(named(Some(name), "./x").unwrap_err().to_string().starts_with("--name"), "{name}");
        }
        assert!(host("x", &"x".repeat(61), 10).is_ok());
        assert!(host("x", &"x".repeat(61), 11).unwrap_err().to_string().contains("too long by 1"));
    }
}
