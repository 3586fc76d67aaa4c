//! How many files and sockets the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Limits;

/// What the process opens beside the connections of callers and to the upstream: listeners, logs, the store.
const BESIDE: usize = 64;

/// Raises the limit as far as this process may, and says so where it is still too low for `limits.connections`.
pub(super) fn raise(limits: &Limits) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = current != maximum && setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    let most = if raised { maximum } else { current };
    if let Some(most) = most.filter(|most| *most < needed(limits)) {
        tracing::warn!(
            open_files = most,
            needed = needed(limits),
            "`limits.connections` is {}, and so many connections with as many to the upstream need more open files than \
             this process may have: lower it, or raise the limit (LimitNOFILE= of systemd, ulimit -n)",
            limits.connections
        );
    }
}

/// A connection of a caller may need one to the upstream.
fn needed(limits: &Limits) -> u64 {
    (limits.connections.saturating_mul(2).saturating_add(BESIDE)) as u64
}
