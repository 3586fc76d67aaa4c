//! System calls of the thread that serves requests, as strace sees them.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use super::{Work, gateway_below, is_able, put_before};
use crate::support::Client;

/// What moves bytes over sockets, and what waits for them.
const MOVING: [&str; 10] =
    ["read", "readv", "recvfrom", "recvmsg", "send", "sendmsg", "sendto", "splice", "write", "writev"];
const WAITING: [&str; 3] = ["epoll_pwait", "epoll_pwait2", "epoll_wait"];
/// The clocks, where the kernel has no way to read them without a call. Where it has, as nearly everywhere, there are none of these.
const CLOCKS: [&str; 3] = ["clock_gettime", "gettimeofday", "time"];
/// So often they are read each time that the worker wakes up, by the runtime and by us: 11 times for the two of a request that is
/// forwarded, 6 times for the one of a refusal.
const CLOCKS_A_WAKE: f64 = 6.1;
/// What a request never does once its connections are there: all that strace shows but for the above, and for these few, which
/// the sweep of a worker does every quarter of a second, or the allocator now and then.
const NOW_AND_THEN: [&str; 6] = ["brk", "futex", "madvise", "mmap", "munmap", "sched_yield"];

/// For a request: the receives and sends, and the waits where nothing else is under way. These are exact: what is above them is
/// for what comes now and then. With sixteen requests at once a wait is shared by several.
struct Ceiling {
    moving: f64,
    waiting: f64,
    crowd: f64,
}

fn ceiling(work: &Work) -> Ceiling {
    match work.name {
        "GET" => Ceiling { moving: 4.05, waiting: 2.05, crowd: 4.5 },
        _ => Ceiling { moving: 2.05, waiting: 1.05, crowd: 2.5 },
    }
}

/// The file to which strace writes a line for each call, and how much of it was looked at.
struct Trace {
    file: PathBuf,
    seen: usize,
}

impl Trace {
    /// The calls since the last look, of the thread that received most, by name.
    fn calls(&mut self) -> BTreeMap<String, usize> {
        let text = fs::read_to_string(&self.file).expect("what strace wrote");
        let new = text.get(self.seen..).unwrap_or_default();
        self.seen = text.len();
        let mut threads: BTreeMap<&str, BTreeMap<String, usize>> = BTreeMap::new();
        for line in new.lines() {
            // `123 name(…`; the end of a call that was interrupted, a signal and an exit look otherwise.
            let Some((thread, call)) = line.split_once(' ') else { continue };
            let name = call.trim_start().split_once('(').map(|(name, _)| name);
            let name = name.filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
            if let Some(name) = name {
                *threads.entry(thread).or_default().entry(name.to_owned()).or_default() += 1;
            }
        }
        let received = |calls: &BTreeMap<String, usize>| sum(calls, &MOVING);
        threads.into_values().max_by_key(received).unwrap_or_default()
    }
}

fn sum(calls: &BTreeMap<String, usize>, names: &[&str]) -> usize {
    names.iter().filter_map(|name| calls.get(*name)).sum()
}

#[test]
fn a_request_on_connections_that_are_there_makes_no_system_call_but_its_receives_and_sends() {
    const TIMES: usize = 1000;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("calls");
    // `-D`: the gateway is the child, and strace ends with it.
    let options = |to: &str| ["-D", "-f", "-qqq", "-s", "0", "-e", "signal=none", "-o", to].map(str::to_owned);
    // Where strace may not look at a process that is not its child, the program runs all the same, and nothing is seen of it.
    if !is_able("strace", &options("/dev/stdout"), |output| {
        String::from_utf8_lossy(&output.stdout).contains("exit_group(")
    }) {
        return;
    }
    let options = options(&file.display().to_string());
    let (gateway, _upstream) = gateway_below(|command| put_before(command, "strace", &options));
    let mut trace = Trace { file, seen: 0 };
    let mut callers: Vec<Client> = (0..16).map(|_| gateway.connect()).collect();
    for work in Work::all() {
        work.ask(&mut callers, 20);
        trace.calls();
        let begun = Instant::now();
        work.ask(&mut callers[..1], TIMES);
        let calls = trace.calls();
        // The sweep of a worker goes on by the clock: where the machine is slow, more of it falls on a request.
        let sweeps = 10.0 * begun.elapsed().as_secs_f64() / TIMES as f64;
        let a_request = |count: usize| count as f64 / TIMES as f64;
        let (moving, waiting) = (a_request(sum(&calls, &MOVING)), a_request(sum(&calls, &WAITING)));
        let clocks = a_request(sum(&calls, &CLOCKS));
        let most = ceiling(&work);
        println!(
            "{}: {moving:.3} to move bytes of at most {}, {waiting:.3} to wait of at most {}",
            work.name, most.moving, most.waiting
        );
        assert!(moving <= most.moving + sweeps, "{}: {calls:?} in {TIMES} requests", work.name);
        assert!(waiting <= most.waiting + sweeps, "{}: {calls:?} in {TIMES} requests", work.name);
        assert!(a_request(sum(&calls, &NOW_AND_THEN)) <= 0.02 + sweeps, "{}: {calls:?} in {TIMES} requests", work.name);
        let most_clocks = CLOCKS_A_WAKE * (waiting + sweeps) + 0.02;
        assert!(clocks <= most_clocks, "{}: {calls:?} in {TIMES} requests", work.name);
        let known = [&MOVING[..], &WAITING, &CLOCKS, &NOW_AND_THEN].concat();
        let others: Vec<_> = calls.iter().filter(|(name, _)| !known.contains(&name.as_str())).collect();
        assert!(others.is_empty(), "{}: {others:?}: no request does that", work.name);

        // Neighbours may keep the callers from asking at once: the best of five counts.
        let crowd = |_| {
            work.ask(&mut callers, 30);
            let calls = trace.calls();
            (calls.values().sum::<usize>() - sum(&calls, &CLOCKS)) as f64 / (30 * 16) as f64
        };
        let crowd = (0..5).map(crowd).fold(f64::INFINITY, f64::min);
        println!("{}: {crowd:.3} with sixteen at once, of at most {}", work.name, most.crowd);
        assert!(crowd <= most.crowd, "{}: {crowd} calls for each of sixteen requests at once", work.name);
    }
}
