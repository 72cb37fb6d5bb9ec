//! What a pod's container runs.

use super::arguments::Render;
use crate::{
    fault::{Fault, Result},
    package,
};

/// The words of the command line of a pod.
pub(super) fn of(render: &Render, workers: &[u16]) -> Result<Vec<String>> {
    let topology = render.topology.to_string();
    let mut words: Vec<String> =
        ["ditask", "run", "--platform", "k8s", "--topology", &topology].map(str::to_owned).into();
    let mut flag = |name: &str, value: String| words.extend([name.to_owned(), value]);
    // Where they differ a variable has the number of each.
    if workers[0] > 1 && workers.iter().all(|each| *each == workers[0]) {
        flag("--parallel-workers", workers[0].to_string());
    }
    if let Some(package) = &render.package {
        flag("--package", literal(package));
    }
    if let Some(main) = &render.main {
        package::check_main(main)?;
        flag("--main", main.clone());
    }
    if let Some(seconds) = render.connect_timeout {
        flag("--connect-timeout", seconds.as_secs_f64().to_string());
    }
    if render.insecure {
        words.push("--insecure".to_owned());
    }
    if !render.program.is_empty() {
        words.push("--".to_owned());
    }
    for word in &render.program {
        let text = word.to_str().ok_or_else(|| {
            let shown = word.to_string_lossy();
            Fault::usage(format!(
                "the program's argument `{shown}` is not UTF-8, and a manifest holds nothing else"
            ))
        })?;
        words.push(literal(text));
    }
    Ok(words)
}

/// A text that Kubernetes leaves as it is: it replaces `$(NAME)`, and takes `$$` for one dollar.
pub(super) fn literal(text: &str) -> String {
    match text.contains("$(") || text.contains("$$") {
        true => text.replace('$', "$$"),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_reach_the_program_as_they_were_typed() {
        for (text, escaped) in
            [("$HOME", "$HOME"), ("$(HOME)", "$$(HOME)"), ("a$$b$", "a$$$$b$$"), ("5$", "5$")]
        {
            assert_eq!(literal(text), escaped);
        }
    }
}
