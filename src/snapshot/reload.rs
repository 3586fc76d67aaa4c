//! The life of a reload: a trigger, the files read whole, all faults or a new snapshot, the handle swapped.
//!
//! A fault anywhere leaves the snapshot in force as it is, is logged with its place, and is counted. Nothing is half
//! applied. What is fixed at start is named in the log when it changed.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use crate::config::{self, Config, Loaded, Source};
use crate::policy::Vocabulary;
use crate::telemetry::label::Reload;
use crate::telemetry::metrics::Metrics;

use super::{Handle, Snapshot};

/// Files are read and compared this often, whatever the watcher says: some file systems tell nothing.
const POLL: Duration = Duration::from_secs(10);
/// Editors and `ConfigMap` swaps come as several events; a reload waits until they have been quiet for this long.
const SETTLE: Duration = Duration::from_millis(50);

/// What may ask for a reload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trigger {
    /// A directory with one of the files changed.
    Changed,
    /// Somebody asked: SIGHUP.
    Requested,
}

/// What a reload changes.
#[derive(Debug)]
pub struct Aim {
    /// Where the snapshot is swapped.
    pub handle: Arc<Handle>,
    /// Where the scopes of all policies get their ids.
    pub vocabulary: Vocabulary,
    /// Where reloads are counted, and routes find their cells.
    pub metrics: Arc<Metrics>,
}

/// Reloads when asked to.
#[derive(Debug)]
pub struct Reloader {
    source: Source,
    handle: Arc<Handle>,
    vocabulary: Vocabulary,
    metrics: Arc<Metrics>,
    files: Vec<PathBuf>,
    /// Of the contents that were last tried, good or bad.
    fingerprint: u64,
}

impl Reloader {
    /// Reloads what `source` names into `aim`. `files` are those that the first load read.
    pub fn new(source: Source, files: Vec<PathBuf>, aim: Aim) -> Self {
        let fingerprint = fingerprint(&files);
        let Aim { handle, vocabulary, metrics } = aim;
        Self { source, handle, vocabulary, metrics, files, fingerprint }
    }

    /// Starts the thread that waits for triggers. It ends when every sender is gone.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(self) -> std::io::Result<Sender<Trigger>> {
        let (sender, triggers) = channel();
        let for_watcher = sender.clone();
        thread::Builder::new().name("reload".to_owned()).spawn(move || self.run(&triggers, &for_watcher))?;
        Ok(sender)
    }

    fn run(mut self, triggers: &Receiver<Trigger>, sender: &Sender<Trigger>) {
        let mut watched = watch(&self.files, sender.clone());
        loop {
            let requested = match triggers.recv_timeout(POLL) {
                Ok(trigger) => trigger == Trigger::Requested || settle(triggers),
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let before = self.files.clone();
            self.reload(requested);
            if before != self.files {
                watched = watch(&self.files, sender.clone());
            }
            let _keep = &watched;
        }
    }

    /// Reads the files, and puts them in force if they changed and have no fault.
    pub fn reload(&mut self, requested: bool) -> Reload {
        let fingerprint = fingerprint(&self.files);
        if fingerprint == self.fingerprint {
            if requested {
                tracing::info!("reload: nothing has changed");
                self.metrics.reloaded(Reload::Unchanged);
            }
            return Reload::Unchanged;
        }
        // Kept also for a load that fails: the same bad files are reported once.
        self.fingerprint = fingerprint;
        let result = match self.load() {
            Ok(generation) => {
                self.metrics.set_generation(generation);
                Reload::Applied
            }
            Err(faults) => {
                for fault in faults {
                    tracing::error!("reload refused, the configuration in force stays: {fault}");
                }
                Reload::Failed
            }
        };
        self.metrics.reloaded(result);
        result
    }

    fn load(&mut self) -> Result<u64, Vec<String>> {
        let loaded = config::load(&self.source, &self.vocabulary)
            .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        let Loaded { config, files, warnings, .. } = loaded;
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        let current = self.handle.load();
        report_changes(&current.config, &config);
        let generation = current.generation + 1;
        let next = Snapshot::build(generation, config, &self.metrics).map_err(|fault| vec![fault])?;
        self.handle.swap(next);
        if self.files != files {
            self.files = files;
            self.fingerprint = fingerprint(&self.files);
        }
        tracing::info!(generation, "reloaded");
        Ok(generation)
    }
}

/// Waits until events have been quiet for a moment. True if one of them was a request.
fn settle(triggers: &Receiver<Trigger>) -> bool {
    let mut requested = false;
    while let Ok(trigger) = triggers.recv_timeout(SETTLE) {
        requested |= trigger == Trigger::Requested;
    }
    requested
}

/// Of the contents of all files; one that cannot be read counts as such.
fn fingerprint(files: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in files {
        fs::read(file).map_err(|error| error.kind()).hash(&mut hasher);
    }
    hasher.finish()
}

/// Watches the directories that the files are in, and those that they are linked to.
fn watch(files: &[PathBuf], sender: Sender<Trigger>) -> Option<RecommendedWatcher> {
    let notice = move |event: notify::Result<notify::Event>| {
        // A read of ours is an event, too; only changes count.
        if event.map_or(true, |event| !event.kind.is_access()) {
            // A closed channel means that the process is ending.
            let _ = sender.send(Trigger::Changed);
        }
    };
    let mut watcher = notify::recommended_watcher(notice)
        .inspect_err(|error| tracing::warn!(%error, "files cannot be watched; they are compared every 10 s"))
        .ok()?;
    for directory in directories(files) {
        if let Err(error) = watcher.watch(&directory, RecursiveMode::NonRecursive) {
            tracing::warn!(%error, directory = %directory.display(), "not watched; its files are compared every 10 s");
        }
    }
    Some(watcher)
}

fn directories(files: &[PathBuf]) -> BTreeSet<PathBuf> {
    let directory_of = |file: &Path| match file.parent() {
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) => parent.to_path_buf(),
        None => PathBuf::from("."),
    };
    let linked = files.iter().filter_map(|file| file.canonicalize().ok()).map(|file| directory_of(&file));
    files.iter().map(|file| directory_of(file)).chain(linked).collect()
}

/// Logs which routes came and went, and which changes wait for a restart.
fn report_changes(old: &Config, new: &Config) {
    let labels = |config: &Config| -> BTreeSet<String> {
        config.policy.routes().iter().map(|route| route.label().to_owned()).collect()
    };
    let (before, after) = (labels(old), labels(new));
    let added: Vec<&String> = after.difference(&before).collect();
    let removed: Vec<&String> = before.difference(&after).collect();
    if !added.is_empty() || !removed.is_empty() {
        tracing::info!(?added, ?removed, "routes changed");
    }
    let fixed = [
        ("listen", old.listen != new.listen),
        ("admin.listen", old.admin != new.admin),
        ("metrics.listen", old.metrics != new.metrics),
        ("workers", old.workers != new.workers),
        ("keys.store", old.keys.store != new.keys.store),
        ("log", old.log != new.log),
    ];
    for (field, _) in fixed.iter().filter(|(_, changed)| *changed) {
        tracing::warn!("`{field}` changed in the file; the change needs a restart");
    }
}
