//! A log that nobody reads, or that has no room: it costs lines, which are counted, and no request.

use std::fs::OpenOptions;
use std::process::Command;

use crate::support::{Call, Gateway, PATIENCE, Setup, Upstream, until};

/// Requests with a key and without, until lines were dropped; each is answered. Then the gateway ends as it should.
fn lose_lines(gateway: &Gateway, key: &str) {
    // Long lines, so that what waits between the gateway and its log is soon full.
    let long = format!("/api/{}", "long/".repeat(1_000));
    let mut client = gateway.connect();
    until("lines to be dropped", || {
        for _ in 0..100 {
            assert_eq!(client.send(Call::get("/api/profiles").key(key).bytes()).read().status(), 200);
            assert_eq!(client.send(Call::get(&long).key(key).bytes()).read().status(), 403);
        }
        (gateway.metric("scopegate_access_log_dropped_total", &[]) > 0.0).then_some(())
    });
    assert!(gateway.is_ready());
    let begun = std::time::Instant::now();
    gateway.process.signal("TERM");
    assert_eq!(gateway.process.exit_code(), 0);
    assert!(begun.elapsed() < PATIENCE / 2, "a log holds up no end");
}

#[test]
fn a_log_that_nobody_reads_costs_lines_and_no_request() {
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream).config("log: { output: pipe.log, format: json }");
    let pipe = setup.folder().join("pipe.log");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    // Somebody has it open for reading, and never reads.
    let _reader = OpenOptions::new().read(true).write(true).open(&pipe).expect("the pipe");
    let gateway = setup.start();
    let key = gateway.key(&["--scopes", "profiles:read"]);
    lose_lines(&gateway, &key);
}

#[test]
fn a_log_on_a_full_disk_costs_lines_and_no_request() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).config("log: { output: /dev/full, format: json }").start();
    let key = gateway.key(&["--scopes", "profiles:read"]);
    lose_lines(&gateway, &key);
    let said = gateway.process.last_words();
    let told = "scopegate: the log cannot be written to /dev/full: No space left on device";
    assert_eq!(said.matches(told).count(), 1, "{said}");
}
