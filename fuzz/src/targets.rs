//! What is done with random bytes, and what must hold whatever they are. The fuzzer calls these functions, and so does
//! the test that runs the checked-in corpora.

use std::str::FromStr;

use tidings_router_core::{
    Address,
    wire::{self, frame, hello::Handshake},
};

/// An address either is refused or means the same when it is read again.
pub fn address(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(address) = Address::from_str(text) else { return };
    assert_eq!(format!("{}://{}", address.scheme(), address.target()), address.as_str());
    assert_eq!(Address::from_str(address.as_str()).expect("an address prints as an address"), address);
}

/// A frame never claims more than the limit, and the claim does not depend on what follows it.
pub fn frame_header(data: &[u8]) {
    let found = frame::peek(data, wire::MAX_HANDSHAKE);
    if let Ok(Some((length, kind))) = found {
        assert!(length > 4 && length <= 4 + wire::MAX_HANDSHAKE);
        assert_eq!(kind, data[4]);
        assert_eq!(found, frame::peek(&data[..frame::PREFIX], wire::MAX_HANDSHAKE));
    }
}

/// A stranger's frame either is refused or means the same when it is written and read again.
pub fn handshake(data: &[u8]) {
    let Ok(handshake) = Handshake::decode(data) else { return };
    let mut written = Vec::new();
    handshake.encode(&mut written);
    assert!(written.len() <= data.len(), "nothing grows on a stranger's word");
    assert_eq!(frame::peek(&written, usize::MAX), Ok(Some((written.len(), data[4]))));
    assert_eq!(Handshake::decode(&written).expect("what we write we can read"), handshake);
}
