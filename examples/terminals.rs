//! What is typed in one terminal is printed in another one, over TCP, with a secret that both hold.
//!
//! ```console
//! $ cargo run --features tcp --example terminals listen 127.0.0.1:50515
//! $ cargo run --features tcp --example terminals connect 127.0.0.1:50515    # in another terminal
//! ```
//!
//! Without arguments one program plays both.

use std::{env, io, sync::Arc, time::Duration};
use tidings::{Subscription, prelude::*};

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["listen", address] => print_lines(listen(address)?.subscribe("*")?),
        ["connect", address] => send_lines(connect(address)?, io::stdin().lines().map_while(io::Result::ok)),
        _ => {
            let listening = listen("127.0.0.1:0")?;
            let lines = listening.subscribe("*")?;
            let connected = connect(listening.addresses()[0].target())?;
            send_lines(connected, ["Hi from the other terminal".to_owned()].into_iter())?;
            print_lines(lines)
        }
    }
}

/// The file that `SECRET` names. A real secret is random: `head -c 32 /dev/urandom | base64 > secret.key`.
fn secret() -> Result<Secret> {
    env::var_os("SECRET")
        .map_or(Ok(Secret::from_bytes(*b"32 bytes that everybody can read")), Secret::from_file)
}

fn listen(address: &str) -> Result<Arc<Router>> {
    Router::builder().node_id(0).transport(Tcp::bind(address)).secret(secret()?).open().wait()
}

fn connect(address: &str) -> Result<Arc<Router>> {
    let builder = Router::builder().node_id(1).transport(Tcp::bind("127.0.0.1:0"));
    builder.attach_to([address]).secret(secret()?).open().wait()
}

/// Emits each line, then leaves.
fn send_lines(router: Arc<Router>, lines: impl Iterator<Item = String>) -> Result<()> {
    for line in lines {
        router.emit("line", &line).only_remote().wait()?;
    }
    router.emit("end", "").only_remote().wait()?;
    router.shutdown(Duration::from_secs(1)).wait();
    Ok(())
}

/// Prints each line that arrives, until the other terminal ends.
fn print_lines(mut events: Subscription<String>) -> Result<()> {
    while let Some(event) = events.next_wait().filter(|event| &*event.name != "end") {
        println!("node {} says: {}", event.source, event.payload);
    }
    Ok(())
}
