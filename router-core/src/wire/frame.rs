//! Where a frame ends.

use super::WireError;

/// The bytes in front of a frame's body: its length and its kind.
pub const PREFIX: usize = 5;

/// The first frame in `bytes`: its length with everything, and its kind. `None` while even that has not come.
///
/// # Errors
///
/// [`WireError::TooLarge`] when the frame claims more than `limit` bytes, [`WireError::Length`] when it claims none.
pub fn peek(bytes: &[u8], limit: usize) -> Result<Option<(usize, u8)>, WireError> {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
    let claimed = u32::from_le_bytes(*length) as usize;
    if claimed > limit {
        return Err(WireError::TooLarge { claimed, limit });
    }
    if claimed == 0 {
        return Err(WireError::Length { kind: 0 });
    }
    Ok(rest.first().map(|kind| (4 + claimed, *kind)))
}

/// The first frame in `bytes`, whose length was checked, and what follows it. `None` at the end.
pub(crate) fn split_first(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = bytes.first_chunk().map(|length| 4 + u32::from_le_bytes(*length) as usize)?;
    bytes.split_at_checked(length)
}

/// The frames that `bytes` wholly consists of, as they were written by this node.
pub(crate) fn split(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (frame, rest) = split_first(bytes)?;
        bytes = rest;
        Some(frame)
    })
}
