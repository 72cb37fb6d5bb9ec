//! A journal in a stream of Redis.

mod place;

use std::time::Duration;

use bytes::Bytes;
use redis::{FromRedisValue, Pipeline, RedisError, aio::MultiplexedConnection, cmd};
use tidings_router_core::{
    Address, BoxError, BoxFuture, Durable, Error, Journal, JournalContext, JournalLink, NoJournal, Page,
    Position, Result,
};

use self::place::{Count, Place};
use crate::{
    channels::Channels,
    redis::Redis,
    server::{ANSWER_WITHIN, Server, is_refusal},
};

/// The only field of an entry.
const FIELD: &str = "m";

/// How long the server is asked to wait for an entry: less than it may take to answer.
const WAIT: Duration = Duration::from_secs(ANSWER_WITHIN.as_secs() / 2);

/// The largest entry, in bytes: what is left of the 512 MiB that `proto-max-bulk-len` is by default.
const ENTRY_LIMIT: usize = (512 << 20) - 1024;

/// The id behind all others.
const LAST: &str = "18446744073709551615-18446744073709551615";

/// Reads entries behind an id, and how many there ever were and are, at one point of time. A server before Redis 7 tells
/// instead whether the entry of that id is still there.
const READ: &str = "
    local info, added, length, known = redis.call('XINFO', 'STREAM', KEYS[1]), false, 0, false
    for i = 1, #info, 2 do
        if info[i] == 'entries-added' then added = info[i + 1] end
        if info[i] == 'length' then length = info[i + 1] end
    end
    if not added then known = #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) end
    local read = redis.call('XREAD', 'COUNT', ARGV[2], 'STREAMS', KEYS[1], ARGV[1])
    return {added, length, known, read and read[1][2]}
";

/// What [`READ`] returns: entries ever added, entries there are, whether the one asked for is, and entries.
type Answer = (Option<u64>, u64, Option<u64>, Option<Vec<(String, Vec<Vec<u8>>)>>);

/// The configuration.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) redis: Redis,
    pub(crate) durable: Durable,
}

impl Journal for Stream {
    fn durable(&self) -> &Durable {
        &self.durable
    }

    fn address(&self) -> Result<Address> {
        Server::new(&self.redis).map(|server| server.address().clone())
    }

    fn connect<'a>(
        &'a self,
        context: &'a JournalContext,
    ) -> BoxFuture<'a, Result<Box<dyn JournalLink>, NoJournal>> {
        Box::pin(async move {
            let server = Server::new(&self.redis).map_err(NoJournal::Refused)?;
            let channels = Channels::new(&self.redis.prefix, &context.cluster);
            let (key, saved) = (channels.journal(), channels.position(context.node_id));
            let opened = async {
                let commands = server.plain_connection().await?;
                make(&key, &mut commands.clone()).await?;
                Ok(commands)
            };
            let commands = opened.await.map_err(|error| no_journal(&server, &key, error))?;
            let bound = self.durable.bound();
            let is_waiting = false;
            Ok(Box::new(Reel { server, commands, key, saved, bound, is_waiting }) as Box<dyn JournalLink>)
        })
    }
}

/// Sees to it that the stream is there, and finds out what the server allows.
async fn make(key: &str, commands: &mut MultiplexedConnection) -> Result<(), RedisError> {
    let length: u64 = cmd("XLEN").arg(key).query_async(commands).await?;
    if length == 0 {
        // A group can be made along with a stream that has nothing in it.
        let made = cmd("XGROUP").arg(&["CREATE", key, "make", "$", "MKSTREAM"]).exec_async(commands).await;
        made.or_else(|error| if error.code() == Some("BUSYGROUP") { Ok(()) } else { Err(error) })?;
        cmd("XGROUP").arg(&["DESTROY", key, "make"]).exec_async(commands).await?;
    }
    // The server takes no entry with this id.
    let written = cmd("XADD").arg(&[key, "0-0", FIELD, ""]).exec_async(commands).await;
    if let Err(error) = written
        && error.code() == Some("NOPERM")
    {
        return Err(error);
    }
    read(key, LAST, 1, commands).await.map(drop)
}

async fn read(
    key: &str,
    after: &str,
    count: usize,
    commands: &mut MultiplexedConnection,
) -> Result<Answer, RedisError> {
    cmd("EVAL").arg(READ).arg(1).arg(key).arg(after).arg(count).query_async(commands).await
}

/// What it means that the stream cannot be used.
fn no_journal(server: &Server, key: &str, error: RedisError) -> NoJournal {
    let refused =
        |reason: String| NoJournal::Refused(Error::Refused { address: server.address().to_string(), reason });
    if error.to_string().contains("nknown command") {
        return refused(format!("{error}; `.durable(..)` needs the streams and scripts of Redis 5 or later"));
    }
    match error.code() {
        Some("WRONGTYPE") => refused(format!(
            "`{key}` holds something else than a stream; choose another `.prefix(..)` for `.durable(..)`"
        )),
        _ if is_refusal(&error) => NoJournal::Refused(server.refused(&error)),
        _ => NoJournal::Broken(error.into()),
    }
}

/// A connection.
#[derive(Debug)]
struct Reel {
    server: Server,
    commands: MultiplexedConnection,
    key: String,
    /// The key of the node's position.
    saved: String,
    /// How many entries are kept.
    bound: u64,
    /// The server may still be waiting for an entry, and does nothing else on this connection meanwhile.
    is_waiting: bool,
}

impl Reel {
    /// A connection on which the server does not wait.
    async fn commands(&mut self) -> Result<&mut MultiplexedConnection, RedisError> {
        if self.is_waiting {
            self.commands = self.server.plain_connection().await?;
            self.is_waiting = false;
        }
        Ok(&mut self.commands)
    }

    async fn ask<T: FromRedisValue>(&mut self, command: &redis::Cmd) -> Result<T, RedisError> {
        command.query_async(self.commands().await?).await
    }

    async fn page(&mut self, after: Option<&Position>, count: usize) -> Result<Page, BoxError> {
        let place = after.map(|after| after.as_str().parse::<Place>()).transpose()?.unwrap_or_default();
        loop {
            let key = self.key.clone();
            let commands = self.commands().await?;
            let (added, length, known, read) = read(&key, &place.id, count, commands).await?;
            if let Some(entries) = read {
                return Ok(place.page(Count { added, length, is_known: known != Some(0) }, entries)?);
            }
            self.wait(&place.id).await?;
        }
    }

    /// Waits until there is an entry behind this one, for a while.
    async fn wait(&mut self, after: &str) -> Result<(), RedisError> {
        self.is_waiting = true;
        let mut wait = cmd("XREAD");
        wait.arg("COUNT").arg(1).arg("BLOCK").arg(WAIT.as_millis() as u64);
        wait.arg("STREAMS").arg(&self.key).arg(after).exec_async(&mut self.commands).await?;
        self.is_waiting = false;
        Ok(())
    }

    /// All of them or none: a server that takes one and not the one before would turn their order.
    fn transaction(&self, entries: &[Bytes]) -> Pipeline {
        let mut commands = Pipeline::with_capacity(entries.len());
        commands.atomic();
        for entry in entries {
            commands.cmd("XADD").arg(&self.key).arg("MAXLEN").arg("~").arg(self.bound);
            commands.arg("*").arg(FIELD).arg(&entry[..]).ignore();
        }
        commands
    }
}

impl JournalLink for Reel {
    fn entry_limit(&self) -> (usize, &'static str) {
        (ENTRY_LIMIT, "proto-max-bulk-len")
    }

    fn append<'a>(&'a mut self, entries: &'a [Bytes]) -> BoxFuture<'a, Result<(), BoxError>> {
        Box::pin(async move { Ok(self.transaction(entries).query_async(&mut self.commands).await?) })
    }

    fn read<'a>(
        &'a mut self,
        after: Option<&'a Position>,
        count: usize,
    ) -> BoxFuture<'a, Result<Page, BoxError>> {
        Box::pin(self.page(after, count))
    }

    fn newest(&mut self) -> BoxFuture<'_, Result<Option<Position>, BoxError>> {
        Box::pin(async move {
            let info: std::collections::HashMap<String, redis::Value> =
                self.ask(cmd("XINFO").arg("STREAM").arg(&self.key)).await?;
            let field = |name: &str| info.get(name).cloned();
            let id: String =
                field("last-generated-id").map(redis::from_redis_value).transpose()?.unwrap_or_default();
            let index: Option<u64> = field("entries-added").map(redis::from_redis_value).transpose()?;
            let is_there = !matches!(&*id, "" | "0-0");
            Ok(is_there.then(|| Place { id, index }.position()).transpose()?)
        })
    }

    fn load(&mut self) -> BoxFuture<'_, Result<Option<Position>, BoxError>> {
        Box::pin(async move {
            let saved: Option<String> = self.ask(cmd("GET").arg(&self.saved)).await?;
            let Some(saved) = saved else { return Ok(None) };
            Ok(Some(saved.parse::<Place>()?.position()?))
        })
    }

    fn save<'a>(&'a mut self, position: &'a Position) -> BoxFuture<'a, Result<(), BoxError>> {
        Box::pin(async move { Ok(self.ask(cmd("SET").arg(&self.saved).arg(position.as_str())).await?) })
    }

    fn check(&self, position: &Position) -> Result<(), String> {
        position.as_str().parse::<Place>().map(drop).map_err(|error| error.to_string())
    }
}
