//! Runs everything, or reads rows that were saved, and makes `BENCHMARKS.md` and its plots from them.

mod bars;
mod costs;
mod fit;
mod machine;
mod markdown;
mod plan;
mod plots;
mod ratio;
mod record;
mod scale;
mod svg;
mod tables;

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use record::Records;

use crate::harness::Result;

/// The first argument.
pub(crate) const REPORT: &str = "report";

const USAGE: &str = "report [--quick] [--from ROWS.jsonl] [--into FOLDER]";

/// Does what the arguments after [`REPORT`] say.
///
/// # Errors
///
/// When Tidings has lost a message; the report is written all the same.
pub(crate) fn run(arguments: &[String]) -> Result {
    let (mut quick, mut from, mut into) = (false, None, None);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("`{argument}` needs a value"));
        match argument.as_str() {
            "--quick" => quick = true,
            "--from" => from = Some(PathBuf::from(value()?)),
            "--into" => into = Some(PathBuf::from(value()?)),
            _ => return Err(format!("`{argument}` is no option\nusage: {USAGE}").into()),
        }
    }
    let into = match into {
        Some(folder) => folder,
        // Figures of one short round are none to keep.
        None if quick => beside_this_program()?,
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."),
    };
    let plots = into.join("benches/plots");
    fs::create_dir_all(&plots)?;
    let rows = match &from {
        Some(file) => fs::read_to_string(file)?,
        None => plan::run(quick, &plots.join("rows.jsonl"))?,
    };
    let records = Records::parse(&rows)?;
    fs::write(plots.join("rows.jsonl"), &rows)?;
    for (name, plot) in plots::all(&records) {
        fs::write(plots.join(name), plot)?;
    }
    let file = into.join("BENCHMARKS.md");
    fs::write(&file, markdown::document(&records))?;
    println!("{}", file.display());
    let lost: Vec<&str> = records.failures().collect();
    if lost.is_empty() { Ok(()) } else { Err(format!("some of it failed: {}", lost.join("; ")).into()) }
}

fn beside_this_program() -> Result<PathBuf> {
    let file = env::current_exe()?;
    Ok(file.parent().ok_or("a program without a folder")?.join(REPORT))
}
