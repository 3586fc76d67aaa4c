//! What the service manager is told (systemd's `sd_notify(3)`), where there is one: ready, reloading, stopping, alive.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use crate::snapshot::reload::Trigger;
use crate::telemetry::metrics::Metrics;

/// A worker that has not moved for this long is stuck, however often the manager asks.
const STUCK: Duration = Duration::from_secs(2);

/// Requests are served from now on.
pub(super) fn say_ready() {
    say(&[NotifyState::Ready, NotifyState::Status(SERVING)]);
}

/// Tells of what came of looks at the files, each by itself or because somebody asked: `READY` ends a reload that was asked for,
/// whatever came of it, and the status says when what is in force is older than the files.
pub(super) fn teller_of_reloads(metrics: Arc<Metrics>) -> impl Fn(Trigger) + Send + 'static {
    let told = AtomicBool::new(false);
    move |trigger| {
        let is_refused = metrics.is_reload_refused();
        let status = NotifyState::Status(if is_refused { REFUSED } else { SERVING });
        let was_refused = told.swap(is_refused, Ordering::Relaxed);
        match trigger {
            Trigger::Requested => say(&[NotifyState::Ready, status]),
            Trigger::Changed if was_refused != is_refused => say(&[status]),
            Trigger::Changed => {}
        }
    }
}

/// A reload that was asked for begins; [`teller_of_reloads`] ends it.
pub(super) fn say_reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => say(&[NotifyState::Reloading, now]),
        Err(_) => say(&[NotifyState::Reloading]),
    }
}

/// The drain has begun.
pub(super) fn say_stopping() {
    say(&[NotifyState::Stopping, NotifyState::Status("Draining: what is in flight may finish")]);
}

/// What `systemctl status` shows while all is well.
const SERVING: &str = "Serving";
/// What it shows while the files hold what is not in force.
const REFUSED: &str = "Serving what was in force before: the last reload was refused, the log says why";

fn say(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}

/// A count for each worker, which rises for as long as the worker moves.
#[derive(Debug)]
pub(super) struct Beats(Box<[AtomicU64]>);

impl Beats {
    pub(super) fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self((0..workers).map(|_| AtomicU64::new(0)).collect()))
    }

    /// The worker `number` moves.
    pub(super) fn beat(&self, number: usize) {
        if let Some(count) = self.0.get(number) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn read(&self) -> Vec<u64> {
        self.0.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }
}

/// Tells the manager that the process is alive, for as long as every worker moves; only where the manager asks for it
/// (`WATCHDOG_USEC`). A process with a worker that is stuck is then ended and started anew.
///
/// # Errors
/// The thread cannot be started.
pub(super) fn start_watchdog(beats: Arc<Beats>) -> std::io::Result<()> {
    let Some(within) = sd_notify::watchdog_enabled().filter(|within| !within.is_zero()) else {
        return Ok(());
    };
    let body = move || {
        let mut seen: Vec<(u64, Instant)> = beats.read().into_iter().map(|count| (count, Instant::now())).collect();
        loop {
            let now = Instant::now();
            for (seen, count) in seen.iter_mut().zip(beats.read()) {
                if seen.0 != count {
                    *seen = (count, now);
                }
            }
            let stuck = seen.iter().any(|(_, moved)| now.duration_since(*moved) > within.max(STUCK));
            if stuck {
                tracing::error!("a worker does not move; the service manager is not told that all is well");
            } else {
                say(&[NotifyState::Watchdog]);
            }
            thread::sleep(within / 2);
        }
    };
    thread::Builder::new().name("watchdog".to_owned()).spawn(body).map(|_| ())
}
