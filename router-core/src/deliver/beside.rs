//! A message whose payload did not come through the link, but beside it.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;

use super::{Inbox, others};
use crate::{
    exchange::Exchange,
    outbox::Outgoing,
    protocol::LinkEnd,
    run::Run,
    session::Session,
    transport::Token,
    wire::{WireError, data::DataHeader, kind},
};

impl Inbox {
    fn redeem(&self, token: &Token) -> Result<Bytes, LinkEnd> {
        let redeemed = self.carrier.as_ref().map(|link| link.redeem(token));
        redeemed.and_then(Result::ok).ok_or(LinkEnd::Protocol(WireError::Value {
            kind: kind::BESIDE,
            what: "a reference to a payload that is not there",
        }))
    }
}

impl Exchange {
    /// Hands on a message whose frame refers to its payload.
    ///
    /// Windows and counts go by what it would be as a frame of its own, as they do at the sender.
    pub(super) fn deliver_beside(
        self: &Arc<Self>,
        inbox: &Inbox,
        session: &Arc<Session>,
        frame: &[u8],
        now: Instant,
    ) -> Result<(), LinkEnd> {
        let (header, event, token) = DataHeader::decode_beside(frame).map_err(LinkEnd::Protocol)?;
        self.check_source(session, header.source)?;
        // Also if the message does not count any more: only who has it can give it back.
        let payload = inbox.redeem(&token)?;
        let size = DataHeader::LEN + event.len() + payload.len();
        let (claimed, limit) = (size - 4, self.config.limits.max_frame);
        if claimed > limit {
            return Err(LinkEnd::Protocol(WireError::TooLarge { claimed, limit }));
        }
        let Some(_receiving) = session.receiving(inbox.link) else { return Ok(()) };
        session.arrive(1, size as u64);
        let credit = session.credit();
        credit.add(size as u64);
        let route = self.route(event)?;
        let forwarded = self
            .config
            .topology
            .forwards(self.node_id)
            .then(|| self.shareable(payload.clone(), others(&route, session, header.destination)));
        let head = header.head(event, payload.len());
        let onward = || Outgoing::Large(head.clone(), forwarded.clone().unwrap_or_default());
        let run = Run::single(route.name.clone(), header, payload);
        self.deliver_run(session, &route, (header, run), onward, &credit, now);
        Ok(())
    }
}
