//! The process: bind first, serve later, drain under a deadline.

mod addresses;
mod ages;
mod core_image;
mod cpu;
mod crowd;
mod descriptors;
mod drain;
mod entry;
mod inherited;
mod keys;
mod listener;
pub(crate) mod log;
pub mod proxy_protocol;
mod randomness;
mod signal;
mod supervisor;
mod tide;
mod uses;
mod worker;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::admin::{AdminState, Readiness};
use crate::config::{Address, Loaded, Source};
use crate::proxy::upstream::Sockets;
use crate::proxy::worker::Share;
use crate::snapshot::reload::{Aim, Reloader, Trigger};
use crate::snapshot::{self, Handle, Snapshot};
use crate::store::StoreError;
use crate::store::follow::Follower;
use crate::store::index::Index;
use crate::store::uses::Recorder;
use crate::telemetry::access::AccessLog;
use crate::telemetry::metrics::{Metrics, ServerUp};

use addresses::Addresses;
use ages::Ages;
pub use drain::Drain;
pub use listener::BindFault;
use listener::{Bound, SocketFile};
use signal::Signals;
use supervisor::Beats;
use worker::Floor;

/// For how long a signal is the same one again: where a whole process group is told, whoever passes signals on in it tells us twice.
const ECHO: Duration = Duration::from_secs(1);

/// How long the access log may take to write out what is left at the end.
const LOG_FINISH: Duration = Duration::from_secs(1);

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("{field}: cannot listen on {address}: {reason}")]
    Bind {
        /// Which field of the configuration names it.
        field: &'static str,
        /// The address.
        address: String,
        /// Why not.
        reason: BindFault,
    },
    /// The log cannot be written.
    #[error(transparent)]
    Log(#[from] crate::telemetry::log::LogFault),
    /// The store cannot be opened or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It was told to stop before it served.
    #[error("told to stop before it served")]
    Stopped,
    /// A thread or a runtime cannot be started.
    #[error("the process cannot be set up: {0}")]
    System(#[from] std::io::Error),
    /// TLS cannot be set up.
    #[error("TLS: {0}")]
    Tls(String),
}

/// A gateway that is bound and wired, and serves nothing yet.
pub struct App {
    handle: Arc<Handle>,
    follower: Follower,
    recorder: Option<Recorder>,
    keys: Arc<Index>,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    access: Option<AccessLog>,
    bound: Bound,
    sockets: Arc<Sockets>,
    workers: usize,
    reloader: Option<Reloader>,
    signals: Signals,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("workers", &self.workers).finish_non_exhaustive()
    }
}

impl App {
    /// Binds every listener, opens the store and loads the keys into `index`, whose vocabulary the configuration was read with.
    /// Nothing is served until [`App::spawn`]. From here on signals are caught.
    ///
    /// # Errors
    /// Whatever keeps the gateway from starting; it has changed nothing but made a store that was not there.
    pub fn build(source: Source, loaded: Loaded, index: Arc<Index>) -> Result<Self, StartError> {
        let Loaded { config, files, .. } = loaded;
        core_image::forbid();
        let mut signals = Signals::catch()?;
        let workers = config.workers.unwrap_or_else(cpu::workers).max(1);
        let metrics = Arc::new(Metrics::new(workers));
        let open_files = descriptors::raise(&config.limits);
        let bound = Bound::bind(&config, workers)?;
        let access = match config.log.access {
            Some(share) => Some(AccessLog::start(
                &log::output(&config.log.output),
                log::format(config.log.format),
                (share, metrics.access_log_dropped()),
            )?),
            None => None,
        };
        let vocabulary = index.vocabulary().clone();
        let location = keys::location(&config.keys);
        let (place, filled) = (location.clone(), Arc::clone(&index));
        let copy = (config.keys.snapshot.clone(), config.keys.max_stale);
        let begun = signals.unless_stopped(move || keys::follow(&place, &filled, copy))?;
        let follower = begun.ok_or(StartError::Stopped)??;
        let snapshot = Snapshot::build(1, config, &metrics).map_err(StartError::Tls)?;
        snapshot.tell_expiry(&metrics);
        let handle = Arc::new(Handle::new(snapshot));
        let aim = Aim { handle: Arc::clone(&handle), vocabulary: vocabulary.clone(), metrics: Arc::clone(&metrics) };
        let reloader = Reloader::new(source, files, aim);
        let app = Self {
            recorder: uses::start((&location, follower.status()), vocabulary, &handle)?,
            handle,
            follower,
            keys: index,
            metrics,
            readiness: Arc::new(Readiness::default()),
            access,
            bound,
            sockets: Sockets::new(open_files.upstream),
            workers,
            reloader: Some(reloader),
            signals,
        };
        app.wire_metrics();
        // Only now, so that whatever keeps the gateway from starting is told alone.
        if let Some(shortage) = open_files.shortage {
            shortage.tell();
        }
        Ok(app)
    }

    fn wire_metrics(&self) {
        self.metrics.set_generation(1);
        let keys = Arc::clone(&self.keys);
        self.metrics.keys_from(move || keys.len() as u64);
        let ages = Ages::new(Arc::clone(&self.keys), Arc::clone(&self.handle));
        self.metrics.rotate_due_from(move || ages.count());
        keys::wire(&self.follower, &self.handle, (&self.metrics, &self.readiness));
        if let Some(recorder) = &self.recorder {
            uses::wire(recorder, &self.metrics);
        }
        let handle = Arc::clone(&self.handle);
        self.metrics.servers_from(move || standing(&handle.load()));
        self.readiness.set_store_loaded();
    }

    /// The addresses that callers connect to; ports that the system chose are filled in.
    pub fn addresses(&self) -> &[Address] {
        self.bound.addresses()
    }

    /// The address of the admin listener.
    pub fn admin_address(&self) -> SocketAddr {
        self.bound.admin_address()
    }

    /// How many keys were loaded.
    pub fn keys(&self) -> usize {
        self.keys.len()
    }

    /// Starts the workers, the admin listener and the watch on the files.
    ///
    /// # Errors
    /// A thread or a runtime cannot be started.
    pub fn spawn(mut self) -> Result<Running, StartError> {
        let drain = Drain::new();
        let mut threads = Vec::with_capacity(self.workers);
        let seed = seed()?;
        let (addresses, beats) = (Arc::new(Addresses::default()), Beats::new(self.workers));
        for (number, listeners) in self.bound.take_listeners().into_iter().enumerate() {
            let Some(cells) = self.metrics.worker(number) else { continue };
            let share = Share {
                handle: Arc::clone(&self.handle),
                keys: Arc::clone(&self.keys),
                store: Arc::clone(self.follower.status()),
                uses: self.recorder.as_ref().map(Recorder::tally),
                cells,
                access: self.access.as_ref().map(AccessLog::writer),
                sockets: Arc::clone(&self.sockets),
                workers: self.workers,
                seed: seed.wrapping_add(number as u64),
            };
            let floor =
                Floor { listeners, addresses: Arc::clone(&addresses), beats: Arc::clone(&beats), drain: drain.clone() };
            threads.push(worker::start(number, share, floor)?);
        }
        let state = AdminState { metrics: Arc::clone(&self.metrics), readiness: Arc::clone(&self.readiness) };
        let admin = listener::serve_admin(self.bound.take_admin(), &state, drain.clone())?;
        self.readiness.set_listening();
        let triggers = self
            .reloader
            .take()
            .map(|reloader| reloader.start(supervisor::teller_of_reloads(Arc::clone(&self.metrics))))
            .transpose()?;
        supervisor::start_watchdog(beats)?;
        supervisor::say_ready();
        randomness::draw_soon(&self.handle.load());
        Ok(Running {
            handle: self.handle,
            follower: self.follower,
            recorder: self.recorder,
            readiness: self.readiness,
            access: self.access,
            drain,
            threads,
            admin,
            triggers,
            made: self.bound.take_made(),
            signals: self.signals,
        })
    }
}

/// A gateway that serves.
pub struct Running {
    handle: Arc<Handle>,
    follower: Follower,
    recorder: Option<Recorder>,
    readiness: Arc<Readiness>,
    access: Option<AccessLog>,
    drain: Drain,
    threads: Vec<JoinHandle<()>>,
    admin: JoinHandle<()>,
    triggers: Option<Sender<Trigger>>,
    /// The files of Unix sockets.
    made: Vec<SocketFile>,
    signals: Signals,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("workers", &self.threads.len()).finish_non_exhaustive()
    }
}

impl Running {
    /// Serves until SIGTERM or SIGINT, reloading on SIGHUP; then drains: not ready at once, still accepting for
    /// `drain.delay`; then what is in flight may finish within `drain.timeout`.
    pub fn run_until_signal(mut self) {
        self.signals.wait_for_stop(|| {
            if let Some(triggers) = &self.triggers {
                supervisor::say_reloading();
                // The reload thread ends after this one.
                let _ = triggers.send(Trigger::Requested);
            }
        });
        let drain = self.handle.load().config.drain;
        self.readiness.set_draining();
        supervisor::say_stopping();
        self.drain.begin(drain.delay, drain.timeout);
        tracing::info!(
            connections = crowd::connections(),
            delay_ms = u64::try_from(drain.delay.as_millis()).unwrap_or(u64::MAX),
            timeout_ms = u64::try_from(drain.timeout.as_millis()).unwrap_or(u64::MAX),
            "draining; another signal, a second from now or later, ends it at once"
        );
        hasten_by_signal(self.signals, self.drain.clone());
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker had panicked");
            }
        }
        drop(self.made);
        // Nobody asks the index any more. It goes first: other gateways are not to wait for this one however the store fares.
        drop(self.follower);
        // Workers have handed over all that they counted.
        if let Some(recorder) = self.recorder {
            let drain = self.drain.clone();
            recorder.finish(move || drain.deadline());
        }
        self.drain.finish();
        if self.admin.join().is_err() {
            tracing::error!("the admin listener had panicked");
        }
        if let Some(access) = self.access {
            access.finish(LOG_FINISH);
        }
        tracing::info!("stopped");
    }
}

/// Whoever signals anew does not want to wait. The thread ends with the process.
fn hasten_by_signal(mut signals: Signals, drain: Drain) {
    let since = Instant::now();
    let begun = thread::Builder::new().name("second-signal".to_owned()).spawn(move || {
        signals.wait_for_stop(|| {});
        while since.elapsed() < ECHO {
            signals.wait_for_stop(|| {});
        }
        drain.hasten();
    });
    if let Err(error) = begun {
        tracing::warn!(%error, "a second signal will not hasten the end");
    }
}

/// How each server of the upstream stands.
fn standing(snapshot: &Snapshot) -> Vec<ServerUp> {
    let all_are_asked = snapshot::are_all_asked(snapshot.servers.iter());
    let up = |server: &snapshot::Server| {
        let is_well = server.is_up();
        ServerUp { name: server.name().into_owned(), is_well, is_up: is_well || all_are_asked }
    };
    snapshot.servers.iter().map(up).collect()
}

/// Tells the request ids of this process from those of others.
fn seed() -> std::io::Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(u64::from_le_bytes(bytes))
}
