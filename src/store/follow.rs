//! Keeps an index up to date with its store: a thread that asks often and cheaply whether anything changed.
//!
//! A change that another process made is in the index within [`INTERVAL`] and the time it takes to load it. Trouble with
//! the store never takes a key away: the index stays as it was, [`Status`] says so, and the follower keeps trying.

mod first;

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::index::Index;
use super::{Extent, KeyStore, Revision, StoreError};

/// How often the store is asked.
pub const INTERVAL: Duration = Duration::from_millis(50);
/// How long the follower waits at most before it asks a store in trouble again.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long a question may wait for a writer: short, so that the follower can be stopped.
const PATIENCE: Duration = Duration::from_millis(200);

/// What a follower reports, for the log.
#[derive(Debug)]
pub enum Event<'a> {
    /// The store cannot be followed any more. Told once for each different trouble, not for every attempt.
    Down(&'a StoreError),
    /// Changes were taken in.
    Loaded {
        /// How many records.
        keys: usize,
        /// Up to which revision.
        revision: Revision,
    },
    /// The store has another past than the one that was followed, and everything was taken in anew.
    Restored {
        /// How many records there are.
        keys: usize,
    },
    /// The store can be followed again.
    Up,
}

/// How the store fares. Read by readiness and metrics, from any thread.
#[derive(Debug)]
pub struct Status {
    up: AtomicBool,
    trouble: Mutex<Option<String>>,
}

impl Status {
    /// Whether the last attempt to follow the store went well.
    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// What is wrong, where [`is_up`](Self::is_up) is false.
    fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_trouble(&self, trouble: Option<String>) {
        self.up.store(trouble.is_none(), Ordering::Relaxed);
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

/// A thread that follows a store until this is dropped.
pub struct Follower {
    status: Arc<Status>,
    /// Dropped to stop the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    /// Loads everything into `index`, then follows `store` on a thread of its own. `report` is called on that thread.
    ///
    /// # Errors
    /// The first load failed: there is nothing to serve from.
    pub fn start(
        mut store: Box<dyn KeyStore>,
        index: Arc<Index>,
        report: impl Fn(&Event<'_>) + Send + 'static,
    ) -> Result<Self, StoreError> {
        // The store is marked as seen before it is read: a change in between is loaded twice, never missed.
        store.refresh()?;
        store.set_patience(PATIENCE)?;
        let revision = first::load(&mut *store, &index)?.revision;
        let pursuit = Pursuit { store, index, revision };
        let status = Arc::new(Status { up: AtomicBool::new(true), trouble: Mutex::new(None) });
        let (stop, stopped) = mpsc::channel();
        let told = Arc::clone(&status);
        let place = pursuit.store.place();
        let body = move || pursuit.run(&stopped, &told, &report);
        let thread = thread::Builder::new().name("keys".into()).spawn(body);
        let thread = thread.map_err(|error| no_thread(&place, &error))?;
        Ok(Self { status, stop: Some(stop), thread: Some(thread) })
    }

    /// How the store fares.
    pub fn status(&self) -> &Arc<Status> {
        &self.status
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A follower that panicked has nothing more to say: its panic was printed when it happened.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Follower {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Follower").field("status", &self.status).finish_non_exhaustive()
    }
}

/// The thread's own state.
struct Pursuit {
    store: Box<dyn KeyStore>,
    index: Arc<Index>,
    revision: Revision,
}

impl Pursuit {
    fn run(mut self, stopped: &Receiver<()>, status: &Status, report: &dyn Fn(&Event<'_>)) {
        let mut pause = INTERVAL;
        // Whether a change was noticed that could not be loaded yet.
        let mut is_behind = false;
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(pause) {
            match self.step(&mut is_behind) {
                Ok(news) => {
                    if !status.is_up() {
                        status.set_trouble(None);
                        report(&Event::Up);
                    }
                    match news {
                        Some((Extent::AnotherPast, keys)) => report(&Event::Restored { keys }),
                        None | Some((_, 0)) => {}
                        Some((_, keys)) => report(&Event::Loaded { keys, revision: self.revision }),
                    }
                    pause = INTERVAL;
                }
                Err(error) => {
                    let trouble = Some(error.to_string());
                    if status.trouble() != trouble {
                        status.set_trouble(trouble);
                        report(&Event::Down(&error));
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    fn step(&mut self, is_behind: &mut bool) -> Result<Option<(Extent, usize)>, StoreError> {
        *is_behind |= self.store.refresh()?;
        let news = is_behind.then(|| self.load()).transpose()?;
        *is_behind = false;
        Ok(news)
    }

    /// Takes in what came after the revision that the index has, and tells how many records those were.
    fn load(&mut self) -> Result<(Extent, usize), StoreError> {
        let mut keys = 0;
        let loaded = self.store.load(self.revision, &mut |change| {
            self.index.apply(&change);
            keys += 1;
        })?;
        if loaded.extent != Extent::Changes {
            self.index.forget_before(loaded.revision);
        }
        self.revision = loaded.revision;
        Ok((loaded.extent, keys))
    }
}

fn no_thread(place: &str, error: &io::Error) -> StoreError {
    StoreError::Io { path: place.into(), doing: "start a thread that follows", reason: error.to_string() }
}

#[cfg(test)]
mod tests;
