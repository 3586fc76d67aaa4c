//! Who is well: brings back the servers that were left out, and asks all of them where `health.path` says so.
//!
//! Runs in one worker for all. Without `health.path` a server is back when it was left out for `health.interval`, longer
//! each time that it fails again soon; with it when it answers the check.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncWrite as _, AsyncWriteExt as _};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::http1::head::{self, AnswerTo};
use crate::proxy::buffer::{Buffer, Buffers};
use crate::proxy::room::Room;
use crate::proxy::watch::TICK;
use crate::proxy::worker::{View, Worker};
use crate::snapshot::{Protocol, Standing, Timeouts};

use super::DialFault;
use super::fleet::Server;
use super::names;

/// The most times `health.interval` that a server is left out.
const LONGEST: u32 = 12;

/// What is remembered of one server from round to round.
struct Ward {
    standing: Arc<Standing>,
    /// How often it went out in a row, each time soon after it had come back.
    times: u32,
    /// When it may be back, where it is out; when all is forgiven, where it is in.
    until: Option<Instant>,
    was_out: bool,
    /// When it is asked next.
    next: Instant,
}

/// Looks after the servers for as long as the worker runs.
pub(crate) async fn watch(worker: Rc<Worker>) -> Infallible {
    let mut wards: Vec<Ward> = Vec::new();
    let mut probes = JoinSet::new();
    let mut looked_up = Instant::now();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        while let Some(ended) = probes.try_join_next() {
            if ended.is_err_and(|error| error.is_panic()) {
                tracing::error!("a check of a server of the upstream, or a look-up of its name, panicked");
            }
        }
        let view = worker.view();
        adopt(&mut wards, &view);
        let now = Instant::now();
        if looked_up + view.snapshot.config.upstream.health.interval <= now {
            looked_up = now;
            look_up_again(&view, &mut probes);
        }
        for server in view.fleet.servers() {
            let Some(standing) = &server.origin.server.standing else { continue };
            let Some(ward) = wards.iter_mut().find(|ward| Arc::ptr_eq(&ward.standing, standing)) else { continue };
            let health = &view.snapshot.config.upstream.health;
            ward.look(health.interval, now);
            if health.path.is_some() && ward.next <= now {
                ward.next = now + health.interval;
                probes.spawn_local(probe(Rc::clone(&worker), Rc::clone(&view), Rc::clone(server)));
            } else if health.path.is_none() && ward.is_over(now) {
                bring_back(server);
            }
        }
    }
}

/// Looks up the names that were needed so far.
fn look_up_again(view: &Rc<View>, probes: &mut JoinSet<()>) {
    for server in view.fleet.servers() {
        let resolved = &server.origin.server.resolved;
        if !resolved.is_fixed() && !resolved.addresses().is_empty() {
            let server = Rc::clone(server);
            probes.spawn_local(async move {
                // What was known stays known.
                let _ = names::look_up(&server.origin.server).await;
            });
        }
    }
}

/// Remembers the servers of `view`, and forgets those that are gone.
fn adopt(wards: &mut Vec<Ward>, view: &View) {
    let standings = || view.fleet.servers().iter().filter_map(|server| server.origin.server.standing.as_ref());
    wards.retain(|ward| standings().any(|standing| Arc::ptr_eq(standing, &ward.standing)));
    for standing in standings() {
        if !wards.iter().any(|ward| Arc::ptr_eq(&ward.standing, standing)) {
            wards.push(Ward {
                standing: Arc::clone(standing),
                times: 0,
                until: None,
                was_out: false,
                next: Instant::now(),
            });
        }
    }
}

impl Ward {
    /// Notes whether the server has gone out or come back since the last look.
    fn look(&mut self, interval: Duration, now: Instant) {
        let is_out = self.standing.is_out();
        if is_out && !self.was_out {
            self.times = self.times.saturating_add(1).min(LONGEST);
        }
        if is_out != self.was_out {
            self.was_out = is_out;
            self.until = Some(now + interval.saturating_mul(self.times));
        }
        if !is_out && self.until.is_some_and(|until| until <= now) {
            (self.times, self.until) = (0, None);
        }
    }

    /// True where the server is out and was left out long enough.
    fn is_over(&self, now: Instant) -> bool {
        self.was_out && self.until.is_some_and(|until| until <= now)
    }
}

fn bring_back(server: &Server) {
    if let Some(standing) = server.origin.server.standing.as_ref().filter(|standing| standing.is_out()) {
        standing.come_back();
        tracing::info!(server = &*server.origin.server.name(), "a server of the upstream is asked again");
    }
}

/// Asks one server how it is.
async fn probe(worker: Rc<Worker>, view: Rc<View>, server: Rc<Server>) {
    let upstream = &view.snapshot.config.upstream;
    let Some(path) = &upstream.health.path else { return };
    let patience = upstream.timeouts.connect.saturating_add(upstream.timeouts.response).min(upstream.health.interval);
    let asked = timeout(patience, ask(&worker.buffers, &server, (path, &upstream.timeouts))).await;
    match asked {
        Ok(Ok(200..=399)) => {
            if let Some(standing) = &server.origin.server.standing {
                standing.succeed();
            }
            bring_back(&server);
        }
        // There was no socket to ask it with, which says nothing about it.
        Ok(Err(Silence::Unasked)) => {}
        Ok(Ok(status)) => view.fleet.note_failure(&server, || format!("it answered its health check with {status}")),
        Ok(Err(Silence::Failed)) => view.fleet.note_failure(&server, || "its health check got no answer".to_owned()),
        Err(_) => view.fleet.note_failure(&server, || "its health check was not answered in time".to_owned()),
    }
}

/// Why there is no status.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Silence {
    /// The server cannot be reached, breaks off, or does not speak HTTP.
    Failed,
    /// There was no socket to ask it with.
    Unasked,
}

impl From<DialFault> for Silence {
    fn from(fault: DialFault) -> Self {
        match fault {
            DialFault::NoSocket => Self::Unasked,
            DialFault::NoWebSockets | DialFault::TooSlow | DialFault::Unreachable(_) => Self::Failed,
        }
    }
}

impl From<io::Error> for Silence {
    fn from(_: io::Error) -> Self {
        Self::Failed
    }
}

/// The status of the answer to `GET path`, on a connection of its own.
async fn ask(buffers: &Buffers, server: &Rc<Server>, (path, timeouts): (&str, &Timeouts)) -> Result<u16, Silence> {
    let mut lease = match server.origin.protocol {
        Protocol::H1 => server.pool.dial(&server.origin, timeouts, 0).await?,
        Protocol::H2 | Protocol::H2c => server.pool.stream((&server.origin, &Room::of_worker()), timeouts, 0).await?,
    };
    let authority = &server.origin.server.authority;
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {authority}\r\nuser-agent: scopegate-health\r\nconnection: close\r\n\r\n"
    );
    let mut stream = Pin::new(&mut lease.stream);
    stream.write_all(request.as_bytes()).await?;
    poll_fn(|cx| stream.as_mut().poll_flush(cx)).await?;
    let mut buffer = Buffer::default();
    loop {
        let read = head::response(buffer.filled(), &head::Limits::default(), AnswerTo::Other);
        match read.map(|head| head.map(|head| (head.status, head.size))) {
            Ok(Some((status @ 200.., _))) => return Ok(status),
            Ok(Some((_, interim))) => buffer.consume(interim),
            Ok(None) => {
                if poll_fn(|cx| buffers.poll_fill(&mut *stream, &mut buffer, cx)).await? == 0 {
                    return Err(Silence::Failed);
                }
            }
            Err(_) => return Err(Silence::Failed),
        }
    }
}
