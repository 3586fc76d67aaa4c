use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;
use crate::store::tests::{Fixture, STAMP, record};

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
        self.store().create(records, STAMP).unwrap();
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
    assert!(place.refusal(OpenMode::Existing).contains("is no key store (it is empty)"));
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
        assert!(said.contains("was made by a newer scopegate (schema 99, this program knows 1)"), "{said}");
    }
}

#[test]
fn a_store_of_an_older_program_is_brought_up_by_those_who_may_make_one() {
    let place = Place::new();
    let older = Connection::open(place.path()).unwrap();
    older.pragma_update(None, "application_id", 0x5347_4B53).unwrap();
    drop(older);
    let said = place.refusal(OpenMode::Existing);
    assert!(said.contains("was made by an older scopegate (schema 0, this program needs 1)"), "{said}");
    assert_eq!(place.store().list().unwrap(), []);
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
    store.change(&key.id, Transition::Revoke, STAMP).unwrap();
    for (sql, said) in [
        ("UPDATE keys SET level = 'full', scopes = NULL", "what a key may do never changes"),
        ("UPDATE keys SET expires = 9999999999999", "what a key may do never changes"),
        ("UPDATE keys SET state = 'active'", "a revoke is final"),
        ("UPDATE changes SET author = 'nobody'", "only appended to"),
        ("DELETE FROM changes", "only appended to"),
    ] {
        let error = store.connection.execute_batch(sql).unwrap_err().to_string();
        assert!(error.contains(said), "{sql}: {error}");
    }
}

#[test]
fn a_row_edited_by_hand_cannot_put_a_line_into_a_header() {
    let place = Place::new();
    let mut store = place.store();
    store.connection.execute_batch("DROP TRIGGER a_grant_never_changes").unwrap();
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
