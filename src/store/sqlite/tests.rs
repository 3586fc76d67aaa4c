use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;
use crate::key::{GrantSpec, KeyKind, KeyState, KeyValue, Timestamp};
use crate::store::tests::{Fixture, STAMP, imprint, record, rotation};
use crate::store::uses::Count;

/// A folder with one store.
pub(in crate::store) struct Place(TempDir);

impl Place {
    pub(in crate::store) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(in crate::store) fn path(&self) -> PathBuf {
        self.0.path().join("scopegate.db")
    }

    pub(in crate::store) fn store(&self) -> Sqlite {
        Sqlite::open(&self.path(), OpenMode::Create).unwrap()
    }

    /// What opening says, and that it left the folder as it was.
    fn refusal(&self, mode: OpenMode) -> String {
        let before = self.files();
        let error = Sqlite::open(&self.path(), mode).unwrap_err();
        assert_eq!(self.files(), before, "{error}");
        error.to_string()
    }

    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let files = fs::read_dir(self.0.path()).unwrap().map(|file| file.unwrap().path());
        let mut files: Vec<_> = files.map(|path| (path.clone(), fs::read(path).unwrap_or_default())).collect();
        files.sort();
        files
    }
}

impl Fixture for Place {
    fn open(&self) -> Box<dyn KeyStore> {
        Box::new(self.store())
    }

    fn put(&self, records: &[KeyRecord]) {
        self.store().add(records, Provenance::Imported(crate::store::Strangers::Made), STAMP).unwrap();
    }
}

#[test]
fn a_new_store_is_for_its_owner_alone() {
    let place = Place::new();
    let mut store = place.store();
    store.create(&[record("one")], STAMP).unwrap();
    for suffix in ["", "-wal", "-shm"] {
        let path = format!("{}{suffix}", place.path().display());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{path}");
    }
}

#[test]
fn a_missing_store_is_made_by_nobody_who_only_wants_to_read() {
    let place = Place::new();
    let said = place.refusal(OpenMode::Existing);
    assert_eq!(
        said,
        format!("no key store at {}: `scopegate keys create` and `scopegate serve` make one", place.path().display())
    );
}

#[test]
fn a_folder_that_is_missing_is_not_made() {
    let path = Path::new("no/such/folder/scopegate.db");
    let said = Sqlite::open(path, OpenMode::Create).unwrap_err().to_string();
    assert!(said.starts_with("cannot make the key store no/such/folder/scopegate.db: "), "{said}");
    assert!(said.ends_with("there is no such folder; make it first"), "{said}");
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    for content in [b"x".as_slice(), b"keys:\n  - name: billing\n", b"SQLite format 2\0", &[0; 4096]] {
        let place = Place::new();
        fs::write(place.path(), content).unwrap();
        for mode in [OpenMode::Create, OpenMode::Existing] {
            let said = place.refusal(mode);
            assert!(
                said.ends_with("is no key store (it is no SQLite database): name another file, or move this one away"),
                "{said}"
            );
        }
    }
}

#[test]
fn a_database_cut_off_behind_its_first_bytes_is_refused() {
    let place = Place::new();
    fs::write(place.path(), b"SQLite format 3\0and then nonsense that goes on for a while").unwrap();
    let said = place.refusal(OpenMode::Create);
    assert!(said.contains("is no key store"), "{said}");
}

#[test]
fn an_empty_file_is_a_store_only_for_those_who_may_make_one() {
    let place = Place::new();
    fs::write(place.path(), b"").unwrap();
    assert!(place.refusal(OpenMode::Existing).contains("is empty: nothing was ever written there, or"));
    assert_eq!(place.store().list().unwrap(), []);
}

#[test]
fn a_folder_is_no_store() {
    let place = Place::new();
    fs::create_dir(place.path()).unwrap();
    assert!(place.refusal(OpenMode::Create).contains("it is no regular file"));
}

#[test]
fn a_database_of_another_program_is_refused_and_left_alone() {
    let place = Place::new();
    Connection::open(place.path()).unwrap().execute_batch("CREATE TABLE songs (name TEXT)").unwrap();
    let said = place.refusal(OpenMode::Create);
    assert!(said.contains("it is a SQLite database of another program"), "{said}");
}

#[test]
fn a_store_of_a_newer_program_is_refused_and_left_alone() {
    let place = Place::new();
    place.store().connection.pragma_update(None, "user_version", 99).unwrap();
    for mode in [OpenMode::Create, OpenMode::Existing] {
        let said = place.refusal(mode);
        let expected = format!("was made by a newer scopegate (schema 99, this program knows {})", schema::known());
        assert!(said.contains(&expected), "{said}");
    }
}

#[test]
fn a_store_of_an_older_program_is_brought_up_by_those_who_may_make_one() {
    let place = Place::new();
    let older = Connection::open(place.path()).unwrap();
    older.pragma_update(None, "application_id", 0x5347_4B53).unwrap();
    drop(older);
    let said = place.refusal(OpenMode::Existing);
    let expected = format!("was made by an older scopegate (schema 0, this program needs {})", schema::known());
    assert!(said.contains(&expected), "{said}");
    assert_eq!(place.store().list().unwrap(), []);
}

/// A store as the first version made it: its schema, and rows as it wrote them.
pub(super) fn write_version_1(path: &Path) -> Connection {
    let first = Connection::open(path).unwrap();
    first.execute_batch(include_str!("migrations/1.sql")).unwrap();
    first.pragma_update(None, "application_id", 0x5347_4B53).unwrap();
    first.pragma_update(None, "user_version", 1).unwrap();
    first.pragma_update(None, "journal_mode", "wal").unwrap();
    first
        .execute_batch(
            r#"INSERT INTO keys VALUES
            ('key_active', 1, 'secret', 'active', 'custom', 'a:read b:write', 'one', 'acme', 1000, 1000, 500, 4000000000000,
                '[["owner","x"]]', '10.0.0.0/8', 'a note', 'sg', 'aTr7', x'1111111111111111111111111111111111111111111111111111111111111111'),
            ('key_disabled', 3, 'secret', 'disabled', 'read-only', NULL, 'two', NULL, 2000, 2500, NULL, NULL, NULL, NULL, NULL,
                '', '', x'2222222222222222222222222222222222222222222222222222222222222222'),
            ('key_revoked', 5, 'secret', 'revoked', 'full', NULL, 'three', NULL, 3000, 3500, NULL, NULL, NULL, NULL, NULL,
                'sg', 'zzzz', x'3333333333333333333333333333333333333333333333333333333333333333');
            INSERT INTO changes (at, author, action, key) VALUES (1000, 'cli', 'create', 'key_active'), (2000, 'cli', 'create', 'key_disabled'),
                (2500, 'cli', 'disable', 'key_disabled'), (3000, 'cli', 'create', 'key_revoked'), (3500, 'cli', 'revoke', 'key_revoked');
            INSERT INTO uses VALUES ('key_active', '', 7, 0, 1500);"#,
        )
        .unwrap();
    first
}

#[test]
fn a_store_of_the_first_version_keeps_all_its_keys() {
    let place = Place::new();
    drop(write_version_1(&place.path()));
    let said = place.refusal(OpenMode::Existing);
    let expected = format!("was made by an older scopegate (schema 1, this program needs {})", schema::known());
    assert!(said.contains(&expected), "{said}");
    let mut store = place.store();
    let listed = store.list().unwrap();
    let told: Vec<_> = listed.iter().map(|key| (key.id.as_str(), key.state, key.value.digest.to_hex())).collect();
    let expected = [
        ("key_active", KeyState::Active, "11".repeat(32)),
        ("key_disabled", KeyState::Disabled, "22".repeat(32)),
        ("key_revoked", KeyState::Revoked, "33".repeat(32)),
    ];
    assert_eq!(told, expected);
    let [active, ..] = listed.as_slice() else { panic!("no keys") };
    assert_eq!(
        (active.value.created, active.last_used),
        (Timestamp::from_millis(1000), Some(Timestamp::from_millis(1500)))
    );
    assert_eq!((&*active.value.last_four, active.value.until, active.former.len()), ("aTr7", None, 0));
    let count = Count { allowed: 7, denied: 0, last: Timestamp::from_millis(1500) };
    assert_eq!(store.use_of(&active.id).unwrap(), KeyUse { whole: Some(count), ..KeyUse::default() });
    // Whatever account its keys name is there, and they work as they did.
    let accounts = store.accounts().unwrap();
    assert_eq!(accounts.iter().map(|account| Some(&account.id)).collect::<Vec<_>>(), [active.account.as_ref()]);
    store.load(Revision::START, &mut |change| assert_eq!(change.account, None)).unwrap();
    assert_eq!(
        store.load(Revision(3), &mut |change| assert_eq!(change.record, listed[2])).unwrap().revision,
        Revision(5)
    );
    let stamp = Stamp { at: Timestamp::from_millis(10_000), ..STAMP };
    let outcome = store.change(&active.id, &rotation(60), stamp).unwrap();
    assert_eq!((outcome.revision, outcome.record.former.len()), (Some(Revision(6)), 1));
    assert_eq!(outcome.record.former[0].created, Timestamp::from_millis(1000));
    assert_eq!(store.find(&active.id).unwrap(), Some(KeyRecord { last_used: active.last_used, ..outcome.record }));
}

#[test]
fn a_tripwire_is_kept_as_one_and_its_clone_and_its_tombstone_are_ones() {
    let place = Place::new();
    let mut store = place.store();
    let laid = KeyRecord { is_tripwire: true, grant: GrantSpec::nothing(), ..record("laid") };
    store.create(&[laid.clone(), record("other")], STAMP).unwrap();
    let fresh = Fresh { id: KeyId::mint(KeyKind::Secret).unwrap(), imprint: imprint() };
    let clone = store.clone_key(&laid.id, fresh, STAMP).unwrap().record;
    store.change(&laid.id, &Transition::Delete, STAMP).unwrap();
    let listed = place.store().list().unwrap();
    assert_eq!(listed.iter().map(|record| record.is_tripwire).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(listed[2], clone);
    let told = store.connection.execute_batch("INSERT INTO keys SELECT 'x', 9, kind, state, 'full', NULL, name, account, created, \
        changed, not_before, expires, attributes, networks, note, prefix, last_four, randomblob(32), minted, NULL, 1, NULL FROM keys LIMIT 1");
    assert!(told.unwrap_err().to_string().contains("CHECK constraint failed"), "no tripwire opens anything");
}

#[test]
fn a_store_that_is_in_use_is_brought_up_under_its_readers() {
    let place = Place::new();
    let reader = write_version_1(&place.path());
    let count = |connection: &Connection| -> i64 {
        connection.query_row("SELECT count(*) FROM keys", (), |row| row.get(0)).unwrap()
    };
    reader.execute_batch("BEGIN").unwrap();
    assert_eq!(count(&reader), 3);
    assert_eq!(place.store().list().unwrap().len(), 3);
    assert_eq!(count(&reader), 3, "its moment of the store is as it was");
    reader.execute_batch("COMMIT").unwrap();
}

#[test]
fn a_store_that_a_newer_program_brought_up_is_followed_no_further() {
    let place = Place::new();
    let mut store = place.store();
    let revision = store.create(&[record("one")], STAMP).unwrap();
    store.refresh().unwrap();
    let newer = Connection::open(place.path()).unwrap();
    newer.pragma_update(None, "user_version", schema::known() + 1).unwrap();
    assert!(store.refresh().unwrap());
    let error = store.load(revision, &mut |_| panic!("nothing is told")).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found, known, .. } if found == known + 1), "{error}");
}

#[test]
fn a_damaged_store_is_told_from_one_that_is_none() {
    let place = Place::new();
    let many: Vec<_> = (0..200).map(|number| record(&number.to_string())).collect();
    place.put(&many);
    let mut content = fs::read(place.path()).unwrap();
    content[4096..].fill(0xA5);
    fs::write(place.path(), content).unwrap();
    let said =
        Sqlite::open(&place.path(), OpenMode::Existing).and_then(|mut store| store.list()).unwrap_err().to_string();
    assert!(said.contains("is damaged (") && said.ends_with("restore it from a backup"), "{said}");
}

#[test]
fn many_who_make_the_same_store_at_once_all_get_it() {
    let place = Place::new();
    std::thread::scope(|scope| {
        for name in ["a", "b", "c", "d", "e", "f"] {
            let place = &place;
            scope.spawn(move || place.put(&[record(name)]));
        }
    });
    assert_eq!(place.store().list().unwrap().len(), 6);
}

#[test]
fn the_file_itself_refuses_to_widen_a_key_to_revive_it_or_to_forget_a_change() {
    let place = Place::new();
    let mut store = place.store();
    let key = record("key");
    store.create(std::slice::from_ref(&key), STAMP).unwrap();
    store.change(&key.id, &rotation(60), STAMP).unwrap();
    store.change(&key.id, &Transition::Revoke, STAMP).unwrap();
    for (sql, said) in [
        ("UPDATE keys SET level = 'full', scopes = NULL", "what a key may do never changes"),
        ("UPDATE keys SET expires = 9999999999999", "what a key may do never changes"),
        ("UPDATE keys SET state = 'active'", "a revoke is final"),
        ("UPDATE changes SET author = 'nobody'", "only appended to"),
        ("UPDATE changes SET hash = NULL", "only appended to"),
        ("DELETE FROM changes", "only appended to"),
        (
            "INSERT INTO changes (at, author, action, key) SELECT at, author, action, key FROM changes LIMIT 1",
            "a change is bound to the one before it: use a newer scopegate",
        ),
        ("DELETE FROM keys", "a key is never forgotten"),
        ("UPDATE keys SET deleted = 1, state = 'active'", "a deletion is final"),
        (
            "UPDATE keys SET deleted = 1, expires = NULL, level = 'full', scopes = NULL",
            "what a key may do never changes",
        ),
        ("UPDATE keys SET tripwire = 1", "a tripwire stays one"),
        ("UPDATE keys SET digest = randomblob(32)", "a value gives way to a new one, and is kept"),
        ("UPDATE former_values SET until = until + 1", "the end of a value only comes nearer"),
        ("UPDATE former_values SET digest = randomblob(32)", "the end of a value only comes nearer"),
        ("DELETE FROM former_values", "a value is never forgotten"),
        (
            "INSERT INTO former_values (key, digest, prefix, last_four, created, until) \
            SELECT id, randomblob(32), '', '', 0, 9999999999999 FROM keys",
            "a former value is one that its key had",
        ),
        ("UPDATE keys SET digest = (SELECT digest FROM former_values)", "a value gives way to a new one, and is kept"),
        (
            "UPDATE former_values SET ended = 1; UPDATE former_values SET ended = 0",
            "the end of a value only comes nearer",
        ),
        ("UPDATE meta SET value = randomblob(32)", "what is said of the store itself never changes"),
        ("DELETE FROM meta", "what is said of the store itself never changes"),
        ("INSERT OR REPLACE INTO meta SELECT * FROM meta", "what is said of the store itself never changes"),
    ] {
        let error = store.connection.execute_batch(sql).unwrap_err().to_string();
        assert!(error.contains(said), "{sql}: {error}");
    }
}

#[test]
fn no_row_is_put_in_the_place_of_another_by_whoever_sets_no_pragma() {
    let place = Place::new();
    let mut store = place.store();
    let mut named = lifecycle::NewKey::new("site", GrantSpec::nothing());
    (named.kind, named.account) = (KeyKind::Public, Some("acme".into()));
    let site = crate::key::SiteId::mint().unwrap().imprint();
    let public = lifecycle::create(named, KeyId::mint(KeyKind::Public).unwrap(), site, STAMP.at).unwrap();
    let key = record("key");
    place.put(&[key.clone(), public]);
    store.change(&key.id, &rotation(60), STAMP).unwrap();
    store.change(&key.id, &Transition::Revoke, STAMP).unwrap();
    let other = Connection::open(place.path()).unwrap();
    let copied = |id: &str, digest: &str, rest: &str| {
        format!(
            "INSERT OR REPLACE INTO keys (id, revision, kind, state, level, scopes, name, account, created, changed, prefix, \
            last_four, digest, minted, site) SELECT {id}, revision, kind, 'active', level, scopes, name, account, created, \
            changed, prefix, last_four, {digest}, minted, site FROM keys WHERE {rest}"
        )
    };
    for (sql, said) in [
        (copied("id", "digest", "kind = 'secret'"), ""),
        (copied("id", "randomblob(32)", "kind = 'secret'"), "its id is taken"),
        (copied("'key_x'", "digest", "kind = 'secret'"), "a record has the same key"),
        (copied("'key_x'", "randomblob(32)", "kind = 'public'"), "the account has a public key"),
        ("UPDATE OR REPLACE keys SET rowid = 2 WHERE rowid = 1".into(), "a key is never put over another"),
        (
            "INSERT OR REPLACE INTO accounts (id, revision, name, created) VALUES ('acme', 0, 'a', 0)".into(),
            "an account is never forgotten",
        ),
        ("INSERT OR REPLACE INTO changes SELECT * FROM changes".into(), "only appended to"),
        (
            "INSERT OR REPLACE INTO former_values (age, key, digest, prefix, last_four, created, until) \
            SELECT f.age, k.id, k.digest, '', '', 0, 0 FROM former_values f, keys k WHERE k.kind = 'secret'"
                .into(),
            "a value is never forgotten",
        ),
    ] {
        let error = other.execute_batch(&sql).unwrap_err().to_string();
        assert!(error.contains(said), "{sql}: {error}");
    }
    let standing = store.verify(&mut |_| {}).unwrap();
    assert_eq!(standing.unlogged, []);
}

#[test]
fn a_value_that_was_over_when_its_key_was_rotated_is_over_for_good() {
    let place = Place::new();
    let mut store = place.store();
    let key = record("key");
    store.create(std::slice::from_ref(&key), STAMP).unwrap();
    let later = |seconds: u64| Stamp { at: STAMP.at.after(Duration::from_secs(seconds)), ..STAMP };
    store.change(&key.id, &rotation(60), later(1)).unwrap();
    assert!(!store.find(&key.id).unwrap().unwrap().former[0].is_ended, "it works beside the new one");
    store.change(&key.id, &rotation(3600), later(100)).unwrap();
    let record = store.find(&key.id).unwrap().unwrap();
    assert_eq!(record.former.iter().map(|value| value.is_ended).collect::<Vec<_>>(), [false, true]);
    // A second look, through a load.
    place.store().load(Revision::START, &mut |change| assert_eq!(change.record, record)).unwrap();
}

#[test]
fn a_row_edited_by_hand_cannot_put_a_line_into_a_header() {
    let place = Place::new();
    let mut store = place.store();
    let triggers = "DROP TRIGGER a_grant_never_changes; DROP TRIGGER a_key_is_never_forgotten";
    store.connection.execute_batch(triggers).unwrap();
    for (set, said) in [
        ("account = 'a' || char(13, 10) || 'X-Admin: yes'", "an account that cannot be"),
        ("scopes = 'a' || char(10)", "a grant that cannot be"),
        ("id = 'key' || char(10)", "an id that cannot be"),
        ("networks = 'everywhere'", "networks that cannot be"),
        ("attributes = '{}'", "attributes that cannot be"),
    ] {
        let key = record("key");
        store.create(std::slice::from_ref(&key), STAMP).unwrap();
        store.connection.execute_batch(&format!("UPDATE keys SET {set}")).unwrap();
        let error = store.list().unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
        store.connection.execute_batch("DELETE FROM keys").unwrap();
    }
}

#[test]
fn a_store_that_was_deleted_is_missing() {
    let place = Place::new();
    let mut store = place.store();
    store.refresh().unwrap();
    fs::remove_file(place.path()).unwrap();
    assert!(matches!(store.refresh(), Err(StoreError::Missing { .. })));
}

#[test]
fn another_store_in_its_place_is_not_followed() {
    let place = Place::new();
    let mut store = place.store();
    store.refresh().unwrap();
    let other = Place::new();
    other.put(&[record("stranger")]);
    fs::rename(other.path(), place.path()).unwrap();
    assert!(matches!(store.refresh(), Err(StoreError::Replaced { .. })));
}

#[test]
fn a_later_copy_of_the_same_store_is_followed() {
    let place = Place::new();
    let mut store = place.store();
    store.create(&[record("first")], STAMP).unwrap();
    store.refresh().unwrap();
    let copy = Place::new();
    store.connection.execute("VACUUM INTO ?1", [copy.path().display().to_string()]).unwrap();
    copy.put(&[record("second")]);
    fs::rename(copy.path(), place.path()).unwrap();
    for suffix in ["-wal", "-shm"] {
        fs::remove_file(format!("{}{suffix}", place.path().display())).unwrap();
    }
    assert!(store.refresh().unwrap());
    assert_eq!(store.list().unwrap().len(), 2);
    assert!(store.refresh().unwrap(), "a change right after the switch must not be missed");
    assert!(!store.refresh().unwrap());
}

#[test]
fn a_writer_that_holds_the_store_too_long_is_said_to() {
    let place = Place::new();
    let mut store = place.store();
    store.set_patience(Duration::from_millis(10)).unwrap();
    let other = place.store();
    other.connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.create(&[record("late")], STAMP).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    assert_eq!(store.list().unwrap(), [], "readers do not wait for writers");
}

#[test]
fn a_shared_file_that_cannot_grow_is_a_full_disk() {
    let failure = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_SHMSIZE);
    let error = fault(Path::new("k.db"), "read", &rusqlite::Error::SqliteFailure(failure, None));
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
}

#[test]
fn nothing_is_written_to_a_store_that_a_newer_program_has_brought_up_to_date() {
    let place = Place::new();
    let (mut store, key) = (place.store(), record("key"));
    store.create(std::slice::from_ref(&key), STAMP).unwrap();
    place.store().connection.pragma_update(None, "user_version", 99).unwrap();
    let error = store.change(&key.id, &Transition::Revoke, STAMP).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");
    let error = store.create(&[record("other")], STAMP).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");
}

#[test]
fn a_copy_that_vacuum_made_is_kept_as_the_store_was() {
    let place = Place::new();
    let mut store = place.store();
    store.create(&[record("first")], STAMP).unwrap();
    let copy = place.path().with_extension("copy");
    store.connection.execute("VACUUM INTO ?1", [copy.display().to_string()]).unwrap();
    for suffix in ["-wal", "-shm"] {
        fs::remove_file(format!("{}{suffix}", place.path().display())).unwrap();
    }
    fs::rename(copy, place.path()).unwrap();
    assert!(store.refresh().unwrap());
    let mode = |store: &Sqlite| store.connection.query_row("PRAGMA journal_mode", (), |row| row.get::<_, String>(0));
    assert_eq!(mode(&store).unwrap(), "wal");
}

#[test]
fn a_trigger_of_another_kind_is_not_taken_for_a_key_that_is_there() {
    let place = Place::new();
    let (mut store, key) = (place.store(), record("key"));
    store.create(std::slice::from_ref(&key), STAMP).unwrap();
    let rotated = store.change(&key.id, &rotation(0), STAMP).unwrap().record;
    let value = KeyValue { until: None, ..rotated.former[0].clone() };
    let again = KeyRecord { value, ..record("again") };
    let error = store.create(&[again], STAMP).unwrap_err();
    assert!(matches!(error, StoreError::Duplicate { what: "a record has had the same key", .. }), "{error}");
    let forbid = "CREATE TRIGGER no_more BEFORE INSERT ON keys BEGIN SELECT raise(ABORT, 'no more'); END";
    store.connection.execute_batch(forbid).unwrap();
    let error = store.create(&[record("other")], STAMP).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }) && error.to_string().contains("no more"), "{error}");
}

#[test]
fn an_account_that_differs_from_another_by_case_alone_is_refused() {
    let place = Place::new();
    let mut store = place.store();
    let new = |id: &str| NewAccount { id: id.into(), name: None, parent: None, credential: None };
    store.create_account(new("Acme"), STAMP).unwrap();
    let error = store.create_account(new("aCME"), STAMP).unwrap_err().to_string();
    assert!(error.starts_with("`aCME` differs by the case of letters alone from the account Acme"), "{error}");
    assert!(store.create_account(new("Acme"), STAMP).unwrap_err().to_string().starts_with("there is an account Acme"));
    store.create_account(new("acme-eu"), STAMP).unwrap();
}
