//! One request whose head was read: who calls, and what becomes of it.

use tracing::field::display;

use crate::http1::head::{AnswerTo, Framing, RequestHead};
use crate::key::secret::{self, Checked};
use crate::key::{KeyState, SiteId};
use crate::policy::{self, Access, Caller, Decision, Denial, Invalid, Principal, Refusal, Target};
use crate::snapshot::Cors;
use crate::store::index::Entry;
use crate::telemetry::label::{Lookup, MethodLabel};

use super::credential::Presented;
use super::downstream::Protocol;
use super::error::{Inside, ProxyError};
use super::forward::{self, Outgoing};
use super::holder::Holder;
use super::reply::form::Repeated;
use super::reply::{Connection, Reply, Setting, Told};
use super::upgrade::{self, InVain, Nonce};
use super::worker::{View, Worker};
use super::{Incoming, Plan, Verdict, cors, grpc, method_label};

/// One request whose head was read.
pub(super) struct Scene<'a, 'b, 'c, 'i> {
    pub(super) worker: &'a Worker,
    pub(super) view: &'a View,
    pub(super) head: &'a RequestHead<'b>,
    pub(super) exchange: &'c mut Incoming<'i>,
}

impl Scene<'_, '_, '_, '_> {
    /// Finds out who calls, and goes on while the index entry is in hand: no record is cloned.
    pub(super) fn authenticate(
        mut self,
        presented: &Presented<'_>,
        then: impl FnOnce(&mut Self, Caller<'_>, Option<&Entry>) -> Verdict,
    ) -> Verdict {
        let key = match presented {
            Presented::Ambiguous => return then(&mut self, Caller::Ambiguous, None),
            Presented::Malformed => return then(&mut self, Caller::Invalid(Invalid::Malformed), None),
            Presented::None => return then(&mut self, Caller::Anonymous, None),
            Presented::One(key) => key,
            Presented::Public(id) => return self.authenticate_public(id, then),
        };
        let snapshot = &self.view.snapshot;
        let secret = key.secret();
        if matches!(secret::check(&snapshot.config.keys.prefix, secret), Checked::BadChecksum | Checked::Malformed) {
            return then(&mut self, Caller::Invalid(Invalid::Malformed), None);
        }
        let worker = self.worker;
        let digest = snapshot.hasher.digest(secret);
        worker.keys.look_up(&digest, |entry| match entry {
            Some(entry) => {
                worker.cells.looked_up(Lookup::Hit);
                // Here and not where it is denied: a route for anyone lets it in. Whatever is wrong with it, it was found; one that was
                // taken away is none.
                if entry.is_tripwire() && matches!(entry.state(), KeyState::Active | KeyState::Disabled) {
                    worker.cells.tripwires().spring(entry.id().as_str(), self.exchange.ticket.peer);
                }
                if !entry.is_named(key.id()) {
                    return then(&mut self, Caller::Invalid(Invalid::Mismatched), None);
                }
                self.exchange.ticket.holder = Some(Holder::new(digest, entry));
                let caller = entry.caller(self.exchange.ticket.wall, self.exchange.ticket.peer);
                let caller = self.unless_stale(caller);
                then(&mut self, caller, Some(entry))
            }
            None => {
                worker.cells.looked_up(Lookup::Miss);
                let caller = self.unknown();
                then(&mut self, caller, None)
            }
        })
    }

    /// Counts the use of a key in force, whatever comes of it.
    pub(super) fn count_use(&self, caller: &Caller<'_>, decision: &Decision<'_>) {
        let ticket = &self.exchange.ticket;
        if let (Caller::Known(_) | Caller::Misplaced(_) | Caller::Invalid(Invalid::Tripwire), Some(holder)) =
            (caller, &ticket.holder)
            && let Some(uses) = self.worker.uses(&self.view.snapshot.config)
        {
            uses.count(holder.digest(), decision, ticket.wall);
        }
    }

    /// The same for a public key. It is looked up by its plain digest, and found as nothing but a public key.
    fn authenticate_public(
        mut self,
        id: &[u8],
        then: impl FnOnce(&mut Self, Caller<'_>, Option<&Entry>) -> Verdict,
    ) -> Verdict {
        let worker = self.worker;
        let digest = SiteId::hasher().digest(id);
        worker.keys.look_up(&digest, |entry| match entry.filter(|entry| entry.is_public()) {
            Some(entry) => {
                worker.cells.looked_up(Lookup::Hit);
                self.exchange.ticket.holder = Some(Holder::new(digest, entry));
                let caller = entry.caller(self.exchange.ticket.wall, self.exchange.ticket.peer);
                let caller = self.unless_stale(caller);
                then(&mut self, caller, Some(entry))
            }
            None => {
                worker.cells.looked_up(Lookup::Miss);
                let caller = self.unknown();
                then(&mut self, caller, None)
            }
        })
    }

    /// A caller whose key is known, unless what is known of keys is too old to go by.
    fn unless_stale<'k>(&self, caller: Caller<'k>) -> Caller<'k> {
        if self.worker.store.is_stale() { Caller::StoreUnavailable } else { caller }
    }

    /// Whose key no record is: while the store is away it may be one that was made meanwhile, so never 401.
    fn unknown(&self) -> Caller<'static> {
        if self.worker.store.is_up() { Caller::Invalid(Invalid::Unknown) } else { Caller::StoreUnavailable }
    }

    /// True for a denial that shadow mode records and does not carry out: of a key in force, by a 403, for a path. What has
    /// no path, and TRACE and CONNECT, never pass.
    pub(super) fn may_shadow(&self, target: &Target<'_>, caller: &Caller<'_>, denial: Option<Denial>) -> bool {
        let ordinary =
            !matches!(method_label(self.head), MethodLabel::Connect | MethodLabel::Other | MethodLabel::Trace);
        // Everybody may know a public key: beyond its own routes it opens nothing, in no mode.
        let is_privy = |principal: &Principal| {
            principal.kind() != policy::Kind::Public
                || target.route().is_some_and(|route| route.access() == Access::PublicKey)
        };
        ordinary
            && target.path().starts_with(b"/")
            && matches!(caller, Caller::Known(principal) if is_privy(principal))
            && denial.is_some_and(|denial| denial.status() == 403)
    }

    /// True for an extended CONNECT of HTTP/2, written down as a handshake: no other request of HTTP/2 can have `Upgrade`.
    pub(super) fn is_connect(&self) -> bool {
        self.exchange.protocol == Protocol::Http2 && self.head.connection.upgrade
    }

    pub(super) fn forward(&mut self, target: &Target<'_>, entry: Option<&Entry>) -> Verdict {
        let head = self.head;
        let snapshot = &self.view.snapshot;
        if let (Framing::Length(length), Some(most)) = (head.framing, snapshot.config.limits.body_bytes)
            && length > most
        {
            return self.refuse(ProxyError::BodyTooLarge);
        }
        let has_body = head.framing != Framing::None;
        // A body that is already on its way is not worth a question to the upstream.
        let expects = head.expect_continue && has_body && self.exchange.input.len() == head.size;
        let upgrade = offers_tunnel(target) && upgrade::is_offered(head);
        if self.is_connect() && !upgrade {
            return self.refuse(ProxyError::BadRequest(upgrade::MALFORMED));
        }
        if !upgrade && upgrade::is_asked(head) {
            self.note_handshake(if offers_tunnel(target) { InVain::Malformed } else { InVain::NotOffered });
        }
        let Ok(credential) = snapshot.credential(target.route().map(|route| route.id().index()), of_account(entry))
        else {
            return self.refuse_without_credential(entry);
        };
        let outgoing = Outgoing {
            config: &snapshot.config,
            target,
            entry,
            credential,
            request_id: self.exchange.ticket.id.as_bytes(),
            peer: *self.exchange.peer,
            client: self.exchange.ticket.peer,
            protocol: self.exchange.protocol,
            expect: expects,
            upgrade,
            has_connection: head.connection.names_fields,
        };
        forward::write_head(head, &outgoing, self.exchange.out);
        Verdict::Forward(Plan { expects, upgrade, ..self.plan() })
    }

    /// Answers a request of an account whose upstream credential is not configured: it is sent on with no other.
    fn refuse_without_credential(&mut self, entry: Option<&Entry>) -> Verdict {
        if let Some(others) = self.worker.throttle.pass("no credential") {
            let account = entry.and_then(|entry| entry.principal.account());
            let credential = of_account(entry);
            tracing::error!(
                account,
                credential,
                others,
                "requests of an account are refused: it names an upstream credential that is not configured"
            );
        }
        self.refuse(ProxyError::Internal(Inside::NoCredential))
    }

    /// Tells the log of a WebSocket handshake that comes to nothing here.
    fn note_handshake(&mut self, why: InVain) {
        let (ticket, note) = (&mut *self.exchange.ticket, why.note());
        ticket.note = Some(note);
        if let Some(others) = self.worker.throttle.pass(why.name()) {
            let route = ticket.route.map(|route| display(self.view.snapshot.cells(Some(route)).label()));
            let client = ticket.peer.map(display);
            tracing::warn!(route, client, others, "{note}");
        }
    }

    /// A call of gRPC is refused with status 200, which to a CONNECT would be success.
    fn is_grpc(&self) -> bool {
        !self.is_connect() && grpc::is_call(&self.head.fields)
    }

    fn plan(&self) -> Plan {
        let head = self.head;
        let idempotent = matches!(head.method, b"GET" | b"HEAD" | b"OPTIONS" | b"PUT" | b"DELETE");
        Plan {
            size: head.size,
            framing: head.framing,
            version: head.version,
            answer_to: if head.method == b"HEAD" { AnswerTo::Head } else { AnswerTo::Other },
            expects: false,
            keep_alive: head.keep_alive && !self.exchange.last,
            replayable: idempotent && head.framing == Framing::None,
            grpc: self.is_grpc(),
            upgrade: false,
            connect: self.is_connect().then(|| Nonce::of(head)).flatten(),
        }
    }

    /// Answers a request that a decision denies.
    pub(super) fn deny_by(&mut self, decision: &Decision<'_>, denial: Denial) -> Verdict {
        let Some(repeated) = Repeated::of(decision) else { return self.deny(denial, decision.refusal()) };
        self.exchange.ticket.deny(denial);
        let view = self.view;
        self.write(|setting, out| {
            view.forms.write((repeated, setting), out, |setting, out| {
                write_denial(view, (denial, decision.refusal()), setting, out)
            })
        })
    }

    /// Answers a request that the policy denies.
    pub(super) fn deny(&mut self, denial: Denial, refusal: Option<Refusal<'_>>) -> Verdict {
        self.exchange.ticket.deny(denial);
        let view = self.view;
        self.write(|setting, out| write_denial(view, (denial, refusal), setting, out))
    }

    /// Answers a WebSocket handshake that cannot go on as an ordinary request, on a route that has none.
    pub(super) fn deny_tunnel(&mut self, mut refusal: Refusal<'_>) -> Verdict {
        self.note_handshake(InVain::Refused);
        upgrade::NOT_OFFERED.clone_into(&mut refusal.reason);
        self.deny(Denial::RouteNotAllowed, Some(refusal))
    }

    /// Answers a request that cannot be served.
    pub(super) fn refuse(&mut self, error: ProxyError) -> Verdict {
        self.exchange.ticket.refuse(error);
        let detail = error.detail(&self.view.snapshot.config.limits);
        self.write(|setting, out| Reply::error(error, &detail).write(setting, out))
    }

    /// Tells a browser what a page of its origin may send.
    pub(super) fn answer_preflight(&mut self, cors: &Cors) -> Verdict {
        self.exchange.ticket.permit(204);
        self.write(|setting, out| {
            cors::write_preflight(cors, setting, out);
            0
        })
    }

    /// Writes an answer of ours by `compose`, which returns the length of its body.
    fn write(&mut self, compose: impl FnOnce(&Setting<'_>, &mut Vec<u8>) -> usize) -> Verdict {
        let config = &self.view.snapshot.config;
        // Where a body follows, the next request cannot be found before it is read: the connection ends.
        let close = !self.head.keep_alive
            || self.exchange.last
            || self.head.framing != Framing::None
            || self.worker.is_draining();
        let setting = Setting {
            accept: &config.keys.accept,
            format: config.errors,
            request_id: self.exchange.ticket.id.as_bytes(),
            date: self.worker.watch.date(),
            origin: &self.exchange.ticket.origin,
            head: self.head.method == b"HEAD",
            connection: Connection::of(self.head.version, close),
            grpc: self.is_grpc(),
        };
        let written = compose(&setting, self.exchange.out);
        self.exchange.ticket.bytes_out = written as u64;
        self.exchange.ticket.head_bytes = self.head.size;
        Verdict::Reply { close }
    }
}

/// Appends the answer to a request that the policy denies, and returns the length of its body.
fn write_denial(
    view: &View,
    (denial, refusal): (Denial, Option<Refusal<'_>>),
    setting: &Setting<'_>,
    out: &mut Vec<u8>,
) -> usize {
    let told = refusal.map(|refusal| Told::new(refusal, view.snapshot.config.keys.mask()));
    let mut reply = Reply::denial(denial, told.as_ref());
    if denial == Denial::MissingKey {
        reply.detail = &view.advice;
    }
    reply.write(setting, out)
}

/// The name of the upstream credential that the account of a key has.
fn of_account(entry: Option<&Entry>) -> Option<&str> {
    entry.and_then(Entry::credential)
}

/// True on a route whose connections may become tunnels.
pub(super) fn offers_tunnel(target: &Target<'_>) -> bool {
    target.route().is_some_and(|route| route.upgrade().is_some())
}
