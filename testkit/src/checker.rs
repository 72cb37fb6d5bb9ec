use std::{collections::BTreeMap, fmt};

use bytes::Bytes;

/// A message with a number, to be found again by a [`Checker`]: who published it, and its place among that
/// publisher's messages, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbered {
    /// The publisher; any number that no other one has.
    pub publisher: u32,
    /// The message's number.
    pub number: u64,
}

impl Numbered {
    /// The bytes that a message has at least.
    pub const LEN: usize = 12;

    /// The message, filled up to `size` bytes, at least [`LEN`](Self::LEN).
    pub fn payload(self, size: usize) -> Bytes {
        let mut payload = Vec::with_capacity(size.max(Self::LEN));
        payload.extend_from_slice(&self.publisher.to_le_bytes());
        payload.extend_from_slice(&self.number.to_le_bytes());
        payload.resize(size.max(Self::LEN), self.filling());
        payload.into()
    }

    /// The message that these bytes are.
    ///
    /// # Panics
    ///
    /// When they are none, or what they were filled up with has changed on the way.
    pub fn read(payload: &[u8]) -> Self {
        let (publisher, rest) = payload.split_first_chunk().expect("a numbered message has a publisher");
        let (number, filling) = rest.split_first_chunk().expect("a numbered message has a number");
        let message = Self { publisher: u32::from_le_bytes(*publisher), number: u64::from_le_bytes(*number) };
        let wrong = filling.iter().position(|byte| *byte != message.filling());
        assert_eq!(wrong, None, "{message:?} of {} bytes has changed on its way", payload.len());
        message
    }

    fn filling(self) -> u8 {
        (self.number % 251) as u8
    }
}

/// Counts lost, duplicated and reordered messages for each pair of publisher and listener.
#[derive(Debug, Default)]
pub struct Checker {
    streams: BTreeMap<(u32, u32), Stream>,
}

/// What one listener had of one publisher.
#[derive(Debug, Default)]
struct Stream {
    /// One bit for each number.
    seen: Vec<u64>,
    /// The number after the highest that was seen.
    next: u64,
    distinct: u64,
    duplicated: u64,
    reordered: u64,
}

/// What a [`Checker`] has counted, of one stream or of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Different messages that arrived.
    pub received: u64,
    /// Messages that did not arrive.
    pub lost: u64,
    /// Messages that arrived again.
    pub duplicated: u64,
    /// Messages that arrived after a later one.
    pub reordered: u64,
}

impl Checker {
    /// Notes that `listener` got `message`.
    pub fn saw(&mut self, listener: u32, message: Numbered) {
        self.streams.entry((message.publisher, listener)).or_default().saw(message.number);
    }

    /// How many different messages of `publisher` the `listener` got.
    pub fn received(&self, publisher: u32, listener: u32) -> u64 {
        self.streams.get(&(publisher, listener)).map_or(0, |stream| stream.distinct)
    }

    /// What became of the `published` messages of `publisher` on their way to `listener`.
    pub fn tally(&self, publisher: u32, listener: u32, published: u64) -> Tally {
        self.streams.get(&(publisher, listener)).map_or(
            Tally { lost: published, ..Tally::default() },
            |stream| Tally {
                received: stream.distinct,
                lost: published.saturating_sub(stream.distinct),
                duplicated: stream.duplicated,
                reordered: stream.reordered,
            },
        )
    }

    /// Takes over what another checker has counted for other listeners.
    pub fn merge(&mut self, other: Self) {
        self.streams.extend(other.streams);
    }

    /// Asserts that `listener` got all the `published` messages of `publisher`, each once and in order.
    ///
    /// # Panics
    ///
    /// When it did not.
    pub fn assert_whole(&self, publisher: u32, listener: u32, published: u64) {
        let tally = self.tally(publisher, listener, published);
        let whole = Tally { received: published, ..Tally::default() };
        assert_eq!(tally, whole, "of publisher {publisher} at listener {listener}");
    }

    /// Asserts that nothing arrived twice or after a later message, of whatever arrived.
    ///
    /// # Panics
    ///
    /// When something did.
    pub fn assert_in_order(&self) {
        for ((publisher, listener), stream) in &self.streams {
            let wrong = (stream.duplicated, stream.reordered);
            assert_eq!(
                wrong,
                (0, 0),
                "(duplicated, reordered) of publisher {publisher} at listener {listener}"
            );
        }
    }
}

impl Stream {
    fn saw(&mut self, number: u64) {
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        if self.seen.len() <= word {
            self.seen.resize(word + 1, 0);
        }
        if self.seen[word] & bit != 0 {
            self.duplicated += 1;
            return;
        }
        self.seen[word] |= bit;
        self.distinct += 1;
        if number < self.next {
            self.reordered += 1;
        } else {
            self.next = number + 1;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { received, lost, duplicated, reordered } = self;
        write!(f, "{received} received, {lost} lost, {duplicated} duplicated, {reordered} reordered")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(numbers: &[u64], published: u64) -> Tally {
        let mut checker = Checker::default();
        numbers.iter().for_each(|number| checker.saw(7, Numbered { publisher: 3, number: *number }));
        checker.tally(3, 7, published)
    }

    #[test]
    fn a_whole_stream_has_nothing_to_complain_about() {
        assert_eq!(checked(&[0, 1, 2], 3), Tally { received: 3, ..Tally::default() });
    }

    #[test]
    fn lost_duplicated_and_reordered_messages_are_told_apart() {
        let tally = checked(&[0, 2, 2, 1, 100], 102);
        assert_eq!(tally, Tally { received: 4, lost: 98, duplicated: 1, reordered: 1 });
    }

    #[test]
    fn a_stream_of_which_nothing_came_is_lost() {
        assert_eq!(checked(&[], 5).lost, 5);
    }

    #[test]
    fn a_numbered_message_is_found_again_in_its_bytes() {
        let message = Numbered { publisher: 5, number: 300 };
        assert_eq!(message.payload(64).len(), 64);
        assert_eq!(Numbered::read(&message.payload(0)), message);
        assert_eq!(Numbered::read(&message.payload(64)), message);
    }

    #[test]
    #[should_panic(expected = "has changed on its way")]
    fn a_changed_byte_is_found() {
        let mut payload = Numbered { publisher: 5, number: 300 }.payload(64).to_vec();
        payload[40] ^= 1;
        Numbered::read(&payload);
    }
}
