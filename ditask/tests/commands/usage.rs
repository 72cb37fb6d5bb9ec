//! Wrong words: every one is told with its flag, with exit status 64, before anything is built or started.

use crate::support::Place;

#[test]
fn a_wrong_value_of_any_flag_names_the_flag_and_starts_nothing() {
    let place = Place::new();
    let package = "ditask --package my_module";
    for (line, said) in [
        ("--package nowhere", "--package `nowhere`"),
        ("--package path", "Cargo.toml"),
        ("--package my_module/Cargo.toml", "neither the folder"),
        ("--package my_module --main a..b", "--main"),
        ("--package my_module --main my_module.", "--main"),
        ("--package my_module --parallel-workers 0", "--parallel-workers"),
        ("--package my_module --parallel-workers x", "--parallel-workers"),
        ("--package my_module --parallel-workers 1025", "--parallel-workers"),
        ("--package my_module --protocol udp", "--protocol"),
        ("--package my_module --transport pigeon", "--transport"),
        ("--package my_module --transport redis:nonsense", "--transport"),
        ("--package my_module --mq-type kafka", "--mq-type"),
        ("--package my_module --redis-port 99999", "--redis-port"),
        ("--package my_module --redis-host h", "--mq-type redis"),
        ("--package my_module --ports 99999", "--ports"),
        ("--package my_module --ports 1,2", "--ports"),
        ("--package my_module --ports 65535 --parallel-workers 2", "--ports"),
        ("--package my_module --node-ids -1", "--node-ids"),
        ("--package my_module --node-ids x", "--node-ids"),
        ("--package my_module --node-ids 1,1 --parallel-workers 2", "--node-ids"),
        ("--package my_module --attach-to host", "--attach-to"),
        ("--package my_module --attach-to http://host:1", "--attach-to"),
        ("--package my_module --attach-to $node.3", "--platform"),
        ("--package my_module --topology ring", "--topology"),
        ("--package my_module --topology star --node-ids 7", "--node-ids 0"),
        ("--package my_module --protocol ipc --ports 1", "--ports"),
        ("--package my_module --protocol ipc --address h", "--address"),
        ("--package my_module --platform cloud", "--platform"),
        ("--package my_module --platform k8s", "DI_NODES"),
        ("--package my_module --platform slurm", "SLURM_NODELIST"),
        ("--package my_module --platform-spec {}", "--platform"),
        ("--package my_module --secret-file nowhere", "--secret-file"),
        ("--package my_module --startup-interval x", "--startup-interval"),
        ("--package my_module --startup-interval -1", "--startup-interval"),
        ("--package my_module --connect-timeout 0", "--connect-timeout"),
        ("--package my_module --auto-recover x", "--auto-recover"),
        ("--package my_module --attach-to 192.0.2.1:50515", "--insecure"),
        ("--frobnicate", "--frobnicate"),
        ("frobnicate", "frobnicate"),
        ("-- ./nowhere", "./nowhere"),
        ("-- no-such-program-anywhere", "PATH"),
        ("", "--package"),
        ("pub e {not-json", "JSON"),
        ("peers --at host:99999", "--at"),
        ("peers --connect-timeout 0", "--connect-timeout"),
        ("bench --transports pigeon", "--transports"),
        ("bench --transports pigeon://host", "--transports"),
        ("bench --transports tcp://127.0.0.1:1", "--transports"),
        ("bench --transports tcp --redis-port 1", "--redis-port"),
        ("bench --sizes 0", "--sizes"),
        ("completions basic", "basic"),
    ] {
        let outcome = place.types(&format!("ditask {line}"));
        let code = if line.contains("--secret-file") { 1 } else { 64 };
        assert_eq!(outcome.code, code, "`{line}`: {outcome:?}");
        assert!(outcome.err.contains(said), "`{line}` does not say `{said}`: {outcome:?}");
        assert!(!outcome.err.contains("Compiling"), "`{line}` builds first: {outcome:?}");
    }
    // It is not the package that is wrong.
    place.types(&format!("{package} --main my_module.tells --address 127.0.0.1 --ports 0")).prints(&[]);
    place.assert_nothing_left();
}

#[test]
fn the_version_and_the_help_are_told_on_standard_output() {
    let place = Place::new();
    for flag in ["-v", "-V", "--version"] {
        let outcome = place.types(&format!("ditask {flag}"));
        assert_eq!((outcome.code, outcome.out), (0, format!("ditask {}\n", env!("CARGO_PKG_VERSION"))));
    }
    let help = place.types("ditask --help");
    assert_eq!(help.code, 0);
    for flag in [
        "--package",
        "--main",
        "--parallel-workers",
        "--protocol",
        "--ports",
        "--attach-to",
        "--address",
        "--labels",
        "--node-ids",
        "--topology",
        "--mq-type",
        "--redis-host",
        "--redis-port",
        "--platform",
        "--platform-spec",
        "--startup-interval",
        "--version",
        "--help",
        "--transport",
        "--secret-file",
        "--insecure",
    ] {
        assert!(help.out.contains(flag), "{flag} is not in {}", help.out);
    }
}

#[test]
fn completions_and_the_manual_know_the_flags() {
    let place = Place::new();
    for line in ["completions bash", "completions zsh", "completions fish", "man"] {
        let outcome = place.types(&format!("ditask {line}"));
        assert_eq!(outcome.code, 0, "{outcome:?}");
        let text = outcome.out.replace('\\', "");
        assert!(text.contains("parallel-workers"), "{line}: {text}");
    }
}

#[test]
fn a_secret_is_made_for_its_owner_alone_and_never_twice() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let file = place.path().join("secret.key");
    let keygen = || place.run(place.command(["keygen".as_ref(), file.as_os_str()]));
    assert_eq!(keygen().code, 0);
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text.trim().len(), 64);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    keygen().fails(1, &["is there already"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    let (one, other) = (place.types("ditask keygen"), place.types("ditask keygen"));
    assert!(one.code == 0 && one.out != other.out);
}
