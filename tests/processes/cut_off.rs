//! A broker cuts off who takes nothing of what it has for it.

use tidings_testkit::eventually;

use crate::{
    node::block_on,
    place::Place,
    remote::{PATIENCE, Remote},
    settings::Settings,
};

/// Stops a node amid a flood until the broker at this URL has cut it off, and asserts that both ends notice, and that
/// nothing is lost when it is back.
pub(crate) fn cut_off(url: &str, is_cut: impl FnMut() -> bool) -> String {
    let place = Place::new();
    let node = |id| {
        let mut settings = Settings::new(id, url);
        // Silence and lagging are other tests'.
        (settings.dead_after, settings.max_wait) = (PATIENCE, PATIENCE);
        let mut node = place.node(&settings);
        node.line("open");
        node
    };
    let mut nodes = [0, 1].map(node);
    for (id, node) in nodes.iter_mut().enumerate() {
        node.line(&format!("joined {}", 1 - id));
        node.ask("meet 1", "met");
    }
    let [publisher, stopped] = &mut nodes;
    publisher.ask("mix 0", "flooding");
    stopped.signal("STOP");
    block_on(eventually("cut", is_cut));
    // Both sides notice: the one that publishes to nobody, and the one that is back.
    let (_, reason) = publisher.line("left 1 ");
    assert_eq!(reason, "LinkLost");
    stopped.signal("CONT");
    let (_, reason) = stopped.line("left 0 ");
    assert_eq!(reason, "LinkLost");
    publisher.line("joined 1");
    stopped.line("joined 0");
    let published = publisher.ask("halt", "published")[0];
    stopped.ask(&format!("await 0 {published}"), "heard");
    let tally = stopped.ask(&format!("tally 0 {published}"), "tally");
    assert_eq!(tally, [published, 0, 0, 0], "received, lost, duplicated, reordered");
    nodes.iter_mut().for_each(Remote::shut_down);
    place.assert_empty();
    format!("{published} messages, none lost")
}
