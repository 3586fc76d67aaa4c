//! Where lines leave the process. A log that cannot be written cannot say so itself: standard error is told.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Standard error is told once in this time.
const PAUSE: Duration = Duration::from_secs(60);

/// When standard error was told, by the event log or by the access log: both go to the same place.
static TOLD: Told = Told(Mutex::new(None));

/// When something was last told.
struct Told(Mutex<Option<Instant>>);

impl Told {
    /// Whether it may be told now; then it was.
    fn is_due(&self, now: Instant) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = told.is_none_or(|told| now.saturating_duration_since(told) >= PAUSE);
        if is_due {
            *told = Some(now);
        }
        is_due
    }
}

/// An output whose failures are told.
pub(super) struct Outlet<W> {
    /// What it is called in the configuration.
    pub(super) name: String,
    pub(super) output: W,
}

impl<W: Write> Outlet<W> {
    fn tell<T>(&self, result: io::Result<T>) -> io::Result<T> {
        let failure = result.as_ref().err().filter(|error| error.kind() != io::ErrorKind::Interrupted);
        if let Some(error) = failure.filter(|_| TOLD.is_due(Instant::now())) {
            // There is nobody else to tell.
            let _ = writeln!(io::stderr(), "{}", sentence(&self.name, error));
        }
        result
    }
}

impl<W: Write> Write for Outlet<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.output.write(bytes);
        self.tell(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.output.flush();
        self.tell(flushed)
    }
}

fn sentence(name: &str, error: &io::Error) -> String {
    format!(
        "scopegate: the log cannot be written to {name}: {error}; its lines are lost and requests go on, see scopegate_access_log_dropped_total (told once a minute at most)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_once_in_a_pause() {
        let (told, start) = (Told(Mutex::new(None)), Instant::now());
        assert!(told.is_due(start));
        assert!(!told.is_due(start));
        assert!(!told.is_due(start + PAUSE / 2));
        assert!(told.is_due(start + PAUSE));
        assert!(!told.is_due(start + PAUSE));
    }
}
