//! The thread that keeps the copy up to date.
//!
//! However often keys change, a copy is written when the last one has rested for a while, longer the longer it took: a million
//! keys cost no more than a small part of one processor's time. Neither the follower nor a request waits for it.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{Copied, Past, Spare, SpareFault};
use crate::key::Timestamp;
use crate::store::Revision;
use crate::store::follow::Status;
use crate::store::index::Index;

/// How often it is looked whether there is something to write.
const LOOK: Duration = Duration::from_millis(500);
/// How long a copy rests at least before the next is written.
const REST: Duration = Duration::from_secs(2);
/// So many times as long as it took to write.
const SHARE: u32 = 20;
/// How often the moment of a copy is moved on while nothing changes: a gateway that starts from it counts from there.
const MARK: i64 = 5_000;
/// How long it is before another attempt where a copy could not be written.
const RETRY: Duration = Duration::from_secs(10);
/// What [`Written`] is before anything was written.
const NEVER: i64 = i64::MIN;

/// What keeping a copy reports, for the log.
#[derive(Debug)]
pub enum Event<'a> {
    /// The copy cannot be written. Told once for each different trouble.
    Failed(&'a Spare, &'a SpareFault),
    /// It is written again.
    Recovered,
}

/// When what the copy says was last the truth: the one that was written last, or that the process started from.
#[derive(Debug)]
pub struct Written(AtomicI64);

impl Written {
    /// That moment; `None` where there is no copy yet.
    pub fn moment(&self) -> Option<Timestamp> {
        let moment = self.0.load(Ordering::Relaxed);
        (moment != NEVER).then(|| Timestamp::from_millis(moment))
    }
}

/// Where the follower lays down how far the index has come.
#[derive(Debug)]
pub(in crate::store) struct Desk {
    /// What was laid down last; nothing as long as the index holds what no load has told to its end.
    told: Mutex<Option<Told>>,
    /// How many loads there were.
    loads: AtomicU64,
    /// How often what was laid down was taken back.
    withdrawals: AtomicU64,
    written: Arc<Written>,
}

#[derive(Clone, Debug)]
pub(super) struct Told {
    /// Which load it was.
    number: u64,
    /// How often something had been taken back by then.
    withdrawals: u64,
    revision: Revision,
    lift: u64,
    bookmark: Option<Vec<u8>>,
}

impl Desk {
    /// Where nothing was laid down yet, beside a copy of that moment, or none.
    pub(in crate::store) fn new(since: Option<Timestamp>) -> Self {
        let since = since.map_or(NEVER, Timestamp::as_millis);
        let written = Arc::new(Written(AtomicI64::new(since)));
        Self { told: Mutex::new(None), loads: AtomicU64::new(0), withdrawals: AtomicU64::new(0), written }
    }

    /// The index has all up to `revision`, in its own numbers.
    pub(in crate::store) fn tell(&self, revision: Revision, lift: u64, bookmark: Option<Vec<u8>>) {
        let number = self.loads.fetch_add(1, Ordering::Relaxed);
        let withdrawals = self.withdrawals.load(Ordering::Relaxed);
        *self.lock() = Some(Told { number, withdrawals, revision, lift, bookmark });
    }

    /// The index is about to hold what may not come to be so: no copy is made of it until it is told of again.
    pub(in crate::store) fn withdraw(&self) {
        self.withdrawals.fetch_add(1, Ordering::Relaxed);
        *self.lock() = None;
    }

    /// Whether what was told was not taken back since then, though all may have been told anew: a copy that was begun before has
    /// something of either.
    fn stands(&self, told: &Told) -> bool {
        self.told().is_some_and(|now| now.withdrawals == told.withdrawals)
    }

    pub(super) fn told(&self) -> Option<Told> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Told>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that keeps a copy up to date until this is dropped, and once more then.
#[derive(Debug)]
pub struct Keeper {
    written: Arc<Written>,
    /// Dropped to stop the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(super) fn start(
        spare: Spare,
        index: Arc<Index>,
        status: Arc<Status>,
        desk: Arc<Desk>,
    ) -> std::io::Result<Self> {
        let written = Arc::clone(&desk.written);
        let work = Work {
            spare,
            index,
            status,
            desk,
            written: Arc::clone(&written),
            copied: None,
            rests_until: Instant::now(),
            trouble: None,
        };
        let (stop, stopped) = mpsc::channel();
        let thread = thread::Builder::new().name("keys-snapshot".into()).spawn(move || work.run(&stopped))?;
        Ok(Self { written, stop: Some(stop), thread: Some(thread) })
    }

    /// When what the copy says was last the truth.
    pub fn written(&self) -> Arc<Written> {
        Arc::clone(&self.written)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // One that panicked has nothing more to say: its panic was printed when it happened.
            let _ = thread.join();
        }
    }
}

/// What came of a look at whether there is something to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// There was nothing to write, or the last attempt rests still.
    Idle,
    /// The copy was written, or its moment moved on.
    Written,
}

/// The thread's own state.
pub(super) struct Work {
    spare: Spare,
    index: Arc<Index>,
    status: Arc<Status>,
    desk: Arc<Desk>,
    written: Arc<Written>,
    /// The copy that was written last, and the number of the load that it has.
    copied: Option<(Copied, u64)>,
    rests_until: Instant,
    trouble: Option<String>,
}

impl Work {
    fn run(mut self, stopped: &Receiver<()>) {
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(LOOK) {
            self.turn(false);
        }
        self.turn(true);
    }

    fn turn(&mut self, is_last: bool) {
        match self.bring_up_to_date(is_last) {
            // Only what was written shows that it can be: a turn that had nothing to do, or rested, shows nothing.
            Ok(Turn::Written) if self.trouble.take().is_some() => (self.spare.report)(&Event::Recovered),
            Ok(Turn::Idle | Turn::Written) => {}
            Err(fault) => {
                self.copied = None;
                self.rests_until = Instant::now() + RETRY;
                let trouble = Some(fault.to_string());
                if self.trouble != trouble {
                    self.trouble = trouble;
                    (self.spare.report)(&Event::Failed(&self.spare, &fault));
                }
            }
        }
    }

    fn bring_up_to_date(&mut self, is_last: bool) -> Result<Turn, SpareFault> {
        let now = Instant::now();
        // First the moment, then what was loaded: whatever was loaded until that moment is in what is looked at after it.
        let Some(age) = self.status.age(now) else { return Ok(Turn::Idle) };
        let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        let contact = Timestamp::from_millis(Timestamp::now().as_millis().saturating_sub(age));
        let Some(told) = self.desk.told() else { return Ok(Turn::Idle) };
        if let Some((copied, number)) = &mut self.copied
            && *number == told.number
            && copied.is_at(&self.spare.path)
        {
            let since = self.written.0.load(Ordering::Relaxed);
            let passed = contact.as_millis().saturating_sub(since);
            // Also where the clock was put back.
            if (0..MARK).contains(&passed) && !(is_last && passed > 0) {
                return Ok(Turn::Idle);
            }
            copied.mark(contact)?;
            self.written.0.store(contact.as_millis(), Ordering::Relaxed);
            return Ok(Turn::Written);
        }
        if now < self.rests_until && !is_last {
            return Ok(Turn::Idle);
        }
        let (number, bookmark) = (told.number, told.bookmark.clone());
        let past = Past { contact, revision: told.revision, lift: told.lift, bookmark };
        let is_whole = || self.desk.stands(&told);
        let Some(copied) = self.spare.write(&past, (&self.index, &is_whole))? else { return Ok(Turn::Idle) };
        self.written.0.store(contact.as_millis(), Ordering::Relaxed);
        self.copied = Some((copied, number));
        self.rests_until = Instant::now() + REST.max(now.elapsed() * SHARE);
        Ok(Turn::Written)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::policy::scope::Vocabulary;
    use crate::store::Location;

    thread_local! {
        static TOLD: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    fn note(event: &Event<'_>) {
        let said = match event {
            Event::Failed(_, fault) => fault.to_string(),
            Event::Recovered => "recovered".to_owned(),
        };
        TOLD.with_borrow_mut(|told| told.push(said));
    }

    #[test]
    fn a_copy_is_of_no_load_that_was_taken_back_while_it_was_written_though_another_one_has_ended_since() {
        let desk = Desk::new(None);
        desk.tell(Revision(1), 0, None);
        let told = desk.told().unwrap();
        desk.tell(Revision(2), 0, None);
        assert!(desk.stands(&told), "what is added is no harm");
        desk.withdraw();
        assert!(!desk.stands(&told));
        desk.tell(Revision(3), 3, None);
        assert!(!desk.stands(&told), "the copy has entries of before and after it");
        assert!(desk.stands(&desk.told().unwrap()));
    }

    #[test]
    fn a_copy_that_cannot_be_written_is_told_of_once_and_its_recovery_only_once_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("later/keys.snapshot");
        let desk = Arc::new(Desk::new(None));
        let mut work = Work {
            spare: Spare::new(path.clone(), Location::Sqlite("k.db".into()), note),
            index: Arc::new(Index::new(Vocabulary::default())),
            status: Arc::new(Status::up()),
            written: Arc::clone(&desk.written),
            desk,
            copied: None,
            rests_until: Instant::now(),
            trouble: None,
        };
        work.turn(false);
        work.desk.tell(Revision(1), 0, None);
        for _ in 0..3 {
            work.rests_until = Instant::now();
            work.turn(false);
            // Within its rest.
            work.turn(false);
            work.turn(false);
        }
        let told = TOLD.with_borrow(Clone::clone);
        assert!(told.len() == 1 && told[0].starts_with("it cannot be written: "), "{told:?}");
        std::fs::create_dir(path.with_file_name("")).unwrap();
        work.turn(false);
        assert_eq!(TOLD.with_borrow(Vec::len), 1, "it rests");
        work.rests_until = Instant::now();
        work.turn(false);
        work.turn(false);
        assert_eq!(TOLD.with_borrow(|told| told[1..].to_vec()), ["recovered"]);
        assert!(path.exists());
    }
}
