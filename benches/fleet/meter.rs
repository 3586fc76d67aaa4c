//! What the processes of a server take.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::Outcome;
use super::postgres::Server;
use super::ways::DATABASE;

/// The unit of times in /proc/PID/stat, on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// Looks at a server, and at processes beside it.
pub(crate) struct Meter<'s> {
    /// Where changes are made.
    primary: &'s Server,
    /// Where gateways ask, each with the process that the others follow from.
    groups: Vec<(&'static str, u32)>,
}

/// What was taken until a moment.
pub(crate) struct Reading {
    at: Instant,
    cpu: Vec<(&'static str, Duration)>,
    commits: u64,
    wal: u64,
}

/// What was taken between two moments.
pub(crate) struct Spent {
    pub(crate) span: Duration,
    /// In hundredths of one processor.
    cpu: Vec<(&'static str, f64)>,
    /// A second.
    commits: f64,
    /// Bytes a second.
    wal: f64,
}

/// What a connection takes, in KiB.
pub(crate) struct Memory {
    connections: usize,
    /// What would be free without it.
    alone: u64,
    /// And its share in what several processes have in common.
    shared: u64,
}

impl<'s> Meter<'s> {
    /// With the processes that gateways talk to, by name.
    pub(crate) fn new(primary: &'s Server, groups: Vec<(&'static str, u32)>) -> Self {
        Self { primary, groups }
    }

    pub(crate) fn read(&self) -> Outcome<Reading> {
        let asked = self.primary.run(
            DATABASE,
            "SELECT xact_commit, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint FROM pg_stat_database \
            WHERE datname = current_database()",
        );
        let (commits, wal) = asked.split_once('|').ok_or("no figures")?;
        let mut cpu = Vec::new();
        for (name, head) in &self.groups {
            let all = family(*head)?.into_iter().map(|process| cpu_of(process).unwrap_or_default()).sum::<Duration>();
            cpu.push((*name, all + cpu_of_the_dead(*head)?));
        }
        cpu.push(("followers", cpu_by_ticks(std::process::id(), 13..15)?));
        Ok(Reading { at: Instant::now(), cpu, commits: commits.parse()?, wal: wal.parse()? })
    }

    /// What the connections of gateways take, where they end.
    pub(crate) fn memory(&self) -> Outcome<Memory> {
        let (_, head) = self.groups.last().ok_or("no server")?;
        let (mut connections, mut alone, mut shared) = (0, 0, 0);
        for process in family(*head)? {
            // What became of it meanwhile: a process may have ended.
            let Ok(title) = fs::read_to_string(format!("/proc/{process}/cmdline")) else { continue };
            if !title.contains(": gateway ") {
                continue;
            }
            let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
            let sum = |names: &[&str]| -> u64 {
                let lines = rollup.lines().filter(|line| names.iter().any(|name| line.starts_with(name)));
                lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum()
            };
            connections += 1;
            alone += sum(&["Private_Clean:", "Private_Dirty:"]);
            shared += sum(&["Pss:"]);
        }
        let each = |all: u64| all.checked_div(connections).unwrap_or_default();
        Ok(Memory { connections: connections as usize, alone: each(alone), shared: each(shared) })
    }
}

impl Reading {
    pub(crate) fn since(&self, before: &Self) -> Spent {
        let span = self.at.saturating_duration_since(before.at);
        let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / span.as_secs_f64();
        let cpu = self.cpu.iter().zip(&before.cpu).map(|((name, now), (_, then))| {
            (*name, 100.0 * now.saturating_sub(*then).as_secs_f64() / span.as_secs_f64())
        });
        let cpu = cpu.collect();
        Spent { span, cpu, commits: rate(self.commits, before.commits), wal: rate(self.wal, before.wal) }
    }
}

impl fmt::Display for Spent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, share) in &self.cpu {
            write!(out, "{name} {share:.1} %, ")?;
        }
        write!(out, "{:.0} commits/s, WAL {:.1} KiB/s", self.commits, self.wal / 1024.0)
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |kib: u64| kib as f64 / 1024.0;
        let (alone, shared) = (mib(self.alone), mib(self.shared));
        write!(
            out,
            "{} connections of gateways, {alone:.1} MiB each alone, {shared:.1} with its share",
            self.connections
        )
    }
}

/// A process and those that it started.
fn family(head: u32) -> Outcome<Vec<u32>> {
    let mut all = vec![head];
    let tasks = fs::read_to_string(format!("/proc/{head}/task/{head}/children"))?;
    all.extend(tasks.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
    Ok(all)
}

/// What all threads of a process have run for; `None` where it is gone.
fn cpu_of(process: u32) -> Option<Duration> {
    let threads = fs::read_dir(Path::new("/proc").join(process.to_string()).join("task")).ok()?;
    let ran = threads.flatten().filter_map(|thread| {
        let line = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    });
    Some(Duration::from_nanos(ran.sum()))
}

/// What the children of a process that have ended had run for.
fn cpu_of_the_dead(process: u32) -> Outcome<Duration> {
    cpu_by_ticks(process, 15..17)
}

/// The sum of some fields of /proc/PID/stat, which are counted from nought.
fn cpu_by_ticks(process: u32, fields: std::ops::Range<usize>) -> Outcome<Duration> {
    let line = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name, in brackets, may have blanks.
    let (_, rest) = line.rsplit_once(") ").ok_or("no state")?;
    let ticks = rest.split_whitespace().skip(fields.start - 2).take(fields.len());
    let ticks: u32 = ticks.map(str::parse::<u32>).sum::<Result<u32, _>>()?;
    Ok(TICK * ticks)
}
