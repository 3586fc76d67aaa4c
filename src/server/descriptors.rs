//! How many files and sockets the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Limits;

/// What the process opens beside the connections of callers and to the upstream: listeners, logs, the store.
const BESIDE: usize = 64;

/// What came of raising the limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenFiles {
    pub(super) shortage: Option<Shortage>,
    /// Sockets to the upstream that there are files for: callers have the other half.
    pub(super) upstream: usize,
}

/// Fewer open files than the connections may need that are allowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shortage {
    open_files: u64,
    connections: usize,
}

/// Raises the limit as far as this process may, and tells where it is still too low for `limits.connections`.
pub(super) fn raise(limits: &Limits) -> OpenFiles {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = current != maximum && setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    let most = if raised { maximum } else { current };
    let short = |open_files| Shortage { open_files, connections: limits.connections };
    let half = |files: u64| usize::try_from(files).unwrap_or(usize::MAX).saturating_sub(BESIDE) / 2;
    OpenFiles {
        shortage: most.filter(|most| *most < needed(limits.connections)).map(short),
        upstream: most.map_or(usize::MAX, half).max(1),
    }
}

impl Shortage {
    /// Says so in the log.
    pub(super) fn tell(self) {
        tracing::warn!(
            open_files = self.open_files,
            needed = needed(self.connections),
            "`limits.connections` is {}, and so many connections with as many to the upstream need more open files than \
             this process may have: lower it, or raise the limit (LimitNOFILE= of systemd, ulimit -n)",
            self.connections
        );
    }
}

/// A connection of a caller may need one to the upstream.
fn needed(connections: usize) -> u64 {
    (connections.saturating_mul(2).saturating_add(BESIDE)) as u64
}
