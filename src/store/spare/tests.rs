use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::key::account::Affiliation;
use crate::key::digest::Digest;
use crate::key::lifecycle::Transition;
use crate::key::{GrantSpec, KeyKind, KeyRecord, KeyState};
use crate::policy::scope::Vocabulary;
use crate::store::tests::{STAMP, record};

const LONG: Duration = Duration::from_secs(30);

/// A folder with a copy in it, or none.
struct Kept {
    folder: tempfile::TempDir,
    spare: Spare,
}

impl Kept {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let spare = Spare::new(folder.path().join("keys.snapshot"), Location::Sqlite("k.db".into()), |_| {});
        Self { folder, spare }
    }

    /// With a copy of three keys.
    fn written() -> (Self, Index) {
        let (kept, index) = (Self::new(), index());
        for (number, name) in ["one", "two", "three"].into_iter().enumerate() {
            index.apply(&Change::of(Revision(number as u64 + 1), record(name)));
        }
        kept.write(&past(), &index).map(drop).unwrap();
        (kept, index)
    }

    fn write(&self, past: &Past, index: &Index) -> Result<Copied, SpareFault> {
        self.spare.write(past, (index, &|| true)).map(Option::unwrap)
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.spare.path()).unwrap()
    }

    /// Why the copy is not used, with these bytes.
    fn refusal(&self, bytes: &[u8]) -> String {
        fs::write(self.spare.path(), bytes).unwrap();
        let index = index();
        let said = self.spare.load(&index).unwrap_err().to_string();
        assert!(index.is_empty(), "nothing is taken of it");
        said
    }
}

fn read_bytes(bytes: &[u8], tell: &mut dyn FnMut(Change)) -> Result<(String, Past), SpareFault> {
    format::read(bytes, tell)
}

fn index() -> Index {
    Index::new(Vocabulary::default())
}

fn past() -> Past {
    Past { contact: Timestamp::now(), revision: Revision(9), lift: 2, bookmark: Some(b"here".to_vec()) }
}

/// All that an index knows, in words that no two different entries share.
fn said(index: &Index) -> Vec<String> {
    let mut said = Vec::new();
    index.tell(&mut |change| {
        index.look_up(&change.record.value.digest, |entry| {
            let entry = entry.unwrap();
            said.push(format!("{:?} {entry:?} {} {}", change.record.value.digest, entry.mark(), entry.id().as_str()));
        });
    });
    said.sort();
    said
}

#[test]
fn an_index_comes_out_of_its_copy_as_it_went_in() {
    let index = index();
    let affiliation = Affiliation {
        is_suspended: true,
        credential: Some("sms".into()),
        children: ["acme-eu".into(), "acme-us".into()].into(),
    };
    let plain = record("plain");
    let at = |millis| Some(Timestamp::from_millis(millis));
    let records = [
        KeyRecord { account: Some("acme".into()), ..record("of an account") },
        KeyRecord { attributes: vec![("owner".into(), "a".into()), ("owner".into(), "b".into())], ..record("bound") },
        KeyRecord { allow_from: vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()], ..record("at home") },
        KeyRecord { not_before: at(1_700_000_000_123), expires: at(1_900_000_000_123), ..record("dated") },
        KeyRecord { is_tripwire: true, grant: GrantSpec::nothing(), ..record("tripwire") },
        KeyRecord { grant: GrantSpec::Full, kind: KeyKind::Pair, ..record("pair") },
        KeyRecord { grant: GrantSpec::ReadOnly, kind: KeyKind::Public, account: Some("a".into()), ..record("public") },
        KeyRecord { state: KeyState::Revoked, ..record("revoked") },
        KeyRecord { state: KeyState::Disabled, ..record("disabled") },
        KeyRecord { id: crate::key::KeyId::parse("exporter-eu.1").unwrap(), ..record("named") },
        Transition::Delete.apply(record("deleted"), STAMP.at).unwrap(),
    ];
    for (number, record) in records.into_iter().enumerate() {
        index.apply(&Change::of(Revision(number as u64 + 1), record));
    }
    let mut rotated = record("rotated");
    rotated.former = vec![plain.value, record("older").value];
    rotated.former[0].until = at(1_900_000_000_456);
    (rotated.former[1].until, rotated.former[1].is_ended) = (at(1_700_000_000_456), true);
    index.apply(&Change::of(Revision(7), rotated));
    let below =
        KeyRecord { account: Some("acme".into()), attributes: vec![("x".into(), "y".into())], ..record("below") };
    index.apply(&Change { revision: Revision(9), record: below, account: Some(Arc::new(affiliation)) });
    let kept = Kept::new();
    let mut past = past();
    past.revision = Revision(20);
    kept.write(&past, &index).map(drop).unwrap();
    let other = self::index();
    let loaded = kept.spare.load(&other).unwrap().unwrap();
    assert_eq!((loaded.past, loaded.warnings), (past, Vec::new()));
    assert_eq!((said(&other), other.len()), (said(&index), 15));
}

#[test]
fn nothing_is_newer_than_the_copy_says_it_is() {
    let (kept, index) = (Kept::new(), index());
    let late = record("late");
    index.apply(&Change::of(Revision(11), late.clone()));
    kept.write(&past(), &index).map(drop).unwrap();
    let other = self::index();
    kept.spare.load(&other).unwrap();
    assert_eq!(other.look_up(&late.value.digest, |entry| entry.unwrap().revision()), Revision(9));
}

#[test]
fn a_copy_is_private_whole_and_alone() {
    let (kept, index) = Kept::written();
    let mode = || fs::metadata(kept.spare.path()).unwrap().mode() & 0o7777;
    assert_eq!(mode(), 0o600);
    fs::set_permissions(kept.spare.path(), Permissions::from_mode(0o644)).unwrap();
    let loaded = kept.spare.load(&self::index()).unwrap().unwrap();
    assert!(loaded.warnings[0].to_string().contains("can be read by others (mode 0644): chmod 600 "));
    // What a process that was killed has left.
    fs::write(kept.spare.beside(), "half").unwrap();
    kept.write(&past(), &index).map(drop).unwrap();
    assert_eq!(mode(), 0o600);
    assert_eq!(fs::read_dir(kept.folder.path()).unwrap().count(), 1);
}

#[test]
fn a_copy_holds_no_key_and_no_name() {
    let (kept, _) = Kept::written();
    let bytes = kept.bytes();
    for name in ["one", "two", "three"] {
        let found = bytes.windows(name.len()).any(|part| part == name.as_bytes());
        assert!(!found, "{name}");
    }
}

#[test]
fn no_copy_is_no_fault() {
    assert!(Kept::new().spare.load(&index()).unwrap().is_none());
}

#[test]
fn a_copy_that_cannot_be_believed_is_refused_with_the_reason() {
    let (kept, _) = Kept::written();
    let good = kept.bytes();
    assert_eq!(kept.refusal(b"keys: []\n"), "it is damaged (it ends too early)");
    assert_eq!(kept.refusal(&[b'x'; 500]), "it is damaged (it does not begin as a copy does)");
    let newer = [&good[..8], &[2, 0, 0, 0], &good[12..]].concat();
    assert_eq!(kept.refusal(&newer), "it was written by a newer scopegate (format 2, this program knows 1)");
    assert_eq!(kept.refusal(&[&good[..], b"x"].concat()), "it is damaged (it holds what no copy holds)");
    fs::write(kept.spare.path(), &good).unwrap();
    let other = Spare { location: Location::Sqlite("other.db".into()), ..kept.spare.clone() };
    assert_eq!(other.load(&index()).unwrap_err().to_string(), "it is a copy of another key store, sqlite:k.db");
    fs::set_permissions(kept.spare.path(), Permissions::from_mode(0o606)).unwrap();
    assert_eq!(kept.spare.load(&index()).unwrap_err().to_string(), "it can be written by others (mode 0606)");
    fs::remove_file(kept.spare.path()).unwrap();
    fs::create_dir(kept.spare.path()).unwrap();
    assert_eq!(kept.spare.load(&index()).unwrap_err().to_string(), "it is no regular file");
}

#[test]
fn a_copy_of_tomorrow_is_refused() {
    let (kept, index) = (Kept::new(), index());
    let contact = Timestamp::now().after(Duration::from_secs(3600));
    kept.write(&Past { contact, ..past() }, &index).map(drop).unwrap();
    let said = kept.spare.load(&index).unwrap_err().to_string();
    assert!(said.starts_with("its moment is still to come"), "{said}");
}

#[test]
fn no_byte_of_a_copy_can_change_unnoticed() {
    let (kept, _) = Kept::written();
    let good = kept.bytes();
    // The second moment is not there yet, and 4 bytes mean nothing.
    let idle = |place: &usize| (12..16).contains(place) || (56..96).contains(place);
    for place in (0..good.len()).filter(|place| !idle(place)) {
        let mut bytes = good.clone();
        bytes[place] ^= 1;
        assert!(read_bytes(&bytes, &mut |_| {}).is_err(), "byte {place}");
    }
    for length in 0..good.len() {
        assert!(read_bytes(&good[..length], &mut |_| {}).is_err(), "{length} bytes");
    }
}

#[test]
fn the_moment_moves_on_and_one_that_was_half_written_leaves_the_one_before() {
    let (kept, index) = Kept::written();
    let mut copied = kept.write(&past(), &index).unwrap();
    let first = read_bytes(&kept.bytes(), &mut |_| {}).unwrap().1.contact;
    let [second, third] = [1, 2].map(|seconds| first.after(Duration::from_secs(seconds)));
    copied.mark(second).unwrap();
    assert_eq!(read_bytes(&kept.bytes(), &mut |_| {}).unwrap().1.contact, second);
    copied.mark(third).unwrap();
    let mut bytes = kept.bytes();
    assert_eq!(read_bytes(&bytes, &mut |_| {}).unwrap().1.contact, third);
    bytes[20] ^= 1;
    assert_eq!(read_bytes(&bytes, &mut |_| {}).unwrap().1.contact, second);
    bytes[60] ^= 1;
    let said = read_bytes(&bytes, &mut |_| {}).unwrap_err().to_string();
    assert_eq!(said, "it is damaged (the checksum of its moment is wrong)");
}

proptest! {
    #[test]
    fn any_bytes_are_a_copy_or_a_fault(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = read_bytes(&bytes, &mut |_| {});
        // Behind a prelude that is as it should be, and lengths that promise more than there is.
        let start = format::prelude(&[0; 32], Timestamp::from_millis(0));
        let _ = read_bytes(&[&start[..], &bytes].concat(), &mut |_| {});
        let _ = read_bytes(&[&start[..], &[0xFF, 0xFF, 0x0F, 0], &bytes].concat(), &mut |_| {});
    }

    #[test]
    fn a_copy_with_other_bytes_somewhere_is_a_fault(place in 128_usize..100_000, other: u8) {
        let (kept, _) = Kept::written();
        let mut bytes = kept.bytes();
        let place = 128 + place % (bytes.len() - 128);
        let changed = bytes[place] != other;
        bytes[place] = other;
        prop_assert_eq!(read_bytes(&bytes, &mut |_| {}).is_err(), changed);
    }
}

/// A keeper of the copy of an index that the test changes.
struct Keeping {
    kept: Kept,
    index: Arc<Index>,
    status: Arc<Status>,
    desk: Arc<Desk>,
    keeper: Option<Keeper>,
}

impl Keeping {
    fn new() -> Self {
        let (kept, index) = (Kept::new(), Arc::new(index()));
        let (status, desk) = (Arc::new(Status::up()), Arc::new(Desk::new(None)));
        let keeper = kept.spare.clone().keep(Arc::clone(&index), Arc::clone(&status), Arc::clone(&desk)).unwrap();
        Self { kept, index, status, desk, keeper: Some(keeper) }
    }

    fn change(&self, revision: u64, name: &str) -> Digest {
        let record = record(name);
        self.index.apply(&Change::of(Revision(revision), record.clone()));
        self.desk.tell(Revision(revision), 0, None);
        self.status.reached(Instant::now());
        record.value.digest
    }

    /// The copy, once it is one that `is_it` takes.
    fn wait(&self, is_it: impl Fn(&Past, usize) -> bool) -> Past {
        let begun = Instant::now();
        loop {
            let index = index();
            if let Ok(Some(loaded)) = self.kept.spare.load(&index)
                && is_it(&loaded.past, index.len())
            {
                return loaded.past;
            }
            assert!(begun.elapsed() < LONG, "no such copy");
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
}

#[test]
fn what_is_loaded_is_in_the_copy_soon() {
    let keeping = Keeping::new();
    keeping.change(1, "one");
    keeping.wait(|past, keys| past.revision == Revision(1) && keys == 1);
    for number in 2..50 {
        keeping.change(number, &format!("key {number}"));
    }
    keeping.wait(|past, keys| past.revision == Revision(49) && keys == 49);
    assert!(keeping.keeper.as_ref().unwrap().written().moment().is_some());
}

#[test]
fn no_copy_is_made_of_an_index_that_is_not_whole() {
    let keeping = Keeping::new();
    keeping.change(1, "one");
    keeping.wait(|past, _| past.revision == Revision(1));
    keeping.desk.withdraw();
    keeping.index.apply(&Change::of(Revision(2), record("two")));
    let Keeping { kept, index, status, desk, keeper } = keeping;
    status.reached(Instant::now());
    drop(keeper);
    let copy = kept.spare.load(&self::index()).unwrap().unwrap();
    assert_eq!(copy.past.revision, Revision(1));
    // Nor of one that is whole no more when the copy is written.
    assert!(kept.spare.write(&past(), (&index, &|| desk.told().is_some())).unwrap().is_none());
    assert_eq!(kept.spare.load(&self::index()).unwrap().unwrap().past.revision, Revision(1));
    assert_eq!(fs::read_dir(kept.folder.path()).unwrap().count(), 1);
}

#[test]
fn the_last_changes_are_in_the_copy_when_the_process_ends() {
    let mut keeping = Keeping::new();
    keeping.change(1, "one");
    keeping.wait(|past, _| past.revision == Revision(1));
    // Within the rest of the first.
    keeping.change(2, "two");
    drop(keeping.keeper.take());
    keeping.wait(|past, keys| past.revision == Revision(2) && keys == 2);
}

#[test]
fn a_copy_that_somebody_took_away_is_written_again() {
    let keeping = Keeping::new();
    keeping.change(1, "one");
    keeping.wait(|_, keys| keys == 1);
    fs::remove_file(keeping.kept.spare.path()).unwrap();
    keeping.wait(|_, keys| keys == 1);
}

/// A copy of three keys of the store at this address.
fn kept_of(address: &str) -> Kept {
    let (mut kept, index) = Kept::written();
    kept.spare.location = database(address);
    kept.spare.write(&past(), (&index, &|| true)).map(drop).unwrap();
    kept
}

fn database(address: &str) -> Location {
    Location::Postgres(Box::new(crate::database::Database::parse(address).unwrap()))
}

#[test]
fn a_copy_is_of_a_database_whoever_logs_in_and_whatever_other_hosts_it_has() {
    let kept = kept_of("postgres://gateway:p@one,two:6/keys");
    for same in ["postgres://gateway_b:q@one/keys?sslmode=require", "postgres://gateway@new,two:6/keys"] {
        let spare = Spare { location: database(same), ..kept.spare.clone() };
        assert!(spare.load(&index()).unwrap().is_some(), "{same}");
    }
}

#[test]
fn a_copy_of_a_database_at_another_address_waits_for_the_database_and_says_what_to_do() {
    let kept = kept_of("postgres://gateway:p@one,two:6/keys");
    for other in ["postgres://gateway@one:6/keys", "postgres://gateway@new/keys", "postgres://gateway@one/other"] {
        let spare = Spare { location: database(other), ..kept.spare.clone() };
        let index = index();
        let said = spare.load(&index).unwrap_err().to_string();
        assert!(
            said.starts_with("it is a copy of the key store postgres://gateway@one:5432,two:6/keys, and"),
            "{said}"
        );
        assert!(said.contains("start with the former host beside the new one"), "{said}");
        assert!(index.is_empty(), "{other}");
        assert_eq!(spare.bookmark(), past().bookmark, "the store itself tells whether it goes on from there");
        assert!(spare.proven().load(&index).unwrap().is_some(), "it has told: {other}");
    }
    let spare = Spare { location: Location::Sqlite("k.db".into()), ..kept.spare.clone() };
    assert_eq!((spare.bookmark(), kept.spare.bookmark()), (None, past().bookmark));
    let said = spare.load(&index()).unwrap_err().to_string();
    assert_eq!(said, "it is a copy of another key store, postgres://gateway@one:5432,two:6/keys");
}
