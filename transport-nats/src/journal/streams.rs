//! The streams that a journal needs.

use std::error::Error as _;

use async_nats::jetstream::{
    Context, ErrorCode,
    context::{CreateStreamErrorKind, GetStreamError, GetStreamErrorKind, RequestError, RequestErrorKind},
    stream::{Config, Stream},
};
use tidings_router_core::{Error, NoJournal};

use super::refused;
use crate::dialer::Dialer;

/// The longest name of a stream, in bytes.
const MAX_NAME: usize = 255;

fn broken(error: impl Into<tidings_router_core::BoxError>) -> NoJournal {
    NoJournal::Broken(error.into())
}

/// The streams of the journal and of positions in it, which are made if they are not there.
pub(super) async fn open(
    context: &Context,
    dialer: &Dialer,
    bound: u64,
) -> Result<(Stream, Stream), NoJournal> {
    let subjects = &dialer.subjects;
    let journal = Config {
        name: subjects.stream("journal"),
        subjects: vec![subjects.journal().to_string()],
        max_messages: i64::try_from(bound).unwrap_or(i64::MAX),
        ..Config::default()
    };
    let positions = Config {
        name: subjects.stream("position"),
        subjects: vec![subjects.positions().to_string()],
        max_messages_per_subject: 1,
        ..Config::default()
    };
    if journal.name.len().max(positions.name.len()) > MAX_NAME {
        let reason = format!(
            "`.durable(..)` makes the stream `{}` of it and `.prefix(..)`, whose name would be longer than {MAX_NAME} bytes",
            positions.name
        );
        return Err(NoJournal::Refused(Error::Setting { setting: "cluster".to_owned(), reason }));
    }
    Ok((one(context, dialer, journal).await?, one(context, dialer, positions).await?))
}

/// Sees to it that a stream is there and keeps as much as it should.
async fn one(context: &Context, dialer: &Dialer, wanted: Config) -> Result<Stream, NoJournal> {
    let stream = match context.get_stream(&wanted.name).await {
        Ok(stream) => stream,
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(said) if said.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                return make(context, dialer, wanted).await;
            }
            GetStreamErrorKind::JetStream(said) if is_disabled(said.error_code()) => {
                return Err(disabled(dialer));
            }
            GetStreamErrorKind::Request if is_unheard(&error) => return Err(disabled(dialer)),
            _ => return Err(broken(error)),
        },
    };
    let config = stream.cached_info().config.clone();
    if !wanted.subjects.iter().all(|subject| config.subjects.contains(subject)) {
        let reason = format!(
            "its stream `{}` does not have the subject `{}`; choose another `.prefix(..)` for `.durable(..)`",
            wanted.name,
            wanted.subjects.concat()
        );
        return Err(refused(dialer, reason));
    }
    let is_as_wanted = config.max_messages == wanted.max_messages
        && config.max_messages_per_subject == wanted.max_messages_per_subject;
    if !is_as_wanted {
        let Config { max_messages, max_messages_per_subject, .. } = wanted;
        let changed = Config { max_messages, max_messages_per_subject, ..config };
        context.update_stream(changed).await.map_err(broken)?;
    }
    Ok(stream)
}

fn is_disabled(code: ErrorCode) -> bool {
    [ErrorCode::JETSTREAM_NOT_ENABLED, ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT].contains(&code)
}

/// Whether nobody listens to what JetStream is asked.
fn is_unheard(error: &GetStreamError) -> bool {
    let source = error.source().and_then(|source| source.downcast_ref::<RequestError>());
    source.is_some_and(|error| error.kind() == RequestErrorKind::NoResponders)
}

fn disabled(dialer: &Dialer) -> NoJournal {
    let reason = "it has no JetStream, which `.durable(..)` needs: start it with `--jetstream`, or enable it for this \
                  account";
    refused(dialer, reason.to_owned())
}

async fn make(context: &Context, dialer: &Dialer, wanted: Config) -> Result<Stream, NoJournal> {
    match context.create_stream(wanted).await {
        Ok(stream) => Ok(stream),
        Err(error) => match error.kind() {
            // Such as a subject that another stream has, or no place for another one.
            CreateStreamErrorKind::JetStream(said) if said.code() < 500 => {
                Err(refused(dialer, format!("`.durable(..)` needs a stream, but {said}")))
            }
            _ => Err(broken(error)),
        },
    }
}
