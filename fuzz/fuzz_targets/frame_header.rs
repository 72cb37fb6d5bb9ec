//! Where a stranger's frame ends.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidings_fuzz::frame_header(data));
