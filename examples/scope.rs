//! Whom an event reaches: everyone who listens, this process alone, or only the others.

use tidings::prelude::*;

fn main() -> Result<()> {
    let network = Memory::network();
    let zero = Router::builder().node_id(0).transport(network.clone()).open().wait()?;
    let one = Router::builder().node_id(1).transport(network).attach_to(zero.addresses()).open().wait()?;
    let mut heard_by_zero = zero.subscribe::<String>("*")?;
    let mut heard_by_one = one.subscribe::<String>("*")?;

    zero.emit("everywhere", "Hi").wait()?;
    zero.emit("only_local", "Hi").only_local().wait()?;
    zero.emit("only_remote", "Hi").only_remote().wait()?;
    zero.emit("to_node_1", "Hi").to(NodeId(1)).wait()?;
    zero.emit("end", "").wait()?;

    let heard_by_zero = until_the_end(&mut heard_by_zero);
    let heard_by_one = until_the_end(&mut heard_by_one);
    for event in ["everywhere", "only_local", "only_remote", "to_node_1"] {
        let heard = |names: &[String]| names.iter().any(|name| name == event);
        match (heard(&heard_by_zero), heard(&heard_by_one)) {
            (true, true) => println!("{event}: node 0 and node 1"),
            (true, false) => println!("{event}: node 0"),
            (false, true) => println!("{event}: node 1"),
            (false, false) => println!("{event}: nobody"),
        }
    }
    Ok(())
}

/// The names of all events up to the last one: from one publisher they come in order.
fn until_the_end(events: &mut tidings::Subscription<String>) -> Vec<String> {
    let names = std::iter::from_fn(|| events.next_wait()).map(|event| event.name.to_string());
    names.take_while(|name| name != "end").collect()
}
