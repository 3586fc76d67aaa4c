//! The access log: one line for each request.
//!
//! A worker encodes its records into a buffer of its own and hands whole buffers to one writer thread over a bounded
//! channel. Nothing here ever makes a request wait: where the log cannot keep up, or its disk is full, records are
//! dropped and counted. Of the requests that went well a share may be enough; denials and failures are always there. A
//! record has no field for a query or a header, and takes what a caller wrote only from behind a mask
//! ([`crate::key::mask`]), so that no key can get into one.

use std::io::Write;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, channel, sync_channel};
use std::thread;
use std::time::Duration;

use crate::key::mask::Shown;

use super::label::{Code, DecisionLabel};
use super::line::{Form, Line};
use super::log::{Format, LogFault, Output};

/// A buffer is handed over when it holds this many bytes.
const FLUSH_AT: usize = 16 * 1024;
/// Buffers that may wait for the writer; with [`FLUSH_AT`] this bounds the memory of a log that is stuck.
const WAITING: usize = 64;

/// The status of a request whose caller went away before its answer was complete, as nginx logs it.
pub(crate) const CALLER_GONE: u16 = 499;

/// What the access log says about one request.
#[derive(Clone, Copy, Debug)]
pub struct Record<'r> {
    /// When the request ended, in milliseconds since 1970.
    pub unix_millis: i64,
    /// The value of `X-Request-Id`.
    pub request_id: Shown<'r>,
    /// The address of the caller; `None` on a Unix socket.
    pub client: Option<IpAddr>,
    /// The method as it was sent; empty where no head could be read.
    pub method: Shown<'r>,
    /// The label of the route, where one took the request.
    pub route: Option<&'r str>,
    /// The target as it was sent. Only its path is logged: a query or the user part of an authority may hold a key.
    pub target: Shown<'r>,
    /// The status that the caller got.
    pub status: u16,
    /// What was decided.
    pub decision: DecisionLabel,
    /// The code of an answer that the gateway made itself.
    pub code: Option<Code>,
    /// The same in words, where they say more than the code; or what else is worth a look.
    pub reason: Option<&'r str>,
    /// The id of the key record, where the caller is known.
    pub key_id: Option<&'r str>,
    /// The account of the key.
    pub account: Option<&'r str>,
    /// The server of the upstream that was asked last, where there are several.
    pub server: Option<&'r str>,
    /// How often the request was sent to the upstream again.
    pub retries: u32,
    /// From the first byte of the request to the last byte of the answer.
    pub duration: Duration,
    /// From the request sent to the upstream to the head of its answer.
    pub upstream: Option<Duration>,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
}

/// Whole lines on their way to the writer.
struct Batch {
    lines: Vec<u8>,
    records: u64,
}

/// The access log of the process: its writer thread.
#[derive(Debug)]
pub struct AccessLog {
    sender: SyncSender<Batch>,
    form: Form,
    /// How many of the requests that went well are logged, in percent.
    share: u8,
    dropped: Arc<AtomicU64>,
    /// Says nothing; closed when the writer thread has ended.
    ended: Receiver<()>,
}

impl AccessLog {
    /// Opens the output and starts the writer. Of the requests that went well `share` percent are logged; records that are
    /// lost are added to `dropped`.
    ///
    /// # Errors
    /// The file cannot be opened, or the thread not be started.
    pub fn start(output: &Output, format: Format, (share, dropped): (u8, Arc<AtomicU64>)) -> Result<Self, LogFault> {
        Self::start_writer(output.open()?, format.form(output), (share, dropped)).map_err(LogFault::Thread)
    }

    fn start_writer(
        output: Box<dyn Write + Send>,
        form: Form,
        (share, dropped): (u8, Arc<AtomicU64>),
    ) -> std::io::Result<Self> {
        let (sender, batches) = sync_channel(WAITING);
        let (end, ended) = channel();
        let lost = Arc::clone(&dropped);
        thread::Builder::new().name("access-log".to_owned()).spawn(move || {
            write_batches(&batches, output, &lost);
            drop(end);
        })?;
        Ok(Self { sender, form, share, dropped, ended })
    }

    /// A handle for one worker.
    pub fn writer(&self) -> AccessWriter {
        AccessWriter {
            form: self.form,
            share: self.share,
            // The first is logged, unless none is.
            due: 100_u8.saturating_sub(self.share) % 100,
            buffer: Vec::new(),
            records: 0,
            sender: self.sender.clone(),
            dropped: Arc::clone(&self.dropped),
            second: i64::MIN,
            stamp: Vec::new(),
        }
    }

    /// Waits until all writers are dropped and all records written, at most this long.
    pub fn finish(self, wait: Duration) {
        drop(self.sender);
        if self.ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the access log was not written in time; its last records are lost");
        }
    }
}

/// Ends when every sender is gone.
fn write_batches(batches: &Receiver<Batch>, mut output: Box<dyn Write + Send>, dropped: &AtomicU64) {
    let mut failing = false;
    for batch in batches {
        match output.write_all(&batch.lines).and_then(|()| output.flush()) {
            Ok(()) => failing = false,
            Err(error) => {
                dropped.fetch_add(batch.records, Ordering::Relaxed);
                if !failing {
                    tracing::warn!(%error, "the access log cannot be written; its records are dropped and counted");
                }
                failing = true;
            }
        }
    }
}

/// The end of the access log that one worker writes to.
#[derive(Debug)]
pub struct AccessWriter {
    form: Form,
    share: u8,
    /// What the requests that went well have earned towards the next line, in percent of one.
    due: u8,
    buffer: Vec<u8>,
    records: u64,
    sender: SyncSender<Batch>,
    dropped: Arc<AtomicU64>,
    /// The second that `stamp` spells: dates are worked out once a second.
    second: i64,
    stamp: Vec<u8>,
}

impl AccessWriter {
    /// Adds a record. Never waits.
    pub fn record(&mut self, record: &Record<'_>) {
        if self.is_left_out(record) {
            return;
        }
        self.stamp_second(record.unix_millis.div_euclid(1_000));
        let mut line = Line::begin(&mut self.buffer, self.form);
        line.time(&self.stamp, record.unix_millis.rem_euclid(1_000).unsigned_abs());
        encode(line, record);
        self.records += 1;
        if self.buffer.len() >= FLUSH_AT {
            self.flush();
        }
    }

    /// Hands over what was recorded so far; for a worker to call now and then, so that the log of a quiet gateway is
    /// not late. Never waits.
    pub fn flush(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        let lines = std::mem::take(&mut self.buffer);
        let batch = Batch { lines, records: std::mem::take(&mut self.records) };
        if let Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) = self.sender.try_send(batch) {
            self.dropped.fetch_add(batch.records, Ordering::Relaxed);
            self.buffer = batch.lines;
            self.buffer.clear();
        }
    }

    /// True for a request that went well and is not among those that are logged.
    fn is_left_out(&mut self, record: &Record<'_>) -> bool {
        if self.share >= 100 || !went_well(record) {
            return false;
        }
        self.due += self.share;
        let is_left_out = self.due < 100;
        if !is_left_out {
            self.due -= 100;
        }
        is_left_out
    }

    fn stamp_second(&mut self, second: i64) {
        if second != self.second {
            let time = jiff::Timestamp::from_second(second).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
            self.stamp.clear();
            // Writing to a Vec cannot fail.
            let _ = write!(self.stamp, "{time}");
            self.stamp.pop();
            self.stamp.push(b'.');
            self.second = second;
        }
    }
}

impl Drop for AccessWriter {
    fn drop(&mut self) {
        self.flush();
    }
}

/// True for a request that nobody will look for: allowed, answered whole, and without anything to say about it. One that was
/// cut has a status below that of any answer, one whose caller went away 499.
fn went_well(record: &Record<'_>) -> bool {
    let answered = matches!(record.status, 101 | 200..500) && record.status != CALLER_GONE;
    answered && record.decision == DecisionLabel::Allow && record.code.is_none() && record.reason.is_none()
}

/// A field of a line.
#[derive(Clone, Copy)]
enum Part {
    Account,
    BytesIn,
    BytesOut,
    Client,
    Code,
    Decision,
    Duration,
    KeyId,
    Level,
    Message,
    Method,
    Path,
    Reason,
    RequestId,
    Retries,
    Route,
    Server,
    Status,
    Upstream,
}

/// For programs: the order of the reference.
const AS_JSON: [Part; 19] = [
    Part::Level,
    Part::Message,
    Part::RequestId,
    Part::Client,
    Part::Method,
    Part::Route,
    Part::Path,
    Part::Status,
    Part::Decision,
    Part::Code,
    Part::Reason,
    Part::KeyId,
    Part::Account,
    Part::Server,
    Part::Retries,
    Part::Duration,
    Part::Upstream,
    Part::BytesIn,
    Part::BytesOut,
];

/// For eyes: what is looked for comes first.
const AS_TEXT: [Part; 19] = [
    Part::Status,
    Part::Method,
    Part::Path,
    Part::KeyId,
    Part::Duration,
    Part::Decision,
    Part::Code,
    Part::Reason,
    Part::Route,
    Part::Server,
    Part::Retries,
    Part::Account,
    Part::Client,
    Part::Upstream,
    Part::BytesIn,
    Part::BytesOut,
    Part::Level,
    Part::Message,
    Part::RequestId,
];

fn encode(mut line: Line<'_>, record: &Record<'_>) {
    let order = if line.is_text() { AS_TEXT } else { AS_JSON };
    for part in order {
        write(&mut line, record, part);
    }
    line.end();
}

/// Writes a field, where the record has it.
fn write(line: &mut Line<'_>, record: &Record<'_>, part: Part) {
    let mut optional = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            line.text(name, value.as_bytes());
        }
    };
    match part {
        Part::Account => optional("account", record.account),
        Part::Code => optional("code", record.code.map(Code::as_str)),
        Part::KeyId => optional("key_id", record.key_id),
        Part::Reason => optional("reason", record.reason),
        Part::Route => optional("route", record.route),
        Part::Server => optional("upstream", record.server),
        Part::BytesIn => line.number("bytes_in", record.bytes_in),
        Part::BytesOut => line.number("bytes_out", record.bytes_out),
        Part::Client => match record.client {
            Some(IpAddr::V4(address)) => line.ipv4("client", address),
            Some(IpAddr::V6(address)) => line.text("client", address.to_string().as_bytes()),
            None => line.text("client", b"unknown"),
        },
        Part::Decision => line.text("decision", record.decision.as_str().as_bytes()),
        Part::Duration => line.millis("duration_ms", record.duration),
        Part::Level => line.text("level", b"info"),
        Part::Message => line.text("message", b"request"),
        Part::Method => line.text("method", &record.method.bytes()),
        Part::Path => line.text("path", &record.target.part(path_of).bytes()),
        Part::RequestId => line.text("request_id", &record.request_id.bytes()),
        Part::Retries => {
            if record.retries > 0 {
                line.number("retries", u64::from(record.retries));
            }
        }
        Part::Status => line.number("status", u64::from(record.status)),
        Part::Upstream => {
            if let Some(upstream) = record.upstream {
                line.millis("upstream_ms", upstream);
            }
        }
    }
}

/// The path of a target in origin or absolute form, without query, fragment and authority.
fn path_of(target: &[u8]) -> &[u8] {
    let end = target.iter().position(|b| matches!(b, b'?' | b'#')).unwrap_or(target.len());
    let path = target.get(..end).unwrap_or_default();
    if path.first() == Some(&b'/') || path == b"*" {
        return path;
    }
    let authority = memchr::memmem::find(path, b"://").and_then(|at| path.get(at + 3..)).unwrap_or_default();
    memchr::memchr(b'/', authority).and_then(|at| authority.get(at..)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
