//! The request path.
//!
//! A worker owns everything a request touches: its listener, its connections, its upstream pool, its buffers, its
//! counters. What workers share and write is written when something opens, fails or closes, not for each request: how many
//! sockets and callers' connections there are, and how the servers of the upstream stand. `handle` is the whole path from
//! bytes to decision; it is synchronous, so nothing awaits between the head of a request and the decision about it.

pub(crate) mod answer;
pub(crate) mod buffer;
pub(crate) mod caught;
pub(crate) mod client;
pub(crate) mod cors;
pub(crate) mod credential;
pub(crate) mod downstream;
pub mod error;
pub(crate) mod exchange;
pub(crate) mod forward;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub(crate) mod grpc;
pub(crate) mod h2;
pub(crate) mod holder;
pub(crate) mod reply;
pub(crate) mod request_id;
pub(crate) mod room;
mod scene;
pub(crate) mod stream;
pub(crate) mod ticket;
pub(crate) mod tunnel;
pub(crate) mod upgrade;
pub(crate) mod upstream;
pub(crate) mod watch;
pub(crate) mod worker;

use crate::http1::head::{self, AnswerTo, Framing, HeadFault, Kind, RequestHead, Version};
use crate::policy::{Access, Caller, Request, Target};
use crate::snapshot::{Config, Mode};
use crate::telemetry::label::{DecisionLabel, MethodLabel};

use downstream::{Call, Peer, Protocol};
use error::ProxyError;
use reply::{Connection, Reply, Setting};
use request_id::RequestId;
use scene::{Scene, offers_tunnel};
use ticket::Ticket;
use upgrade::Nonce;
use worker::{View, Worker};

/// What comes of the bytes of a request.
pub(crate) enum Verdict {
    /// They are to be forwarded: the upstream's head is in the output.
    Forward(Plan),
    /// They are the beginning of a head.
    More,
    /// They are answered by the gateway: the answer is in the output.
    Reply {
        /// The connection ends after the answer.
        close: bool,
    },
}

/// What has to be remembered of a request head once it has been written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Bytes of the input that the head took.
    pub(crate) size: usize,
    pub(crate) framing: Framing,
    pub(crate) version: Version,
    pub(crate) answer_to: AnswerTo,
    /// The caller waits for `100 Continue`.
    pub(crate) expects: bool,
    pub(crate) keep_alive: bool,
    /// The request may be sent twice: no body, and a method that is idempotent (RFC 9110 9.2.2).
    pub(crate) replayable: bool,
    pub(crate) grpc: bool,
    /// The connection may become a tunnel: the upstream was offered it, because the caller asked and the route allows it.
    pub(crate) upgrade: bool,
    /// The caller asked by CONNECT, where every answer of success says that there is a tunnel. The nonce of the handshake is
    /// the gateway's own, so that it is the gateway who checks the answer to it.
    pub(crate) connect: Option<Nonce>,
}

/// Reads, judges, authenticates and decides one request, and writes what follows: the upstream's head or an answer.
pub(crate) fn handle(worker: &Worker, view: &View, exchange: &mut Incoming<'_>) -> Verdict {
    // 1. Accept: the head, or a fault in it.
    let mut head = RequestHead::unread();
    match head::request_into(exchange.input, &view.head_limits, &mut head) {
        Ok(false) => return Verdict::More,
        Ok(true) => {}
        Err(fault) => return exchange.refuse_unread(worker, view, fault.into()),
    }
    let config = &view.snapshot.config;
    exchange.ticket.read(&head, worker, config);
    exchange.ticket.peer = client::client(&head, &config.trusted_proxies, exchange.peer.address);
    let mut scene = Scene { worker, view, head: &head, exchange };
    // 2. Judge: one target, or 400. What is judged here is what is forwarded.
    let override_header = head.fields.iter().any(|field| field.kind == Kind::MethodOverride);
    let request = Request { method: head.method, target: head.target, override_header };
    let judged = config.policy.judge(&request);
    // The authority of an absolute target is the same as Host, or the head would have been refused.
    if !is_served(config, head.host) {
        return scene.refuse(ProxyError::MisdirectedRequest);
    }
    let target = match judged {
        Ok(target) => target,
        Err(denial) => return scene.deny(denial, None),
    };
    // A browser asks first, and without a key: it is answered before the key is missed.
    if let Some(cors) =
        config.cors.as_ref().filter(|_| !scene.exchange.ticket.origin.is_empty() && cors::is_preflight(&head))
    {
        return scene.answer_preflight(cors);
    }
    // 3. Take the credential.
    let presented = credential::take(&config.keys.accept, &head.fields, target.query());
    // 4. Authenticate, 5. decide, 6. record, then 7. forward or 8. reply, all while the key's entry is in hand.
    scene.authenticate(&presented, |scene, caller, entry| {
        let decision = config.policy.decide(&caller, &target);
        let shadowed = config.mode == Mode::Shadow && scene.may_shadow(&target, &caller, decision.denial());
        scene.exchange.ticket.decide(&decision, entry, shadowed);
        scene.count_use(&caller, &decision);
        if decision.is_allow() {
            scene.exchange.ticket.note_ignored(&caller);
        }
        match decision.denial() {
            Some(denial) if !shadowed => scene.deny_by(&decision, denial),
            // CONNECT passes for a WebSocket where the route says so, and never as the GET that it counts as.
            _ if scene.is_connect() && !offers_tunnel(&target) => scene.deny_tunnel(decision.trace().into()),
            _ => {
                scene.forward(&target, entry.filter(|_| matches!(caller, Caller::Known(_)) && asks_who_calls(&target)))
            }
        }
    })
}

/// What a connection hands in: the bytes read so far, and where the outcome goes.
pub(crate) struct Incoming<'c> {
    pub(crate) input: &'c [u8],
    pub(crate) peer: &'c Peer,
    /// What the caller speaks.
    pub(crate) protocol: Protocol,
    /// The connection takes no request after this one.
    pub(crate) last: bool,
    /// That it is a call of gRPC, or not, as far as it is known before its head is read.
    pub(crate) call: Call,
    pub(crate) ticket: &'c mut Ticket,
    /// Receives the upstream's head, or an answer.
    pub(crate) out: &'c mut Vec<u8>,
}

impl Incoming<'_> {
    /// Answers bytes that are no request; the connection ends.
    fn refuse_unread(&mut self, worker: &Worker, view: &View, error: ProxyError) -> Verdict {
        self.ticket.id = worker.request_ids.next();
        self.ticket.read_line(self.input, worker, &view.snapshot.config);
        self.ticket.refuse(error);
        let call = self.call.refused_for(error, self.input);
        let setting = Setting {
            accept: &view.snapshot.config.keys.accept,
            format: view.snapshot.config.errors,
            request_id: self.ticket.id.as_bytes(),
            date: worker.watch.date(),
            origin: b"",
            head: self.ticket.method == MethodLabel::Head,
            connection: Connection::Close,
            grpc: call == Call::Grpc,
        };
        let detail = error.detail(&view.snapshot.config.limits);
        self.ticket.bytes_out = Reply::error(error, &detail).write(&setting, self.out) as u64;
        Verdict::Reply { close: true }
    }
}

impl From<HeadFault> for ProxyError {
    fn from(fault: HeadFault) -> Self {
        match fault {
            HeadFault::BadRequest(what) => Self::BadRequest(what),
            HeadFault::ExpectationFailed => Self::ExpectationFailed,
            HeadFault::HeadersTooLarge(excess) => Self::HeadersTooLarge(excess),
            HeadFault::TargetTooLong => Self::TargetTooLong,
        }
    }
}

/// False on a route for anyone: a credential that comes along is ignored there, and the upstream is told of nobody. A key that
/// everybody may read would look like any other.
fn asks_who_calls(target: &Target<'_>) -> bool {
    target.route().is_none_or(|route| route.access() != Access::Anyone)
}

/// True where `hosts` lists the authority, or lists nothing. A listed name without a port stands for every port.
fn is_served(config: &Config, authority: &[u8]) -> bool {
    let served = |host: &str| {
        let (name, rest) = authority.split_at_checked(host.len()).unwrap_or((authority, b""));
        name.eq_ignore_ascii_case(host.as_bytes()) && (rest.is_empty() || rest.starts_with(b":"))
    };
    config.hosts.is_empty() || config.hosts.iter().any(|host| served(host))
}

/// The request id of a head: the caller's if it gave one that is sane, otherwise a new one.
fn request_id(head: &RequestHead<'_>, worker: &Worker, config: &Config) -> RequestId {
    let given = head.fields.iter().find(|field| field.kind == Kind::RequestId);
    given
        .and_then(|field| RequestId::accept(field.value, config.keys.mask()))
        .unwrap_or_else(|| worker.request_ids.next())
}

/// What was decided, as a metric label.
fn decision_label(allow: bool, shadowed: bool) -> DecisionLabel {
    match (allow, shadowed) {
        (true, _) => DecisionLabel::Allow,
        (false, true) => DecisionLabel::Shadow,
        (false, false) => DecisionLabel::Deny,
    }
}

/// The label of a head's method.
fn method_label(head: &RequestHead<'_>) -> MethodLabel {
    MethodLabel::of(head.method)
}
