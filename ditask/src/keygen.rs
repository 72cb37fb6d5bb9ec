//! `ditask keygen`.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
};

use crate::{
    arguments::Keygen,
    fault::{Fault, Result},
    secret::Text,
};

/// Makes a secret.
pub(crate) fn run(keygen: &Keygen) -> Result {
    let text = Text::make()?;
    let Some(path) = &keygen.file else {
        return writeln!(io::stdout(), "{}", text.reveal())
            .map_err(|error| Fault::io("cannot write", &error));
    };
    let shown = path.display();
    // One that is there may be in use.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match file.and_then(|mut file| writeln!(file, "{}", text.reveal())) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(Fault::new(format!("{shown} is there already: remove it first if nobody uses it any more")))
        }
        Err(error) => Err(Fault::io(format!("cannot write {shown}"), &error)),
    }
}
