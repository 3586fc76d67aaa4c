use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::following::follow;
use super::server::{ESCAPED, until};
use super::*;
use crate::key::KeyState;
use crate::store::uses::{Count, ValueUse};

/// What README gives a gateway, and what one that counts uses has besides.
const GATEWAY: &str =
    "GRANT USAGE ON SCHEMA scopegate TO gateway; GRANT SELECT ON ALL TABLES IN SCHEMA scopegate TO gateway";
const HEARTBEAT: &str = "GRANT INSERT, UPDATE, DELETE ON scopegate.gateways TO gateway";
const USES: &str = "GRANT INSERT, UPDATE ON scopegate.uses, scopegate.value_uses TO gateway";
/// Whom README lets connect to the database `keys`.
const CONNECT: &str = "REVOKE CONNECT ON DATABASE keys FROM PUBLIC; GRANT CONNECT ON DATABASE keys TO gateway, writer";
/// What README gives whoever makes and ends keys.
const WRITER: &str = "GRANT USAGE ON SCHEMA scopegate TO writer; GRANT SELECT ON ALL TABLES IN SCHEMA scopegate TO writer; \
    GRANT INSERT ON scopegate.keys, scopegate.former_values, scopegate.accounts, scopegate.changes TO writer; \
    GRANT UPDATE ON scopegate.keys, scopegate.former_values, scopegate.accounts TO writer; \
    GRANT UPDATE (revision) ON scopegate.head TO writer";

#[test]
fn readme_gives_the_rights_that_are_tested_here() {
    let readme = include_str!("../../../../README.md");
    let words: Vec<&str> = readme.split_whitespace().collect();
    let readme = words.join(" ");
    for statement in [CONNECT, GATEWAY, HEARTBEAT, USES, WRITER].iter().flat_map(|rights| rights.split("; ")) {
        let statement = statement.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(readme.contains(&format!("{statement};")), "{statement}");
    }
}

#[test]
fn a_gateway_follows_with_the_least_rights_and_is_told_which_one_it_lacks() {
    let Some(place) = Place::new() else { return };
    place.0.run(&CONNECT.replace("keys", &place.0.name));
    let key = record("key");
    let url = place.0.url_of("gateway");
    let said = refusal(&url, OpenMode::Create);
    assert!(said.contains("this user may not make one (permission denied for database"), "{said}");
    place.put(std::slice::from_ref(&key));
    let said = refusal(&url, OpenMode::Create);
    assert!(said.ends_with("GRANT USAGE ON SCHEMA scopegate TO \"gateway\""), "{said}");
    place.0.run("GRANT USAGE ON SCHEMA scopegate TO gateway");
    let said = refusal(&url, OpenMode::Create);
    assert!(said.contains("GRANT SELECT ON ALL TABLES IN SCHEMA scopegate TO \"gateway\""), "{said}");
    place.0.run(GATEWAY);
    let followed = follow(open(&url, OpenMode::Create).unwrap());
    let said = followed.next();
    assert!(said.starts_with("Unconfirmed(") && said.contains("permission denied for table gateways"), "{said}");
    place.store().change(&key.id, &Transition::Revoke, STAMP).unwrap();
    assert_eq!(followed.next(), "1 to 2", "it follows all the same, and says so once");
    let mut store = open(&url, OpenMode::Existing).unwrap();
    let count = Count { allowed: 1, denied: 0, last: STAMP.at };
    let uses = [ValueUse { digest: key.value.digest, count, scopes: Vec::new() }];
    let said = store.add_uses(&uses).unwrap_err().to_string();
    assert!(
        said.ends_with("GRANT SELECT, INSERT, UPDATE ON scopegate.uses, scopegate.value_uses TO \"gateway\""),
        "{said}"
    );
    place.0.run(&format!("{USES}; {HEARTBEAT}"));
    store.add_uses(&uses).unwrap();
    store.confirm(Revision(2), None).unwrap();
    assert_eq!(place.store().gateways().unwrap().unwrap().gateways.len(), 1);
    for refused in
        [store.create(&[record("other")], STAMP).map(drop), store.change(&key.id, &Transition::Delete, STAMP).map(drop)]
    {
        let error = refused.unwrap_err();
        assert!(matches!(error, StoreError::Database(DatabaseError::Privilege { .. })), "{error}");
    }
    place.0.run("ALTER TABLE scopegate.head DISABLE TRIGGER USER; UPDATE scopegate.head SET version = 0");
    assert!(refusal(&url, OpenMode::Create).contains("this user may not bring it up to date"), "by the owner alone");
}

#[test]
fn whoever_makes_and_ends_keys_needs_no_more_than_readme_gives() {
    let Some(place) = Place::new() else { return };
    drop(place.store());
    place.0.run(&format!("{}; {WRITER}", CONNECT.replace("keys", &place.0.name)));
    let mut store = open(&place.0.url_of("writer"), OpenMode::Existing).unwrap();
    let key = record("key");
    store.create(std::slice::from_ref(&key), STAMP).unwrap();
    store.change(&key.id, &rotation(60), STAMP).unwrap();
    store.change(&key.id, &rotation(0), STAMP).unwrap();
    store.change(&key.id, &Transition::Delete, STAMP).unwrap();
    let new = NewAccount { id: "acme".into(), name: None, parent: None, credential: None };
    store.create_account(new, STAMP).unwrap();
    store.change_account("acme", AccountTransition::Delete, STAMP).unwrap();
    for refused in ["DELETE FROM scopegate.changes", "UPDATE scopegate.head SET version = 2"] {
        let error = place.0.server().try_to_run(&place.0.name, &format!("SET ROLE writer; {refused}")).unwrap_err();
        assert!(error.contains("permission denied"), "{error}");
    }
}

#[test]
fn no_function_of_the_store_runs_for_a_table_of_somebody_else() {
    let Some(place) = Place::new() else { return };
    drop(place.store());
    place.0.run(GATEWAY);
    // What converts the value of such a table would run as the owner of the store.
    let theirs = "CREATE TYPE pg_temp.theirs AS ENUM ('x');
        CREATE FUNCTION pg_temp.convert(pg_temp.theirs) RETURNS bytea LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'converted by %', current_user; END $$;
        CREATE CAST (pg_temp.theirs AS bytea) WITH FUNCTION pg_temp.convert(pg_temp.theirs) AS ASSIGNMENT;
        CREATE TEMP TABLE mine (digest pg_temp.theirs);
        CREATE TRIGGER mine AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION scopegate.take_value();
        INSERT INTO mine VALUES ('x')";
    let run = || place.0.server().try_to_run(&place.0.name, &format!("SET ROLE gateway; {theirs}")).unwrap_err();
    let error = run();
    assert!(error.contains("permission denied for function"), "{error}");
    place.0.run("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA scopegate TO gateway");
    let error = run();
    assert!(error.contains("values are those of keys"), "as a dump that was restored without its rights: {error}");
}

/// What somebody who makes and ends keys may write, column by column.
const WRITES: &str = "SELECT string_agg(table_name || '.' || column_name || ' ' || privilege_type, ', ' ORDER BY table_name, column_name, privilege_type) \
    FROM information_schema.role_column_grants WHERE grantee = 'writer' AND privilege_type <> 'SELECT'";

/// What the remedies of refusals give, one after another, until something is done; the owner does as each says.
fn mend(place: &Place, mut attempt: impl FnMut() -> Result<(), StoreError>) -> Vec<String> {
    let mut given = Vec::new();
    while let Err(error) = attempt() {
        let said = error.to_string();
        let (_, statement) =
            said.split_once("as the owner of the schema scopegate, ").unwrap_or_else(|| panic!("{said}"));
        let statement = statement.split_once(", where").map_or(statement, |(statement, _)| statement);
        assert!(!given.iter().any(|known| *known == statement), "it did not help: {said}");
        place.0.run(statement);
        given.push(statement.to_owned());
    }
    given
}

#[test]
fn whoever_lacks_a_right_is_told_the_one_that_is_missing_and_it_helps() {
    let Some(place) = Place::new() else { return };
    let key = record("key");
    place.put(std::slice::from_ref(&key));
    place.0.run(WRITER);
    let (url, readme) = (place.0.url_of("writer"), place.0.run(WRITES));
    let mut store = open(&url, OpenMode::Existing).unwrap();
    place.0.run("REVOKE UPDATE ON scopegate.head FROM writer; REVOKE UPDATE ON scopegate.keys FROM writer; REVOKE INSERT ON scopegate.changes FROM writer");
    let given = mend(&place, || store.change(&key.id, &Transition::Disable, STAMP).map(drop));
    assert_eq!(
        given,
        [
            "GRANT SELECT, UPDATE (revision) ON scopegate.head TO \"writer\"",
            "GRANT SELECT, INSERT ON scopegate.changes TO \"writer\"",
            "GRANT SELECT, INSERT, UPDATE ON scopegate.keys TO \"writer\"",
        ]
    );
    place.0.run("REVOKE SELECT ON scopegate.gateways FROM writer");
    let given = mend(&place, || store.gateways().map(drop));
    assert_eq!(given, ["GRANT SELECT ON ALL TABLES IN SCHEMA scopegate TO \"writer\""], "no more than README gives");
    // Somebody who has nothing.
    drop(store);
    place.0.run("REVOKE ALL ON ALL TABLES IN SCHEMA scopegate FROM writer");
    mend(&place, || open(&url, OpenMode::Existing).map(drop));
    let (mut store, other) = (open(&url, OpenMode::Existing).unwrap(), record("other"));
    mend(&place, || store.create(std::slice::from_ref(&other), STAMP).map(drop));
    mend(&place, || store.change(&other.id, &rotation(60), STAMP).map(drop));
    let new = || NewAccount { id: "acme".into(), name: None, parent: None, credential: None };
    mend(&place, || store.create_account(new(), STAMP).map(drop));
    assert_eq!(place.0.run(WRITES), readme, "what README gives, and no more");
}

#[test]
fn a_server_is_believed_by_its_certificate_and_the_password_is_bound_to_it() {
    let Some(place) = Place::new() else { return };
    drop(place.store());
    let (port, ca) = (place.0.server().port, place.0.server().authority());
    let url = |host: &str, more: &str| format!("postgres://owner:{ESCAPED}@{host}:{port}/{}?{more}", place.0.name);
    let ca = format!("sslrootcert={}", ca.display());
    let is_secure = "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE s.ssl AND datname = current_database()";
    for url in [
        url("localhost", &format!("{ca}&channel_binding=require")),
        url("localhost", "sslmode=require"),
        url("127.0.0.1", &format!("sslmode=verify-ca&{ca}")),
        url("127.0.0.1", &format!("sslmode=require&{ca}")),
    ] {
        let store = open(&url, OpenMode::Existing).unwrap_or_else(|error| panic!("{url}: {error}"));
        assert_eq!(place.0.run(is_secure), "1", "{url}");
        drop(store);
        until("it is gone", || place.0.run(is_secure) == "0");
    }
    assert!(open(&url("localhost", ""), OpenMode::Existing).is_ok(), "this machine is talked to in cleartext");
    for (url, said) in [
        (url("127.0.0.1", &ca), "certificate not valid for name"),
        (url("localhost", "sslmode=verify-full"), "certificate"),
        (url("localhost", "sslmode=verify-full&sslrootcert=missing.pem"), "sslrootcert missing.pem: "),
        (url("localhost", "sslmode=disable&channel_binding=require"), "channel binding"),
    ] {
        let error = refusal(&url, OpenMode::Existing);
        assert!(error.contains(said), "{url}: {error}");
    }
}

#[test]
fn an_authority_that_is_replaced_is_taken_in_by_the_next_connection_and_one_that_cannot_be_read_is_told() {
    let Some(place) = Place::new() else { return };
    drop(place.store());
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let good = std::fs::read(place.0.server().authority()).unwrap();
    let mut other = rcgen::CertificateParams::default();
    other.distinguished_name.push(rcgen::DnType::CommonName, "another authority");
    let other = other.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem();
    std::fs::write(&ca, &good).unwrap();
    let (port, name, shown) = (place.0.server().port, &place.0.name, ca.display());
    let url = format!("postgres://owner:{ESCAPED}@localhost:{port}/{name}?sslrootcert={shown}");
    let mut store = open(&url, OpenMode::Existing).unwrap();
    let end = "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let mut is_told = |said: &str| {
        place.0.run(end);
        until(said, || {
            let told = store.refresh().err().map(|error| error.to_string()).unwrap_or_default();
            told.contains(said) && told.is_empty() == said.is_empty()
        });
    };
    std::fs::write(&ca, other).unwrap();
    is_told("does not prove who it is: error performing TLS handshake: invalid peer certificate: UnknownIssuer");
    std::fs::remove_file(&ca).unwrap();
    is_told(&format!("cannot be set up: sslrootcert {shown}: No such file"));
    std::fs::write(&ca, "nothing").unwrap();
    is_told(&format!("sslrootcert {shown}: it has no certificate in PEM"));
    std::fs::write(&ca, good).unwrap();
    is_told("");
}

#[test]
fn who_is_not_let_in_is_told_what_to_look_at() {
    let Some(place) = Place::new() else { return };
    let port = place.0.server().port;
    for (url, said) in [
        (format!("postgres://owner:wrong@localhost:{port}/{}", place.0.name), "does not let this user in (password"),
        (format!("postgres://owner:{ESCAPED}@localhost:{port}/nosuch"), "has no such database: database \"nosuch\""),
        (
            format!("postgres://owner:{ESCAPED}@localhost:1/x"),
            "cannot reach the key store postgres://owner@localhost:1/x",
        ),
    ] {
        let error = refusal(&url, OpenMode::Existing);
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn a_writer_that_holds_the_store_too_long_is_said_to_and_readers_do_not_wait() {
    let Some(place) = Place::new() else { return };
    let (mut store, mut other) = (place.store(), place.store());
    store.set_patience(Duration::from_millis(50)).unwrap();
    let held = other.link.within(Begin::Change("SELECT FROM scopegate.head FOR UPDATE"), |_| {
        let error = store.create(&[record("late")], STAMP).unwrap_err();
        assert!(matches!(error, StoreError::Locked { .. }), "{error}");
        assert_eq!(store.list().unwrap(), []);
        Ok(())
    });
    assert!(held.is_ok());
    store.create(&[record("later")], STAMP).unwrap();
}

#[test]
fn a_replica_is_followed_and_refuses_changes_with_what_to_do() {
    let Some(place) = Place::new() else { return };
    let key = record("key");
    place.put(std::slice::from_ref(&key));
    place.0.run(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", place.0.name));
    let mut store = open(&place.0.url(), OpenMode::Create).unwrap();
    let error = store.change(&key.id, &Transition::Revoke, STAMP).unwrap_err();
    assert!(matches!(error, StoreError::Database(DatabaseError::Replica { .. })), "{error}");
    let followed = follow(open(&place.0.url(), OpenMode::Create).unwrap());
    assert!(followed.next().starts_with("Unconfirmed("));
    assert_eq!(followed.state(&key), Some(KeyState::Active));
}

/// A way to the server that can be cut without a word: nothing comes through, and nothing is closed.
pub(super) struct Wire {
    pub(super) port: u16,
    is_cut: Arc<AtomicBool>,
}

impl Wire {
    /// Nothing comes through from now on.
    pub(super) fn cut(&self) {
        self.is_cut.store(true, Ordering::Relaxed);
    }

    pub(super) fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let here = listener.local_addr().unwrap().port();
        let is_cut = Arc::new(AtomicBool::new(false));
        let cut = Arc::clone(&is_cut);
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let far = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
                for (mut from, mut to) in [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)] {
                    let cut = Arc::clone(&cut);
                    thread::spawn(move || {
                        let mut bytes = [0; 4096];
                        while let Ok(count @ 1..) = from.read(&mut bytes) {
                            until("the wire is whole", || !cut.load(Ordering::Relaxed));
                            if to.write_all(&bytes[..count]).is_err() {
                                break;
                            }
                        }
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        Self { port: here, is_cut }
    }
}

#[test]
fn a_network_that_is_cut_without_a_word_is_noticed_and_what_happened_meanwhile_is_taken_in() {
    let Some(place) = Place::new() else { return };
    let key = record("key");
    place.put(std::slice::from_ref(&key));
    let wire = Wire::to(place.0.server().port);
    let url = format!("postgres://owner:{ESCAPED}@localhost:{}/{}?connect_timeout=1", wire.port, place.0.name);
    let followed = follow(open(&url, OpenMode::Existing).unwrap());
    wire.is_cut.store(true, Ordering::Relaxed);
    let cut = Instant::now();
    place.store().change(&key.id, &Transition::Revoke, STAMP).unwrap();
    let said = followed.next();
    assert!(said.starts_with("down: cannot reach the key store") && said.contains("no answer within"), "{said}");
    assert!(cut.elapsed() >= Duration::from_secs(1));
    assert_eq!(followed.state(&key), Some(KeyState::Active), "nothing is known of it yet");
    wire.is_cut.store(false, Ordering::Relaxed);
    until("what happened meanwhile is taken in", || followed.state(&key) == Some(KeyState::Revoked));
}
