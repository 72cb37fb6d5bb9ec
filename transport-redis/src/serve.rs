//! The life of a node's connection.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use redis::{Pipeline, RedisError};
use tidings_router_core::{Channel, Request, Tap};
use tokio::{task::unconstrained, time::timeout};

use crate::{
    channels::Channels,
    connection::Connection,
    server::{ANSWER_WITHIN, Server},
};

/// How much is published at once, in bytes.
const BATCH: usize = 256 << 10;

/// How many batches are on their way before the first is answered.
const AHEAD: usize = 4;

/// How long nothing is published before the server is asked for a sign of life, so that nobody on the way takes the
/// connection for dead.
const IDLE: Duration = Duration::from_secs(15);

/// Why serving a connection ended.
enum End {
    /// The node is gone.
    Closed,
    /// It is broken.
    Broken(Option<RedisError>),
}

/// Serves the tap until its node is gone.
pub(crate) async fn serve(server: Server, channels: Channels, tap: Arc<Tap>, mut connection: Connection) {
    let _serving = tap.serve();
    loop {
        match publish(&channels, &tap, &mut connection).await {
            End::Closed => break,
            End::Broken(error) => {
                let error = error.map(|error| error.to_string());
                tracing::warn!(server = %server.address(), error, "the connection to the server is broken");
            }
        }
        tap.down();
        drop(connection);
        let (again, members) = tokio::select! {
            connected = server.reconnect(&tap, &channels) => connected,
            () = tap.closed() => return,
        };
        connection = again;
        members.into_iter().for_each(|member| tap.found(member));
        tap.up();
        tracing::info!(server = %server.address(), "connected again");
    }
    // What comes in answer to what has arrived goes out before the end.
    if connection.unsubscribe(&channels.of(Channel::Mailbox(tap.mailbox()))).await.is_ok() {
        let _ = publish(&channels, &tap, &mut connection).await;
    }
}

/// A batch on its way: where its packets were published to, and what the server will say.
type Batch = (Vec<Channel>, BoxFuture<'static, Result<Vec<i64>, RedisError>>);

/// Publishes all that is outgoing, in its order, and subscribes what is requested.
async fn publish(channels: &Channels, tap: &Tap, connection: &mut Connection) -> End {
    let mut ahead: VecDeque<Batch> = VecDeque::new();
    loop {
        let has_room = ahead.len() < AHEAD;
        tokio::select! {
            biased;
            answered = async { (&mut ahead[0].1).await }, if !ahead.is_empty() => {
                let Some((to, _)) = ahead.pop_front() else { continue };
                match answered {
                    Ok(heard) => tell(tap, &to, &heard),
                    Err(error) => return End::Broken(Some(error)),
                }
            }
            () = connection.broken() => return End::Broken(None),
            request = tap.next_request() => {
                match timeout(ANSWER_WITHIN, grant(request, channels, tap, connection)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return End::Broken(Some(error)),
                    Err(_) => return End::Broken(None),
                }
            }
            packets = tap.outgoing().next(BATCH), if has_room => {
                if packets.is_empty() {
                    return finish(tap, ahead).await;
                }
                let (to, commands) = pipeline(channels, packets);
                let mut answers: BoxFuture<'static, _> =
                    Box::pin(Connection::publish(connection.commands(), commands));
                // Looked at once, it is on its way, before those that come later: unless tokio finds that this task has
                // had its turn.
                match futures_util::poll!(unconstrained(&mut answers)) {
                    std::task::Poll::Ready(Ok(heard)) => tell(tap, &to, &heard),
                    std::task::Poll::Ready(Err(error)) => return End::Broken(Some(error)),
                    std::task::Poll::Pending => ahead.push_back((to, answers)),
                }
            }
            () = tokio::time::sleep(IDLE), if ahead.is_empty() => {
                if let Err(error) = connection.ping().await {
                    return End::Broken(Some(error));
                }
            }
        }
    }
}

/// Waits for the answers to what was published last.
async fn finish(tap: &Tap, ahead: VecDeque<Batch>) -> End {
    for (to, answers) in ahead {
        match answers.await {
            Ok(heard) => tell(tap, &to, &heard),
            Err(error) => return End::Broken(Some(error)),
        }
    }
    End::Closed
}

/// Subscribes to the broadcasts of another node, or no longer.
async fn grant(
    request: Request,
    channels: &Channels,
    tap: &Tap,
    connection: &mut Connection,
) -> Result<(), RedisError> {
    match request {
        Request::Subscribe(mailbox) => {
            connection.subscribe(&channels.of(Channel::Broadcasts(mailbox))).await?;
            tap.subscribed(mailbox);
            Ok(())
        }
        Request::Unsubscribe(mailbox) => {
            connection.unsubscribe(&channels.of(Channel::Broadcasts(mailbox))).await
        }
    }
}

fn pipeline(channels: &Channels, packets: Vec<(Channel, Bytes)>) -> (Vec<Channel>, Pipeline) {
    let mut commands = Pipeline::with_capacity(packets.len());
    let mut to = Vec::with_capacity(packets.len());
    for (channel, packet) in packets {
        commands.cmd("PUBLISH").arg(channels.of(channel)).arg(&packet[..]);
        to.push(channel);
    }
    (to, commands)
}

/// Tells who was not there.
fn tell(tap: &Tap, to: &[Channel], heard: &[i64]) {
    for (channel, _) in to.iter().zip(heard).filter(|(_, heard)| **heard == 0) {
        if let Channel::Mailbox(mailbox) = channel {
            tap.unheard(*mailbox);
        }
    }
}
