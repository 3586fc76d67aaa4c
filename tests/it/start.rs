//! What keeps a gateway from starting: whatever it cannot read, it does not guess.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::gateway::Port;
use crate::support::process::Process;
use crate::support::{Setup, Upstream};

/// Starts a gateway whose files `spoil` has changed; it ends with `code`, names `word`, and never says that it serves.
#[track_caller]
fn stays_down(what: &str, (code, word): (i32, &str), spoil: impl Fn(&Path)) {
    let setup = Setup::for_url("http://127.0.0.1:9").written();
    spoil(setup.folder());
    let process = Process::start(setup.command().arg("serve"));
    let ended = process.exit_code();
    let said = process.last_words();
    assert_eq!(ended, code, "{what}:\n{said}");
    assert!(said.contains(word), "{what}: {word:?} is missing in\n{said}");
    assert!(!said.contains("serving"), "{what}:\n{said}");
}

fn write(folder: &Path, file: &str, text: impl AsRef<[u8]>) {
    fs::write(folder.join(file), text).expect("a file");
}

fn edit(folder: &Path, file: &str, (from, to): (&str, &str)) {
    let text = fs::read_to_string(folder.join(file)).expect("a file");
    assert!(text.contains(from), "{from} is in {text}");
    write(folder, file, text.replace(from, to));
}

#[test]
fn the_log_says_where_requests_come_in_where_they_go_and_where_the_figures_are() {
    let (one, other) = (Upstream::ok(), Upstream::ok());
    let metrics = Port::free();
    let setup = Setup::for_servers(&[one.url(), other.url()]);
    let gateway = setup.config(&format!("metrics: {{ listen: \"{}\" }}", metrics.address)).start();
    let line = gateway.process.wait_for("the start", |said| {
        said.lines().find(|line| line.contains("serving") && line.contains("listen")).map(str::to_owned)
    });
    let servers = format!("{} {}", one.url(), other.url());
    for word in [&gateway.address().to_string(), &servers, &metrics.address.to_string()] {
        assert!(line.contains(word), "{word} is not in {line}");
    }
}

#[test]
fn a_gateway_without_a_readable_configuration_does_not_start() {
    let file = "scopegate.yaml";
    stays_down("no file", (1, file), |folder| fs::remove_file(folder.join(file)).expect("it was there"));
    stays_down("an empty file", (4, file), |folder| write(folder, file, ""));
    stays_down("no text", (1, file), |folder| write(folder, file, b"\xff\xfe\0\x01"));
    stays_down("cut off", (4, file), |folder| {
        let text = fs::read(folder.join(file)).expect("a file");
        write(folder, file, text.get(..text.len() / 3).expect("a third"));
    });
    stays_down("a field unknown", (4, "lissen"), |folder| edit(folder, file, ("listen:", "lissen:")));
    stays_down("a folder", (1, file), |folder| {
        fs::remove_file(folder.join(file)).expect("it was there");
        fs::create_dir(folder.join(file)).expect("a folder");
    });
}

#[test]
fn a_gateway_without_a_readable_policy_does_not_start() {
    let file = "policy.yaml";
    stays_down("no file", (4, file), |folder| fs::remove_file(folder.join(file)).expect("it was there"));
    stays_down("an empty file", (4, file), |folder| write(folder, file, ""));
    stays_down("no routes", (4, "routes"), |folder| write(folder, file, "version: 1\n"));
    stays_down("a route that says nothing", (4, file), |folder| {
        edit(folder, file, ("  GET /health: { auth: anyone }", "  GET /health:"));
    });
    stays_down("a duplicate", (4, file), |folder| {
        edit(folder, file, ("  GET /health:", "  GET /files/{other}: a:read\n  GET /health:"));
    });
}

#[test]
fn a_gateway_without_a_readable_store_does_not_start() {
    stays_down("no database", (1, "keys.db"), |folder| {
        write(folder, "keys.db", "this is no database at all, and long enough to be one")
    });
    stays_down("a folder", (1, "keys.db"), |folder| fs::create_dir(folder.join("keys.db")).expect("a folder"));
    let in_a_file = |folder: &Path| edit(folder, "scopegate.yaml", ("sqlite:keys.db", "file:keys.yaml"));
    stays_down("no key file", (1, "keys.yaml"), in_a_file);
    for text in ["", "keys: [", "keys:\n  - { name: a, sha256: abc, scopes: [a] }\n", "keys:\n  - { name: a }\n"] {
        stays_down(text, (1, "keys.yaml"), |folder| {
            in_a_file(folder);
            write(folder, "keys.yaml", text);
            fs::set_permissions(folder.join("keys.yaml"), fs::Permissions::from_mode(0o600)).expect("its mode");
        });
    }
}
