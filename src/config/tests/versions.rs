//! Files that change while they are read.

use std::os::unix::fs::symlink;
use std::sync::Mutex;
use std::{fs, path::Path};

use crate::config::{Environment, Fault, Loaded, Source, Watched, read};
use crate::policy::scope::Vocabulary;

/// Reads `current/scopegate.yaml` of a folder, which does `change` each time when that file was read and the others were not.
fn read_while(
    folder: &tempfile::TempDir,
    change: impl Fn(usize) + Send + Sync + 'static,
) -> (Result<Loaded, Vec<Fault>>, Watched) {
    let count = Mutex::new(0);
    let environment = Environment::new(move |name| {
        (name == "MEANWHILE").then(|| {
            let mut count = count.lock().unwrap();
            change(*count);
            *count += 1;
            "127.0.0.1:8080".to_owned()
        })
    });
    let file = Some(folder.path().join("scopegate.yaml"));
    read(&Source { file, environment, ..Source::default() }, &Vocabulary::new())
}

/// Writes all files of a version: its name is in each.
fn write(folder: &Path, version: &str) {
    fs::create_dir_all(folder).unwrap();
    let own = rcgen::generate_simple_self_signed(vec![format!("{version}.test")]).unwrap();
    fs::write(folder.join("tls.pem"), own.cert.pem() + &own.signing_key.serialize_pem()).unwrap();
    let policy = format!("version: 1\nroutes:\n  GET /{version}: {{ auth: anyone }}\n");
    fs::write(folder.join("policy.yaml"), policy).unwrap();
    fs::write(folder.join("credential"), format!("{version}\n")).unwrap();
    let config = format!(
        "hosts: [{version}.test]\nlisten: '${{env:MEANWHILE}}'\ntls: {{ cert: tls.pem, key: tls.pem }}\npolicy: policy.yaml\n\
        upstream: {{ url: 'http://127.0.0.1:1', credential: {{ header: X-Key, value: '${{file:credential}}' }} }}\n"
    );
    fs::write(folder.join("scopegate.yaml"), config).unwrap();
}

/// The version of each part: the file itself, the policy, the credential, the certificate's being that of `folder`.
fn versions(loaded: &Loaded, folder: &Path) -> [String; 4] {
    let config = &loaded.config;
    let credential = match config.upstream.credential.as_ref().unwrap() {
        crate::config::UpstreamCredential::Header { value, .. } => String::from_utf8(value.expose().to_vec()).unwrap(),
        crate::config::UpstreamCredential::Query { .. } => unreachable!("it is a header"),
    };
    let probe = Source { file: Some(folder.join("scopegate.yaml")), ..Source::default() };
    let environment = Environment::new(|name| (name == "MEANWHILE").then(|| "127.0.0.1:8080".to_owned()));
    let whole = read(&Source { environment, ..probe }, &Vocabulary::new()).0.unwrap();
    let same = if whole.config.tls == config.tls { folder.file_name().unwrap().to_str().unwrap() } else { "another" };
    let host = format!("{:?}", config.hosts[0]);
    let route = config.policy.routes()[0].label();
    [
        host.trim_matches('"').trim_end_matches(".test").to_owned(),
        route.trim_start_matches("GET /").to_owned(),
        credential,
        same.to_owned(),
    ]
}

/// A folder as the kubelet makes it: every name leads through `..data`.
fn mounted() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for version in ["v1", "v2"] {
        write(&folder.path().join(version), version);
    }
    point(folder.path(), "v1");
    for name in ["scopegate.yaml", "policy.yaml", "credential", "tls.pem"] {
        symlink(format!("..data/{name}"), folder.path().join(name)).unwrap();
    }
    folder
}

fn point(folder: &Path, version: &str) {
    let fresh = folder.join("..data_tmp");
    symlink(version, &fresh).unwrap();
    fs::rename(fresh, folder.join("..data")).unwrap();
}

#[test]
fn a_folder_that_is_swapped_while_it_is_read_is_read_as_one_version() {
    let folder = mounted();
    let root = folder.path().to_owned();
    let (outcome, files) = read_while(&folder, move |_| point(&root, "v2"));
    assert_eq!(versions(&outcome.unwrap(), &folder.path().join("v1")), ["v1"; 4]);
    assert!(!files.is_current(), "the next look finds the other version");
}

#[test]
fn a_version_that_is_removed_while_it_is_read_is_not_missed() {
    let folder = mounted();
    let root = folder.path().to_owned();
    let (outcome, files) = read_while(&folder, move |count| {
        if count == 0 {
            point(&root, "v2");
            fs::remove_dir_all(root.join("v1")).unwrap();
        }
    });
    assert_eq!(versions(&outcome.unwrap(), &folder.path().join("v2")), ["v2"; 4]);
    assert!(files.is_current());
}

#[test]
fn files_that_are_written_one_by_one_while_they_are_read_are_read_again() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "v1");
    let root = folder.path().to_owned();
    let (outcome, files) = read_while(&folder, move |count| {
        if count == 0 {
            write(&root, "v2");
        }
    });
    let loaded = outcome.unwrap();
    assert_eq!(versions(&loaded, folder.path())[..3], ["v2"; 3]);
    assert!(files.is_current());
}

#[test]
fn files_that_never_stand_still_are_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "v1");
    let root = folder.path().to_owned();
    let (outcome, _) = read_while(&folder, move |count| write(&root, &format!("v{}", count + 2)));
    let faults = outcome.unwrap_err();
    assert_eq!(faults.len(), 1);
    let said = faults[0].in_one_line();
    assert!(said.contains("changed while it was read, 5 times in a row"), "{said}");
}
