//! How many workers a container's CPU limit gives.

use std::fs;
use std::path::Path;
use std::thread;

/// The number of workers where the configuration says `auto`: the CPUs that this process may use, or its cgroup's
/// limit rounded up, whichever is less.
pub(super) fn workers() -> usize {
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    // The standard library rounds the limit down, so where it bounds the number it is read again here.
    quota().map_or(cpus, |quota| quota.min(allowed_cpus().unwrap_or(cpus))).max(1)
}

/// CPUs in the affinity mask of this process.
fn allowed_cpus() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    count(list.trim())
}

/// How many numbers a list such as `0-3,8` holds.
fn count(list: &str) -> Option<usize> {
    list.split(',').try_fold(0, |sum, range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        Some(sum + last.checked_sub(first)? + 1)
    })
}

/// The least limit of this process's cgroup (version 2) and those above it, rounded up to whole CPUs.
fn quota() -> Option<usize> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let root = Path::new("/sys/fs/cgroup");
    let own = root.join(group);
    let levels = own.ancestors().take_while(|path| path.starts_with(root));
    levels.filter_map(|path| round_up(&fs::read_to_string(path.join("cpu.max")).ok()?)).min()
}

/// `150000 100000` is 1.5 CPUs, hence 2; `max 100000` is no limit.
fn round_up(limit: &str) -> Option<usize> {
    let (quota, period) = limit.trim().split_once(' ')?;
    let (quota, period): (usize, usize) = (quota.parse().ok()?, period.parse().ok()?);
    (period > 0).then(|| quota.div_ceil(period))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_rounded_up_to_whole_cpus() {
        assert_eq!(round_up("150000 100000\n"), Some(2));
        assert_eq!(round_up("100000 100000\n"), Some(1));
        assert_eq!(round_up("5000 100000\n"), Some(1));
        assert_eq!(round_up("max 100000\n"), None);
    }

    #[test]
    fn a_list_of_cpus_is_counted() {
        assert_eq!(count("0-3,8"), Some(5));
        assert_eq!(count("2"), Some(1));
        assert_eq!(count("x"), None);
    }

    #[test]
    fn there_is_always_a_worker() {
        assert!(workers() >= 1);
    }
}
