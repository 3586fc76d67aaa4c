//! Signals: TERM and INT end the process, HUP asks for a reload. USR1 and USR2 do nothing: scripts that rotate the logs of other
//! servers send them, and ours follows the name of its file by itself.

use std::io;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that are caught, from when this is made.
pub(super) struct Signals {
    runtime: Runtime,
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    _ignored: [Signal; 2],
}

impl Signals {
    /// Catches them. Each would end the process at once without this, so nobody may be told that it is ready before.
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
