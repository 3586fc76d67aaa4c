//! Stores and ports that cannot be had, and where a gateway's settings come from.

use super::*;

#[test]
fn a_store_that_is_no_database_is_told_so_and_left_alone() {
    let folder = folder(CONFIG, POLICY);
    let garbage = b"this is not a database, and long enough to look like one ".repeat(50);
    fs::write(folder.path().join("keys.db"), &garbage).expect("the garbage");
    for arguments in [SERVE.as_slice(), &["keys", "list"], &["keys", "create", "--name", "x", "--full"]] {
        scopegate(folder.path(), arguments).exits(1).says(&["keys.db"]);
    }
    assert_eq!(fs::read(folder.path().join("keys.db")).expect("the garbage"), garbage);
}

#[test]
fn a_store_that_is_newer_than_the_program_is_told_so_and_left_alone() {
    let folder = folder(CONFIG, POLICY);
    scopegate(folder.path(), ["keys", "create", "--name", "x", "--full"]).exits(0);
    let path = folder.path().join("keys.db");
    let store = rusqlite::Connection::open(&path).expect("the store");
    store.pragma_update(None, "user_version", 9999).expect("a version of the future");
    store.close().expect("the store is closed");
    let before = fs::read(&path).expect("the store");
    for arguments in [SERVE.as_slice(), &["keys", "list"], &["keys", "create", "--name", "y", "--full"]] {
        scopegate(folder.path(), arguments).exits(1).says(&["keys.db", "newer"]);
    }
    assert_eq!(fs::read(&path).expect("the store"), before);
}

#[test]
fn a_command_that_reads_makes_no_store() {
    let folder = folder(CONFIG, POLICY);
    for arguments in [
        ["keys", "list"].as_slice(),
        &["keys", "show", "key_0123456789abcdef"],
        &["keys", "revoke", "key_0123456789abcdef"],
    ] {
        let output = scopegate(folder.path(), arguments);
        assert!([0, 1].contains(&output.code), "{output:?}");
        assert!(!folder.path().join("keys.db").exists(), "{arguments:?} made a store");
    }
}

#[test]
fn a_store_in_a_folder_that_does_not_exist_is_named() {
    let folder = folder(&CONFIG.replace("sqlite:keys.db", "sqlite:no-folder/keys.db"), POLICY);
    scopegate(folder.path(), ["keys", "create", "--name", "x", "--full"]).exits(1).says(&["no-folder"]);
    scopegate(folder.path(), SERVE).exits(1).says(&["no-folder"]);
}

#[test]
fn a_port_in_use_is_told_with_its_address() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let folder = folder(CONFIG, POLICY);
    let serve = |listen: &str, admin: &str| {
        finish(
            crate::support::command::command(folder.path())
                .args(["serve"])
                .env("SCOPEGATE_LISTEN", listen)
                .env("SCOPEGATE_ADMIN", admin),
        )
    };
    serve(&address, "127.0.0.1:0").exits(1).says(&[&address, "in use"]);
    serve("127.0.0.1:0", &address).exits(1).says(&[&address, "in use"]);
}

#[test]
fn two_gateways_never_share_a_port_in_silence() {
    let upstream = Upstream::ok();
    let first = Setup::new(&upstream).start();
    let second = folder(CONFIG, POLICY);
    let address = first.address().to_string();
    let mut command = crate::support::command::command(second.path());
    finish(command.arg("serve").env("SCOPEGATE_LISTEN", &address).env("SCOPEGATE_ADMIN", "127.0.0.1:0"))
        .exits(1)
        .says(&[&address, "in use"]);
}

#[test]
fn flags_beat_the_environment_and_the_environment_beats_the_file() {
    let folder = folder(CONFIG, POLICY);
    let check = |flags: &[&str], variable: Option<&str>| {
        let mut command = crate::support::command::command(folder.path());
        command.args(["check"]).args(flags);
        command.envs(variable.map(|value| ("SCOPEGATE_POLICY", value)));
        finish(&mut command)
    };
    check(&[], Some("no-such-policy.yaml")).says(&["no-such-policy.yaml"]);
    check(&["--policy", "policy.yaml"], Some("no-such-policy.yaml")).exits(0);
    check(&["--policy", "nor-this.yaml"], Some("policy.yaml")).says(&["nor-this.yaml"]);
}

#[test]
fn a_container_needs_no_file_but_a_policy() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("policy.yaml"), POLICY).expect("the policy");
    let mut command = crate::support::command::command(folder.path());
    command.arg("check").env("SCOPEGATE_UPSTREAM", "http://127.0.0.1:3000").env("SCOPEGATE_POLICY", "policy.yaml");
    finish(&mut command).exits(0);
}

#[test]
fn the_healthcheck_follows_the_gateway() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).start();
    gateway.run(&["healthcheck"]).exits(0);
    gateway.process.signal("KILL");
    gateway.process.exit_code();
    gateway.run(&["healthcheck"]).exits(1);
}

#[test]
fn a_port_in_use_is_told_with_the_flag_that_changes_it() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let folder = folder(CONFIG, POLICY);
    let output = scopegate(folder.path(), ["serve", "--listen", "127.0.0.1:0", "--admin", &address]).exits(1);
    let output = output.says(&["admin.listen", "in use by another process", "--admin 127.0.0.1:"]);
    assert!(!output.stderr.contains("os error"), "{}", output.stderr);
    let output = scopegate(folder.path(), ["serve", "--listen", &address, "--admin", "127.0.0.1:0"]).exits(1);
    output.says(&["--listen 127.0.0.1:"]);
    let port = address.rsplit(':').next().expect("a port");
    scopegate(folder.path(), ["demo", "--port", port]).exits(1).says(&["choose another port with `--port`"]);
}
