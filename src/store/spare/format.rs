//! The bytes of a copy.
//!
//! A prelude of [`PRELUDE`] bytes: eight of [`MAGIC`], the number of the format (4 bytes), 4 of nought, two moments of 40 bytes
//! each (milliseconds since 1970, and the SHA-256 of a word, that number and the digest of the body), and the SHA-256 of the
//! body, which is all that follows. A moment is written over in place; one of the two holds at any time, and the later that
//! holds counts.
//!
//! The body: the place of the store, a revision, a lift, a bookmark, then values of keys, each behind a 1, and a 0 at the end.
//! What many keys have in common is written with the first of them and named by its number afterwards. Numbers are
//! little-endian, texts have their length before them. Nothing is allocated by a length that was read: as much is read as there
//! is.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::{Past, SpareFault, reading};
use crate::key::account::Affiliation;
use crate::key::digest::Digest;
use crate::key::{GrantSpec, KeyId, KeyKind, KeyRecord, KeyState, KeyValue, Timestamp, parse_network};
use crate::store::{Change, Revision};

pub(super) const PRELUDE: usize = 128;
const MAGIC: [u8; 8] = *b"SGKEYS\r\n";
const VERSION: u32 = 1;
const SLOTS: usize = 16;
const SLOT: usize = 40;
/// The longest text or list: no record has any as long.
const MOST: u32 = 1 << 20;

/// The first bytes of a copy whose body has that digest, and which was the truth at `contact`.
pub(super) fn prelude(body: &[u8; 32], contact: Timestamp) -> [u8; PRELUDE] {
    let mut bytes = Vec::with_capacity(PRELUDE);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    let (_, slot) = slot(0, body, contact);
    bytes.extend_from_slice(&slot);
    bytes.extend_from_slice(&[0; SLOT]);
    bytes.extend_from_slice(body);
    bytes.try_into().unwrap_or([0; PRELUDE])
}

/// One of the two moments, and where it stands.
pub(super) fn slot(number: usize, body: &[u8; 32], contact: Timestamp) -> (u64, [u8; SLOT]) {
    let mut bytes = [0; SLOT];
    let moment = contact.as_millis().to_le_bytes();
    let (head, rest) = bytes.split_at_mut(moment.len());
    head.copy_from_slice(&moment);
    rest.copy_from_slice(&seal(moment, body));
    ((SLOTS + number * SLOT) as u64, bytes)
}

fn seal(moment: [u8; 8], body: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(b"contact").chain_update(moment).chain_update(body).finalize().into()
}

/// What has come of a body so far.
pub(super) struct Body<W> {
    out: W,
    hash: Sha256,
    profiles: HashMap<Vec<u8>, u32>,
    line: Vec<u8>,
    revision: Revision,
}

impl<W: Write> Body<W> {
    pub(super) fn new(out: W, place: &str, past: &Past) -> io::Result<Self> {
        let (hash, profiles, line) = (Sha256::new(), HashMap::new(), Vec::new());
        let mut body = Self { out, hash, profiles, line, revision: past.revision };
        put_bytes(&mut body.line, place.as_bytes())?;
        put_number(&mut body.line, past.revision.0);
        put_number(&mut body.line, past.lift);
        put_option(&mut body.line, past.bookmark.as_deref())?;
        body.pass_on()?;
        Ok(body)
    }

    /// Adds the value of a record that has no other. One that was changed while the copy is written is said to be as old as the
    /// copy: whoever goes on from its bookmark is told of the change again, and takes it in, or is told that there was none.
    pub(super) fn add(&mut self, change: &Change) -> io::Result<()> {
        let (record, line) = (&change.record, &mut self.line);
        line.push(1);
        line.extend_from_slice(record.value.digest.as_bytes());
        put_number(line, change.revision.min(self.revision).0);
        line.push(position(&KeyState::ALL, &record.state));
        put_moment(line, record.value.created);
        put_moment(line, record.expires.unwrap_or(Timestamp::MAX));
        line.push(u8::from(record.value.until.is_some()));
        let until = record.value.until.unwrap_or(Timestamp::MAX);
        put_moment(line, if record.value.is_ended { Timestamp::MIN } else { until });
        put_bytes(line, record.id.as_str().as_bytes())?;
        put_option(line, record.account.as_deref().map(str::as_bytes))?;
        let profile = profile(change)?;
        let next = u32::try_from(self.profiles.len()).map_err(|_| too_long())?;
        match self.profiles.get(&profile) {
            Some(number) => line.extend_from_slice(&number.to_le_bytes()),
            None => {
                line.extend_from_slice(&next.to_le_bytes());
                line.extend_from_slice(&profile);
                self.profiles.insert(profile, next);
            }
        }
        self.pass_on()
    }

    /// The end; what it was written to, and the digest of it all.
    pub(super) fn finish(mut self) -> io::Result<(W, [u8; 32])> {
        self.line.push(0);
        self.pass_on()?;
        Ok((self.out, self.hash.finalize().into()))
    }

    fn pass_on(&mut self) -> io::Result<()> {
        self.hash.update(&self.line);
        self.out.write_all(&self.line)?;
        self.line.clear();
        Ok(())
    }
}

/// What many keys have in common.
fn profile(change: &Change) -> io::Result<Vec<u8>> {
    let (record, mut bytes) = (&change.record, Vec::new());
    bytes.push(position(&KeyKind::ALL, &record.kind));
    put_bytes(&mut bytes, record.grant.to_header().as_bytes())?;
    put_moment(&mut bytes, record.not_before.unwrap_or(Timestamp::MIN));
    bytes.push(u8::from(record.is_tripwire));
    put_count(&mut bytes, record.attributes.len())?;
    for (name, value) in &record.attributes {
        put_bytes(&mut bytes, name.as_bytes())?;
        put_bytes(&mut bytes, value.as_bytes())?;
    }
    put_count(&mut bytes, record.allow_from.len())?;
    for network in &record.allow_from {
        put_bytes(&mut bytes, network.to_string().as_bytes())?;
    }
    bytes.push(u8::from(change.account.is_some()));
    if let Some(account) = &change.account {
        bytes.push(u8::from(account.is_suspended));
        put_option(&mut bytes, account.credential.as_deref().map(str::as_bytes))?;
        put_count(&mut bytes, account.children.len())?;
        for child in account.children.iter() {
            put_bytes(&mut bytes, child.as_bytes())?;
        }
    }
    Ok(bytes)
}

fn position<T: PartialEq>(all: &[T], one: &T) -> u8 {
    all.iter().position(|known| known == one).and_then(|place| u8::try_from(place).ok()).unwrap_or(u8::MAX)
}

fn put_number(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

fn put_moment(bytes: &mut Vec<u8>, moment: Timestamp) {
    bytes.extend_from_slice(&moment.as_millis().to_le_bytes());
}

fn put_count(bytes: &mut Vec<u8>, count: usize) -> io::Result<()> {
    let count = u32::try_from(count).ok().filter(|count| *count <= MOST).ok_or_else(too_long)?;
    bytes.extend_from_slice(&count.to_le_bytes());
    Ok(())
}

fn put_bytes(bytes: &mut Vec<u8>, text: &[u8]) -> io::Result<()> {
    put_count(bytes, text.len())?;
    bytes.extend_from_slice(text);
    Ok(())
}

fn put_option(bytes: &mut Vec<u8>, text: Option<&[u8]>) -> io::Result<()> {
    bytes.push(u8::from(text.is_some()));
    text.map_or(Ok(()), |text| put_bytes(bytes, text))
}

fn too_long() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, "a record is longer than any copy holds")
}

/// Reads a copy to its end and tells every key of it: where the store is that it is of, and how far it goes. What was told is
/// to be believed only where this returns no error.
pub(super) fn read(source: impl Read, tell: &mut dyn FnMut(Change)) -> Result<(String, Past), SpareFault> {
    let mut source = Source { source, hash: Sha256::new() };
    let mut start = [0; SLOTS];
    source.fill(&mut start).map_err(reading)?;
    let [.., a, b, c, d, _, _, _, _] = start;
    let found = u32::from_le_bytes([a, b, c, d]);
    if !start.starts_with(&MAGIC) {
        return Err(SpareFault::Damaged("it does not begin as a copy does"));
    }
    if found != VERSION {
        return Err(SpareFault::Newer { found, known: VERSION });
    }
    let mut slots = [[0; SLOT]; 2];
    source.fill(slots.as_flattened_mut()).map_err(reading)?;
    let mut digest = [0; 32];
    source.fill(&mut digest).map_err(reading)?;
    source.hash = Sha256::new();
    let (place, mut past) = read_body(&mut source, tell).map_err(reading)?;
    if source.hash.finalize().as_slice() != digest {
        return Err(SpareFault::Damaged("its checksum is wrong"));
    }
    let moments = slots.iter().filter_map(|slot| {
        let (moment, sum) = slot.split_first_chunk()?;
        (seal(*moment, &digest) == sum).then(|| i64::from_le_bytes(*moment))
    });
    let contact = moments.max().ok_or(SpareFault::Damaged("the checksum of its moment is wrong"))?;
    past.contact = Timestamp::from_millis(contact);
    Ok((place, past))
}

/// The place and the bookmark that a copy begins with, whether the rest of it is whole or not.
pub(super) fn read_start(source: impl Read) -> io::Result<(String, Option<Vec<u8>>)> {
    let mut source = Source { source, hash: Sha256::new() };
    let mut prelude = [0; PRELUDE];
    source.fill(&mut prelude)?;
    if !prelude.starts_with(&MAGIC) {
        return Err(bad());
    }
    let place = source.text()?;
    source.number()?;
    source.number()?;
    Ok((place, source.option(Source::bytes)?))
}

fn read_body(source: &mut Source<impl Read>, tell: &mut dyn FnMut(Change)) -> io::Result<(String, Past)> {
    let place = source.text()?;
    let revision = Revision(source.number()?);
    let lift = source.number()?;
    let bookmark = source.option(Source::bytes)?;
    let mut profiles = Vec::new();
    while source.flag()? {
        let change = read_value(source, &mut profiles)?;
        if change.revision > revision {
            return Err(bad());
        }
        tell(change);
    }
    // Nothing follows.
    if source.source.read(&mut [0])? != 0 {
        return Err(bad());
    }
    Ok((place, Past { contact: Timestamp::MIN, revision, lift, bookmark }))
}

#[derive(Clone)]
struct Profile {
    kind: KeyKind,
    grant: GrantSpec,
    not_before: Option<Timestamp>,
    is_tripwire: bool,
    attributes: Vec<(Box<str>, Box<str>)>,
    allow_from: Vec<ipnet::IpNet>,
    account: Option<Arc<Affiliation>>,
}

fn read_value(source: &mut Source<impl Read>, profiles: &mut Vec<Profile>) -> io::Result<Change> {
    let digest = Digest::from_bytes(source.array()?);
    let revision = Revision(source.number()?);
    let state = source.one_of(&KeyState::ALL)?;
    let created = source.moment()?;
    let expires = Some(source.moment()?).filter(|end| *end < Timestamp::MAX);
    let until = (source.flag()?, source.moment()?);
    let id = KeyId::parse(&source.text()?).ok_or_else(bad)?;
    let account = source.option(Source::text)?.map(Into::into);
    let number = u32::from_le_bytes(source.array()?) as usize;
    if number == profiles.len() {
        profiles.push(read_profile(source)?);
    }
    let Profile { kind, grant, not_before, is_tripwire, attributes, allow_from, account: affiliation } =
        profiles.get(number).cloned().ok_or_else(bad)?;
    let value = KeyValue {
        digest,
        prefix: Box::default(),
        last_four: Box::default(),
        site: None,
        created,
        until: until.0.then_some(until.1),
        is_ended: until == (true, Timestamp::MIN),
        last_used: None,
    };
    let record = KeyRecord {
        id,
        kind,
        name: Box::default(),
        account,
        grant,
        state,
        created,
        changed: created,
        not_before,
        expires,
        attributes,
        allow_from,
        note: None,
        value,
        former: Vec::new(),
        last_used: None,
        is_tripwire,
    };
    Ok(Change { revision, record, account: affiliation })
}

fn read_profile(source: &mut Source<impl Read>) -> io::Result<Profile> {
    Ok(Profile {
        kind: source.one_of(&KeyKind::ALL)?,
        grant: GrantSpec::from_header(&source.text()?),
        not_before: Some(source.moment()?).filter(|start| *start > Timestamp::MIN),
        is_tripwire: source.flag()?,
        attributes: source.list(|source| Ok((source.text()?.into(), source.text()?.into())))?,
        allow_from: source.list(|source| parse_network(&source.text()?).map_err(|_| bad()))?,
        account: source
            .option(|source| {
                Ok(Affiliation {
                    is_suspended: source.flag()?,
                    credential: source.option(Source::text)?.map(Into::into),
                    children: source.list(|source| Ok(source.text()?.into()))?.into(),
                })
            })?
            .map(Arc::new),
    })
}

/// What is read, and the digest of what was.
struct Source<R> {
    source: R,
    hash: Sha256,
}

impl<R: Read> Source<R> {
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.source.read_exact(bytes)?;
        self.hash.update(bytes);
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn number(&mut self) -> io::Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn moment(&mut self) -> io::Result<Timestamp> {
        Ok(Timestamp::from_millis(i64::from_le_bytes(self.array()?)))
    }

    fn flag(&mut self) -> io::Result<bool> {
        self.one_of(&[false, true])
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> io::Result<T> {
        let [byte] = self.array()?;
        all.get(usize::from(byte)).copied().ok_or_else(bad)
    }

    fn count(&mut self) -> io::Result<u32> {
        let count = u32::from_le_bytes(self.array()?);
        if count > MOST { Err(bad()) } else { Ok(count) }
    }

    fn bytes(&mut self) -> io::Result<Vec<u8>> {
        let (count, mut bytes) = (self.count()?, Vec::new());
        // Grows with what is there.
        let read = self.source.by_ref().take(u64::from(count)).read_to_end(&mut bytes)?;
        if read != count as usize {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.hash.update(&bytes);
        Ok(bytes)
    }

    fn text(&mut self) -> io::Result<String> {
        String::from_utf8(self.bytes()?).map_err(|_| bad())
    }

    fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<Option<T>> {
        if self.flag()? { read(self).map(Some) } else { Ok(None) }
    }

    fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> io::Result<T>) -> io::Result<Vec<T>> {
        let (count, mut list) = (self.count()?, Vec::new());
        for _ in 0..count {
            list.push(read(self)?);
        }
        Ok(list)
    }
}

fn bad() -> io::Error {
    ErrorKind::InvalidData.into()
}
