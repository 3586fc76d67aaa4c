//! Reloads, restarts and shortages under load: nobody loses a request over them.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::{Call, Client, Message, Setup, Upstream, activated, until, with_descriptors};

/// How many callers there are beside whatever happens.
const CALLERS: usize = 4;

/// Runs `event` while callers send `call` to `address`, each on connections that last for `each` requests, and look at the
/// answers with `judge`. What `event` gives lives until the last of them has its answer.
fn under_load<T>(
    (address, call, each): (SocketAddr, &Call, usize),
    judge: impl Fn(&Message) + Sync,
    event: impl FnOnce(&AtomicUsize) -> T,
) {
    let (over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let _kept = thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    let mut client = Client::connect(address);
                    for _ in 0..each {
                        judge(&client.send(call.bytes()).read());
                        answered.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        let kept = event(&answered);
        over.store(true, Ordering::SeqCst);
        kept
    });
}

#[test]
fn a_thousand_reloads_fail_no_request_and_none_sees_half_of_two() {
    const RELOADS: usize = 1_000;
    let upstream = Upstream::telling(["host", "x-real"]);
    let gateway = Setup::new(&upstream)
        .upstream("  host: n0.example\n  credential: { header: X-Real, value: n0.example }")
        .config("log: { level: warn, access: false }")
        .start();
    let key = gateway.key(&["--scopes", "profiles:read"]);
    let (file, new) = (gateway.file("scopegate.yaml"), gateway.file("scopegate.yaml.new"));
    let text = fs::read_to_string(&file).expect("the configuration");
    let judge = |answer: &Message| {
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let told = answer.body_text();
        let (host, credential) = told.split_once(' ').expect("two words");
        assert_eq!(host, credential);
    };
    let call = Call::get("/api/whoami").key(&key);
    under_load((gateway.address(), &call, 50), judge, |_| {
        for number in 1..=RELOADS {
            fs::write(&new, text.replace("n0.example", &format!("n{number}.example"))).expect("the change");
            fs::rename(&new, &file).expect("its rename");
            gateway.process.signal("HUP");
            let wanted = (number + 1) as f64;
            until("the change", || (gateway.metric("scopegate_policy_generation", &[]) >= wanted).then_some(()));
        }
    });
    assert_eq!(gateway.metric("scopegate_reloads_total", &["result=\"failed\""]), 0.0);
    assert_eq!(gateway.answer(&call).body_text(), format!("n{RELOADS}.example n{RELOADS}.example"));
}

#[test]
fn a_hundred_restarts_on_a_socket_that_is_passed_fail_no_request() {
    const RESTARTS: usize = 100;
    let upstream = Upstream::ok();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("its address");
    let start = || {
        let setup =
            Setup::new(&upstream).listen(&format!("\"{address}\"")).config("log: { level: warn, access: false }");
        setup.start_by(|command| activated(command, listener.try_clone().expect("a copy").into()))
    };
    let judge = |answer: &Message| assert_eq!(answer.status(), 200, "{}", answer.text());
    // One request each: a connection that rests may be closed at any time, and whoever keeps one knows it.
    let call = Call::get("/api/health").field("connection", "close");
    under_load((address, &call, 1), judge, |answered| {
        let mut gateway = start();
        for _ in 0..RESTARTS {
            let before = answered.load(Ordering::SeqCst);
            until("a few answers", || (answered.load(Ordering::SeqCst) > before + CALLERS).then_some(()));
            gateway.process.signal("TERM");
            assert_eq!(gateway.process.exit_code(), 0);
            gateway = start();
        }
        let before = answered.load(Ordering::SeqCst);
        until("the last answers", || (answered.load(Ordering::SeqCst) > before + CALLERS).then_some(()));
        gateway
    });
}

#[test]
fn a_gateway_that_has_no_descriptors_left_serves_again_when_it_has() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).start_by(|command| with_descriptors(command, 64));
    let call = Call::get("/api/health");
    assert_eq!(gateway.answer(&call).status(), 200);
    let crowd: Vec<Client> = (0..200).map(|_| gateway.connect()).collect();
    gateway.process.wait_for("the shortage", |said| said.contains("no connection can be accepted").then_some(()));
    // It tries ten times in a second, and says so once a minute on each listener of each worker.
    thread::park_timeout(Duration::from_millis(500));
    let told = gateway.process.said().matches("no connection can be accepted").count();
    assert!(told <= 2, "{told}");
    drop(crowd);
    assert_eq!(gateway.answer(&call).status(), 200);
    assert!(gateway.is_ready());
}
