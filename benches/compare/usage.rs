//! How long processes have run, by the scheduler's own account.

use std::fs;
use std::process;
use std::time::Instant;

use crate::Outcome;

/// Nanoseconds that all threads of these processes have run.
fn run_time(processes: &[u32]) -> Outcome<u64> {
    let mut sum = 0;
    for process in processes {
        // What has ended meanwhile, a process or a thread of one, has taken nothing to speak of.
        let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else { continue };
        for thread in threads {
            let Ok(account) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
            sum += account.split(' ').next().and_then(|ran| ran.parse::<u64>().ok()).ok_or("no schedstat")?;
        }
    }
    Ok(sum)
}

/// Whose time is counted.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    /// The proxy.
    pub(crate) proxy: Vec<u32>,
    /// What runs beside the callers, on their processor.
    pub(crate) beside: Vec<u32>,
}

/// One moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    at: Instant,
    proxy: u64,
    load: u64,
}

/// What lies between two moments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) seconds: f64,
    /// Nanoseconds of the proxy.
    pub(crate) proxy: u64,
    /// Nanoseconds of the callers and what runs beside them.
    pub(crate) load: u64,
}

impl Watched {
    pub(crate) fn mark(&self) -> Outcome<Mark> {
        let load = run_time(&[process::id()])? + run_time(&self.beside)?;
        Ok(Mark { at: Instant::now(), proxy: run_time(&self.proxy)?, load })
    }
}

impl Mark {
    pub(crate) fn to(self, end: Self) -> Span {
        Span {
            seconds: (end.at - self.at).as_secs_f64(),
            proxy: end.proxy.saturating_sub(self.proxy),
            load: end.load.saturating_sub(self.load),
        }
    }
}
