//! What the command line says.

use std::time::Duration;

use super::{Bench, Result, Subject, Wire, message::MARK_BYTES};

/// How the command line is written.
pub(crate) const USAGE: &str = "\
[BENCH..] [--transport memory,ipc,tcp] [--size BYTES,..] [--receivers N,..] [--peer NAME,..]
[--except NAME,..] [--rounds 5] [--seconds 1] [--count MESSAGES] [--json]";

/// What to measure. Lists that are empty leave the choice to the bench.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) benches: Vec<Bench>,
    pub(crate) wires: Vec<Wire>,
    pub(crate) sizes: Vec<usize>,
    /// For the fan-out; the other benches have a number of their own.
    pub(crate) receivers: Vec<usize>,
    pub(crate) peers: Vec<String>,
    pub(crate) except: Vec<String>,
    pub(crate) rounds: usize,
    /// How long one round takes, about.
    pub(crate) round: Duration,
    /// How many messages one round has, instead.
    pub(crate) count: Option<u64>,
    /// Only the lines of JSON.
    pub(crate) json: bool,
}

impl Arguments {
    /// Reads `arguments`; `benches` are those that this program has.
    pub(crate) fn parse(arguments: &[String], benches: &[Bench]) -> Result<Self> {
        let mut parsed = Self {
            benches: Vec::new(),
            wires: Wire::ALL.to_vec(),
            sizes: Vec::new(),
            receivers: Vec::new(),
            peers: Vec::new(),
            except: Vec::new(),
            rounds: 5,
            round: Duration::from_secs(1),
            count: None,
            json: false,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("`{argument}` needs a value"));
            match argument.as_str() {
                // What cargo adds.
                "--bench" => {}
                "--json" => parsed.json = true,
                "--transport" => {
                    parsed.wires = value()?.split(',').map(Wire::parse).collect::<Result<_>>()?
                }
                "--size" => parsed.sizes = numbers(value()?)?,
                "--receivers" => parsed.receivers = numbers(value()?)?,
                "--peer" => parsed.peers = names(value()?),
                "--except" => parsed.except = names(value()?),
                "--rounds" => parsed.rounds = value()?.parse()?,
                "--seconds" => parsed.round = Duration::try_from_secs_f64(value()?.parse()?)?,
                "--count" => parsed.count = Some(value()?.parse()?),
                name => {
                    let named =
                        Bench::ALL.into_iter().find(|bench| bench.name() == name && benches.contains(bench));
                    let unknown = || format!("`{name}` is no option and no bench of this program");
                    parsed.benches.push(named.ok_or_else(unknown)?);
                }
            }
        }
        if parsed.benches.is_empty() {
            parsed.benches = benches.to_vec();
        }
        if parsed.rounds == 0
            || parsed.round.is_zero()
            || parsed.count == Some(0)
            || parsed.receivers.contains(&0)
        {
            return Err("`--rounds`, `--seconds`, `--count` and `--receivers` are above zero".into());
        }
        if parsed.sizes.iter().any(|size| *size < MARK_BYTES) {
            return Err(format!("a message has at least {MARK_BYTES} bytes").into());
        }
        Ok(parsed)
    }

    /// Whether this subject was asked for.
    pub(crate) fn wants(&self, subject: &dyn Subject) -> bool {
        let is_in = |names: &[String]| names.iter().any(|name| name == subject.name());
        (self.peers.is_empty() || is_in(&self.peers)) && !is_in(&self.except)
    }
}

fn names(list: &str) -> Vec<String> {
    list.split(',').map(str::to_owned).collect()
}

fn numbers(list: &str) -> Result<Vec<usize>> {
    list.split(',').map(|number| Ok(number.parse()?)).collect()
}
