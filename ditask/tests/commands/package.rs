//! The package that the tests start. It is built once for all of them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// Its program: the one of seed 000, and what else the tests need.
const MAIN: &str = r#"
use std::{sync::Arc, time::Duration};
use tidings::prelude::*;

const LIMIT: Duration = Duration::from_secs(60);

#[tidings::main]
async fn main(router: Arc<Router>) -> tidings::Result<()> {
    let mut task = Task::builder().router(router.clone()).build();
    if router.node_id() == NodeId(0) {
        task.on("greeting", |msg: Event<String>| println!("Get msg: {}", msg.payload));
        match router.peers().is_empty() {
            true => {
                task.emit("greeting", "Hi").await?;
                // Its end waits for the handlers.
                task.run(1).await?;
            }
            false => drop(task.wait_for::<String>("greeting").timeout(LIMIT).await?),
        }
    } else {
        task.emit("greeting", "Hi").await?;
    }
    Ok(())
}

/// Is there until it is ended, and says who else is and what it hears of them.
#[tidings::entry]
async fn serves(router: Arc<Router>) -> tidings::Result<()> {
    let (node, labels) = (router.node_id(), router.labels().join(","));
    println!("node {node} is process {} with labels [{labels}]", std::process::id());
    for address in router.addresses() {
        println!("node {node} listens on {address}");
    }
    let task = Task::builder().router(router.clone()).build();
    task.on("ping", move |ping: Event<u32>| println!("node {node} heard {} from node {}", ping.payload, ping.source));
    task.on("greeting", move |msg: Event<String>| println!("node {node} got {}", msg.payload));
    let mut changes = router.changes();
    while let Some(change) = changes.next().await {
        if let tidings::Change::Joined(peer) = change {
            println!("node {node} sees node {}", peer.node_id);
            router.emit("ping", &node.0).to(peer.node_id).await?;
        }
    }
    Ok(())
}

/// Is there until it is ended, calls all others again and again, and says once whom it hears in which life.
#[tidings::entry]
async fn calls(router: Arc<Router>) -> tidings::Result<()> {
    let (node, labels) = (router.node_id(), router.labels().join(","));
    let life = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos() as u64;
    println!("node {node} begins life {life} with labels [{labels}]");
    let task = Task::builder().router(router.clone()).build();
    let mut heard = std::collections::HashSet::new();
    task.on("call", move |call: Event<u64>| {
        if heard.insert((call.source, call.payload)) {
            println!("node {node} hears node {} of life {}", call.source, call.payload);
        }
    });
    loop {
        for peer in router.peers() {
            // Who is gone meanwhile needs no call.
            let _ = router.emit("call", &life).to(peer.node_id).await;
        }
        let _ = task.wait_for::<()>("nothing").timeout(Duration::from_millis(100)).await;
    }
}

#[tidings::entry]
async fn panics(router: Arc<Router>) -> tidings::Result<()> {
    match router.node_id().0 {
        0 => panic!("out of cheese"),
        _ => router.wait_for_peers(99).timeout(LIMIT).await,
    }
}

#[tidings::entry]
async fn fails(_router: Arc<Router>) -> tidings::Result<()> {
    Err(tidings::Error::failed("the cheese", "it is out"))
}

/// Prints what it was started with.
#[tidings::entry]
async fn tells(router: Arc<Router>) -> tidings::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    println!("node {} labels [{}] arguments {arguments:?}", router.node_id(), router.labels().join(","));
    for (name, value) in std::env::vars().filter(|(name, _)| name.contains("TIDINGS")) {
        println!("variable {name}={value}");
    }
    println!("command {}", std::fs::read_to_string("/proc/self/cmdline").unwrap_or_default().replace('\0', " "));
    Ok(())
}
"#;

/// The folder that the command lines are typed in: it holds the package `my_module`.
pub(crate) fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ditask");
        let package = folder.join("my_module");
        make(&package, MAIN);
        // Seed 001 names it by a path as well.
        let path = folder.join("path/to/my");
        fs::create_dir_all(&path).unwrap();
        let link = path.join("package");
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(&package, &link).unwrap();
        folder
    })
}

/// Makes a package of this program in `folder`.
pub(crate) fn make(folder: &Path, main: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let manifest = format!(
        "[package]\nname = \"my_module\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\ntidings = \
         {{ path = {root:?}, features = [\"tcp\", \"redis\"] }}\n\n[workspace]\n"
    );
    fs::create_dir_all(folder.join("src")).unwrap();
    write(&folder.join("Cargo.toml"), &manifest);
    write(&folder.join("src/main.rs"), main);
    // The versions that the workspace is built with: nothing is asked of a registry.
    // Cargo leaves out of it what this package does not need, so what it was made of is kept beside it.
    let (lock, made_of) =
        (fs::read_to_string(root.join("Cargo.lock")).unwrap(), folder.join("Cargo.lock.workspace"));
    if fs::read_to_string(&made_of).ok().as_ref() != Some(&lock) {
        fs::write(folder.join("Cargo.lock"), &lock).unwrap();
        fs::write(made_of, lock).unwrap();
    }
}

/// Writes what is not there yet: cargo builds anew what is newer.
fn write(path: &Path, content: &str) {
    if fs::read_to_string(path).ok().as_deref() != Some(content) {
        fs::write(path, content).unwrap();
    }
}

/// Has cargo build with little effort, into one folder for all tests.
pub(crate) fn place(command: &mut Command) {
    command
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("ditask-target"))
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "0")
        .env("CARGO_NET_OFFLINE", "true");
}

/// The program, built.
pub(crate) fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut command = Command::new(env!("CARGO"));
        command
            .args(["build", "--release", "--quiet", "--manifest-path"])
            .arg(folder().join("my_module/Cargo.toml"));
        place(&mut command);
        assert!(command.status().unwrap().success(), "the package of the tests does not build");
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("ditask-target/release/my_module")
    })
}
