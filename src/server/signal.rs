//! Signals: TERM and INT end the process, HUP asks for a reload. USR1 and USR2 do nothing: scripts that rotate the logs of other
//! servers send them, and ours follows the name of its file by itself.

use std::{io, panic, thread};

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// The signals that are caught, from when this is made.
pub(super) struct Signals {
    runtime: Runtime,
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    _ignored: [Signal; 2],
}

impl Signals {
    /// Catches them. Each would end the process at once without this, so nobody may be told that it is ready before; the first
    /// process of a container would never be told of them.
    pub(super) fn catch() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let within = runtime.enter();
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        let hangup = signal(SignalKind::hangup())?;
        let ignored = [signal(SignalKind::user_defined1())?, signal(SignalKind::user_defined2())?];
        drop(within);
        Ok(Self { runtime, terminate, interrupt, hangup, _ignored: ignored })
    }

    /// Does `work` on a thread of its own. `None` where TERM or INT comes before it is done: it is left behind then, and ends
    /// with the process.
    pub(super) fn unless_stopped<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Option<T>> {
        let (tell, told) = oneshot::channel();
        let body = move || {
            // Nobody waits for it where the process ends.
            let _ = tell.send(work());
        };
        let thread = thread::Builder::new().name("start".to_owned()).spawn(body)?;
        let Self { runtime, terminate, interrupt, .. } = self;
        let done = runtime.block_on(async {
            tokio::select! {
                biased;
                _ = terminate.recv() => None,
                _ = interrupt.recv() => None,
                done = told => Some(done),
            }
        });
        match done {
            None => Ok(None),
            Some(Ok(done)) => Ok(Some(done)),
            Some(Err(_)) => match thread.join() {
                Err(panic) => panic::resume_unwind(panic),
                Ok(()) => Ok(None),
            },
        }
    }

    /// Waits on the calling thread until TERM or INT; calls `reload` for each HUP. What came meanwhile counts, too.
    pub(super) fn wait_for_stop(&mut self, reload: impl Fn()) {
        let Self { runtime, terminate, interrupt, hangup, .. } = self;
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = terminate.recv() => return,
                    _ = interrupt.recv() => return,
                    _ = hangup.recv() => reload(),
                }
            }
        });
    }
}
