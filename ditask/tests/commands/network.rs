//! Servers of their own for a test: network namespaces on one bridge, which need root and `ip`.

use std::{
    env,
    fs::{self, OpenOptions},
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

/// Servers with the addresses 192.168.0.1, 192.168.0.2 and so on.
pub(crate) struct Servers {
    names: Vec<String>,
    bridge: String,
}

impl Servers {
    /// Sets up so many.
    ///
    /// `None`, said on standard error, where this machine cannot: it is a failure where
    /// `TIDINGS_TEST_REQUIRE` names `netns`.
    pub(crate) fn new(count: usize) -> Option<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = std::process::id() % 100_000 * 16 + MADE.fetch_add(1, Ordering::Relaxed);
        let bridge = format!("db{number:x}");
        let names = (0..count).map(|index| format!("{bridge}-{index}")).collect();
        let servers = Self { names, bridge };
        match servers.build() {
            Ok(()) => Some(servers),
            Err(why) => {
                let required = env::var("TIDINGS_TEST_REQUIRE").is_ok_and(|list| list.contains("netns"));
                assert!(!required, "network namespaces: {why}");
                eprintln!("skipped: network namespaces: {why}");
                None
            }
        }
    }

    /// The words that move a command onto the server of this index.
    pub(crate) fn on(&self, index: usize) -> [&str; 4] {
        ["ip", "netns", "exec", &self.names[index]]
    }

    /// The names that the server of this index knows, from the next command on: none so far.
    pub(crate) fn names_on(&self, index: usize) -> Names {
        let folder = PathBuf::from("/etc/netns").join(&self.names[index]);
        fs::create_dir_all(&folder).unwrap();
        let names = Names { folder };
        // No server of names can be reached from here, and one that is asked in vain takes its time.
        fs::write(names.folder.join("resolv.conf"), "").unwrap();
        names.forget();
        names
    }

    /// Where the server of this index is.
    pub(crate) fn address(index: usize) -> String {
        format!("192.168.0.{}", index + 1)
    }

    /// Pulls the plug of the server of this index: nobody hears of it any more, and it of nobody.
    pub(crate) fn unplug(&self, index: usize) {
        ip(&format!("-n {} link set eth0 down", self.names[index])).unwrap();
    }

    fn build(&self) -> Result<(), String> {
        // The bridge is in a namespace of its own too: nothing of it is seen outside.
        let bridge = &self.bridge;
        ip(&format!("netns add {bridge}"))?;
        ip(&format!("-n {bridge} link add br0 type bridge"))?;
        ip(&format!("-n {bridge} link set br0 up"))?;
        for (index, name) in self.names.iter().enumerate() {
            ip(&format!("netns add {name}"))?;
            ip(&format!("-n {bridge} link add v{index} type veth peer name eth0 netns {name}"))?;
            ip(&format!("-n {bridge} link set v{index} master br0 up"))?;
            ip(&format!("-n {name} addr add {}/24 dev eth0", Self::address(index)))?;
            ip(&format!("-n {name} link set eth0 up"))?;
            ip(&format!("-n {name} link set lo up"))?;
            // The way out, which tells a machine its own address.
            ip(&format!("-n {name} route add default via 192.168.0.254"))?;
        }
        Ok(())
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for name in self.names.iter().chain([&self.bridge]) {
            let _ = ip(&format!("netns del {name}"));
        }
    }
}

/// What a server knows of names; forgotten on drop.
pub(crate) struct Names {
    folder: PathBuf,
}

impl Names {
    /// Has it know nothing but itself.
    pub(crate) fn forget(&self) {
        fs::write(self.folder.join("hosts"), "127.0.0.1 localhost\n").unwrap();
    }

    /// Has it know this line of `/etc/hosts`.
    pub(crate) fn say(&self, line: &str) {
        // Into the same file: what runs there already has it mounted.
        let mut file = OpenOptions::new().create(true).append(true).open(self.folder.join("hosts")).unwrap();
        writeln!(file, "{line}").unwrap();
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn ip(arguments: &str) -> Result<(), String> {
    let output = Command::new("ip").args(arguments.split_whitespace()).stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("ip {arguments}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("ip: {error}")),
    }
}
