//! A ring in shared memory that both ends poll: the physical limit of two processes.

use std::path::Path;

use tempfile::TempDir;

use crate::{
    harness::{End, Listening, Messages, Result, Route, Subject, Wire, mark_of},
    poll,
    ring::Ring,
};

pub(crate) struct ShmRing;

impl Subject for ShmRing {
    fn name(&self) -> &'static str {
        "shm-ring"
    }

    fn carries(&self, route: &Route) -> bool {
        route.wire == Wire::Ipc
    }

    fn listen(&self, route: &Route) -> Result<Listening> {
        // Memory, where there is such a directory: else pages are written to a disk now and then.
        let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())?;
        let mut end = Rings { pairs: Vec::new(), messages: Messages::new(route.size), _directory: None };
        let mut addresses = Vec::new();
        for index in 0..route.receivers {
            let address = directory.path().join(index.to_string());
            let address = address.to_str().ok_or("a path that is no text")?.to_owned();
            end.pairs.push(Pair::open(&address, route, ["forth", "back"])?);
            addresses.push(address);
        }
        end._directory = Some(directory);
        Ok((Box::new(end), addresses))
    }

    fn connect(&self, route: &Route, address: &str, _index: usize) -> Result<Box<dyn End>> {
        let pairs = vec![Pair::open(address, route, ["back", "forth"])?];
        Ok(Box::new(Rings { pairs, messages: Messages::new(route.size), _directory: None }))
    }
}

/// The two directions to another end.
struct Pair {
    out: Ring,
    back: Ring,
}

impl Pair {
    fn open(address: &str, route: &Route, names: [&str; 2]) -> Result<Self> {
        let open = |name| Ring::open(Path::new(&format!("{address}.{name}")), route.size);
        Ok(Self { out: open(names[0])?, back: open(names[1])? })
    }
}

struct Rings {
    pairs: Vec<Pair>,
    messages: Messages,
    /// Of the rings' files.
    _directory: Option<TempDir>,
}

impl End for Rings {
    fn meet(&mut self) -> Result {
        // What is written before the other end is there waits for it.
        Ok(())
    }

    fn send(&mut self, mark: u64) -> Result {
        let message = self.messages.get(mark);
        let mut pairs = self.pairs.iter_mut();
        pairs.try_for_each(|pair| poll::until(|| Ok(pair.out.write(&message).then_some(()))))
    }

    fn receive(&mut self) -> Result<u64> {
        poll::until(|| self.pairs.iter_mut().find_map(|pair| pair.back.read(mark_of)).transpose())
    }

    fn close(self: Box<Self>) {}
}
