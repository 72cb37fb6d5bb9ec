//! The fuzzer's corpora, run as an ordinary test: what once broke a parser stays mended.

use std::{fs, path::Path};

#[path = "../../fuzz/src/targets.rs"]
#[allow(unreachable_pub, reason = "the fuzzer's crate exports them")]
mod targets;

/// Runs every file of a corpus through its target, and says which one failed.
fn run_corpus(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut inputs = 0;
    for entry in fs::read_dir(&folder).expect("the corpus is there") {
        let path = entry.expect("the corpus can be listed").path();
        let input = fs::read(&path).expect("an input is a file");
        if std::panic::catch_unwind(|| target(&input)).is_err() {
            panic!("{} breaks the target", path.display());
        }
        inputs += 1;
    }
    assert!(inputs >= 10, "{} holds {inputs} inputs", folder.display());
}

#[test]
fn every_input_of_the_address_corpus_is_parsed_or_refused() {
    run_corpus("address", targets::address);
}

#[test]
fn every_input_of_the_frame_header_corpus_is_bounded_by_the_limit() {
    run_corpus("frame_header", targets::frame_header);
}

#[test]
fn every_input_of_the_handshake_corpus_is_read_or_refused() {
    run_corpus("handshake", targets::handshake);
}
