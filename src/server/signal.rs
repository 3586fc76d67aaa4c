//! Signals: TERM and INT end the process, HUP asks for a reload.

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// Waits on the calling thread until TERM or INT; calls `reload` for each HUP.
pub(super) fn wait_for_stop(reload: impl Fn()) -> std::io::Result<()> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        loop {
            tokio::select! {
                _ = terminate.recv() => return Ok(()),
                _ = interrupt.recv() => return Ok(()),
                _ = hangup.recv() => reload(),
            }
        }
    })
}
