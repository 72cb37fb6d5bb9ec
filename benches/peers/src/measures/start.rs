//! How long it takes from the start of a program of N processes until the first message has arrived.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tidings::{
    Error, Parallel,
    prelude::{NodeId, Router},
};

use super::process::Part;
use crate::harness::{Result, Row, Wire};

/// The first argument of the program.
pub(crate) const ROLE: &str = "start";

const WORKERS: [usize; 2] = [2, 8];

pub(crate) fn measure(rounds: usize) -> Result<Vec<Row>> {
    let (mut first, mut all) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for _ in 0..rounds {
        for (index, workers) in WORKERS.into_iter().enumerate() {
            let since = now()?.as_nanos().to_string();
            let mut program = Part::start(&[ROLE, &workers.to_string(), &since])?;
            let line = program.line()?;
            let (one, every) = line.split_once(' ').ok_or("not two times")?;
            first[index].push(one.parse()?);
            all[index].push(every.parse()?);
        }
    }
    let rows = |bench, values: [Vec<f64>; 2]| {
        WORKERS
            .into_iter()
            .zip(values)
            .map(move |(workers, values)| Row::of(bench, Wire::Ipc, workers, "ms", values))
    };
    Ok(rows("start.first", first).chain(rows("start.all", all)).collect())
}

/// The program: all emit, node 0 listens and says when the first and the last have been heard.
pub(crate) fn part(workers: &str, since: &str) -> Result {
    let (workers, since): (usize, u64) = (workers.parse()?, since.parse()?);
    let main = move |router: Arc<Router>| async move {
        if router.node_id() != NodeId(0) {
            return router.emit("hello", &router.node_id().0).await;
        }
        let mut hellos = router.subscribe::<u32>("hello")?;
        let mut times = Vec::new();
        for _ in 1..workers {
            hellos.next().await.ok_or(Error::Closed)?;
            times.push(now().unwrap_or_default().saturating_sub(Duration::from_nanos(since)));
        }
        let [first, last] = [times.first(), times.last()].map(|time| time.map_or(0.0, Duration::as_secs_f64));
        println!("{:.3} {:.3}", first * 1e3, last * 1e3);
        Ok(())
    };
    Ok(Parallel::runner(workers).run(main).wait()?)
}

fn now() -> Result<Duration> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?)
}
