//! Events that survive a restart, through a Redis and a NATS server.

mod cases;

use std::sync::Arc;

use tidings::{
    Bytes, Durable, Error, Router, Transport,
    transport::{Nats, Redis},
};
use tidings_testkit::{DEADLINE, Guarded, NatsClient, NatsServer, RedisServer, deadline, next, run};

/// Names the server for the process that is [to be killed](a_node_to_be_killed).
const CHILD: &str = "TIDINGS_TEST_DURABLE";

const JETSTREAM: &str = "jetstream { store_dir: \"$DIR/jetstream\" }";

/// A server with a journal that survives it.
trait Server {
    fn url(&self) -> String;

    /// What errors call it.
    fn name(&self) -> String;

    fn kill(&mut self);

    fn restart(&mut self);

    fn process(&self) -> &Guarded;

    /// Writes to the journal of the default cluster what no node would.
    async fn write_foreign(&self);
}

impl Server for RedisServer {
    fn url(&self) -> String {
        Self::url(self)
    }

    fn name(&self) -> String {
        self.socket().display().to_string()
    }

    fn kill(&mut self) {
        Self::kill(self);
    }

    fn restart(&mut self) {
        Self::restart(self);
    }

    fn process(&self) -> &Guarded {
        Self::process(self)
    }

    async fn write_foreign(&self) {
        self.command(&["XADD", "tidings:tidings:journal", "*", "some", "thing"]);
    }
}

impl Server for NatsServer {
    fn url(&self) -> String {
        Self::url(self)
    }

    fn name(&self) -> String {
        self.address()
    }

    fn kill(&mut self) {
        Self::kill(self);
    }

    fn restart(&mut self) {
        Self::restart(self);
    }

    fn process(&self) -> &Guarded {
        Self::process(self)
    }

    async fn write_foreign(&self) {
        NatsClient::connect(&self.address()).await.publish("tidings.tidings.journal", b"something").await;
    }
}

fn redis() -> RedisServer {
    RedisServer::with(&["--appendonly", "yes"])
}

fn nats() -> NatsServer {
    NatsServer::with_config(JETSTREAM)
}

fn transport(url: &str, durable: Durable) -> Arc<dyn Transport> {
    match url.starts_with("nats") {
        true => Arc::new(Nats::connect(url).durable(durable)),
        false => Arc::new(Redis::connect(url).durable(durable)),
    }
}

/// Every case, through each server.
macro_rules! cases {
    ($($case:ident,)*) => {
        cases! { redis: $($case,)* }
        cases! { nats: $($case,)* }
    };
    ($server:ident: $($case:ident,)*) => {
        mod $server {
            $(
                #[test]
                fn $case() {
                    super::run(stringify!($case), || async {
                        super::cases::$case(&mut super::$server()).await;
                    });
                }
            )*
        }
    };
}

cases! {
    who_comes_later_hears_everything,
    who_waits_hears_at_once,
    a_node_that_restarts_goes_on_where_its_listeners_were,
    listeners_that_come_one_after_the_other_miss_nothing,
    a_node_that_is_killed_misses_nothing,
    where_to_begin_is_said,
    a_server_that_is_killed_amid_a_flood_loses_nothing,
    a_server_that_is_stopped_for_a_while_loses_nothing,
    a_handler_has_taken_what_it_is_done_with,
    what_the_bound_drops_is_counted,
    a_slow_listener_holds_the_reader_back,
    without_a_server_an_emit_waits_then_fails_then_goes_on,
    a_shutdown_writes_what_is_queued_or_counts_it,
    scopes_are_kept,
    what_other_programs_write_is_counted,
    clusters_have_journals_of_their_own,
    large_messages_come_through,
}

/// No test, but a process of one: tells what it hears until it is killed.
#[test]
fn a_node_to_be_killed() {
    let Ok(url) = std::env::var(CHILD) else { return };
    let builder = Router::builder().node_id(1).shared_transport(transport(&url, Durable::new("x")));
    let router = builder.connect_timeout(DEADLINE).open().wait().unwrap();
    let mut heard = router.subscribe::<u64>("x").unwrap();
    while let Some(event) = heard.next_wait() {
        println!("\nheard {}", event.payload);
    }
}

/// What opening a node says.
async fn failure(transport: impl Transport) -> Error {
    let opening = Router::builder().transport(transport).connect_timeout(DEADLINE).open();
    deadline("answer", opening).await.unwrap_err()
}

#[test]
fn a_nats_server_without_jetstream_is_refused() {
    run("no jetstream", || async {
        let server = NatsServer::start();
        let error = failure(Nats::connect(server.url()).durable(Durable::new("x"))).await;
        assert!(matches!(error, Error::Refused { .. }), "{error:?}");
        assert!(error.to_string().contains("JetStream") && error.to_string().contains("durable"), "{error}");
    });
}

#[test]
fn a_redis_server_without_streams_is_refused() {
    run("no streams", || async {
        let server = RedisServer::with(&["--rename-command", "XLEN", ""]);
        let error = failure(Redis::connect(server.url()).durable(Durable::new("x"))).await;
        assert!(matches!(error, Error::Refused { .. }), "{error:?}");
        assert!(error.to_string().contains("Redis 5"), "{error}");
    });
}

#[test]
fn redis_connections_that_are_killed_amid_a_flood_lose_nothing() {
    run("client kill", || async {
        let server = redis();
        let node = |id, durable| {
            let redis = Redis::connect(server.url()).durable(durable);
            deadline("node", Router::builder().node_id(id).transport(redis).open())
        };
        let durable = Durable::new("x");
        let (emitter, listener) =
            (node(0, durable.clone()).await.unwrap(), node(1, Durable::new("x")).await.unwrap());
        let mut heard = listener.subscribe::<u64>("x").unwrap();
        for number in 0..2_000u64 {
            if number % 500 == 250 {
                server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
            }
            emitter.emit("x", &number).await.unwrap();
        }
        for number in 0..2_000 {
            assert_eq!(next(&mut heard).await.payload, number);
        }
    });
}

#[test]
fn a_redis_key_that_holds_something_else_is_refused() {
    run("wrong type", || async {
        let server = redis();
        server.command(&["SET", "tidings:tidings:journal", "mine"]);
        let error = failure(Redis::connect(server.url()).durable(Durable::new("x"))).await;
        assert!(error.to_string().contains("prefix"), "{error}");
    });
}

#[test]
fn a_redis_user_needs_the_commands_that_the_docs_name() {
    run("acl", || async {
        let server = redis();
        let bus = "+subscribe +unsubscribe +publish +pubsub +ping";
        let journal = "+xlen +xgroup +xinfo +xrange +xread +xadd +multi +exec +eval +get +set";
        let allow = |user: &str, commands: &str| {
            let mut words = vec!["ACL", "SETUSER", user, "on", "nopass", "resetchannels", "&tidings:*"];
            words.extend(["~tidings:tidings:*"].into_iter().chain(commands.split(' ')));
            assert_eq!(server.command(&words), "OK");
            let durable = Durable::new("x");
            let redis =
                Redis::connect(format!("{}?user={user}&pass=any", server.url())).durable(durable.clone());
            (redis, durable)
        };
        for missing in ["+xlen", "+xgroup", "+xinfo", "+xread", "+xadd", "+eval", "+get"] {
            let rest = journal.replace(missing, "").replace("  ", " ");
            let (redis, _) = allow(&missing[1..], &format!("{bus} {}", rest.trim()));
            let error = failure(redis).await;
            assert!(matches!(error, Error::Refused { .. } | Error::Journal { .. }), "{missing}: {error:?}");
        }
        let (redis, durable) = allow("right", &format!("{bus} {journal}"));
        let router = deadline("node", Router::builder().transport(redis).open()).await.unwrap();
        router.emit("x", &1u64).await.unwrap();
        deadline("flush", durable.flush()).await.unwrap();
    });
}

#[test]
fn a_message_above_max_payload_is_an_error_of_its_emit() {
    run("max payload", || async {
        let server = NatsServer::with_config(&format!("max_payload: 10000\n{JETSTREAM}"));
        let durable = Durable::new("x");
        let transport = Nats::connect(server.url()).durable(durable.clone());
        let router = deadline("node", Router::builder().transport(transport).open()).await.unwrap();
        match router.emit("x", Bytes::from(vec![0; 10_000])).await {
            Err(Error::EntryTooLarge { size, limit, setting, .. }) => {
                assert_eq!((size, limit, setting), (10_035, 10_000, "max_payload"));
            }
            result => panic!("{result:?}"),
        }
        router.emit("x", Bytes::from(vec![0; 9_965])).await.unwrap();
        deadline("flush", durable.flush()).await.unwrap();
    });
}

#[test]
fn a_name_that_is_too_long_for_a_stream_is_an_error_that_names_the_cluster() {
    run("long name", || async {
        let server = nats();
        let builder = Router::builder().cluster("*".repeat(200));
        let opening = builder.transport(Nats::connect(server.url()).durable(Durable::new("x"))).open();
        let error = deadline("answer", opening).await.unwrap_err();
        assert!(matches!(&error, Error::Setting { setting, .. } if setting == "cluster"), "{error}");
    });
}
