//! What `/proc/self` says about the process, under the names every Prometheus client uses. Elsewhere than on Linux
//! there is no such folder, and the process metrics are left out.

use std::fs;

/// `USER_HZ`: the unit of times in `/proc`, 100 on every architecture we build for.
const TICKS_PER_SECOND: f64 = 100.0;

/// One process metric.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reading {
    CpuSeconds,
    MaxFds,
    OpenFds,
    ResidentBytes,
    StartSeconds,
    VirtualBytes,
}

/// The value of a process metric now; `None` where the system does not tell.
pub(super) fn read(reading: Reading) -> Option<f64> {
    match reading {
        Reading::CpuSeconds => {
            let stat = fs::read_to_string("/proc/self/stat").ok()?;
            Some((stat_field(&stat, 14)? + stat_field(&stat, 15)?) / TICKS_PER_SECOND)
        }
        Reading::MaxFds => max_fds(&fs::read_to_string("/proc/self/limits").ok()?),
        // One of them is the folder that is being read.
        Reading::OpenFds => Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64),
        Reading::ResidentBytes => kilobytes(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:"),
        Reading::StartSeconds => {
            let since_boot = stat_field(&fs::read_to_string("/proc/self/stat").ok()?, 22)?;
            let boot = boot_time(&fs::read_to_string("/proc/stat").ok()?)?;
            Some(boot + since_boot / TICKS_PER_SECOND)
        }
        Reading::VirtualBytes => kilobytes(&fs::read_to_string("/proc/self/status").ok()?, "VmSize:"),
    }
}

/// A field of `/proc/self/stat` by its number in proc(5), from 3 on. The second field is the program's name in
/// parentheses and may hold anything, so fields are counted from behind its end.
fn stat_field(stat: &str, number: usize) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

fn kilobytes(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024.0)
}

fn max_fds(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_ascii_whitespace().next()? {
        "unlimited" => Some(u64::MAX as f64),
        limit => limit.parse().ok(),
    }
}

fn boot_time(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_spaces_and_parentheses_moves_no_field() {
        let stat = "42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 50 13 14 15 16 17 18 9900 20";
        assert_eq!(stat_field(stat, 14), Some(250.0));
        assert_eq!(stat_field(stat, 15), Some(50.0));
        assert_eq!(stat_field(stat, 22), Some(9900.0));
    }

    #[test]
    fn sizes_are_in_bytes_and_an_unlimited_limit_is_the_highest_number() {
        assert_eq!(kilobytes("VmPeak:\t 9 kB\nVmRSS:\t    8 kB\n", "VmRSS:"), Some(8192.0));
        assert_eq!(max_fds("Limit Soft Hard Units\nMax open files            1024    4096    files\n"), Some(1024.0));
        assert_eq!(max_fds("Max open files            unlimited    unlimited    files\n"), Some(u64::MAX as f64));
        assert_eq!(boot_time("cpu 1 2\nbtime 1700000000\n"), Some(1_700_000_000.0));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn every_reading_is_there_on_linux() {
        for reading in [
            Reading::CpuSeconds,
            Reading::OpenFds,
            Reading::ResidentBytes,
            Reading::StartSeconds,
            Reading::VirtualBytes,
        ] {
            assert!(read(reading).is_some(), "{reading:?}");
        }
    }
}
