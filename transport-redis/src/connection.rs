//! A connection on which the mailbox of one node is subscribed.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use redis::{
    AsyncConnectionConfig, Client, Pipeline, PushInfo, PushKind, RedisError, Value,
    aio::{MultiplexedConnection, PubSubSink},
};
use tidings_router_core::{Channel, Mailbox, Tap};
use tokio::{sync::watch, task::JoinHandle};

use crate::channels::Channels;

/// A connection that hands over what arrives.
#[derive(Debug)]
pub(crate) struct Connection {
    commands: MultiplexedConnection,
    messages: Messages,
    broken: watch::Receiver<bool>,
}

/// Where messages come from.
enum Messages {
    /// The same connection: RESP3.
    Pushed,
    /// One of their own, and the task that reads it: RESP2, where a connection that has subscribed can do nothing else.
    Read(PubSubSink, JoinHandle<()>),
}

impl std::fmt::Debug for Messages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::Pushed) { "Pushed" } else { "Read" })
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        if let Self::Read(_, reading) = self {
            reading.abort();
        }
    }
}

impl Connection {
    /// Connects, subscribes, and finds who else has.
    pub(crate) async fn new(
        client: &Client,
        config: AsyncConnectionConfig,
        pushes: bool,
        tap: &Arc<Tap>,
        channels: &Channels,
    ) -> Result<(Self, Vec<Mailbox>), RedisError> {
        let mailbox = channels.of(Channel::Mailbox(tap.mailbox()));
        let (broken_here, broken) = watch::channel(false);
        let connection = if pushes {
            let receiver = tap.clone();
            let config = config.set_push_sender(move |push: PushInfo| -> Result<(), ()> {
                match push.kind {
                    PushKind::Disconnection => drop(broken_here.send_replace(true)),
                    PushKind::Message => {
                        payload(push.data).into_iter().for_each(|packet| receiver.arrived(packet))
                    }
                    _ => {}
                }
                Ok(())
            });
            let mut commands = client.get_multiplexed_async_connection_with_config(&config).await?;
            commands.subscribe(&mailbox).await?;
            Self { commands, messages: Messages::Pushed, broken }
        } else {
            let commands = client.get_multiplexed_async_connection_with_config(&config).await?;
            let (mut sink, mut stream) = client.get_async_pubsub().await?.split();
            let receiver = tap.clone();
            let reading = tokio::spawn(async move {
                while let Some(message) = stream.next().await {
                    receiver.arrived(Bytes::copy_from_slice(message.get_payload_bytes()));
                }
                broken_here.send_replace(true);
            });
            let subscribed = sink.subscribe(&mailbox).await;
            let messages = Messages::Read(sink, reading);
            subscribed?;
            Self { commands, messages, broken }
        };
        let members = connection.members(channels).await?;
        Ok((connection, members))
    }

    /// Who has subscribed a mailbox of the cluster. Finds out too whether publishing is allowed.
    async fn members(&self, channels: &Channels) -> Result<Vec<Mailbox>, RedisError> {
        let mut questions = Pipeline::new();
        questions.cmd("PUBLISH").arg(channels.nobody()).arg("");
        questions.cmd("PUBSUB").arg("CHANNELS").arg(channels.all());
        let (_, names): (i64, Vec<String>) = questions.query_async(&mut self.commands.clone()).await?;
        Ok(names.iter().filter_map(|name| channels.mailbox(name)).collect())
    }

    /// Publishes packets, and returns how many have subscribed the channel of each.
    pub(crate) async fn publish(
        commands: MultiplexedConnection,
        packets: Pipeline,
    ) -> Result<Vec<i64>, RedisError> {
        packets.query_async(&mut { commands }).await
    }

    pub(crate) fn commands(&self) -> MultiplexedConnection {
        self.commands.clone()
    }

    /// Asks for a sign of life.
    pub(crate) async fn ping(&self) -> Result<(), RedisError> {
        redis::cmd("PING").exec_async(&mut self.commands.clone()).await
    }

    /// Ready when the connection is broken.
    pub(crate) async fn broken(&self) {
        // An error means that the other end is gone, and the connection with it.
        let _ = self.broken.clone().wait_for(|broken| *broken).await;
    }

    /// Takes in what is published to one more channel; when this returns, that arrives.
    pub(crate) async fn subscribe(&mut self, channel: &str) -> Result<(), RedisError> {
        match &mut self.messages {
            Messages::Pushed => self.commands.subscribe(channel).await,
            Messages::Read(sink, _) => sink.subscribe(channel).await,
        }
    }

    /// Takes nothing more of a channel in; when this returns, everything has been handed over.
    pub(crate) async fn unsubscribe(&mut self, channel: &str) -> Result<(), RedisError> {
        match &mut self.messages {
            Messages::Pushed => self.commands.unsubscribe(channel).await,
            Messages::Read(sink, _) => sink.unsubscribe(channel).await,
        }
    }
}

/// The last part of a message: the channel stands before it.
fn payload(mut parts: Vec<Value>) -> Option<Bytes> {
    match parts.pop() {
        Some(Value::BulkString(payload)) => Some(payload.into()),
        _ => None,
    }
}
