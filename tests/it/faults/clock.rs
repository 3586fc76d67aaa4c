//! A wall clock that jumps by days: keys expire by it, and nothing else goes by it.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::system::System;
use crate::support::{Call, OK, PATIENCE, Setup, Upstream, lasted, until};

const DAY: i64 = 86_400;

const ROUTES: &str = "  POST /slow: { auth: key, timeouts: { response: 10m } }
  GET /stuck: { auth: anyone, timeouts: { response: 400ms } }
";

#[test]
fn keys_expire_by_a_clock_that_jumps_and_no_timeout_goes_by_it() {
    let upstream = Upstream::start(|connection| {
        while let Some(request) = connection.request() {
            match request.target() {
                "/api/slow" => {
                    connection.note("slow");
                    connection.wait_for("go");
                }
                "/api/stuck" => connection.stall(),
                _ => {}
            }
            connection.send(OK);
        }
    });
    let system = System::new();
    let setup = Setup::new(&upstream).routes(ROUTES).config("limits: { idle: 10m }\nworkers: 1");
    let gateway = system.over(setup).start();
    let key = gateway.key(&["--full", "--expires", "30d"]);
    let whoami = || gateway.get("/api/whoami", &key);
    let stuck = || {
        let begun = Instant::now();
        let answer = gateway.answer(&Call::get("/api/stuck"));
        assert_eq!(answer.status(), 504);
        let took = begun.elapsed();
        assert!(lasted(took, Duration::from_millis(400)) && took < PATIENCE / 2, "{took:?}");
    };
    let (mut slow, mut idle) = (gateway.connect(), gateway.connect());
    slow.send(Call::post("/api/slow").key(&key).body("{}").bytes());
    upstream.wait_for("slow");
    assert_eq!(idle.send(Call::get("/api/whoami").key(&key).bytes()).read().status(), 200);

    system.set_clock(31 * DAY);
    until("the key to expire", || (whoami().status() == 401).then_some(()));
    stuck();
    let answer = idle.send(Call::get("/api/whoami").key(&key).bytes()).read();
    assert_eq!((answer.status(), answer.code().as_str()), (401, "expired_key"), "the connection is still there");

    system.set_clock(-DAY);
    until("the key to be good again", || (whoami().status() == 200).then_some(()));
    stuck();
    assert_eq!(idle.send(Call::get("/api/whoami").key(&key).bytes()).read().status(), 200);
    upstream.allow("go");
    assert_eq!(slow.read().status(), 200, "what may have been carried out is answered");

    gateway.process.signal("TERM");
    assert_eq!(gateway.process.exit_code(), 0);
    let said = gateway.process.last_words();
    assert!(!said.contains("panicked"), "{said}");
    let durations: Vec<f64> =
        said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()?["duration_ms"].as_f64()).collect();
    assert!(durations.len() > 5 && durations.iter().all(|time| (0.0..60_000.0).contains(time)), "{durations:?}");
}
