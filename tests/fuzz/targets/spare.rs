//! Any bytes are a copy of the keys or are refused, and a copy that is read says the same when it is written anew.
//!
//! Where the first byte is even the rest is the body of a copy whose checksums hold; where it is odd, a copy as it stands on disk.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scopegate::key::Timestamp;
use scopegate::policy::Vocabulary;
use scopegate::store::Change;
use scopegate::store::index::Index;
use scopegate::store::spare::fuzzing::{read, sealed, write};
use scopegate::store::spare::{Past, SpareFault};

const CONTACT: Timestamp = Timestamp::from_millis(1_800_000_000_123);
/// The magic, the number of the format and zeros, two moments with their checksums, and the checksum of the body.
const PRELUDE: usize = 128;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let copy = if first % 2 == 0 { sealed(rest, CONTACT) } else { rest.to_vec() };
    let Some((place, past, index)) = taken(&copy) else { return };
    if first % 2 == 0 {
        assert_eq!(past.contact, CONTACT);
    }
    let again = write(&place, &past, &index).expect("what was in a copy fits into one");
    let (other_place, other_past, other) = taken(&again).expect("what was written can be read");
    assert_eq!((&other_place, &other_past), (&place, &past));
    assert_eq!(said(&other), said(&index));
    refused_when_changed(&copy, *first);
});

/// What a copy says; `None` where it is refused. Refused or not, it is so twice.
fn taken(copy: &[u8]) -> Option<(String, Past, Index)> {
    let mut keys = 0;
    let first = read(copy, &mut |_| keys += 1);
    let index = Index::new(Vocabulary::new());
    let mut told = 0;
    let again = read(copy, &mut |change| {
        told += 1;
        index.apply(&change);
    });
    assert_eq!(told, keys);
    match (first, again) {
        (Ok(first), Ok(again)) => {
            assert_eq!(again, first);
            assert!(index.len() <= keys);
            index.tell(&mut |change| assert!(change.revision <= first.1.revision, "newer than the copy says it is"));
            Some((first.0, first.1, index))
        }
        (Err(first), Err(again)) => {
            assert_eq!(again.to_string(), first.to_string());
            assert!(!matches!(first, SpareFault::Io { .. }), "nothing was wrong with the disk");
            None
        }
        _ => panic!("a copy is good or it is not"),
    }
}

/// No byte of a body can be altered, and nothing cut off or added, without a trace.
fn refused_when_changed(copy: &[u8], place: u8) {
    let at = PRELUDE + usize::from(place) % (copy.len() - PRELUDE);
    let mut altered = copy.to_vec();
    altered[at] ^= 1;
    assert!(read(&altered, &mut |_| {}).is_err(), "byte {at} can be altered");
    assert!(read(&copy[..copy.len() - 1], &mut |_| {}).is_err(), "its end can be cut off");
    altered[at] ^= 1;
    altered.push(0);
    assert!(read(&altered, &mut |_| {}).is_err(), "something can be added");
}

/// All that an index says, in an order of its own.
fn said(index: &Index) -> Vec<Change> {
    let mut said = Vec::new();
    index.tell(&mut |change| said.push(change));
    said.sort_by_key(|change| change.record.value.digest.to_hex());
    said
}
