//! What a user or a peer says where a node listens.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidings_fuzz::address(data));
