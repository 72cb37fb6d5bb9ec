//! `ditask pub`.

use serde_json::Value;

use crate::{
    arguments::Pub,
    fault::{Fault, Result},
    observer,
};

/// Emits one event.
pub(crate) fn run(publish: &Pub) -> Result {
    let payload: Value = serde_json::from_str(&publish.payload).map_err(|error| {
        Fault::usage(format!(
            "`{}` is no JSON ({error}): a text needs quotes, as in '\"Hi\"'",
            publish.payload
        ))
    })?;
    let router = observer::attach(&publish.cluster, observer::Hears::Members)?;
    let emit = router.emit(&publish.event, &payload).only_remote();
    let emit = if let Some(node) = publish.to { emit.to(node) } else { emit };
    emit.wait()?;
    let report = router.shutdown(observer::LEAVE).wait();
    match report.unreachable.is_empty() {
        true => Ok(()),
        false => {
            let nodes: Vec<String> = report.unreachable.iter().map(ToString::to_string).collect();
            Err(Fault::new(format!("nodes {} have not confirmed that they got it", nodes.join(", "))))
        }
    }
}
