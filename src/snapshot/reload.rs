//! The life of a reload: a trigger, the files read whole, all faults or a new snapshot, the handle swapped.
//!
//! A fault anywhere leaves the snapshot in force as it is, is logged with its place, and is counted. Nothing is half
//! applied. What is fixed at start is named in the log when it changed.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use crate::config::{self, Config, Fault, Loaded, Source, Watched};
use crate::key::Timestamp;
use crate::key::secret::Secret;
use crate::policy::Vocabulary;
use crate::telemetry::label::Reload;
use crate::telemetry::metrics::Metrics;

use super::expiry::Notices;
use super::rotation::Reminder;
use super::{Handle, Snapshot};

/// Files are read and compared this often, whatever the watcher says: some file systems tell nothing.
const POLL: Duration = Duration::from_secs(10);
/// Editors and `ConfigMap` swaps come as several events; a reload waits until they have been quiet for this long.
const SETTLE: Duration = Duration::from_millis(50);
/// A reload waits no longer than this for quiet.
const SETTLE_MOST: Duration = Duration::from_millis(300);

/// Faults of a refused reload that are told one by one.
const FAULTS_TOLD: usize = 5;

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
    aim: Aim,
    /// What is in force was read from these.
    in_force: Watched,
    /// What the last load read, where that load had a fault: mending any of them is worth another try.
    refused: Option<Watched>,
    notices: Notices,
    reminder: Reminder,
}

impl Reloader {
    /// Reloads what `source` names into `aim`. `files` are what the first load read.
    pub fn new(source: Source, files: Watched, aim: Aim) -> Self {
        Self { source, aim, in_force: files, refused: None, notices: Notices::default(), reminder: Reminder::default() }
    }

    /// Starts the thread that waits for triggers, for as long as the process runs; `done` is called after each look at the
    /// files, whatever came of it.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(self, done: impl Fn(Trigger) + Send + 'static) -> std::io::Result<Sender<Trigger>> {
        let (sender, triggers) = channel();
        let for_watcher = sender.clone();
        thread::Builder::new().name("reload".to_owned()).spawn(move || self.run(&triggers, &for_watcher, &done))?;
        Ok(sender)
    }

    fn run(mut self, triggers: &Receiver<Trigger>, sender: &Sender<Trigger>, done: &dyn Fn(Trigger)) {
        let mut directories =
            self.attempt("the search for directories to watch", |own| own.directories()).unwrap_or_default();
        let mut _watcher = watch(&directories, sender.clone());
        // What changed while the process started was not watched yet.
        self.try_reload(false);
        loop {
            self.attempt("the look at when certificates expire", |own| {
                own.notices.look(&own.aim.handle.load().config, Timestamp::now());
            });
            self.attempt("the look at how old keys are", |own| {
                own.reminder.look(&own.aim.metrics, Timestamp::now());
            });
            let requested = match triggers.recv_timeout(POLL) {
                Ok(Trigger::Requested) => true,
                Ok(Trigger::Changed) => settle(triggers),
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            self.try_reload(requested);
            done(if requested { Trigger::Requested } else { Trigger::Changed });
            let now = self.attempt("the search for directories to watch", |own| own.directories());
            if let Some(now) = now.filter(|now| *now != directories) {
                _watcher = watch(&now, sender.clone());
                directories = now;
                // What changed in a new directory before it was watched.
                self.try_reload(false);
            }
        }
    }

    /// A panic is a failed reload, and not the end of all reloads.
    fn try_reload(&mut self, requested: bool) {
        if self.attempt("a reload", |own| own.reload(requested)).is_none() {
            self.aim.metrics.reloaded(Reload::Failed);
        }
    }

    /// What comes of `act`; nothing, and a word in the log, where it panics. The thread of reloads goes on.
    fn attempt<T>(&mut self, what: &str, act: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let done = catch_unwind(AssertUnwindSafe(|| act(self)));
        done.inspect_err(|_| tracing::error!("{what} panicked; what is in force stays")).ok()
    }

    fn directories(&self) -> BTreeSet<PathBuf> {
        let refused = self.refused.iter().flat_map(Watched::paths);
        directories(self.in_force.paths().chain(refused))
    }

    /// Reads the files, and puts them in force if they changed and have no fault.
    pub fn reload(&mut self, requested: bool) -> Reload {
        let unchanged = match &self.refused {
            // Bad files are reported once, not at every poll; but whoever asks is told again.
            Some(refused) => !requested && refused.is_current(),
            None => self.in_force.is_current(),
        };
        if unchanged {
            if requested {
                tracing::info!("reload: nothing has changed");
                self.aim.metrics.reloaded(Reload::Unchanged);
            }
            return Reload::Unchanged;
        }
        let (outcome, files) = config::read(&self.source, &self.aim.vocabulary);
        let result = match outcome
            .map_err(|faults| faults.iter().map(Fault::in_one_line).collect::<Vec<_>>())
            .and_then(|loaded| self.apply(loaded))
        {
            Ok(generation) => {
                self.aim.metrics.set_generation(generation);
                (self.in_force, self.refused) = (files, None);
                Reload::Applied
            }
            Err(faults) => {
                for fault in faults.iter().take(FAULTS_TOLD) {
                    tracing::error!("reload refused, the configuration in force stays: {fault}");
                }
                let further = faults.len().saturating_sub(FAULTS_TOLD);
                if further > 0 {
                    tracing::error!("and {further} further faults: `scopegate check` shows all of them");
                }
                self.refused = Some(files);
                Reload::Failed
            }
        };
        self.aim.metrics.reloaded(result);
        result
    }

    /// Puts a configuration without faults in force.
    fn apply(&self, loaded: Loaded) -> Result<u64, Vec<String>> {
        let Loaded { config, warnings, .. } = loaded;
        let Aim { handle, metrics, .. } = &self.aim;
        let current = handle.load();
        // The store holds digests that were made with the pepper.
        let [before, after] = [&current.config, &config].map(|config| config.keys.pepper.as_ref().map(Secret::expose));
        if before != after {
            let why = "`keys.pepper` was turned on or off, or changed, and every key in the store would be unknown: restart the gateway";
            return Err(vec![why.to_owned()]);
        }
        let generation = current.generation + 1;
        let mut next = Snapshot::build(generation, config, metrics).map_err(|fault| vec![fault])?;
        next.succeed(&current);
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        report_changes(&current.config, &next.config);
        handle.swap(next);
        handle.load().tell_expiry(metrics);
        tracing::info!(generation, "reloaded");
        Ok(generation)
    }
}

/// Waits until events have been quiet for a moment, but not for long: some directories never are. True as soon as one
/// of them is a request.
fn settle(triggers: &Receiver<Trigger>) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < SETTLE_MOST {
        match triggers.recv_timeout(SETTLE) {
            Ok(Trigger::Requested) => return true,
            Ok(Trigger::Changed) => {}
            Err(_) => break,
        }
    }
    false
}

/// Watches directories. `None`, and a word in the log, where that cannot be done.
fn watch(directories: &BTreeSet<PathBuf>, sender: Sender<Trigger>) -> Option<RecommendedWatcher> {
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
    for directory in directories {
        if let Err(error) = watcher.watch(directory, RecursiveMode::NonRecursive) {
            tracing::warn!(%error, directory = %directory.display(), "not watched; its files are compared every 10 s");
        }
    }
    Some(watcher)
}

/// The directories that files are in, and those that they are linked to.
fn directories<'f>(files: impl Iterator<Item = &'f Path>) -> BTreeSet<PathBuf> {
    let directory_of = |file: &Path| match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let both = files.flat_map(|file| [Some(file.to_path_buf()), file.canonicalize().ok()]);
    both.flatten().map(|file| directory_of(&file)).collect()
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
        let list = |labels: Vec<&String>| labels.iter().map(|label| label.as_str()).collect::<Vec<_>>().join(", ");
        tracing::info!(added = list(added), removed = list(removed), "routes changed");
    }
    let fixed = [
        ("listen", old.listen != new.listen),
        ("admin.listen", old.admin != new.admin),
        ("metrics.listen", old.metrics != new.metrics),
        ("workers", old.workers != new.workers),
        ("keys.store", old.keys.store != new.keys.store),
        ("keys.snapshot", old.keys.snapshot != new.keys.snapshot),
        ("log", old.log != new.log),
    ];
    for (field, _) in fixed.iter().filter(|(_, changed)| *changed) {
        tracing::warn!("`{field}` changed in the file; the change needs a restart");
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::config::Environment;

    /// A gateway whose configuration is `config`, and its folder.
    fn reloader(config: &str) -> (tempfile::TempDir, Arc<Metrics>, Reloader) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("scopegate.yaml");
        fs::write(&file, config).unwrap();
        fs::write(folder.path().join("policy.yaml"), "version: 1\nroutes:\n  GET /a: { auth: anyone }\n").unwrap();
        let source = Source { file: Some(file), environment: Environment::new(|_| None), ..Source::default() };
        let (vocabulary, metrics) = (Vocabulary::new(), Arc::new(Metrics::new(1)));
        let loaded = config::load(&source, &vocabulary).unwrap();
        let handle = Arc::new(Handle::new(Snapshot::build(1, loaded.config, &metrics).unwrap()));
        let reloader = Reloader::new(source, loaded.files, Aim { handle, vocabulary, metrics: Arc::clone(&metrics) });
        (folder, metrics, reloader)
    }

    #[test]
    fn a_reload_that_is_refused_says_nothing_of_its_certificate() {
        let upstream = |tls: &str| format!("upstream: {{ url: \"https://api.test\"{tls} }}\npolicy: policy.yaml\n");
        let (folder, metrics, mut reloader) = reloader(&upstream(""));
        let own = rcgen::generate_simple_self_signed(vec!["api.test".to_owned()]).unwrap();
        fs::write(folder.path().join("a.pem"), own.cert.pem() + &own.signing_key.serialize_pem()).unwrap();
        let shown = || {
            let text = metrics.render().unwrap();
            text.lines()
                .any(|line| line.starts_with("scopegate_certificate_expiry") && line.contains("upstream_client"))
        };
        let certificate = "client_cert: a.pem, client_key: a.pem";
        // A port is part of an authority, and of no name in a certificate.
        let bad = upstream(&format!(", tls: {{ {certificate}, server_name: \"api.test:1\" }}"));
        fs::write(folder.path().join("scopegate.yaml"), bad).unwrap();
        assert_eq!(reloader.reload(true), Reload::Failed);
        assert!(!shown());
        fs::write(folder.path().join("scopegate.yaml"), upstream(&format!(", tls: {{ {certificate} }}"))).unwrap();
        assert_eq!(reloader.reload(true), Reload::Applied);
        assert!(shown());
    }

    #[test]
    fn a_pepper_that_was_given_removed_or_changed_is_refused_and_another_place_for_the_same_is_not() {
        let config = |keys: &str| {
            format!("upstream: {{ url: \"http://127.0.0.1:1\" }}\npolicy: policy.yaml\nkeys: {{ {keys} }}\n")
        };
        let (folder, _, mut reloader) = reloader(&config("pepper: the first pepper of all"));
        let mut after = |keys: &str| {
            fs::write(folder.path().join("scopegate.yaml"), config(keys)).unwrap();
            reloader.reload(true)
        };
        assert_eq!(after("pepper: another pepper of that length"), Reload::Failed);
        assert_eq!(after("prefix: sg"), Reload::Failed);
        assert_eq!(after("pepper: 'the first pepper of all', prefix: sg"), Reload::Applied);
    }

    #[test]
    fn a_reload_that_panics_has_failed_and_the_next_one_is_like_any_other() {
        let folder = tempfile::tempdir().unwrap();
        let (file, policy) = (folder.path().join("scopegate.yaml"), folder.path().join("policy.yaml"));
        fs::write(&file, "upstream: { url: \"http://127.0.0.1:${env:PORT}\" }\npolicy: policy.yaml\n").unwrap();
        fs::write(&policy, "version: 1\nroutes:\n  GET /a: { auth: anyone }\n").unwrap();
        let panics = Arc::new(AtomicBool::new(false));
        let switch = Arc::clone(&panics);
        let environment = Environment::new(move |name| {
            assert!(!switch.load(Ordering::Relaxed), "as this test wants it");
            (name == "PORT").then(|| "1".to_owned())
        });
        let source = Source { file: Some(file), environment, ..Source::default() };
        let vocabulary = Vocabulary::new();
        let metrics = Arc::new(Metrics::new(1));
        let loaded = config::load(&source, &vocabulary).unwrap();
        let handle = Arc::new(Handle::new(Snapshot::build(1, loaded.config, &metrics).unwrap()));
        let aim = Aim { handle: Arc::clone(&handle), vocabulary, metrics: Arc::clone(&metrics) };
        let mut reloader = Reloader::new(source, loaded.files, aim);

        fs::write(&policy, "version: 1\nroutes:\n  GET /b: { auth: anyone }\n").unwrap();
        panics.store(true, Ordering::Relaxed);
        reloader.try_reload(true);
        assert_eq!(handle.generation(), 1, "what is in force stays");
        let text = metrics.render().unwrap();
        assert!(text.contains("scopegate_reloads_total{result=\"failed\"} 1\n"), "{text}");
        panics.store(false, Ordering::Relaxed);
        reloader.try_reload(true);
        assert_eq!(handle.generation(), 2);
        assert_eq!(handle.load().config.policy.routes()[0].label(), "GET /b");
    }

    #[test]
    fn what_panics_beside_a_reload_is_not_the_end_of_reloads() {
        let (_folder, _, mut reloader) = reloader("upstream: { url: \"http://127.0.0.1:1\" }\npolicy: policy.yaml\n");
        assert_eq!(reloader.attempt("a test", |_| -> u8 { panic!("as this test wants it") }), None);
        assert!(reloader.attempt("a test", |own| own.directories()).is_some_and(|all| !all.is_empty()));
    }
}
