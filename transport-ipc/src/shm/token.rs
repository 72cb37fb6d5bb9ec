use tidings_router_core::Token;

/// Where a payload that was lent stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The slot to give back.
    pub(super) slot: u32,
    /// Where in the segment the payload begins, in bytes.
    pub(super) offset: u64,
    /// Its length, in bytes.
    pub(super) len: u64,
}

impl Place {
    pub(super) fn to_token(self) -> Token {
        let mut token = [0; Token::LEN];
        token[0..4].copy_from_slice(&self.slot.to_le_bytes());
        token[8..16].copy_from_slice(&self.offset.to_le_bytes());
        token[16..24].copy_from_slice(&self.len.to_le_bytes());
        Token(token)
    }

    /// `None` when the part that is always 0 is not.
    pub(super) fn of_token(Token(token): &Token) -> Option<Self> {
        let long = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| token[at + index]));
        let slot = u32::try_from(long(0)).ok()?;
        Some(Self { slot, offset: long(8), len: long(16) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_where_it_is() {
        let place = Place { slot: 3, offset: 0xC000, len: 0x10000 };
        assert_eq!(Place::of_token(&place.to_token()), Some(place));
    }

    #[test]
    fn a_token_with_anything_in_its_empty_part_is_none() {
        let mut token = Place { slot: 3, offset: 0, len: 1 }.to_token();
        token.0[7] = 1;
        assert_eq!(Place::of_token(&token), None);
    }
}
