//! A folder for one run, and what is unpacked into it.

use std::{
    env,
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Component, Path, PathBuf},
};

use tempfile::TempDir;
use zip::ZipArchive;

use crate::fault::{Fault, Result};

/// How the folders of runs begin.
const NAME: &str = "ditask-";

/// The most that a zip may become, in bytes.
const MOST_BYTES: u64 = 1 << 30;

/// The most entries of a zip.
const MOST_ENTRIES: usize = 100_000;

/// A private folder for temporary files, removed with all that is in it on drop.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: TempDir,
    /// Held for as long as the folder is in use, and given back by the kernel however this process dies.
    _lock: File,
}

impl Scratch {
    /// Makes one.
    pub(crate) fn new() -> Result<Self> {
        let failed = |error: io::Error| {
            Fault::io(format!("cannot make a folder in {}", env::temp_dir().display()), &error)
        };
        let folder = tempfile::Builder::new().prefix(NAME).tempdir().map_err(failed)?;
        let lock =
            File::open(folder.path()).and_then(|file| file.lock_shared().map(|()| file)).map_err(failed)?;
        Ok(Self { folder, _lock: lock })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where it builds.
    pub(crate) fn target(&self) -> PathBuf {
        self.folder.path().join("target")
    }

    /// Unpacks a zip, and returns the folder of the package in it.
    ///
    /// # Errors
    ///
    /// When it is no zip, when one of its paths climbs out of it, when it is too large, and when there is no package
    /// in it.
    pub(crate) fn unpack(&self, zip: &Path) -> Result<PathBuf> {
        let shown = zip.display();
        let wrong = |why: String| Fault::usage(format!("--package `{shown}`: {why}"));
        let file = File::open(zip).map_err(|error| wrong(error.to_string()))?;
        let mut archive = ZipArchive::new(file).map_err(|error| wrong(error.to_string()))?;
        if archive.len() > MOST_ENTRIES {
            return Err(wrong(format!("{} entries, at most {MOST_ENTRIES} are unpacked", archive.len())));
        }
        let root = self.folder.path().join("package");
        let mut left = MOST_BYTES;
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).map_err(|error| wrong(error.to_string()))?;
            let name = entry.name().map_err(|error| wrong(error.to_string()))?.into_owned();
            let path =
                root.join(inside(&name).map_err(|why| wrong(format!("{why}: nothing of it was built")))?);
            if entry.is_symlink() {
                return Err(wrong(format!("`{name}` is a link: pack the file that it stands for")));
            }
            let written =
                if entry.is_dir() { fs::create_dir_all(&path) } else { write(&mut entry, &path, &mut left) };
            written.map_err(|error| wrong(format!("`{name}`: {error}")))?;
        }
        package_in(&root)
            .ok_or_else(|| wrong("there is no Cargo.toml in it, nor in its only folder".to_owned()))
    }
}

/// A path that stays where it is unpacked.
fn inside(name: &str) -> Result<PathBuf, String> {
    let path = Path::new(name);
    let stays = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    let is_plain = !name.contains(['\\', '\0']);
    match !name.is_empty() && is_plain && path.components().all(stays) {
        true => Ok(path.to_owned()),
        false => Err(format!("the path `{name}` climbs out of it")),
    }
}

fn write(entry: &mut (impl Read + EntryMode), path: &Path, left: &mut u64) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // Of two entries with one name the second would be another one's content.
    let mut file = File::create_new(path)?;
    // What the zip says of its size is not believed.
    let copied = io::copy(&mut entry.by_ref().take(*left + 1), &mut file)?;
    *left = left.checked_sub(copied).ok_or_else(|| io::Error::other("it becomes larger than 1 GiB"))?;
    match entry.is_executable() {
        true => fs::set_permissions(path, fs::Permissions::from_mode(0o700)),
        false => Ok(()),
    }
}

/// What a zip says of a file besides its content.
trait EntryMode {
    fn is_executable(&self) -> bool;
}

impl<R: Read> EntryMode for zip::read::ZipFile<'_, R> {
    fn is_executable(&self) -> bool {
        self.unix_mode().is_some_and(|mode| mode & 0o111 != 0)
    }
}

/// The folder itself, or the only one in it.
fn package_in(root: &Path) -> Option<PathBuf> {
    let has_manifest = |folder: &Path| folder.join("Cargo.toml").is_file();
    if has_manifest(root) {
        return Some(root.to_owned());
    }
    let mut folders =
        fs::read_dir(root).ok()?.flatten().map(|entry| entry.path()).filter(|path| path.is_dir());
    let only = folders.next().filter(|_| folders.next().is_none())?;
    has_manifest(&only).then_some(only)
}

/// Removes the folders of runs that were killed, and returns them.
pub(crate) fn sweep() -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(env::temp_dir()) else { return Vec::new() };
    let user = rustix::process::geteuid().as_raw();
    let is_left = |path: &PathBuf| {
        let is_ours = fs::symlink_metadata(path).is_ok_and(|found| found.is_dir() && found.uid() == user);
        // Who uses it holds a lock on it.
        is_ours && File::open(path).is_ok_and(|lock| lock.try_lock().is_ok())
    };
    let named = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(NAME));
    let left = named.map(|entry| entry.path()).filter(is_left);
    left.filter(|path| fs::remove_dir_all(path).is_ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::write::SimpleFileOptions;

    use super::*;

    fn zip_of(entries: &[(&str, &str)]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut writer = zip::ZipWriter::new(file.reopen().unwrap());
        for (name, content) in entries {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(content.as_bytes()).unwrap();
        }
        writer.finish().unwrap();
        file
    }

    #[test]
    fn a_package_is_found_at_the_top_of_a_zip_or_in_its_only_folder() {
        for folder in ["", "package/"] {
            let entries =
                [(format!("{folder}Cargo.toml"), "[package]"), (format!("{folder}src/main.rs"), "")];
            let entries: Vec<_> = entries.iter().map(|(name, content)| (name.as_str(), *content)).collect();
            let scratch = Scratch::new().unwrap();
            let found = scratch.unpack(zip_of(&entries).path()).unwrap();
            assert_eq!(fs::read_to_string(found.join("Cargo.toml")).unwrap(), "[package]");
            assert!(found.join("src/main.rs").is_file());
            let folder = scratch.folder.path().to_owned();
            drop(scratch);
            assert!(!folder.exists());
        }
    }

    #[test]
    fn a_path_that_climbs_out_is_refused() {
        for name in ["../x", "a/../../x", "/etc/x", "a\\..\\..\\x"] {
            let scratch = Scratch::new().unwrap();
            let fault = scratch.unpack(zip_of(&[("Cargo.toml", ""), (name, "x")]).path()).unwrap_err();
            assert!(fault.to_string().contains("climbs out"), "{fault}");
            assert!(!scratch.folder.path().join("x").exists());
        }
    }

    #[test]
    fn a_zip_without_a_package_is_refused() {
        let scratch = Scratch::new().unwrap();
        assert!(scratch.unpack(zip_of(&[("README.md", "")]).path()).is_err());
    }
}
