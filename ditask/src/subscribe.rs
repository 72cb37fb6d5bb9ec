//! `ditask sub`.

use std::io::{self, Write};

use serde_json::{Value, json};
use tidings::{Envelope, parallel::REPORT};

use crate::{
    arguments::Sub,
    fault::{Fault, Result},
    finish::Signals,
    json::Json,
    observer,
};

/// Prints events until there have been enough, or a signal comes.
pub(crate) fn run(sub: &Sub) -> Result {
    let router = observer::attach(&sub.cluster, observer::Hears::Everyone)?;
    let mut listener = router.listen(&sub.pattern, Default::default())?;
    let failed = |error: io::Error| Fault::io("cannot wait for events", &error);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let result = runtime.block_on(async {
        let mut signals = Signals::new().map_err(failed)?;
        let mut left = sub.count;
        while left != Some(0) {
            let envelope = tokio::select! {
                envelope = listener.next() => envelope,
                // The usual end of a command that has none.
                _ = signals.next() => return Ok(()),
            };
            let Some(envelope) = envelope else {
                return Err(Fault::new("the cluster is gone, or this terminal took its events too slowly"));
            };
            // What nodes tell every observer is no event of the program's, unless it was asked for.
            if envelope.event() == REPORT && sub.pattern != REPORT {
                continue;
            }
            if print(&envelope, sub.cluster.json).is_err() {
                // Nobody reads any more.
                return Ok(());
            }
            left = left.map(|left| left - 1);
        }
        Ok(())
    });
    drop(listener);
    router.shutdown(observer::LEAVE).wait();
    result
}

fn print(envelope: &Envelope, as_json: bool) -> io::Result<()> {
    let payload = match envelope.decode::<Json>() {
        Ok(Json(payload)) => payload,
        Err(error) => json!({"error": error.to_string()}),
    };
    let (event, source) = (envelope.event(), envelope.source().0);
    let line = match as_json {
        true => json!({"event": event, "source": source, "payload": payload}).to_string(),
        false => format!("{event} from node {source}: {}", short(&payload)),
    };
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// A payload on one line of a terminal.
fn short(payload: &Value) -> String {
    const LONGEST: usize = 4096;
    let text = payload.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}.. ({} bytes; all of it with --json)", &text[..end], text.len()),
        None => text,
    }
}
