use tidings_router_core::{Router, pattern_matches};

/// The labels of a task: the given ones, the router's, `node.N`, and whether it is alone.
pub(crate) fn labels(router: &dyn Router, given: Vec<String>, distributed: bool) -> Vec<String> {
    let mut labels = given;
    labels.extend(router.labels().iter().cloned());
    labels.push(format!("node.{}", router.node_id()));
    labels.push(if distributed { "distributed" } else { "standalone" }.to_owned());
    labels
}

/// Whether any of the labels matches any of the patterns.
pub(crate) fn matches(labels: &[String], patterns: impl IntoIterator<Item = impl AsRef<str>>) -> bool {
    patterns.into_iter().any(|pattern| labels.iter().any(|label| pattern_matches(pattern.as_ref(), label)))
}
