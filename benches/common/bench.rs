//! What can be measured on a route.

use std::time::Duration;

use super::{Result, session::Session};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bench {
    /// Round trips, one at a time.
    Latency,
    /// Messages to one receiver, as fast as they go.
    Throughput,
    /// The same, to one, two and three receivers.
    Fanout,
    /// 100,000 messages of 64 bytes to three receivers.
    Burst,
}

/// What one round came to.
#[derive(Debug)]
pub(crate) struct Round {
    /// In the order of [`Bench::figures`].
    pub(crate) figures: Vec<f64>,
    /// Deliveries that there should have been, where they are counted.
    pub(crate) sent: u64,
    /// How many of these are missing.
    pub(crate) lost: u64,
}

impl Bench {
    pub(crate) const ALL: [Self; 4] = [Self::Latency, Self::Throughput, Self::Fanout, Self::Burst];

    pub(crate) fn name(self) -> &'static str {
        self.figures()[0]
    }

    /// What its figures are called in the rows.
    pub(crate) fn figures(self) -> &'static [&'static str] {
        match self {
            Self::Latency => &["latency", "latency.p99"],
            Self::Throughput => &["throughput"],
            Self::Fanout => &["fanout"],
            Self::Burst => &["burst"],
        }
    }

    /// The unit of its figures. Deliveries are counted once for each receiver.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Latency => "us",
            Self::Throughput => "messages/s",
            Self::Fanout | Self::Burst => "deliveries/s",
        }
    }

    /// How many receivers it is measured with.
    pub(crate) fn receivers(self) -> &'static [usize] {
        match self {
            Self::Latency | Self::Throughput => &[1],
            Self::Fanout => &[1, 2, 3],
            Self::Burst => &[3],
        }
    }

    /// The sizes in bytes that it is measured with.
    pub(crate) fn sizes(self) -> &'static [usize] {
        match self {
            Self::Burst => &[64],
            _ => &[64, 1 << 10, 64 << 10, 1 << 20],
        }
    }

    /// How many messages a round has, or `None` where the time ends it.
    pub(crate) fn count(
        self,
        session: &mut Session,
        round: Duration,
        wanted: Option<u64>,
    ) -> Result<Option<u64>> {
        Ok(match (self, wanted) {
            (Self::Burst, _) => Some(100_000),
            (_, Some(count)) => Some(count),
            (Self::Latency, None) => None,
            (Self::Throughput | Self::Fanout, None) => Some(session.count_within(round)?),
        })
    }

    pub(crate) fn round(self, session: &mut Session, round: Duration, count: Option<u64>) -> Result<Round> {
        match (self, count) {
            (Self::Latency, _) | (_, None) => {
                Ok(Round { figures: session.round_trips(round, count)?.to_vec(), sent: 0, lost: 0 })
            }
            (_, Some(count)) => {
                let (took, lost) = session.burst(count)?;
                let sent = count * session.route.receivers as u64;
                Ok(Round { figures: vec![(sent - lost) as f64 / took.as_secs_f64()], sent, lost })
            }
        }
    }
}
