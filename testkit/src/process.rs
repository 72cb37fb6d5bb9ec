use std::fs;

/// The most address space that this process ever had, in bytes: what was allocated, whether it was used or
/// not.
///
/// `None` where the operating system does not say (it is `VmPeak` of Linux).
pub fn address_space() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"))?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// How many files and sockets this process has open; `None` where the operating system does not say.
pub fn open_files() -> Option<usize> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count())
}
