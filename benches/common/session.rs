//! One subject on one route, with its receivers connected and idle between the rounds.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    End, Result, Route, Subject,
    message::{Answer, ECHO, END, KIND_BITS, LAST, ONE},
    receiver::Receiver,
    statistics::percentile,
};

pub(crate) struct Session {
    pub(crate) subject: &'static str,
    pub(crate) route: Route,
    end: Box<dyn End>,
    receivers: Vec<Receiver>,
    /// See [`Subject::must_deliver`].
    pub(crate) must_deliver: bool,
    may_lose: bool,
    /// The number of the burst, to know its answers by.
    burst: u16,
}

/// When a round of round trips is over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    most: usize,
    duration: Option<Duration>,
}

impl Limit {
    /// Whether so many, begun then, are enough.
    pub(crate) fn is_reached(&self, made: usize, begin: Instant) -> bool {
        made >= self.most || self.duration.is_some_and(|duration| begin.elapsed() >= duration)
    }
}

/// How long an answer may take that may have been lost.
const PATIENCE: Duration = Duration::from_millis(200);

/// A round has at least so many messages of who may lose some, unless they have more than so many bytes.
const LOSSY_MESSAGES: u64 = 10_000;
const LOSSY_BYTES: u64 = 64 << 20;

/// How often a receiver is asked again.
const TRIES: u32 = 50;

/// How many round trips a round keeps at most.
const MAX_ROUND_TRIPS: usize = 1 << 20;

/// Round trips that are not counted: caches and branches are cold.
const WARM_UP: usize = 200;

impl Session {
    pub(crate) fn open(subject: &Arc<dyn Subject>, route: Route) -> Result<Self> {
        let (mut end, addresses) = subject.listen(&route)?;
        let start = |(index, address): (usize, &String)| Receiver::start(subject, &route, address, index);
        let receivers = addresses.iter().enumerate().map(start).collect::<Result<_>>()?;
        end.meet()?;
        for _ in 0..route.receivers {
            end.receive()?;
        }
        Ok(Self {
            subject: subject.name(),
            route,
            end,
            receivers,
            must_deliver: subject.must_deliver(),
            may_lose: subject.may_lose(),
            burst: 0,
        })
    }

    /// The median and the 99th percentile of the round trips within `duration`, or of `count` ones, in
    /// microseconds.
    pub(crate) fn round_trips(&mut self, duration: Duration, count: Option<u64>) -> Result<[f64; 2]> {
        if count.is_none() {
            let warm_up = Limit { most: WARM_UP, duration: None };
            if self.end.round_trips(warm_up)?.is_none() {
                for _ in 0..WARM_UP {
                    self.round_trip()?;
                }
            }
        }
        let most = count.map_or(MAX_ROUND_TRIPS, |count| MAX_ROUND_TRIPS.min(count as usize));
        let limit = Limit { most, duration: count.is_none().then_some(duration) };
        let took = match self.end.round_trips(limit)? {
            Some(took) => took,
            None => {
                let (begin, mut took) = (Instant::now(), Vec::new());
                while !limit.is_reached(took.len(), begin) {
                    took.push(self.round_trip()?);
                }
                took
            }
        };
        let mut round_trips: Vec<f64> = took.iter().map(|took| took.as_secs_f64() * 1e6).collect();
        round_trips.sort_by(f64::total_cmp);
        Ok([percentile(&round_trips, 50), percentile(&round_trips, 99)])
    }

    fn round_trip(&mut self) -> Result<Duration> {
        let begin = Instant::now();
        for _ in 0..TRIES {
            self.end.send(ECHO)?;
            self.end.flush()?;
            if self.receive()?.is_some() {
                return Ok(begin.elapsed());
            }
        }
        Err("no answer".into())
    }

    /// Sends `count` messages to each receiver as fast as it can. Returns the time until all receivers have
    /// said that they have everything, and how many deliveries are missing. Waiting for what was lost is no
    /// part of that time.
    pub(crate) fn burst(&mut self, count: u64) -> Result<(Duration, u64)> {
        let begin = Instant::now();
        // The last one is a message too.
        for _ in 1..count {
            self.end.send(ONE)?;
        }
        self.burst = self.burst.wrapping_add(1);
        let last = LAST | u64::from(self.burst) << KIND_BITS;
        self.end.send(last)?;
        self.end.flush()?;
        let sent_after = begin.elapsed();
        let mut counts = vec![None; self.route.receivers];
        let mut tries = 0;
        while counts.contains(&None) {
            let Some(mark) = self.receive()? else {
                tries += 1;
                if tries > TRIES {
                    return Err("receivers do not answer".into());
                }
                self.end.send(last)?;
                self.end.flush()?;
                continue;
            };
            let answer = Answer::of_mark(mark);
            if answer.round == self.burst
                && let Some(count) = counts.get_mut(usize::from(answer.index))
            {
                *count = Some(answer.count);
            }
        }
        let missing = counts.iter().flatten().map(|got| (count - 1).saturating_sub(*got)).sum();
        let took = begin.elapsed().saturating_sub(PATIENCE * tries).max(sent_after);
        Ok((took, missing))
    }

    /// What arrives next; `None` when it was lost.
    fn receive(&mut self) -> Result<Option<u64>> {
        if self.may_lose { self.end.receive_within(PATIENCE) } else { self.end.receive().map(Some) }
    }

    /// How many messages take about `duration`.
    pub(crate) fn count_within(&mut self, duration: Duration) -> Result<u64> {
        let mut count = 64;
        loop {
            let (took, _) = self.burst(count)?;
            if took * 4 >= duration {
                let rate = count as f64 / took.as_secs_f64();
                let least = if self.may_lose { self.enough_to_lose() } else { 16 };
                return Ok(((rate * duration.as_secs_f64()) as u64).max(least));
            }
            count *= 2;
        }
    }

    /// So many messages at once are more than buffers take: who loses at all, does so then.
    fn enough_to_lose(&self) -> u64 {
        (LOSSY_BYTES / self.route.size as u64).min(LOSSY_MESSAGES)
    }

    pub(crate) fn close(mut self) -> Result {
        self.end.send(END)?;
        self.end.flush()?;
        let may_lose = self.may_lose;
        let ended = self.receivers.into_iter().try_for_each(|receiver| receiver.finish(may_lose));
        self.end.close();
        ended
    }
}
