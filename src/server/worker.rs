//! One worker: a thread with a runtime of its own, which accepts connections and serves them.

use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::task::spawn_local;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::proxy::caught::{Panicked, caught};
use crate::proxy::stream::alive;
use crate::proxy::upstream::health;
use crate::proxy::watch::TICK;
use crate::proxy::worker::{Share, Worker};

use crate::telemetry::throttle::Throttle;

use super::addresses::Addresses;
use super::crowd::{self, Counted};
use super::drain::Drain;
use super::entry::{Arrival, Hall};
use super::listener::{Door, Listener, Listening, Unsent};
use super::supervisor::Beats;
use super::tide::Tide;

/// How long callers have, after the drain, to take the answer that there will be none.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How long a task rests that panicked.
const RELIEF: Duration = Duration::from_millis(250);

/// How long accepting rests when the system has no descriptors left.
const REST: Duration = Duration::from_millis(100);
/// How often it rests at the most before a listener is closed all the same.
const LAST_TRIES: u32 = 5;

/// Whether a worker has told already that the drain takes too long.
static LATE: AtomicBool = AtomicBool::new(false);

/// What all workers have together, and the listeners of one.
pub(super) struct Floor {
    pub(super) listeners: Vec<Listener>,
    pub(super) addresses: Arc<Addresses>,
    pub(super) beats: Arc<Beats>,
    pub(super) drain: Drain,
}

/// Starts the thread of one worker.
pub(super) fn start(number: usize, share: Share, floor: Floor) -> io::Result<JoinHandle<()>> {
    let (tell, told) = mpsc::sync_channel(1);
    let thread = thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
        // Here, since it never leaves the thread that made it.
        match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
            Ok(runtime) => {
                let _ = tell.send(Ok(()));
                run(runtime, number, share, floor);
            }
            Err(error) => drop(tell.send(Err(error))),
        }
    })?;
    told.recv().map_err(io::Error::other)??;
    Ok(thread)
}

/// Serves on `runtime` to the end. Its tasks are scheduled by it alone: a `LocalSet` would be a scheduler within another one.
fn run(runtime: LocalRuntime, number: usize, share: Share, floor: Floor) {
    let worker = Worker::new(share);
    runtime.block_on(serve(number, Rc::clone(&worker), floor));
    // Requests that are cut now are still counted and logged. A name that is still being resolved does not hold up the end.
    runtime.shutdown_background();
    worker.finish();
}

/// Accepts until the drain, then waits for what is in flight.
async fn serve(number: usize, worker: Rc<Worker>, floor: Floor) {
    let Floor { listeners, addresses, beats, drain } = floor;
    let open = Rc::new(Cell::new(0_usize));
    let own = Rc::clone(&worker);
    let crowd = Rc::clone(&open);
    let ticks = spawn_local(keep_up("the sweep of a worker", move || {
        let (own, beats, crowd, tide) = (Rc::clone(&own), Arc::clone(&beats), Rc::clone(&crowd), Tide::default());
        tick(move || {
            own.tick();
            if tide.look(crowd.get() + own.room.pipes(), own.room.take_peak()) {
                own.let_go();
            }
            beats.beat(number);
        })
    }));
    // One worker looks after the servers of the upstream for all.
    let cared = Rc::clone(&worker);
    let health = (number == 0).then(|| {
        spawn_local(keep_up("the care for the servers of the upstream", move || health::watch(Rc::clone(&cared))))
    });
    let hall = Rc::new(Hall { worker: Rc::clone(&worker), addresses });
    let accepting: Vec<_> = listeners
        .into_iter()
        .map(|listener| spawn_local(accept(Rc::clone(&hall), listener, (Rc::clone(&open), drain.clone()))))
        .collect();
    drain.begun().await;
    worker.leave();
    drain.accepting_ended().await;
    for accepting in accepting {
        let _ = accepting.await;
    }
    worker.drain();
    let emptied = async || {
        while open.get() > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let in_time = tokio::select! {
        biased;
        () = emptied() => true,
        () = drain.timed_out() => false,
    };
    if !in_time {
        if !LATE.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                connections = crowd::connections(),
                "the drain timeout has passed; requests without an answer are refused, and what is still open is cut"
            );
        }
        worker.give_up();
        let _ = timeout(LAST_WORDS, emptied()).await;
    }
    ticks.abort();
    if let Some(health) = health {
        health.abort();
    }
}

/// Runs a task that never ends, and begins it anew where it panicked: nobody waits for it who would notice.
async fn keep_up<F: Future<Output = Infallible>>(what: &'static str, begin: impl Fn() -> F) -> Infallible {
    let throttle = Throttle::default();
    loop {
        let Err(Panicked) = caught(begin()).await;
        if let Some(others) = throttle.pass(what) {
            tracing::error!(others, "{what} panicked, and begins anew");
        }
        sleep(RELIEF).await;
    }
}

/// The sweep of this worker, for as long as it runs.
async fn tick(sweep: impl Fn()) -> Infallible {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        sweep();
    }
}

/// A listener that is registered with the runtime.
enum Accepting {
    Tcp(TcpListener, Unsent),
    Unix(UnixListener),
}

impl Accepting {
    fn new(socket: Listening) -> io::Result<Self> {
        match socket {
            Listening::Tcp(listener) => {
                let unsent = Unsent::of(&listener);
                // Who was in the queue of one that somebody else bound before this goes without.
                alive::watch(&listener);
                TcpListener::from_std(listener).map(|listener| Self::Tcp(listener, unsent))
            }
            Listening::Unix(listener) => UnixListener::from_std(listener).map(Self::Unix),
        }
    }

    async fn accept(&self) -> io::Result<Arrival> {
        match self {
            Self::Tcp(listener, unsent) => {
                let (stream, address) = listener.accept().await?;
                arrived(stream, address, *unsent)
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok(Arrival::Unix(stream))
            }
        }
    }

    /// Stops to listen, with what the kernel has accepted already, whether the runtime has seen it or not: all that is in the
    /// queue of a socket is reset when it is closed.
    ///
    /// # Errors
    /// What keeps the rest of the queue from being taken.
    async fn close(self, mut take: impl FnMut(Arrival)) -> io::Result<()> {
        match self {
            Self::Tcp(listener, unsent) => {
                let listener = listener.into_std()?;
                while let Some((stream, address)) = next_in_queue(|| listener.accept()).await? {
                    stream.set_nonblocking(true)?;
                    take(arrived(TcpStream::from_std(stream)?, address, unsent)?);
                }
            }
            Self::Unix(listener) => {
                let listener = listener.into_std()?;
                while let Some((stream, _)) = next_in_queue(|| listener.accept()).await? {
                    stream.set_nonblocking(true)?;
                    take(Arrival::Unix(UnixStream::from_std(stream)?));
                }
            }
        }
        Ok(())
    }
}

/// What `accept` gives next; `None` where the queue is empty. One that was gone before is passed over, and a shortage of
/// descriptors may pass.
async fn next_in_queue<T>(accept: impl Fn() -> io::Result<T>) -> io::Result<Option<T>> {
    let mut left = LAST_TRIES;
    loop {
        match accept() {
            Ok(arrival) => return Ok(Some(arrival)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if is_transient(&error) => {}
            Err(error) if left == 0 => return Err(error),
            Err(_) => {
                left -= 1;
                sleep(REST).await;
            }
        }
    }
}

fn arrived(stream: TcpStream, address: SocketAddr, unsent: Unsent) -> io::Result<Arrival> {
    stream.set_nodelay(true)?;
    unsent.limit(&stream);
    Ok(Arrival::Tcp(stream, address.ip().to_canonical()))
}

/// Accepts until no connection is to be accepted any more.
async fn accept(hall: Rc<Hall>, listener: Listener, (open, drain): (Rc<Cell<usize>>, Drain)) {
    let door = listener.door;
    let listener = match Accepting::new(listener.socket) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "a listener cannot be served"),
    };
    let start = |arrival| start_connection(&hall, &door, arrival, &open);
    tokio::select! {
        never = keep_up("a task that accepts connections", || accept_all(&listener, start)) => match never {},
        () = drain.accepting_ended() => {}
    }
    if let Err(error) = listener.close(start).await {
        tracing::debug!(%error, "a connection that came last is lost");
    }
}

async fn accept_all(listener: &Accepting, start: impl Fn(Arrival)) -> Infallible {
    let throttle = Throttle::default();
    loop {
        match listener.accept().await {
            Ok(arrival) => start(arrival),
            Err(error) if is_transient(&error) => {}
            Err(error) => {
                if let Some(others) = throttle.pass("no connection can be accepted") {
                    tracing::warn!(%error, others, "no connection can be accepted; trying again");
                }
                sleep(REST).await;
            }
        }
    }
}

/// True for a connection that was gone before it was accepted: the next one is as good as ever.
fn is_transient(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

fn start_connection(hall: &Rc<Hall>, door: &Arc<Door>, arrival: Arrival, open: &Rc<Cell<usize>>) {
    let counted = Counted::new(open);
    if let Arrival::Tcp(stream, _) = &arrival {
        alive::let_rest(stream, hall.worker.view().snapshot.config.limits.write_stall);
    }
    let (hall, door) = (Rc::clone(hall), Arc::clone(door));
    spawn_local(async move {
        hall.admit(&door, arrival, &counted).await;
    });
}

#[cfg(test)]
mod tests {
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_begins_anew() {
        let (begun, third) = (Rc::new(Cell::new(0)), Rc::new(Notify::new()));
        let of_task = (Rc::clone(&begun), Rc::clone(&third));
        let task = keep_up("a task of this test", move || {
            let (begun, third) = (Rc::clone(&of_task.0), Rc::clone(&of_task.1));
            async move {
                begun.set(begun.get() + 1);
                assert!(begun.get() > 2, "as this test wants it");
                third.notify_one();
                std::future::pending().await
            }
        });
        let third = timeout(Duration::from_secs(20), third.notified());
        tokio::select! {
            never = task => match never {},
            heard = third => heard.unwrap(),
        }
        assert_eq!(begun.get(), 3);
    }

    #[tokio::test]
    async fn a_queue_is_empty_when_the_kernel_says_so_and_not_before() {
        use io::ErrorKind::{ConnectionAborted, OutOfMemory, WouldBlock};
        let queue = |kinds: &'static [io::ErrorKind]| {
            let place = Cell::new(0);
            move || kinds.get(place.replace(place.get() + 1)).map_or(Ok(()), |kind| Err((*kind).into()))
        };
        assert_eq!(next_in_queue(queue(&[])).await.unwrap(), Some(()));
        assert_eq!(next_in_queue(queue(&[WouldBlock])).await.unwrap(), None);
        assert_eq!(next_in_queue(queue(&[ConnectionAborted, OutOfMemory, ConnectionAborted])).await.unwrap(), Some(()));
        assert_eq!(next_in_queue(queue(&[OutOfMemory; 6])).await.unwrap_err().kind(), OutOfMemory);
    }
}
