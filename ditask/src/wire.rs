//! What the nodes talk over: one answer out of `--transport`, `--protocol` and `--mq-type`.

use tidings::Address;

use crate::{
    arguments::{MqType, Protocol, RedisServer, Run},
    fault::{Fault, Result},
};

/// Where a Redis server is unless the command line says otherwise.
const REDIS: (&str, u16) = ("127.0.0.1", 6379);

/// Where a NATS server is unless the command line says otherwise.
const NATS: &str = "nats://127.0.0.1:4222";

/// What the nodes talk over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Sockets of one machine, in the run's own directory.
    Ipc,
    /// Hosts and ports, behind this scheme.
    Ports(&'static str),
    /// The broker at this address, where all nodes of a cluster meet.
    Broker(String),
}

impl Wire {
    /// What the command line says.
    pub(crate) fn of(run: &Run) -> Result<Self> {
        let wire = match run.transport.as_deref() {
            Some(transport) => Self::named(transport, run)?,
            None => match (run.mq_type, run.protocol) {
                (MqType::Nng, Protocol::Tcp) => Self::Ports("tcp"),
                (MqType::Nng, Protocol::Ipc) => Self::Ipc,
                (MqType::Redis, _) => Self::Broker(redis_at(&run.redis)),
                (MqType::Nats, _) => Self::Broker(NATS.to_owned()),
                (MqType::Zmq, _) => Self::Ports("zmq+tcp"),
            },
        };
        let is_redis = matches!(&wire, Self::Broker(address) if address.starts_with("redis"));
        for (flag, is_there) in
            [("--redis-host", run.redis.host.is_some()), ("--redis-port", run.redis.port.is_some())]
        {
            if is_there && !is_redis {
                return Err(Fault::usage(format!("{flag} is of no use without `--mq-type redis`")));
            }
        }
        wire.check(run)?;
        Ok(wire)
    }

    fn named(transport: &str, run: &Run) -> Result<Self> {
        let known = "tcp, ipc, redis, nats, zmq, or a broker's address such as `nats://host:4222`";
        match transport {
            "tcp" => Ok(Self::Ports("tcp")),
            "ipc" => Ok(Self::Ipc),
            "zmq" => Ok(Self::Ports("zmq+tcp")),
            "redis" => Ok(Self::Broker(redis_at(&run.redis))),
            "nats" => Ok(Self::Broker(NATS.to_owned())),
            other if !other.contains("://") => {
                Err(Fault::usage(format!("--transport `{other}` is unknown: one of {known}")))
            }
            other => {
                let address: Address =
                    other.parse().map_err(|error| Fault::usage(format!("--transport: {error}")))?;
                match address.scheme() {
                    "redis" | "rediss" | "nats" => Ok(Self::Broker(address.as_str().to_owned())),
                    "tcp" | "zmq+tcp" => Err(Fault::usage(format!(
                        "--transport `{address}`: say where to listen with --address and --ports, and whom to \
                         connect to with --attach-to"
                    ))),
                    _ => Err(Fault::usage(format!("--transport `{address}` cannot be: one of {known}"))),
                }
            }
        }
    }

    /// Refuses what this wire has no use for.
    fn check(&self, run: &Run) -> Result {
        let given = [
            ("--ports", run.ports.as_deref().is_some_and(|ports| !ports.trim().is_empty())),
            ("--address", run.address.as_deref().is_some_and(|address| !address.trim().is_empty())),
            ("--advertise", run.advertise.is_some()),
        ];
        for (flag, is_there) in given {
            match self {
                // Seed 001 has `--protocol tcp --ports`; with a broker ports mean nothing, and who says them
                // thinks that they do.
                Self::Broker(broker) if is_there => {
                    return Err(Fault::usage(format!(
                        "{flag} is of no use on {}: leave it out",
                        shown(broker)
                    )));
                }
                Self::Ipc if is_there => {
                    return Err(Fault::usage(format!(
                        "{flag} is of no use with ipc, whose sockets are files: leave it out, or use `--protocol tcp`"
                    )));
                }
                Self::Ports(scheme) if is_there && flag == "--advertise" && *scheme != "tcp" => {
                    return Err(Fault::usage(format!("{flag} is for `--protocol tcp`")));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether this is a broker, where nobody dials anybody.
    pub(crate) fn is_broker(&self) -> bool {
        matches!(self, Self::Broker(_))
    }
}

/// The address of the Redis server that the command line names.
pub(crate) fn redis_at(server: &RedisServer) -> String {
    let host = server.host.as_deref().unwrap_or(REDIS.0);
    format!("redis://{host}:{}", server.port.unwrap_or(REDIS.1))
}

/// A broker's address, without the password that it may have.
pub(crate) fn shown(address: &str) -> String {
    let parts = address.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?)));
    match parts {
        Some((scheme, (user, rest))) => {
            let user = user.split_once(':').map_or(user, |(user, _)| user);
            format!("{scheme}://{user}:PASSWORD@{rest}")
        }
        None => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(change: impl FnOnce(&mut Run)) -> Result<Wire> {
        let mut run = Run::default();
        change(&mut run);
        Wire::of(&run)
    }

    #[test]
    fn the_reference_s_flags_and_ours_say_the_same() {
        assert_eq!(of(|_| ()).unwrap(), Wire::Ports("tcp"));
        assert_eq!(of(|run| run.protocol = Protocol::Ipc).unwrap(), Wire::Ipc);
        assert_eq!(of(|run| run.transport = Some("ipc".into())).unwrap(), Wire::Ipc);
        assert_eq!(
            of(|run| run.mq_type = MqType::Zmq).unwrap(),
            of(|run| run.transport = Some("zmq".into())).unwrap()
        );
        let redis = |run: &mut Run| {
            (run.mq_type, run.redis.host, run.redis.port) = (MqType::Redis, Some("r".into()), Some(7));
        };
        assert_eq!(of(redis).unwrap(), Wire::Broker("redis://r:7".into()));
        assert_eq!(of(|run| run.transport = Some("redis://r:7".into())).unwrap(), of(redis).unwrap());
        assert_eq!(of(|run| run.transport = Some("nats".into())).unwrap(), Wire::Broker(NATS.into()));
    }

    #[test]
    fn a_password_is_never_told() {
        assert_eq!(shown("redis://trainer:hunter2@h:1"), "redis://trainer:PASSWORD@h:1");
        assert_eq!(shown("redis://h:1"), "redis://h:1");
        let fault =
            of(|run| (run.transport, run.ports) = (Some("nats://u:hunter2@h:1".into()), Some("1".into())));
        assert!(!fault.unwrap_err().to_string().contains("hunter2"));
    }

    #[test]
    fn what_does_not_go_together_names_the_flag() {
        for (fault, named) in [
            (of(|run| run.transport = Some("pigeon".into())), "pigeon"),
            (of(|run| run.transport = Some("tcp://h:1".into())), "--address"),
            (
                of(|run| {
                    run.transport = Some("redis".into()).filter(|_| {
                        run.ports = Some("1".into());
                        true
                    })
                }),
                "--ports",
            ),
            (of(|run| run.redis.port = Some(1)), "--redis-port"),
            (of(|run| (run.protocol, run.address) = (Protocol::Ipc, Some("h".into()))), "--address"),
        ] {
            let fault = fault.unwrap_err();
            assert!(fault.to_string().contains(named), "{fault}");
            assert_eq!(fault.code(), 64);
        }
    }
}
