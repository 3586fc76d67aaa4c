//! How many files and sockets the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Limits;

/// What the process opens beside the connections of callers and to the upstream: listeners, logs, the store.
const BESIDE: usize = 64;

/// Fewer open files than the connections may need that are allowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shortage {
    open_files: u64,
    connections: usize,
}

/// Raises the limit as far as this process may; where it is still too low for `limits.connections`, that comes back.
pub(super) fn raise(limits: &Limits) -> Option<Shortage> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = current != maximum && setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    let most = if raised { maximum } else { current };
    let short = |open_files| Shortage { open_files, connections: limits.connections };
    most.filter(|most| *most < needed(limits.connections)).map(short)
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
