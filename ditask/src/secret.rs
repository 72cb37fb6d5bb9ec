//! The secret of a cluster: read, made, and never told but to who is to type it.

use std::{env, io, path::Path};

use tidings::Secret;

use crate::{
    arguments::Run,
    fault::{Fault, Result},
    plan::Plan,
};

/// The variable that may hold the secret.
pub(crate) const VARIABLE: &str = "TIDINGS_SECRET";

/// A new secret, as text: 64 hexadecimal digits of 32 random bytes.
pub(crate) struct Text(String);

impl Text {
    /// Draws one.
    pub(crate) fn make() -> Result<Self> {
        Ok(Self(random::<32>()?.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// The text, for who is to type it or keep it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// The secret that it is.
    pub(crate) fn secret(&self) -> Result<Secret> {
        Ok(Secret::try_from(self.0.as_bytes())?)
    }
}

/// What a launch uses.
pub(crate) struct Lock {
    pub(crate) secret: Option<Secret>,
    /// The secret, if it was made just now: nobody else knows it yet.
    pub(crate) made: Option<Text>,
}

impl Lock {
    /// The secret of a launch: the given one, or a new one where others can reach it and none is given.
    ///
    /// # Errors
    ///
    /// Who joins others cannot make one, nor can one of many processes that start at once.
    pub(crate) fn of(run: &Run, plan: &Plan) -> Result<Self> {
        let given = given(run.secret_file.as_deref())?;
        let Some(address) = plan.exposed().filter(|_| given.is_none() && !run.insecure) else {
            return Ok(Self { secret: given.filter(|_| !run.insecure), made: None });
        };
        let ways = format!(
            "set {VARIABLE}, give `--secret-file`, or let everybody in with `--insecure` on all sides"
        );
        if plan.on_platform {
            return Err(Fault::usage(format!(
                "{address} is open to other machines and the processes of the platform share no secret: make one \
                 with `ditask keygen`, then in every process {ways}"
            )));
        }
        if plan.joins {
            return Err(Fault::usage(format!(
                "{address} is open to other machines, and the secret of those that --attach-to names is not known \
                 here: type the command that the first one printed, or {ways}"
            )));
        }
        let made = Text::make()?;
        Ok(Self { secret: Some(made.secret()?), made: Some(made) })
    }
}

/// The secret in the file, or else in the environment.
pub(crate) fn given(file: Option<&Path>) -> Result<Option<Secret>> {
    if let Some(file) = file {
        let secret =
            Secret::from_file(file).map_err(|error| Fault::from(error).hint("see `--secret-file`"))?;
        return Ok(Some(secret));
    }
    let Some(text) = env::var_os(VARIABLE).filter(|text| !text.is_empty()) else { return Ok(None) };
    let bytes = text.as_encoded_bytes().trim_ascii();
    match Secret::try_from(bytes) {
        Ok(secret) => Ok(Some(secret)),
        Err(error) => {
            Err(Fault::from(error).hint(&format!("see the variable {VARIABLE}; `ditask keygen` makes one")))
        }
    }
}

/// Random bytes of the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| Fault::io("cannot draw random bytes", &io::Error::other(error)))?;
    Ok(bytes)
}
