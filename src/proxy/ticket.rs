//! What is remembered of a request for the metrics and the access log. Never a header value or a query.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Instant;

use crate::http1::head::{self, RequestHead};
use crate::key::Timestamp;
use crate::policy::{Caller, Decision, Denial, Invalid};
use crate::snapshot::Config;
use crate::store::index::Entry;
use crate::telemetry::label::{Code, DecisionLabel, MethodLabel};
use crate::telemetry::metrics::Outcome;

use super::cors;
use super::error::ProxyError;
use super::holder::Holder;
use super::request_id::RequestId;
use super::worker::{View, Worker};

/// The status of a request whose connection became a tunnel.
pub(crate) const SWITCHED: u16 = 101;

/// One request from its first byte to the last of its answer. Its memory is the worker's, which lends it for a later request, of
/// whichever connection.
///
/// INVARIANT: [`Ticket::restart`] leaves nothing of the request before but empty memory: what is taken down of one caller would
/// otherwise be logged, or answered, as another's.
pub(crate) struct Ticket {
    pub(crate) started: Instant,
    /// The wall clock at the start.
    pub(crate) wall: Timestamp,
    pub(crate) id: RequestId,
    pub(crate) method: MethodLabel,
    /// The method, then the target up to its query, as the caller wrote them; kept only where the access log is on.
    pub(crate) line: Vec<u8>,
    /// Where the target starts in `line`.
    pub(crate) method_length: usize,
    /// The caller's address, as far as it is believed; `None` where nobody knows it.
    pub(crate) peer: Option<IpAddr>,
    /// The origin of the page that called, where `cors` lets it read the answer; otherwise empty.
    pub(crate) origin: Vec<u8>,
    /// Whose key it is, where the index knows it.
    pub(crate) holder: Option<Holder>,
    /// The access log is on.
    is_logged: bool,
    pub(crate) key_id: String,
    pub(crate) account: String,
    pub(crate) route: Option<usize>,
    /// The generation that the request is judged under: what the route counts in. Given up when the request is closed.
    pub(crate) view: Option<Rc<View>>,
    pub(crate) decision: DecisionLabel,
    pub(crate) code: Option<Code>,
    /// Why it was not served, or not to its end.
    pub(crate) error: Option<ProxyError>,
    /// What else whoever reads the log may look for.
    pub(crate) note: Option<&'static str>,
    pub(crate) status: u16,
    /// A byte of the answer may have been written.
    pub(crate) begun: bool,
    /// The request has not been counted and logged yet.
    pub(crate) open: bool,
    pub(crate) head_bytes: usize,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    /// Which server of the upstream was asked last, by its place among them, where there are several.
    pub(crate) server: Option<usize>,
    /// How often it was sent to the upstream again.
    pub(crate) retries: u32,
    /// When the request had been sent to the upstream.
    pub(crate) sent: Option<Instant>,
    /// When the head of its answer came.
    pub(crate) answered: Option<Instant>,
}

impl Ticket {
    pub(crate) fn new(started: Instant, wall: Timestamp, peer: Option<IpAddr>) -> Self {
        Self {
            started,
            wall,
            id: RequestId::default(),
            method: MethodLabel::Other,
            line: Vec::new(),
            method_length: 0,
            peer,
            origin: Vec::new(),
            holder: None,
            is_logged: false,
            key_id: String::new(),
            account: String::new(),
            route: None,
            view: None,
            decision: DecisionLabel::Deny,
            code: None,
            error: None,
            note: None,
            status: 0,
            begun: false,
            open: false,
            head_bytes: 0,
            bytes_in: 0,
            bytes_out: 0,
            server: None,
            retries: 0,
            sent: None,
            answered: None,
        }
    }

    /// Starts over for another request; keeps the memory.
    pub(crate) fn restart(&mut self, started: Instant, wall: Timestamp, peer: Option<IpAddr>) {
        let Self { line, origin, key_id, account, .. } = self;
        let (mut line, mut origin) = (std::mem::take(line), std::mem::take(origin));
        let (mut key_id, mut account) = (std::mem::take(key_id), std::mem::take(account));
        line.clear();
        origin.clear();
        key_id.clear();
        account.clear();
        *self = Self { line, origin, key_id, account, open: true, ..Self::new(started, wall, peer) };
    }

    /// Takes down what the head says.
    pub(crate) fn read(&mut self, head: &RequestHead<'_>, worker: &Worker, config: &Config) {
        if let Some(origin) = cors::origin(config.cors.as_ref(), head) {
            self.origin.extend_from_slice(origin);
        }
        self.id = super::request_id(head, worker, config);
        self.method = super::method_label(head);
        self.is_logged = worker.logs_access();
        if self.is_logged {
            self.keep_line(head.method, head.target);
        }
    }

    /// Takes down what the request line says of a head that is refused, as far as it is sound: its method, and its target where
    /// that is whole up to the query and no longer than `limits.target_bytes`.
    pub(crate) fn read_line(&mut self, input: &[u8], worker: &Worker, config: &Config) {
        let Some((method, target)) = head::opening(input) else { return };
        self.method = MethodLabel::of(method);
        if worker.logs_access() {
            // A part of a target may end in the middle of a key, which the log could not mask.
            let target = target.filter(|target| target.len() <= config.limits.target_bytes);
            self.keep_line(method, target.unwrap_or_default());
        }
    }

    fn keep_line(&mut self, method: &[u8], target: &[u8]) {
        let end = target.iter().position(|byte| *byte == b'?').unwrap_or(target.len());
        self.method_length = method.len();
        self.line.extend_from_slice(method);
        self.line.extend_from_slice(target.get(..end).unwrap_or_default());
    }

    /// Takes down what was decided, and for the access log whose key it is, in force or not.
    pub(crate) fn decide(&mut self, decision: &Decision<'_>, whose: Option<&Entry>, shadowed: bool) {
        self.route = decision.route().map(|route| route.id().index());
        self.decision = super::decision_label(decision.is_allow(), shadowed);
        if let (true, Some(denial)) = (shadowed, decision.denial()) {
            self.code = Some(denial.into());
        }
        if let Some(entry) = whose.filter(|_| self.is_logged) {
            self.key_id.push_str(entry.id().as_str());
            self.account.push_str(entry.principal.account().unwrap_or_default());
        }
    }

    /// Takes down what is wrong with a key that was not needed: the request passed without it.
    pub(crate) fn note_ignored(&mut self, caller: &Caller<'_>) {
        let why = match caller {
            Caller::Expired(_) => Some("The key has expired."),
            Caller::Invalid(why) => why_invalid(Denial::InvalidKey(*why)),
            Caller::Misplaced(_) => Some("The key may not be used from there."),
            Caller::Ambiguous | Caller::Anonymous | Caller::Known(_) | Caller::StoreUnavailable => None,
        };
        self.note = why.or(self.note);
    }

    /// Takes down an answer of ours that is no refusal.
    pub(crate) fn permit(&mut self, status: u16) {
        self.decision = DecisionLabel::Allow;
        self.status = status;
    }

    /// Takes down a denial.
    pub(crate) fn deny(&mut self, denial: Denial) {
        self.decision = DecisionLabel::Deny;
        self.code = Some(denial.into());
        self.error = None;
        self.note = why_invalid(denial).or(self.note);
        self.status = denial.status();
    }

    /// Takes down that the request could not be served. What was decided before stays.
    pub(crate) fn refuse(&mut self, error: ProxyError) {
        self.cut(error);
        self.status = error.status();
    }

    /// Takes down why what had begun came to no good end. The status that it had stays.
    pub(crate) fn cut(&mut self, error: ProxyError) {
        self.code = Code::named(error.code());
        self.error = Some(error);
    }

    /// Counts and logs the request; `now` is when its answer was complete, or given up.
    pub(crate) fn close(&mut self, worker: &Worker, view: &View, now: Instant) {
        (self.open, self.view) = (false, None);
        let duration = now.saturating_duration_since(self.started);
        let upstream = self.sent.zip(self.answered).map(|(sent, head)| head.saturating_duration_since(sent));
        let cells = view.snapshot.cells(self.route);
        let outcome = Outcome {
            method: self.method,
            status: self.status,
            decision: self.decision,
            code: self.code,
            duration,
            upstream,
        };
        worker.cells.record(cells, &outcome);
        worker.log_access(self, view, &outcome);
    }
}

/// What the log says of a key that is known and does not work. The caller is told the same of every key.
fn why_invalid(denial: Denial) -> Option<&'static str> {
    let Denial::InvalidKey(why) = denial else { return None };
    match why {
        Invalid::AccountDisabled => Some("The account of the key is disabled."),
        Invalid::Deleted => Some("The key was deleted."),
        Invalid::Disabled => Some("The key is disabled."),
        Invalid::NotYetValid => Some("The key is not in force yet."),
        Invalid::Revoked => Some("The key was revoked."),
        Invalid::Tripwire => Some("The key is a tripwire."),
        Invalid::Malformed | Invalid::Mismatched | Invalid::Unknown => None,
    }
}
