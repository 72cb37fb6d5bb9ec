//! What a shell and `man` want to know of the command line.

use std::io::{self, Write};

use crate::{
    arguments::{Completions, description},
    fault::{Fault, Result},
};

/// Prints completions for a shell.
pub(crate) fn completions(arguments: &Completions) -> Result {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut description(), "ditask", &mut text);
    print(&text)
}

/// Prints the page of the manual.
pub(crate) fn man() -> Result {
    let mut text = Vec::new();
    let page = clap_mangen::Man::new(description());
    page.render(&mut text).map_err(|error| Fault::io("cannot write the manual", &error))?;
    print(&text)
}

fn print(text: &[u8]) -> Result {
    io::stdout().write_all(text).map_err(|error| Fault::io("cannot write", &error))
}
