use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::table::Table;

/// `#` is a wall, `G` the goal, `S` where the way to be found begins.
const MAP: [&str; 8] =
    ["S..#....", ".#.#.##.", ".#...#..", ".####.#.", "....#...", ".##.#.##", ".#..#...", "...#..#G"];

/// How many steps a trip may have.
const LONGEST: usize = 200;

/// The directions that one can go into.
pub(crate) const DIRECTIONS: [(i32, i32); 4] = [(0, 1), (1, 0), (0, -1), (-1, 0)];

/// One step: from where, into which direction, to where, and whether that is the goal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Move {
    pub(crate) from: u16,
    pub(crate) direction: u8,
    pub(crate) to: u16,
    pub(crate) arrived: bool,
}

/// All steps of one try.
pub(crate) type Trip = Vec<Move>;

/// A maze in which every step costs one.
#[derive(Debug)]
pub(crate) struct Maze {
    cells: Vec<u8>,
    goal: u16,
    /// How far each place is from the goal: the truth that the evaluator measures by.
    distance: Vec<Option<usize>>,
}

impl Maze {
    pub(crate) fn new() -> Self {
        let cells: Vec<u8> = MAP.concat().into_bytes();
        let goal = cells.iter().position(|cell| *cell == b'G').unwrap_or_default() as u16;
        let mut maze = Self { distance: vec![None; cells.len()], cells, goal };
        maze.distance[usize::from(goal)] = Some(0);
        let mut waiting = VecDeque::from([goal]);
        while let Some(place) = waiting.pop_front() {
            let next = maze.distance[usize::from(place)].map(|distance| distance + 1);
            // Every way can be gone in both directions.
            for direction in 0..DIRECTIONS.len() {
                let other = maze.step(place, direction as u8);
                if maze.distance[usize::from(other)].is_none() {
                    maze.distance[usize::from(other)] = next;
                    waiting.push_back(other);
                }
            }
        }
        maze
    }

    /// Where one gets to; a wall keeps one where one is.
    fn step(&self, place: u16, direction: u8) -> u16 {
        let width = MAP[0].len() as i32;
        let (down, right) = DIRECTIONS[usize::from(direction)];
        let (row, column) = (i32::from(place) / width + down, i32::from(place) % width + right);
        let is_inside = (0..MAP.len() as i32).contains(&row) && (0..width).contains(&column);
        let there = row * width + column;
        if is_inside && self.cells[there as usize] != b'#' { there as u16 } else { place }
    }

    /// The places from which there is a way to the goal.
    fn starts(&self) -> impl Iterator<Item = u16> {
        (0..self.cells.len() as u16)
            .filter(|place| *place != self.goal && self.distance[usize::from(*place)].is_some())
    }

    /// How many places there are.
    pub(crate) fn places(&self) -> usize {
        self.starts().count()
    }

    /// How many steps the way from the start has.
    pub(crate) fn shortest(&self) -> usize {
        self.distance[0].unwrap_or_default()
    }

    /// A trip from any place by this table, with so many of its steps at random.
    pub(crate) fn go(&self, table: &Table, random: f64) -> Trip {
        let starts: Vec<u16> = self.starts().collect();
        let mut place = starts[fastrand::usize(..starts.len())];
        let mut trip = Trip::new();
        while place != self.goal && trip.len() < LONGEST {
            let direction = match fastrand::f64() < random {
                true => fastrand::u8(..DIRECTIONS.len() as u8),
                false => table.best(place),
            };
            let to = self.step(place, direction);
            trip.push(Move { from: place, direction, to, arrived: to == self.goal });
            place = to;
        }
        trip
    }

    /// From how many places this table finds the shortest way.
    pub(crate) fn solved_from(&self, table: &Table) -> usize {
        self.starts().filter(|start| self.finds_shortest(table, *start)).count()
    }

    fn finds_shortest(&self, table: &Table, start: u16) -> bool {
        let mut place = start;
        let steps = self.distance[usize::from(start)].unwrap_or_default();
        (0..steps).for_each(|_| place = self.step(place, table.best(place)));
        place == self.goal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_learns_the_shortest_way_from_everywhere() {
        let (maze, mut table) = (Maze::new(), Table::default());
        assert!(maze.solved_from(&table) < maze.places());
        let trips = (0..20_000).find(|_| {
            table.learn(&maze.go(&table, 0.2));
            maze.solved_from(&table) == maze.places()
        });
        assert!(trips.is_some(), "{} of {}", maze.solved_from(&table), maze.places());
    }
}
