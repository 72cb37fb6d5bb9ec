//! What is started: a package that is built first, or an executable.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::{
    arguments::Run,
    cargo,
    fault::{Fault, Result},
    unpack::Scratch,
};

/// How a zip begins.
const ZIP: [u8; 4] = *b"PK\x03\x04";

/// A program that is there, and what it needs to stay there.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    /// Removed with all that is in it when the run is over.
    _scratch: Option<Scratch>,
}

/// What stands behind `--package`, before anything is built.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Folder,
    Zip,
    Executable,
}

impl Program {
    /// The program of this command line, built if it has to be.
    pub(crate) fn prepare(run: &Run) -> Result<Self> {
        let arguments = run.program.clone();
        let there = |path: PathBuf, arguments: Vec<OsString>| Ok(Self { path, arguments, _scratch: None });
        let package = match &run.package {
            Some(package) => package.clone(),
            None => match arguments.split_first() {
                Some((program, rest)) => return there(find(program)?, rest.to_vec()),
                None if Path::new("Cargo.toml").is_file() => PathBuf::from("."),
                None => {
                    return Err(Fault::usage(
                        "nothing to start: name a package with `--package`, or an executable behind `--`",
                    ));
                }
            },
        };
        let main = run.main.as_deref();
        match kind(&package)? {
            Kind::Folder => there(cargo::build(&package, main, &run.profile, None)?, arguments),
            Kind::Zip => {
                let scratch = Scratch::new()?;
                let folder = scratch.unpack(&package)?;
                let path = cargo::build(&folder, main, &run.profile, Some(&scratch.target()))?;
                Ok(Self { path, arguments, _scratch: Some(scratch) })
            }
            Kind::Executable => there(absolute(&package)?, arguments),
        }
    }
}

/// Checks the name of a function, so that a slip is found before anything is built.
pub(crate) fn check_main(main: &str) -> Result {
    let parts: Vec<&str> = main.split("::").flat_map(|part| part.split('.')).collect();
    let is_name = |part: &&str| {
        let rest = part.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
        rest && part.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_')
    };
    match parts.iter().all(is_name) {
        true => Ok(()),
        false => Err(Fault::usage(format!(
            "--main `{main}` is no function: say `my_module.main`, or `my_module::main`"
        ))),
    }
}

fn kind(package: &Path) -> Result<Kind> {
    let shown = package.display();
    let found = match fs::metadata(package) {
        Ok(found) => found,
        Err(error) => return Err(Fault::usage(format!("--package `{shown}`: {error}"))),
    };
    if found.is_dir() {
        return match package.join("Cargo.toml").is_file() {
            true => Ok(Kind::Folder),
            false => Err(Fault::usage(format!(
                "--package `{shown}` has no Cargo.toml: name the folder of a cargo package"
            ))),
        };
    }
    let mut start = [0; 4];
    let read = File::open(package).and_then(|mut file| file.read_exact(&mut start));
    match read {
        Ok(()) if start == ZIP => Ok(Kind::Zip),
        _ if found.is_file() && found.permissions().mode() & 0o111 != 0 => Ok(Kind::Executable),
        _ => Err(Fault::usage(format!(
            "--package `{shown}` is neither the folder of a cargo package nor a zip of one nor an executable"
        ))),
    }
}

/// A program by its path, or by its name in `PATH`.
fn find(program: &OsString) -> Result<PathBuf> {
    let path = Path::new(program);
    let is_executable = |path: &Path| {
        fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    let shown = path.display();
    if path.components().count() > 1 || path.is_absolute() {
        return match is_executable(path) {
            true => absolute(path),
            false => Err(Fault::usage(format!(
                "`{shown}` is no executable: name one behind `--`, or a package with `--package`"
            ))),
        };
    }
    let variable = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&variable).map(|folder| folder.join(path)).find(|path| is_executable(path));
    found.ok_or_else(|| {
        Fault::usage(format!("there is no program `{shown}` in PATH: for one of this folder say `./{shown}`"))
    })
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| Fault::io(path.display(), &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_named_with_dots_or_colons() {
        for main in ["main", "my_module.main", "my-module.main", "root_module.sub_module.main", "a::b::main"]
        {
            assert!(check_main(main).is_ok(), "{main}");
        }
        for main in ["", ".", "my_module.", ".main", "a b", "a..b", "a/b", "1a.main", "main()"] {
            let fault = check_main(main).unwrap_err();
            assert!(fault.to_string().contains("--main"), "{fault}");
            assert_eq!(fault.code(), 64);
        }
    }
}
