//! Keeps an index up to date with its store: a thread that asks often and cheaply whether anything changed.
//!
//! A change that another process made is in the index within [`INTERVAL`], where the store is a file, and the time it takes to
//! load it; a database says when to ask ([`KeyStore::wait`]). Trouble with
//! the store takes no key away by itself: the index stays as it was, [`Status`] says for how long the store has been away and
//! what that means, and the follower keeps trying, ever more seldom and never together with others.

mod backoff;
mod event;
mod first;
mod intake;
mod status;
mod thrift;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use self::backoff::BackOff;
pub use self::event::Event;
use self::intake::Intake;
use self::status::USUAL;
pub use self::status::{Standing, Status};
use super::index::Index;
use super::reach::Reach;
use super::spare::{Desk, Keeper, Past, Spare};
use super::{Extent, KeyStore, Revision, StoreError};

/// How often the store is asked.
pub const INTERVAL: Duration = Duration::from_millis(50);
/// How long the follower waits at most before it asks a store in trouble again that is a file.
pub const REST: Duration = Duration::from_secs(1);
/// The same, of a store that others ask too, over a network: what comes back is not to be stormed by a fleet.
pub const REST_OF_A_FLEET: Duration = Duration::from_secs(10);
/// How long a question may wait for a writer: short, so that the follower can be stopped.
const PATIENCE: Duration = Duration::from_millis(200);

/// How long the end of a follower waits for a load that is under way: the index that it fills is not asked any more.
const FAREWELL: Duration = Duration::from_secs(1);

/// A load of so many records takes memory that is worth giving back.
const MANY: usize = 1000;

/// Where a follower begins.
#[derive(Debug)]
pub enum Origin {
    /// The store is there: everything is loaded first.
    Here(Reach),
    /// The store is away, and taken up when it comes. What is known of its keys is in the index, and has this past; `None` where
    /// nothing is known of them. Why it is away, where that was told already.
    Away(Reach, Option<Past>, Option<StoreError>),
}

/// A thread that follows a store until this is dropped.
pub struct Follower {
    status: Arc<Status>,
    /// Dropped to stop the thread.
    stop: Option<Sender<()>>,
    /// Closed when the thread is done.
    done: Receiver<()>,
    thread: Option<JoinHandle<()>>,
    keeper: Option<Keeper>,
}

impl Follower {
    /// Loads everything into `index`, then follows `store` on a thread of its own. `report` is called on that thread.
    ///
    /// # Errors
    /// The first load failed: there is nothing to serve from.
    pub fn start(
        store: Box<dyn KeyStore>,
        index: Arc<Index>,
        report: impl Fn(&Event<'_>) + Send + 'static,
    ) -> Result<Self, StoreError> {
        Self::start_from((Origin::Here(Reach::of(store)), Some(USUAL)), index, None, report)
    }

    /// The same from any origin; what is loaded is kept in `spare`, too. Keys go on for that time while the store is away, or
    /// for ever: it is said to the store from the first word on.
    ///
    /// # Errors
    /// The first load failed, of a store that was there.
    pub fn start_from(
        (origin, max_stale): (Origin, Option<Duration>),
        index: Arc<Index>,
        spare: Option<Spare>,
        report: impl Fn(&Event<'_>) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let since = match &origin {
            Origin::Away(_, Some(past), _) => Some(past.contact),
            Origin::Away(_, None, _) | Origin::Here(_) => None,
        };
        if since.is_none() {
            // A copy, or a store, that was given up half-way may have been begun here.
            index.clear();
        }
        let desk = spare.is_some().then(|| Arc::new(Desk::new(since)));
        let (mut pursuit, status) = match origin {
            Origin::Here(reach) => (Pursuit::new(reach, &index, None), Status::up()),
            Origin::Away(reach, past, why) => {
                let status = Status::away(since);
                if let Some(error) = why {
                    status.missed(error.to_string(), error.cause());
                }
                (Pursuit::new(reach, &index, past), status)
            }
        };
        status.last_for(max_stale);
        pursuit.desk.clone_from(&desk);
        if status.is_up() {
            let store = pursuit.reach.store()?;
            // The store is marked as seen before it is read: a change in between is loaded twice, never missed.
            store.refresh()?;
            store.set_patience(PATIENCE)?;
            // Before the load, as [`Pursuit::step`] says.
            pursuit.confirm(status.goes_on_for(), &report);
            let store = pursuit.reach.store()?;
            pursuit.revision = first::load(store, &index)?.revision;
            pursuit.tell_closed(&report);
            thrift::give_back_soon();
            (pursuit.is_taken_up, pursuit.is_blind) = (true, false);
            pursuit.lay_down()?;
        }
        let status = Arc::new(status);
        let place = pursuit.reach.place().to_owned();
        let keeper = spare.zip(desk).map(|(spare, desk)| spare.keep(index, Arc::clone(&status), desk)).transpose();
        let keeper = keeper.map_err(|error| no_thread(&place, &error))?;
        let (stop, stopped) = mpsc::channel();
        let told = Arc::clone(&status);
        let (doing, done) = mpsc::channel();
        let body = move || {
            pursuit.run(&stopped, &told, &report);
            drop::<Sender<()>>(doing);
        };
        let thread = thread::Builder::new().name("keys".into()).spawn(body);
        let thread = thread.map_err(|error| no_thread(&place, &error))?;
        Ok(Self { status, stop: Some(stop), done, thread: Some(thread), keeper })
    }

    /// When what the spare copy says was last the truth; `None` where there is none, or none was written yet.
    pub fn kept(&self) -> Option<Arc<super::spare::Written>> {
        self.keeper.as_ref().map(Keeper::written)
    }

    /// How the store fares.
    pub fn status(&self) -> &Arc<Status> {
        &self.status
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        drop(self.stop.take());
        let is_done = self.done.recv_timeout(FAREWELL) != Err(RecvTimeoutError::Timeout);
        if let Some(thread) = self.thread.take().filter(|_| is_done) {
            // A follower that panicked has nothing more to say: its panic was printed when it happened.
            let _ = thread.join();
        }
        // After the last load.
        drop(self.keeper.take());
    }
}

impl fmt::Debug for Follower {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Follower").field("status", &self.status).finish_non_exhaustive()
    }
}

/// The thread's own state.
struct Pursuit {
    reach: Reach,
    index: Arc<Index>,
    /// How far the store was told, in its own numbers.
    revision: Revision,
    /// What is added to the store's numbers in the index: more than nought where the index was filled from a copy that the store
    /// does not go on from.
    lift: u64,
    /// What the index was filled from, until the store is there.
    past: Option<Past>,
    /// Whether everything is told next, and replaces what is in the index: that came from the copy, or of a load that broke off.
    is_anew: bool,
    /// Whether nothing was ever read to its end, so that nobody is let in.
    is_blind: bool,
    /// Whether the store was found, and where in it to begin.
    is_taken_up: bool,
    /// Whether a change was noticed that could not be loaded yet.
    is_behind: bool,
    /// Whether the store was there at the last attempt, and is not followed as it is.
    is_refused: bool,
    /// Whether the store was ever told of this follower.
    is_announced: bool,
    desk: Option<Arc<Desk>>,
}

impl Pursuit {
    fn new(reach: Reach, index: &Arc<Index>, past: Option<Past>) -> Self {
        Self {
            reach,
            index: Arc::clone(index),
            revision: Revision::START,
            lift: 0,
            is_blind: past.is_none(),
            past,
            is_anew: false,
            is_taken_up: false,
            is_behind: false,
            is_refused: false,
            is_announced: false,
            desk: None,
        }
    }

    fn run(mut self, stopped: &Receiver<()>, status: &Status, report: &dyn Fn(&Event<'_>)) {
        let mut pause = (!self.is_taken_up).then_some(INTERVAL);
        let mut back_off = BackOff::new(self.reach.rest());
        while self.wait(pause, stopped) {
            let since = Instant::now();
            match self.step(status, report) {
                Ok(news) => {
                    if status.reached(since) {
                        report(&Event::Up);
                    }
                    match news {
                        Some((Extent::AnotherPast, keys)) => report(&Event::Restored { keys }),
                        None | Some((_, 0)) => {}
                        Some((_, keys)) => report(&Event::Loaded { keys, revision: self.revision }),
                    }
                    back_off.reset();
                    (pause, self.is_refused) = (None, false);
                    self.confirm(status.goes_on_for(), report);
                }
                Err(error) => {
                    // Whoever writes a fault into a file is to mend it: no key ends for that.
                    if matches!(error, StoreError::Faults { .. }) {
                        status.refused(since);
                    }
                    let is_known = status.age(since).is_some();
                    let error = if is_known { error.into_loss() } else { error };
                    if status.missed(error.to_string(), error.cause()) {
                        report(&Event::Down { error: &error, is_known });
                    }
                    self.is_refused = error.refusal().is_some();
                    self.refuse(&error, status.remaining(Instant::now()), report);
                    pause = Some(back_off.next());
                }
            }
        }
    }

    /// Waits as long as is due, and tells whether to go on.
    fn wait(&mut self, pause: Option<Duration>, stopped: &Receiver<()>) -> bool {
        if pause.is_none()
            && let Ok(store) = self.reach.store()
        {
            return store.wait(stopped);
        }
        stopped.recv_timeout(pause.unwrap_or(INTERVAL)) == Err(RecvTimeoutError::Timeout)
    }

    /// Says for everyone who asks how far the index has come.
    fn confirm(&mut self, goes_on_for: Option<Duration>, report: &dyn Fn(&Event<'_>)) {
        match self.reach.store().and_then(|store| store.confirm(self.revision, goes_on_for)) {
            Ok(None) => {}
            Ok(Some(badge)) => {
                self.is_announced = true;
                report(&Event::Announced(&badge));
            }
            Err(error) if self.is_announced => report(&Event::Overdue(&error)),
            Err(error) => report(&Event::Unconfirmed(&error)),
        }
    }

    /// Says for everyone who asks that the index goes on without the store, where that is there and is not followed.
    fn refuse(&mut self, error: &StoreError, goes_on_for: Option<Duration>, report: &dyn Fn(&Event<'_>)) {
        let Some((why, store)) = error.refusal().zip(self.reach.opened()) else { return };
        if let Some(badge) = store.decline(why, self.revision, goes_on_for) {
            self.is_announced = true;
            report(&Event::Announced(&badge));
        }
    }

    fn step(&mut self, status: &Status, report: &dyn Fn(&Event<'_>)) -> Result<Option<(Extent, usize)>, StoreError> {
        if !self.is_taken_up {
            self.take_up()?;
        }
        self.is_behind |= self.reach.store()?.refresh()?;
        // Nobody may wait for this gateway yet, or any more. Whoever changes a key from here on does: what is loaded may be older,
        // and is served by at once. One that refuses the store has said so, and says no more until it is followed.
        if !status.is_up() && !self.is_refused {
            self.confirm(status.goes_on_for(), report);
        }
        let news = self.is_behind.then(|| self.load()).transpose()?;
        self.is_behind = false;
        self.tell_closed(report);
        Ok(news)
    }

    /// Reports what could not be read of what was loaded.
    fn tell_closed(&mut self, report: &dyn Fn(&Event<'_>)) {
        let closed = self.reach.opened().map(KeyStore::unreadable).unwrap_or_default();
        closed.iter().for_each(|what| report(&Event::Closed(what)));
    }

    /// Begins with a store that was away when the process began: from where the copy ends, or anew.
    fn take_up(&mut self) -> Result<(), StoreError> {
        let store = self.reach.store()?;
        store.set_patience(PATIENCE)?;
        if let Some(past) = &self.past {
            match past.bookmark.as_deref().map(|bookmark| store.resume(bookmark)).transpose()?.flatten() {
                Some(revision) => (self.revision, self.lift) = (revision, past.lift),
                None => (self.lift, self.is_anew) = (past.revision.0.saturating_add(1), true),
            }
        }
        (self.is_taken_up, self.is_behind) = (true, true);
        Ok(())
    }

    /// Takes in what came after the revision that the index has, and tells how many records those were.
    fn load(&mut self) -> Result<(Extent, usize), StoreError> {
        let intake = Intake::new(&self.index, self.lift, self.desk.as_deref());
        let mut intake = if self.is_blind { intake.blind() } else { intake };
        // The store holds what it told last against itself all the same.
        let since = if self.is_anew { Revision::START } else { self.revision };
        let told = self.reach.store().and_then(|store| store.load(since, &mut |change| intake.take(change)));
        let loaded = match told {
            Ok(loaded) => loaded,
            Err(error) => {
                if let Some(highest) = intake.break_off(lifted(self.revision, self.lift)) {
                    (self.lift, self.is_anew) = (highest.0.saturating_add(1), true);
                }
                return Err(error);
            }
        };
        let (keys, lift) = (intake.end(), self.lift);
        if loaded.extent != Extent::Changes {
            self.index.forget_before(lifted(loaded.revision, lift));
        } else if self.is_anew {
            self.index.forget_before(Revision(lift));
        }
        (self.revision, self.is_anew, self.is_blind, self.past) = (loaded.revision, false, false, None);
        if keys >= MANY {
            thrift::give_back_soon();
        }
        self.lay_down()?;
        Ok((loaded.extent, keys))
    }

    /// Tells whoever keeps a copy how far the index has come.
    fn lay_down(&mut self) -> Result<(), StoreError> {
        if let Some(desk) = &self.desk {
            let bookmark = self.reach.store()?.bookmark();
            desk.tell(lifted(self.revision, self.lift), self.lift, bookmark);
        }
        Ok(())
    }
}

fn lifted(revision: Revision, lift: u64) -> Revision {
    Revision(revision.0.saturating_add(lift))
}

fn no_thread(place: &str, error: &io::Error) -> StoreError {
    StoreError::Io { path: place.into(), doing: "start a thread that follows", reason: error.to_string() }
}

#[cfg(test)]
mod tests;
