//! `scopegate demo`: no file, no set-up, lines to copy.

use std::net::SocketAddr;

use crate::support::command::{command, contents};
use crate::support::process::Process;
use crate::support::{Call, Client, strings};

/// What a reader of the demo's output copies.
struct Printed {
    address: SocketAddr,
    /// What stands before the key in the Authorization header.
    scheme: String,
    keys: Vec<String>,
}

fn keys(text: &str) -> Vec<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let mut keys: Vec<_> =
        words.filter(|word| word.starts_with("sg_") && word.len() == 39).map(str::to_owned).collect();
    keys.sort();
    keys.dedup();
    keys
}

fn printed(text: &str) -> Option<Printed> {
    let line = text.lines().find(|line| line.contains("curl") && line.contains("include=lists"))?;
    let authority = line.split_once("http://")?.1.split('/').next()?;
    let before = line.split_once("Authorization: ").map(|(_, value)| value)?;
    let scheme = before.split_once(" sg_")?.0.to_owned();
    let keys = keys(text);
    (keys.len() == 3).then(|| Printed { address: authority.parse().expect("an address"), scheme, keys })
}

fn get(demo: &Printed, target: &str, key: &str) -> crate::support::Message {
    let call =
        Call::get(target).field("Authorization", &format!("{} {key}", demo.scheme)).field("revision", "2026-07-15");
    Client::connect(demo.address).send(call.bytes()).read()
}

#[test]
fn the_demo_needs_nothing_and_shows_a_denied_include() {
    let folder = tempfile::tempdir().expect("a folder");
    let process = Process::start(command(folder.path()).arg("demo"));
    let demo = process.wait_for("three keys and curl lines", printed);
    let allowed = demo.keys.iter().filter(|key| get(&demo, "/api/profiles/1", key).status() == 200).count();
    assert_eq!(allowed, 3, "every key may read a profile");
    let answers: Vec<_> = demo.keys.iter().map(|key| get(&demo, "/api/profiles/1?include=lists", key)).collect();
    let denied: Vec<_> = answers.iter().filter(|answer| answer.status() == 403).collect();
    assert_eq!(denied.len(), 1, "the key with profiles:read alone is denied the lists");
    assert!(denied[0].text().contains("insufficient_scope"), "{}", denied[0].text());
    let body = denied[0].json();
    let missing = if body["missing"].is_array() { &body["missing"] } else { &body["errors"][0]["meta"]["missing"] };
    assert_eq!(strings(missing), ["lists:read"]);
    let writers = demo.keys.iter().filter(|key| {
        let call = Call::post("/api/profiles")
            .field("Authorization", &format!("{} {key}", demo.scheme))
            .field("Content-Type", "application/json");
        Client::connect(demo.address)
            .send(call.body("{\"data\":{\"type\":\"profile\",\"attributes\":{}}}").bytes())
            .read()
            .status()
            < 300
    });
    assert_eq!(writers.count(), 1, "only the full key may write");
    assert_eq!(get(&demo, "/api/profiles", "sg_invented").status(), 401);
    process.signal("INT");
    assert_eq!(process.exit_code(), 0);
    assert_eq!(contents(folder.path()), [], "the demo leaves nothing behind");
}

#[test]
fn two_demos_run_beside_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let one = Process::start(command(folder.path()).arg("demo"));
    let first = one.wait_for("three keys and curl lines", printed);
    let two = Process::start(command(folder.path()).arg("demo"));
    let second = two.wait_for("three keys and curl lines", printed);
    assert_ne!(first.address, second.address);
    for demo in [&first, &second] {
        assert_eq!(get(demo, "/api/profiles/1", &demo.keys[0]).status(), 200);
    }
    assert_eq!(get(&first, "/api/profiles/1", &second.keys[0]).status(), 401, "each has keys of its own");
}

/// A request that the demo prints, and the status that it promises for it.
struct Promise {
    status: u16,
    method: String,
    authority: String,
    target: String,
    fields: Vec<(String, String)>,
}

/// Each `# STATUS: …` with the curl line under it.
fn promises(text: &str) -> Vec<Promise> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let commented = lines.iter().enumerate().filter_map(|(at, line)| {
        let status = line.strip_prefix("# ")?.split(':').next()?.parse().ok()?;
        let curl = lines[at..].iter().find(|line| line.starts_with("curl "))?;
        Some(promise(status, &words(curl)))
    });
    commented.collect()
}

fn promise(status: u16, words: &[String]) -> Promise {
    let url = words.iter().find_map(|word| word.strip_prefix("http://")).expect("a URL");
    let (authority, path) = url.split_once('/').expect("a path");
    let fields = after(words, "-H").map(|field| field.split_once(": ").expect("a field"));
    Promise {
        status,
        method: after(words, "-X").next().map_or("GET", String::as_str).to_owned(),
        authority: authority.to_owned(),
        target: format!("/{path}"),
        fields: fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    }
}

/// The words behind each `flag`.
fn after<'w>(words: &'w [String], flag: &'w str) -> impl Iterator<Item = &'w String> {
    words.iter().zip(&words[1..]).filter(move |(word, _)| *word == flag).map(|(_, next)| next)
}

/// The words of a shell line with single quotes.
fn words(line: &str) -> Vec<String> {
    let pieces = line.split('\'').enumerate();
    let words = pieces.flat_map(|(at, piece)| match at % 2 {
        0 => piece.split_whitespace().map(str::to_owned).collect::<Vec<_>>(),
        _ => vec![piece.to_owned()],
    });
    words.collect()
}

#[test]
fn every_line_that_the_demo_prints_gets_the_status_that_it_promises() {
    let folder = tempfile::tempdir().expect("a folder");
    let process = Process::start(command(folder.path()).arg("demo"));
    let promises = process.wait_for("all curl lines", |text| {
        text.contains("\n  curl -i --path-as-is").then(|| promises(text)).filter(|found| found.len() >= 7)
    });
    for promise in promises {
        let address: SocketAddr = promise.authority.parse().expect("an address");
        let head: String = promise.fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let Promise { method, target, .. } = &promise;
        let request = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\n{head}Connection: close\r\n\r\n");
        let answer = Client::connect(address).send(request.as_bytes()).read();
        assert_eq!(answer.status(), promise.status, "{method} {target}: {}", answer.text());
    }
}

#[test]
fn the_prose_of_the_demo_fits_a_terminal_of_80_columns() {
    let folder = tempfile::tempdir().expect("a folder");
    let process = Process::start(command(folder.path()).arg("demo"));
    let text =
        process.wait_for("all curl lines", |text| text.contains("\n  curl -i --path-as-is").then(|| text.to_owned()));
    let prose = text.lines().filter(|line| !line.contains("curl ") && !line.starts_with("time="));
    let wide: Vec<_> = prose.filter(|line| line.chars().count() > 80).collect();
    assert!(wide.is_empty(), "{wide:#?}");
}
