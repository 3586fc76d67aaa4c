//! Hosts that go away without a word: the kernel is told to look for them.

use crate::support::{Call, Gateway, Upstream, until};

/// The timer of each established connection (`proc_pid_net(5)`), with the ports of its near and its far end.
fn timers() -> Vec<(u16, u16, String)> {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the connections of this machine");
    let port = |address: &str| u16::from_str_radix(address.rsplit(':').next().unwrap_or_default(), 16).unwrap_or(0);
    let rows = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        (fields[3] == "01").then(|| (port(fields[1]), port(fields[2]), fields[5].to_owned()))
    });
    rows.collect()
}

#[test]
fn a_connection_of_a_caller_or_to_the_upstream_that_is_silent_is_watched() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--full"]);
    let mut client = gateway.connect();
    assert_eq!(client.send(Call::get("/api/profiles").key(&key).bytes()).read().status(), 200);
    let (own, beyond) = (gateway.address().port(), upstream.address().port());
    // The timer of keepalive is the one that runs while nothing is on its way.
    let is_watched = |timer: &str| timer.starts_with("02:");
    until("the caller's connection to be watched", || {
        timers().iter().any(|(near, _, timer)| *near == own && is_watched(timer)).then_some(())
    });
    until("the upstream's connection to be watched", || {
        timers().iter().any(|(_, far, timer)| *far == beyond && is_watched(timer)).then_some(())
    });
}
