//! One subject on one route, with its receivers connected and idle between the rounds.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    End, Result, Route, Subject,
    message::{ECHO, END, LAST, ONE},
    receiver::Receiver,
    statistics::percentile,
};

pub(crate) struct Session {
    pub(crate) subject: &'static str,
    pub(crate) route: Route,
    end: Box<dyn End>,
    receivers: Vec<Receiver>,
}

/// How many round trips a round keeps at most.
const MAX_ROUND_TRIPS: usize = 1 << 20;

/// Round trips that are not counted: caches and branches are cold.
const WARM_UP: u32 = 200;

impl Session {
    pub(crate) fn open(subject: &Arc<dyn Subject>, route: Route) -> Result<Self> {
        let (mut end, addresses) = subject.listen(&route)?;
        let start = |(index, address): (usize, &String)| Receiver::start(subject, &route, address, index);
        let receivers = addresses.iter().enumerate().map(start).collect::<Result<_>>()?;
        end.meet()?;
        for _ in 0..route.receivers {
            end.receive()?;
        }
        Ok(Self { subject: subject.name(), route, end, receivers })
    }

    /// The median and the 99th percentile of the round trips within `duration`, or of `count` ones, in
    /// microseconds.
    pub(crate) fn round_trips(&mut self, duration: Duration, count: Option<u64>) -> Result<[f64; 2]> {
        if count.is_none() {
            for _ in 0..WARM_UP {
                self.round_trip()?;
            }
        }
        let limit = count.map_or(MAX_ROUND_TRIPS, |count| MAX_ROUND_TRIPS.min(count as usize));
        let (begin, mut round_trips) = (Instant::now(), Vec::new());
        while round_trips.len() < limit && (count.is_some() || begin.elapsed() < duration) {
            round_trips.push(self.round_trip()?.as_secs_f64() * 1e6);
        }
        round_trips.sort_by(f64::total_cmp);
        Ok([percentile(&round_trips, 50), percentile(&round_trips, 99)])
    }

    fn round_trip(&mut self) -> Result<Duration> {
        let begin = Instant::now();
        self.end.send(ECHO)?;
        self.end.flush()?;
        self.end.receive()?;
        Ok(begin.elapsed())
    }

    /// Sends `count` messages to each receiver as fast as it can. Returns the time until all receivers have
    /// said that they have everything, and how many deliveries are missing.
    pub(crate) fn burst(&mut self, count: u64) -> Result<(Duration, u64)> {
        let begin = Instant::now();
        // The last one is a message too.
        for _ in 1..count {
            self.end.send(ONE)?;
        }
        self.end.send(LAST)?;
        self.end.flush()?;
        let mut missing = 0;
        for _ in 0..self.route.receivers {
            missing += (count - 1).saturating_sub(self.end.receive()?);
        }
        Ok((begin.elapsed(), missing))
    }

    /// How many messages take about `duration`.
    pub(crate) fn count_within(&mut self, duration: Duration) -> Result<u64> {
        let mut count = 64;
        loop {
            let (took, _) = self.burst(count)?;
            if took * 4 >= duration {
                let rate = count as f64 / took.as_secs_f64();
                return Ok((rate * duration.as_secs_f64()).max(16.0) as u64);
            }
            count *= 2;
        }
    }

    pub(crate) fn close(mut self) -> Result {
        self.end.send(END)?;
        self.end.flush()?;
        let ended = self.receivers.into_iter().try_for_each(Receiver::finish);
        self.end.close();
        ended
    }
}
