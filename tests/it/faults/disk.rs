//! Real disks: one that is full, one that is mounted read-only. A test that needs one runs itself once more in a namespace of its
//! own, where it may mount what it likes. Where the system allows no such thing the test says so and passes, and tests/run
//! names it among what was skipped.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use super::store::assert_served;
use crate::keys::id_of;
use crate::support::command::finish;
use crate::support::{Gateway, Output, Setup, Upstream};

/// Set for a test that has its own mounts.
const INSIDE: &str = "SCOPEGATE_TEST_MOUNTS";

/// Runs a test of this binary where it may mount.
fn with_own_mounts(name: &str, test: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return test();
    }
    let able = Command::new("unshare").args(["-rm", "true"]).output().is_ok_and(|output| output.status.success());
    if !able {
        eprintln!("SKIPPED {name}: `unshare -rm` is not allowed here, so no disk can be mounted");
        return;
    }
    let this = std::env::current_exe().expect("the test binary");
    let mut again = Command::new("unshare");
    again.arg("-rm").arg(this).args(["--exact", name, "--nocapture"]).env(INSIDE, "1");
    let output = again.output().expect("the test once more");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

fn mount(arguments: &[&str], at: &Path) {
    assert!(Command::new("mount").args(arguments).arg(at).status().expect("mount").success(), "mount {arguments:?}");
}

/// A gateway whose store is on a disk of a megabyte.
fn on_small_disk(upstream: &Upstream) -> Gateway {
    let setup = Setup::new(upstream).environment("SCOPEGATE_STORE", "sqlite:disk/keys.db");
    let disk = setup.folder().join("disk");
    fs::create_dir(&disk).expect("a folder");
    mount(&["-t", "tmpfs", "-o", "size=1m", "tmpfs"], &disk);
    setup.start()
}

/// Writes until there is no room.
fn fill(gateway: &Gateway) {
    let mut filler = File::create(gateway.file("disk/filler")).expect("a file");
    while filler.write_all(&[0; 512]).is_ok() {}
}

#[test]
fn a_small_disk_that_is_full_is_told_and_changes_nothing() {
    with_own_mounts("faults::disk::a_small_disk_that_is_full_is_told_and_changes_nothing", || {
        let upstream = Upstream::ok();
        let gateway = on_small_disk(&upstream);
        let key = gateway.key(&["--scopes", "profiles:read"]);
        let id = id_of(&gateway, &key);
        fill(&gateway);
        let told =
            ["no room is left for the key store disk/keys.db: nothing was changed; free some space and try again"];
        for arguments in
            [&["keys", "create", "--name", "late", "--full"][..], &["keys", "rotate", &id], &["keys", "revoke", &id]]
        {
            let said = gateway.run(arguments).exits(1).says(&told);
            assert_eq!(said.stdout, "", "no key is told that is not kept");
        }
        let elsewhere = ["keys", "create", "--name", "first", "--full", "--store", "sqlite:disk/new.db"];
        gateway.run(&elsewhere).exits(1).says(&["no room is left for the key store disk/new.db"]);
        assert_served(&gateway, &key);
        let list = gateway.run(&["keys", "list", "--json"]).exits(0).json();
        assert_eq!((list["keys"].as_array().map(Vec::len), &list["keys"][0]["state"]), (Some(1), &"active".into()));
        assert_eq!(gateway.metric("scopegate_store_up", &[]), 1.0);
        fs::remove_file(gateway.file("disk/filler")).expect("its end");
        gateway.run(&elsewhere).exits(0);
        assert_served(&gateway, &gateway.key(&["--scopes", "profiles:read"]));
        assert_served(&gateway, &key);
        gateway.run(&["audit", "verify"]).exits(0).says(&["2 entries hold"]);
    });
}

#[test]
fn a_store_that_is_mounted_read_only_is_told_and_changes_nothing() {
    with_own_mounts("faults::disk::a_store_that_is_mounted_read_only_is_told_and_changes_nothing", || {
        let upstream = Upstream::ok();
        let gateway = on_small_disk(&upstream);
        let key = gateway.key(&["--scopes", "profiles:read"]);
        let id = id_of(&gateway, &key);
        // The same folder, and in it the same file, for those who come by another way.
        let [folder, disk] = ["shown", "disk"].map(|name| gateway.file(name));
        fs::create_dir(&folder).expect("a folder");
        mount(&["--bind", disk.to_str().expect("a name")], &folder);
        mount(&["-o", "remount,bind,ro"], &folder);
        refuses_changes(&gateway, "sqlite:shown/keys.db", &id);
        let new = ["keys", "create", "--name", "first", "--full", "--store", "sqlite:shown/new.db"];
        gateway.run(&new).exits(1).says(&["cannot make the key store shown/new.db", "mounted read-only"]);
        let mut serve = gateway.command(&["serve", "--store", "sqlite:shown/new.db"]);
        let serve = finish(serve.env("SCOPEGATE_LISTEN", "127.0.0.1:0").env("SCOPEGATE_ADMIN", "127.0.0.1:0"));
        serve.exits(1).says(&["shown/new.db", "mounted read-only"]);
        // The file alone, in a folder that can be written.
        let file = gateway.file("disk/keys.db");
        mount(&["--bind", file.to_str().expect("a name")], &file);
        mount(&["-o", "remount,bind,ro"], &file);
        refuses_changes(&gateway, "sqlite:disk/keys.db", &id);
        assert_served(&gateway, &key);
        assert!(Command::new("umount").arg(&file).status().expect("umount").success());
        assert_served(&gateway, &gateway.key(&["--scopes", "profiles:read"]));
        gateway.run(&["audit", "verify"]).exits(0).says(&["2 entries hold"]);
    });
}

/// Asserts that no change is made by a way to the store that is read-only.
#[track_caller]
fn refuses_changes(gateway: &Gateway, store: &str, id: &str) {
    let path = &store["sqlite:".len()..];
    for arguments in [&["keys", "create", "--name", "late", "--full"][..], &["keys", "revoke", id]] {
        let said: Output = gateway.run(&[arguments, &["--store", store]].concat()).exits(1);
        assert_eq!(said.stdout, "", "no key is told that is not kept");
        said.says(&["the key store", path, "mounted read-only"]);
    }
    let list = gateway.run(&["keys", "list", "--json"]).exits(0).json();
    assert_eq!((list["keys"].as_array().map(Vec::len), &list["keys"][0]["state"]), (Some(1), &"active".into()));
}
