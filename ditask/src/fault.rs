use std::{
    fmt,
    io::{self, Write},
    process::ExitCode,
};

use tidings::{Error, error_chain, parallel::exit_code};

/// The exit status of a command line that cannot be: `EX_USAGE` of sysexits.h.
pub(crate) const USAGE: u8 = 64;

/// The exit status of everything else that fails, unless a node's own status says more.
const FAILED: u8 = 1;

/// How the library calls its settings, and how the command line does.
const FLAGS: [(&str, &str); 10] = [
    ("`.secret(..)`", "secret (`--secret-file` or TIDINGS_SECRET)"),
    ("`.insecure_no_auth()`", "`--insecure`"),
    ("`.node_id(..)`", "`--node-ids`"),
    ("`.node_id(0)`", "`--node-ids 0`"),
    ("`.cluster(..)`", "`--cluster`"),
    ("`.topology(..)`", "`--topology`"),
    ("`.connect_timeout(..)`", "`--connect-timeout`"),
    ("`.attach_to(..)`", "`--attach-to`"),
    ("give the router `.transport(..)` of that kind, which", "it is the program's to have:"),
    ("or port 0 for any free one", "another port (`--ports`), or port 0 for any free one"),
];

/// Why a command failed, for who typed it, and the exit status that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    text: String,
    code: u8,
}

/// What a command returns.
pub(crate) type Result<T = (), E = Fault> = std::result::Result<T, E>;

impl Fault {
    /// Something failed.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: FAILED }
    }

    /// The command line cannot be; trying again will not help.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: USAGE }
    }

    /// A program that ended with this status, or a signal that ended this one.
    pub(crate) fn with_code(text: impl Into<String>, code: u8) -> Self {
        Self { text: text.into(), code }
    }

    /// Something failed, and all of it has been said already.
    pub(crate) fn said() -> Self {
        Self::new("")
    }

    /// The operating system failed us at something.
    pub(crate) fn io(what: impl fmt::Display, error: &io::Error) -> Self {
        Self::new(format!("{what}: {error}"))
    }

    /// The same fault, at the end of this sentence.
    pub(crate) fn hint(mut self, hint: &str) -> Self {
        self.text = format!("{}; {hint}", self.text);
        self
    }

    /// The exit status.
    #[cfg(test)]
    pub(crate) fn code(&self) -> u8 {
        self.code
    }

    /// Says it on standard error, and returns what `main` returns.
    pub(crate) fn say(&self) -> ExitCode {
        // A closed standard error is no reason to fail in another way.
        if !self.text.is_empty() {
            let _ = writeln!(io::stderr(), "error: {}", self.text);
        }
        self.code.into()
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let code = exit_code(&error);
        let text =
            FLAGS.iter().fold(error_chain(&error), |text, (setting, flag)| text.replace(setting, flag));
        Self { text, code }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_of_the_library_is_called_by_its_flag() {
        let error = Error::DuplicateNodeId { node_id: 3.into(), address: "tcp://10.0.0.1:1".into() };
        assert_eq!(
            Fault::from(error).to_string(),
            "node id 3 is taken, says tcp://10.0.0.1:1: give this node another one with `--node-ids`"
        );
    }

    #[test]
    fn a_port_that_is_taken_names_the_flag_for_ports() {
        let error = Error::AddressInUse { address: "tcp://127.0.0.1:50515".into() };
        let text = Fault::from(error).to_string();
        assert!(text.contains("`--ports`"), "{text}");
    }
}
