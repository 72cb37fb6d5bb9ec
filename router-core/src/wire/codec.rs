//! Integers, texts and lists as bytes, and back without trusting them.

/// Why bytes are no frame of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// It ends before it is complete, or goes on after.
    #[error("a frame of kind {kind:#04x} has the wrong length")]
    Length {
        /// The frame's kind.
        kind: u8,
    },
    /// A frame of this kind does not exist, or not here.
    #[error("a frame of kind {kind:#04x} does not belong here")]
    Kind {
        /// The frame's kind.
        kind: u8,
    },
    /// The length that it claims is above the limit.
    #[error("a frame claims {claimed} bytes, the limit is {limit}")]
    TooLarge {
        /// What it claims, in bytes.
        claimed: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// It does not begin like the first frame of a node.
    #[error("it does not begin with our magic number")]
    Magic,
    /// A value is not one of those that there are.
    #[error("a frame of kind {kind:#04x} holds a value that does not exist: {what}")]
    Value {
        /// The frame's kind.
        kind: u8,
        /// What the value is.
        what: &'static str,
    },
}

/// Writes one frame to the end of a buffer.
#[derive(Debug)]
pub(crate) struct FrameWriter<'a> {
    buffer: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> FrameWriter<'a> {
    pub(crate) fn new(buffer: &'a mut Vec<u8>, kind: u8) -> Self {
        let start = buffer.len();
        buffer.extend_from_slice(&[0; 4]);
        buffer.push(kind);
        Self { buffer, start }
    }

    pub(crate) fn u8(self, value: u8) -> Self {
        self.bytes(&[value])
    }

    pub(crate) fn u16(self, value: u16) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn u64(self, value: u64) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        self.buffer.extend_from_slice(bytes);
        self
    }

    /// A text of at most 65,535 bytes; a longer one is cut, which only the text of a refusal can be.
    pub(crate) fn text(self, text: &str) -> Self {
        let text = &text[..text.floor_char_boundary(usize::from(u16::MAX))];
        self.u16(text.len() as u16).bytes(text.as_bytes())
    }

    /// Fills the length in.
    pub(crate) fn end(self) {
        let length = (self.buffer.len() - self.start - 4) as u32;
        self.buffer[self.start..self.start + 4].copy_from_slice(&length.to_le_bytes());
    }
}

/// Reads the body of one frame.
#[derive(Debug)]
pub(crate) struct BodyReader<'a> {
    kind: u8,
    rest: &'a [u8],
}

impl<'a> BodyReader<'a> {
    /// The body of a whole frame, length and kind included.
    pub(crate) fn new(frame: &'a [u8]) -> Self {
        Self { kind: frame.get(4).copied().unwrap_or_default(), rest: frame.get(5..).unwrap_or_default() }
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let (bytes, rest) = self.rest.split_at_checked(count).ok_or(WireError::Length { kind: self.kind })?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let bytes = self.bytes(N)?;
        Ok(bytes.try_into().expect("`bytes` returns as many as were asked for"))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, WireError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, WireError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, WireError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn text(&mut self, max: usize) -> Result<&'a str, WireError> {
        let length = usize::from(self.u16()?);
        if length > max {
            return Err(self.invalid("a text that is too long"));
        }
        std::str::from_utf8(self.bytes(length)?).map_err(|_| self.invalid("a text that is not UTF-8"))
    }

    pub(crate) fn invalid(&self, what: &'static str) -> WireError {
        WireError::Value { kind: self.kind, what }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Refuses what follows the last field.
    pub(crate) fn end(self) -> Result<(), WireError> {
        if self.is_empty() { Ok(()) } else { Err(WireError::Length { kind: self.kind }) }
    }
}
