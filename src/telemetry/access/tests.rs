use std::io;
use std::sync::Mutex;

use super::*;
use crate::key::mask::Mask;
use crate::key::secret::Secret;

/// An output that tests read back.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An output that accepts nothing until its gate is dropped.
struct Stuck(Receiver<()>);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An output like a full disk.
struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::from(io::ErrorKind::StorageFull))
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const WAIT: Duration = Duration::from_secs(20);

fn shown(text: &[u8]) -> Shown<'_> {
    Mask::new("sg").over(text)
}

fn denied() -> Record<'static> {
    Record {
        unix_millis: 1_795_300_000_007,
        request_id: shown(b"0199"),
        client: Some(IpAddr::from([192, 0, 2, 41])),
        method: shown(b"GET"),
        route: Some("GET /api/profiles/{id}"),
        target: shown(b"/api/profiles/1?include=lists&api_key=secret"),
        status: 403,
        decision: DecisionLabel::Deny,
        code: Some(Code::InsufficientScope),
        reason: None,
        key_id: Some("key_abcdefgh12345678"),
        account: None,
        server: None,
        retries: 0,
        duration: Duration::from_micros(1_234),
        upstream: None,
        bytes_in: 0,
        bytes_out: 217,
    }
}

fn logged(form: Form, records: &[Record<'_>]) -> String {
    sampled((form, 100), records)
}

fn sampled((form, share): (Form, u8), records: &[Record<'_>]) -> String {
    let output = Shared::default();
    let log = AccessLog::start_writer(Box::new(output.clone()), form, (share, Arc::default())).unwrap();
    let mut writer = log.writer();
    records.iter().for_each(|record| writer.record(record));
    drop(writer);
    log.finish(WAIT);
    let bytes = output.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_record_is_one_json_object_with_the_contract_s_fields() {
    let text = logged(Form::Json, &[denied()]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "time": "2026-11-21T22:26:40.007Z", "level": "info", "message": "request",
            "request_id": "0199", "client": "192.0.2.41", "method": "GET",
            "route": "GET /api/profiles/{id}", "path": "/api/profiles/1", "status": 403,
            "decision": "deny", "code": "insufficient_scope", "key_id": "key_abcdefgh12345678",
            "duration_ms": 1.234, "bytes_in": 0, "bytes_out": 217,
        })
    );
}

#[test]
fn of_what_went_well_a_share_is_logged_and_of_the_rest_everything() {
    let well = Record { status: 200, decision: DecisionLabel::Allow, code: None, ..denied() };
    let records = [
        [well; 30].as_slice(),
        &[denied(); 7],
        &[Record { status: 500, ..well }; 5],
        &[Record { status: 502, code: Some(Code::UpstreamFailed), ..well }; 3],
        // A caller that went away, one that was cut off before it was answered, and one that was not given what it asked for.
        &[Record { status: 499, ..well }; 2],
        &[Record { status: 0, ..well }; 2],
        &[Record { reason: Some("The handshake was not passed on."), ..well }; 2],
    ]
    .concat();
    for (share, lines) in [(100, 51), (50, 36), (10, 24), (1, 22), (0, 21)] {
        assert_eq!(sampled((Form::Json, share), &records).lines().count(), lines, "{share}%");
    }
}

#[test]
fn a_record_as_logfmt_is_one_line() {
    let record =
        Record { upstream: Some(Duration::from_millis(12)), account: Some("acme corp"), client: None, ..denied() };
    assert_eq!(
        logged(Form::Logfmt, &[record]),
        "time=2026-11-21T22:26:40.007Z status=403 method=GET path=/api/profiles/1 key_id=key_abcdefgh12345678 \
         duration_ms=1.234 decision=deny code=insufficient_scope route=\"GET /api/profiles/{id}\" \
         account=\"acme corp\" client=unknown upstream_ms=12.000 bytes_in=0 bytes_out=217 level=info message=request \
         request_id=0199\n"
    );
}

#[test]
fn neither_query_nor_authority_of_a_target_is_logged() {
    for (target, path) in [
        ("/a/b?api_key=K", "/a/b"),
        ("http://user:K@host/a/b?x=K#K", "/a/b"),
        ("http://user:K@host?api_key=K", ""),
        ("host:443", ""),
        ("*", "*"),
        ("/a#K", "/a"),
    ] {
        assert_eq!(path_of(target.as_bytes()), path.as_bytes(), "{target}");
    }
}

#[test]
fn no_part_of_a_record_shows_a_key() {
    let key = String::from_utf8(Secret::mint("sg").unwrap().expose().to_vec()).unwrap();
    let (path, method) = (format!("/{key}/a"), format!("X{key}"));
    let record = Record {
        request_id: shown(key.as_bytes()),
        method: shown(method.as_bytes()),
        target: shown(path.as_bytes()),
        ..denied()
    };
    for form in [Form::Json, Form::Logfmt] {
        let line = logged(form, &[record]);
        assert!(!line.contains(&key) && line.matches("sg_***").count() == 3, "{line}");
    }
    assert!(!format!("{record:?}").contains(&key));
}

#[test]
fn every_second_gets_its_own_date() {
    let at = |unix_millis| Record { unix_millis, ..denied() };
    let text = logged(Form::Logfmt, &[at(999), at(1_000), at(951_782_399_999), at(951_782_400_000)]);
    let times: Vec<_> = text.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(
        times,
        [
            "time=1970-01-01T00:00:00.999Z",
            "time=1970-01-01T00:00:01.000Z",
            "time=2000-02-28T23:59:59.999Z",
            "time=2000-02-29T00:00:00.000Z",
        ]
    );
}

#[test]
fn many_records_arrive_whole_and_in_order() {
    let records: Vec<_> = (0..2_000).map(|n| Record { bytes_in: n, ..denied() }).collect();
    let text = logged(Form::Json, &records);
    let numbers: Vec<u64> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["bytes_in"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (0..2_000).collect::<Vec<_>>());
}

#[test]
fn an_output_that_is_stuck_costs_records_and_never_waits() {
    let (gate, stuck) = channel();
    let dropped = Arc::new(AtomicU64::new(0));
    let log = AccessLog::start_writer(Box::new(Stuck(stuck)), Form::Json, (100, Arc::clone(&dropped))).unwrap();
    let mut writer = log.writer();
    // One batch may be with the writer thread, WAITING in the channel; every further one is dropped.
    for _ in 0..WAITING + 11 {
        writer.record(&denied());
        writer.flush();
    }
    let lost = dropped.load(Ordering::Relaxed);
    assert!((10..=11).contains(&lost), "{lost}");
    drop(gate);
    drop(writer);
    log.finish(WAIT);
}

#[test]
fn records_that_cannot_be_written_are_counted() {
    let dropped = Arc::new(AtomicU64::new(0));
    let log = AccessLog::start_writer(Box::new(Full), Form::Json, (100, Arc::clone(&dropped))).unwrap();
    let mut writer = log.writer();
    (0..5).for_each(|_| writer.record(&denied()));
    drop(writer);
    log.finish(WAIT);
    assert_eq!(dropped.load(Ordering::Relaxed), 5);
}
