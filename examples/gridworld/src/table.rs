use serde::{Deserialize, Serialize};

use crate::maze::{DIRECTIONS, Move};

/// How much a step changes what is known.
const RATE: f32 = 0.5;

/// What each direction is worth at each place: minus the steps that are left (Q-learning, Watkins 1989).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Table(Vec<[f32; DIRECTIONS.len()]>);

impl Default for Table {
    /// Nothing is known; what has not been tried looks best, and so is tried.
    fn default() -> Self {
        Self(vec![[0.0; DIRECTIONS.len()]; 64])
    }
}

impl Table {
    /// The direction that is worth most.
    pub(crate) fn best(&self, place: u16) -> u8 {
        let values = &self.0[usize::from(place)];
        let best = (0..values.len()).max_by(|one, other| values[*one].total_cmp(&values[*other]));
        best.unwrap_or_default() as u8
    }

    /// Learns from a trip, its end first, so that one trip teaches all of its way.
    pub(crate) fn learn(&mut self, trip: &[Move]) {
        for step in trip.iter().rev() {
            let left = match step.arrived {
                true => 0.0,
                false => self.0[usize::from(step.to)].iter().copied().fold(f32::MIN, f32::max),
            };
            let value = &mut self.0[usize::from(step.from)][usize::from(step.direction)];
            *value += RATE * (left - 1.0 - *value);
        }
    }
}
