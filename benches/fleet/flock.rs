//! Followers, each with what a gateway has, and when each of them came to a change.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use scopegate::policy::Vocabulary;
use scopegate::store::OpenMode;
use scopegate::store::follow::{Event, Follower};
use scopegate::store::index::Index;

use super::{Outcome, open};

/// How many are started at once: a rollout does not start all of them in one moment either.
const AT_ONCE: usize = 8;

/// Up to which change an index came, and when.
type Steps = Arc<Mutex<Vec<(u64, Instant)>>>;

/// Many followers.
pub(crate) struct Flock {
    /// Dropped to end them.
    _followers: Vec<Follower>,
    steps: Vec<Steps>,
}

/// How long changes took, in order: to any follower, and to the last one.
pub(crate) struct Lags {
    pub(crate) any: Spread,
    pub(crate) last: Spread,
}

/// Durations, in order.
pub(crate) struct Spread(Vec<Duration>);

impl Spread {
    fn of(mut all: Vec<Duration>) -> Self {
        all.sort_unstable();
        Self(all)
    }

    /// In milliseconds: what so many hundredths do not pass.
    fn at(&self, share: usize) -> f64 {
        let place = (self.0.len() * share / 100).min(self.0.len().saturating_sub(1));
        self.0.get(place).map_or(f64::NAN, |took| took.as_secs_f64() * 1000.0)
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "p50 {:.0} p99 {:.0} max {:.0} ms", self.at(50), self.at(99), self.at(100))
    }
}

fn start_one(url: &str) -> Result<(Follower, Steps), String> {
    let store = open(url, OpenMode::Existing).map_err(|error| error.to_string())?;
    let steps = Steps::default();
    let told = Arc::clone(&steps);
    let report = move |event: &Event<'_>| {
        if let Event::Loaded { revision, .. } = event {
            told.lock().unwrap_or_else(PoisonError::into_inner).push((revision.0, Instant::now()));
        }
    };
    let index = Arc::new(Index::new(Vocabulary::new()));
    let follower = Follower::start(store, index, report).map_err(|error| error.to_string())?;
    Ok((follower, steps))
}

impl Flock {
    /// Starts so many followers of the store at `url`.
    pub(crate) fn start(url: &str, size: usize) -> Outcome<Self> {
        let (next, started) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    while next.fetch_add(1, Ordering::Relaxed) < size {
                        let one = start_one(url);
                        started.lock().unwrap_or_else(PoisonError::into_inner).push(one);
                    }
                });
            }
        });
        let started = started.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (followers, steps) = started.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        Ok(Self { _followers: followers, steps })
    }

    /// Waits for everyone to come to the last of the changes, and tells how long each took; `None` where there was none.
    pub(crate) fn lags(&self, changes: &[(u64, Instant)], patience: Duration) -> Outcome<Option<Lags>> {
        let Some((last, _)) = changes.last() else { return Ok(None) };
        let begun = Instant::now();
        while !self.steps.iter().all(|steps| came_to(steps, *last).is_some()) {
            if begun.elapsed() > patience {
                let missing = self.steps.iter().filter(|steps| came_to(steps, *last).is_none()).count();
                return Err(format!("{missing} followers have not come to change {last}").into());
            }
            thread::sleep(Duration::from_millis(5));
        }
        let (mut any, mut slowest) = (Vec::new(), Vec::new());
        for (revision, committed) in changes {
            let all = self.steps.iter().filter_map(|steps| came_to(steps, *revision));
            let all: Vec<Duration> = all.map(|at| at.saturating_duration_since(*committed)).collect();
            slowest.extend(all.iter().max());
            any.extend(all);
        }
        Ok(Some(Lags { any: Spread::of(any), last: Spread::of(slowest) }))
    }
}

/// When an index came to a change, or past it.
fn came_to(steps: &Steps, revision: u64) -> Option<Instant> {
    let steps = steps.lock().unwrap_or_else(PoisonError::into_inner);
    steps.get(steps.partition_point(|(come, _)| *come < revision)).map(|(_, at)| *at)
}
