//! How keys come into the process: from their store, or from the spare copy while the store is away; and what the log, the
//! metrics and the probes say of that.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::admin::{Absence, Readiness};
use crate::config::{Keys, StoreLocation};
use crate::snapshot::Handle;
use crate::store::file::Form;
use crate::store::follow::{Event, Follower, Origin};
use crate::store::index::Index;
use crate::store::postgres::DatabaseError;
use crate::store::reach::Reach;
use crate::store::spare::{self, Past, Spare};
use crate::store::{self, Badge, Cause, Extent, KeyStore, Location, OpenMode, StoreError};
use crate::telemetry::label::StoreFault;
use crate::telemetry::metrics::{Metrics, StoreFare};

/// The store that a configuration names.
pub(super) fn location(keys: &Keys) -> Location {
    match &keys.store {
        StoreLocation::File(path) if keys.pepper.is_some() => Location::File(path.clone(), Form::HmacSha256),
        StoreLocation::File(path) => Location::File(path.clone(), Form::Sha256),
        StoreLocation::Postgres(database) => Location::Postgres(database.clone()),
        StoreLocation::Sqlite(path) => Location::Sqlite(path.clone()),
    }
}

/// The way to a store that is there, or was.
pub(super) fn reach(location: &Location) -> Reach {
    let known = location.clone();
    Reach::to(location.place(), move || open_existing(&known)).resting(location.rest())
}

/// Opens a store without making one. An older one is brought up to date.
fn open_existing(location: &Location) -> Result<Box<dyn KeyStore>, StoreError> {
    match store::open(location, OpenMode::Existing) {
        Err(StoreError::Older { .. }) => store::open(location, OpenMode::Create),
        opened => opened,
    }
}

/// Loads the keys into `index` and follows their store. Where the store is away and there is a copy of it, the copy is loaded,
/// and the store is taken up when it comes. So is one of which nothing is known, where its absence may pass by itself: until it
/// is there the gateway is not ready, and whoever needs a key gets 503.
pub(super) fn follow(
    location: &Location,
    index: &Arc<Index>,
    (copy, max_stale): (Option<PathBuf>, Option<Duration>),
) -> Result<Follower, StoreError> {
    let spare = copy.map(|path| Spare::new(path, location.clone(), report_spare));
    let error = match follow_here(location, index, (spare.as_ref(), max_stale)) {
        Err(error) if error.is_absence() => error,
        done => return done,
    };
    let is_copied = spare.as_ref().is_some_and(|spare| spare.path().exists());
    // What there is a copy of was there.
    let error = if is_copied { error.into_loss() } else { error };
    // A store that is behind has said that it is the one that the copy is of.
    let is_behind = matches!(error, StoreError::Database(DatabaseError::Behind { .. }));
    let spare = if is_behind { spare.map(Spare::proven) } else { spare };
    let past = spare.as_ref().and_then(|spare| load(spare, index, &error));
    if past.is_none() {
        if matches!(error, StoreError::Lost { .. } | StoreError::Missing { .. }) {
            // There was one to be missed only as long as there seemed to be a copy of it.
            return begin(store::open(location, OpenMode::Create)?, index, (spare, max_stale));
        }
        if !error.is_passing() {
            return Err(error);
        }
        tracing::error!(
            %error,
            "the key store is away, and nothing is known of its keys: this gateway is not ready, and answers 503 where a key is needed; the store is tried again and again"
        );
    }
    // One that never was is made when it can be, but not where a copy says that there was one.
    let open = if is_copied { open_existing } else { open_or_make };
    let (known, unused) = (location.clone(), spare.clone().filter(|_| past.is_none()));
    let reach = Reach::to(location.place(), move || {
        let records = open(&known)?;
        warn_of(&*records);
        // What nothing was taken of still tells whether the store goes on from it.
        unused.as_ref().map_or(Ok(()), |spare| compare(&known, spare))?;
        Ok(records)
    });
    let why = error.to_string();
    let origin = Origin::Away(reach.resting(location.rest()), past, Some(error));
    let follower = Follower::start_from((origin, max_stale), Arc::clone(index), spare, report)?;
    if follower.status().judge(Instant::now(), max_stale) {
        tracing::error!(
            error = %why,
            "the copy of the keys is older than keys.max_stale: no key is let in until the key store is back"
        );
    }
    Ok(follower)
}

/// Opens a store, and makes it where there is none.
fn open_or_make(location: &Location) -> Result<Box<dyn KeyStore>, StoreError> {
    store::open(location, OpenMode::Create)
}

/// The same where the store is there. One that is missing is made, but not where a copy says that there was one.
fn follow_here(
    location: &Location,
    index: &Arc<Index>,
    (spare, max_stale): (Option<&Spare>, Option<Duration>),
) -> Result<Follower, StoreError> {
    let records = match spare.filter(|spare| spare.path().exists()) {
        Some(_) => match open_existing(location) {
            Err(error) if !error.is_absence() => store::open(location, OpenMode::Create),
            opened => opened,
        },
        None => open_or_make(location),
    }?;
    if let Some(spare) = spare {
        compare(location, spare)?;
    }
    begin(records, index, (spare.cloned(), max_stale))
}

/// Says so where the store that is there does not go on from the copy of its keys. A restart is no decision of an operator by
/// itself, and the copy is soon written anew.
///
/// # Errors
/// The store is a replica that has not come as far as the copy yet.
fn compare(location: &Location, spare: &Spare) -> Result<(), StoreError> {
    let Some(bookmark) = spare.bookmark() else { return Ok(()) };
    // By a connection of its own: what is asked here is no part of what is loaded next.
    let mut records = open_existing(location)?;
    let gone_on = match records.resume(&bookmark) {
        Ok(Some(since)) => records.load(since, &mut |_| {}).map(|loaded| loaded.extent != Extent::AnotherPast),
        Ok(None) => Ok(false),
        Err(error) => Err(error),
    };
    match gone_on {
        Ok(true) => return Ok(()),
        Ok(false) | Err(StoreError::Database(DatabaseError::AnotherPast { .. })) => {}
        Err(error) => return Err(error),
    }
    tracing::warn!(
        store = records.place(),
        copy = %spare.path().display(),
        "the key store was emptied, restored or replaced since the copy of its keys was made, and this gateway goes on with the store as it is: keys that were revoked after that may work again; look over `scopegate keys list`"
    );
    Ok(())
}

fn begin(
    records: Box<dyn KeyStore>,
    index: &Arc<Index>,
    (spare, max_stale): (Option<Spare>, Option<Duration>),
) -> Result<Follower, StoreError> {
    warn_of(&*records);
    Follower::start_from((Origin::Here(Reach::of(records)), max_stale), Arc::clone(index), spare, report)
}

fn warn_of(records: &dyn KeyStore) {
    for warning in records.warnings() {
        tracing::warn!("{warning}");
    }
}

/// Loads the copy, and says how that went, and why it is needed.
fn load(spare: &Spare, index: &Index, error: &StoreError) -> Option<Past> {
    let path = spare.path().display();
    match spare.load(index) {
        Ok(None) => None,
        Err(fault) => {
            tracing::warn!("the copy of the keys {path} is not used: {fault}");
            None
        }
        Ok(Some(loaded)) => {
            for warning in loaded.warnings {
                tracing::warn!("{warning}");
            }
            let since = loaded.past.contact;
            tracing::error!(
                %error,
                copy = %path,
                keys = index.len(),
                %since,
                "the key store is away: started with the copy of its keys, and the store is tried again and again. Where an empty store is to take its place, remove the copy"
            );
            Some(loaded.past)
        }
    }
}

/// Lets metrics and probes say how the store fares.
pub(super) fn wire(follower: &Follower, handle: &Arc<Handle>, (metrics, readiness): (&Metrics, &Readiness)) {
    let status = Arc::clone(follower.status());
    readiness.store_from(move || {
        let absence = |cause: Cause| Absence {
            since: status.age(Instant::now()),
            is_stale: status.is_stale(),
            why: cause.words(),
        };
        status.cause().map(absence)
    });
    let (status, written, handle) = (Arc::clone(follower.status()), follower.kept(), Arc::clone(handle));
    metrics.store_from(move || StoreFare {
        is_up: status.is_up(),
        away: if status.is_up() { Duration::ZERO } else { status.age_or_life(Instant::now()) },
        fault: status.cause().map(fault_of),
        max_stale: handle.load().config.keys.max_stale,
        snapshot: written.as_ref().and_then(|written| written.moment()).map(|moment| moment.as_seconds()),
    });
}

/// What metrics call it.
const fn fault_of(cause: Cause) -> StoreFault {
    match cause {
        Cause::AnotherPast => StoreFault::AnotherPast,
        Cause::Behind => StoreFault::Behind,
        Cause::Denied => StoreFault::Denied,
        Cause::Faulty => StoreFault::Faulty,
        Cause::Missing => StoreFault::Missing,
        Cause::Refused => StoreFault::Refused,
        Cause::Unfinished => StoreFault::Unfinished,
        Cause::UnknownHost => StoreFault::UnknownHost,
        Cause::Unproven => StoreFault::Unproven,
        Cause::Unreachable => StoreFault::Unreachable,
    }
}

/// What the log says of the store.
fn report(event: &Event<'_>) {
    match event {
        Event::Announced(Badge { id, name }) => {
            tracing::info!(%name, %id, "the key store knows this gateway by this name and id; `--wait` calls it so");
        }
        Event::Closed(what) => tracing::error!(
            "the key store has what cannot be read, and nobody is let in by it: {what}; everything else is followed"
        ),
        Event::Down { error, is_known: true } => {
            tracing::error!(%error, "the key store cannot be followed; known keys go on working, for as long as keys.max_stale says");
        }
        Event::Down { error, is_known: false } => {
            tracing::error!(%error, "the key store cannot be read yet, and no key is known: none is let in until it can be");
        }
        Event::Loaded { keys, revision } => tracing::debug!(keys, %revision, "keys changed"),
        Event::Restored { keys } => tracing::warn!(
            keys,
            "the key store was put back to a backup, and all keys were loaded anew: what was made after the backup is gone, and what was revoked after it works again; look over `scopegate keys list`"
        ),
        Event::Overdue(error) => tracing::warn!(
            %error,
            "this gateway cannot say how far it has come, so that `--wait` may wait for it in vain, and name it; it follows the key store all the same"
        ),
        Event::Unconfirmed(error) => tracing::warn!(
            %error,
            "this gateway cannot say how far it has come, so that `--wait` does not wait for it; it follows the key store all the same"
        ),
        Event::Up => tracing::info!("the key store can be followed again"),
    }
}

/// What the log says of the copy.
fn report_spare(event: &spare::Event<'_>) {
    match event {
        spare::Event::Failed(spare, fault) => {
            let path = spare.path().display();
            tracing::warn!("the copy of the keys {path} cannot be kept up to date: {fault}");
        }
        spare::Event::Recovered => tracing::info!("the copy of the keys is kept up to date again"),
    }
}
