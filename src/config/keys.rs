//! Keys: where their records are, what they look like, where they may be presented.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::read::{Field, Fields, Reader};
use super::section::value;
use super::text::quoted;
use super::unit::{Complaint, duration, or_none, positive_duration};
use crate::database::{Database, DatabaseFault, Roots, Tls};
use crate::key::mask::Mask;
use crate::key::secret::{Secret, is_prefix};
use crate::key::{KeyKind, KeyRecord, KeyState, Timestamp};
use crate::policy::Sought;

/// How often the use of keys is written down, unless told otherwise.
const RECORD_USE: Duration = Duration::from_secs(10);

/// How long keys work without their store, unless told otherwise.
const MAX_STALE: Duration = Duration::from_secs(15 * 60);

/// The `keys` section.
#[derive(Debug)]
pub struct Keys {
    /// Where the key records are.
    pub store: StoreLocation,
    /// What keys made here begin with.
    pub prefix: Box<str>,
    /// Makes stored digests useless without it; `None`: plain SHA-256.
    pub pepper: Option<Secret>,
    /// Where a key may be presented.
    pub accept: Accept,
    /// How long keys work after the store was last read; `None`: for as long as it is away.
    pub max_stale: Option<Duration>,
    /// Where a copy of the keys is kept to start from while the store is away; `None`: nowhere.
    pub snapshot: Option<PathBuf>,
    /// How often it is written down how keys are used; `None`: it is not counted.
    pub record_use: Option<Duration>,
    /// When keys ought to be given new values.
    pub rotate_after: RotateAfter,
}

/// How old the value of a key may grow, for each kind of key, before it is said that another ought to take its place.
/// `None`: it is never said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RotateAfter {
    /// Of pairs.
    pub pair: Option<Duration>,
    /// Of secret keys.
    pub secret: Option<Duration>,
}

/// Where the key records are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreLocation {
    /// A `keys.yaml`, read-only.
    File(PathBuf),
    /// A PostgreSQL database.
    Postgres(Box<Database>),
    /// A SQLite database.
    Sqlite(PathBuf),
}

/// Where a key may be presented.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accept {
    /// `Authorization: Bearer KEY`.
    pub bearer: bool,
    /// Other schemes of `Authorization`, as written; compared without regard to case.
    pub schemes: Vec<Box<str>>,
    /// Header fields whose whole value is the key, as written; compared without regard to case.
    pub headers: Vec<Box<str>>,
    /// `Authorization: Basic base64(KEY:)`, or `base64(ID:SECRET)` of a pair.
    pub basic: bool,
    /// Names of query parameters.
    pub query: Vec<Box<str>>,
    /// Names of cookies.
    pub cookies: Vec<Box<str>>,
    /// The query parameter that public keys stand in. It stays there: the upstream needs it.
    pub public_query: Option<Sought>,
}

impl Keys {
    /// Takes the keys out of what is shown.
    pub fn mask(&self) -> Mask<'_> {
        Mask::new(&self.prefix)
    }

    /// What holds where the section says nothing. The store is in `folder`, unless it is overridden.
    pub(super) fn at(folder: &Path, overridden: Option<StoreLocation>) -> Self {
        Self {
            store: overridden.unwrap_or_else(|| StoreLocation::Sqlite(folder.join("scopegate.db"))),
            prefix: "sg".into(),
            pepper: None,
            accept: Accept::usual(),
            max_stale: Some(MAX_STALE),
            snapshot: None,
            record_use: Some(RECORD_USE),
            rotate_after: RotateAfter::default(),
        }
    }

    /// Reads the section. A relative store is in `folder`; one that is overridden is not looked at.
    pub(super) fn read(
        reader: &mut Reader<'_>,
        field: &Field<'_>,
        (folder, overridden): (&Path, Option<StoreLocation>),
    ) -> Self {
        let (mut keys, pepper) = Self::read_sealed(reader, field, (folder, overridden));
        keys.pepper = pepper.and_then(|pepper| reader.secret(&pepper));
        keys
    }

    /// Reads the section but for the pepper, which is given as it is written, where there is one.
    pub(super) fn read_sealed<'n>(
        reader: &mut Reader<'_>,
        field: &Field<'n>,
        (folder, overridden): (&Path, Option<StoreLocation>),
    ) -> (Self, Option<Field<'n>>) {
        const KNOWN: [&str; 8] =
            ["store", "prefix", "pepper", "accept", "record_use", "max_stale", "snapshot", "rotate_after"];
        let is_overridden = overridden.is_some();
        let mut keys = Self::at(folder, overridden);
        let Some(fields) = reader.fields(field, &KNOWN) else { return (keys, None) };
        if let Some(field) = fields.find("store") {
            if field
                .node
                .scalar()
                .is_some_and(|scalar| scalar.text.contains('@') || scalar.text.starts_with("postgres"))
            {
                reader.mask(field.node);
            }
            // What is overridden need not be there: a password of another role, say.
            if !is_overridden && let Some(store) = reader.parse(&field, |text| store(text, folder)) {
                keys.store = store;
            }
        }
        keys.prefix = value(reader, &fields, ("prefix", keys.prefix), prefix);
        let pepper = fields.find("pepper").filter(|field| !Reader::is_none(field));
        if let Some(field) = &pepper {
            reader.mask(field.node);
        }
        if let Some(field) = fields.find("accept") {
            keys.accept = Accept::read(reader, &field);
        }
        keys.max_stale = value(reader, &fields, ("max_stale", keys.max_stale), or_none(duration));
        keys.snapshot = keys.read_snapshot(reader, &fields, folder);
        keys.record_use = value(reader, &fields, ("record_use", keys.record_use), or_none(positive_duration));
        if let Some(field) = fields.find("rotate_after") {
            keys.rotate_after = RotateAfter::read(reader, &field);
        }
        (keys, pepper)
    }

    /// The file of the copy, which is in `folder` where it is relative, and is not the store.
    fn read_snapshot(&self, reader: &mut Reader<'_>, fields: &Fields<'_>, folder: &Path) -> Option<PathBuf> {
        let field = fields.find("snapshot").filter(|field| !Reader::is_none(field))?;
        let path = reader.parse(&field, |text| snapshot(text, folder))?;
        let is_store = match &self.store {
            StoreLocation::File(store) | StoreLocation::Sqlite(store) => path == *store,
            StoreLocation::Postgres(_) => false,
        };
        if is_store {
            let message = format!("`{}` is the key store itself", field.path);
            reader.fault(field.node.span, message, "name another file: it is written over");
        }
        Some(path)
    }
}

impl Default for RotateAfter {
    fn default() -> Self {
        Self { pair: Some(Duration::from_secs(90 * 86_400)), secret: None }
    }
}

impl RotateAfter {
    /// Since when a key ought to have been given a new value; `None` where it need not be yet, or does not work.
    pub fn due_since(self, record: &KeyRecord, now: Timestamp) -> Option<Timestamp> {
        let works = record.state == KeyState::Active && !record.is_expired(now) && !record.is_tripwire;
        self.due_at(record.kind, record.value.created).filter(|since| works && *since <= now)
    }

    /// When a key that was given its value at `minted` ought to be given another; `None` where never.
    pub fn due_at(self, kind: KeyKind, minted: Timestamp) -> Option<Timestamp> {
        let most = match kind {
            KeyKind::Pair => self.pair,
            // Everybody may know it, so that no age makes it worse.
            KeyKind::Public => None,
            KeyKind::Secret => self.secret,
        };
        most.map(|most| minted.after(most))
    }

    /// Whether a key ought to be given a new value.
    pub fn is_due(self, record: &KeyRecord, now: Timestamp) -> bool {
        self.due_since(record, now).is_some()
    }

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Self {
        let usual = Self::default();
        let Some(fields) = reader.fields(field, &["secret", "pair"]) else { return usual };
        Self {
            pair: value(reader, &fields, ("pair", usual.pair), or_none(positive_duration)),
            secret: value(reader, &fields, ("secret", usual.secret), or_none(positive_duration)),
        }
    }
}

/// `sqlite:PATH`, `file:PATH` or `postgres://…`, a relative path being in `folder`.
pub(super) fn store(text: &str, folder: &Path) -> Result<StoreLocation, Complaint> {
    const HELP: &str = "write `sqlite:scopegate.db`, `file:keys.yaml` or `postgres://USER:PASSWORD@HOST/NAME`";
    match text.split_once(':') {
        Some(("sqlite" | "file", path)) if path.contains("://") => {
            // It is not repeated: what was meant may hold a password.
            Err(Complaint::new("an address is no path of a file", HELP))
        }
        Some(("sqlite" | "file", "")) => Err(Complaint::new(format!("{} has no path", quoted(text)), HELP)),
        Some(("sqlite", path)) => Ok(StoreLocation::Sqlite(folder.join(path))),
        Some(("file", path)) => Ok(StoreLocation::File(folder.join(path))),
        Some(("postgres" | "postgresql", _)) => database(text, folder),
        // What is behind an unknown scheme may hold a password.
        Some((scheme, _)) => Err(Complaint::new(format!("{} is not a kind of store", quoted(scheme)), HELP)),
        None => Err(Complaint::new(format!("{} does not say what kind of store it is", quoted(text)), HELP)),
    }
}

/// A path, which is in `folder` where it is relative.
fn snapshot(text: &str, folder: &Path) -> Result<PathBuf, Complaint> {
    if text.is_empty() || text.ends_with('/') {
        return Err(Complaint::new(
            format!("{} names no file", quoted(text)),
            "write a path, as in `/var/lib/scopegate/keys.snapshot`, or `none`",
        ));
    }
    Ok(folder.join(text))
}

/// The address of a database. What is wrong with it is told without the password.
fn database(text: &str, folder: &Path) -> Result<StoreLocation, Complaint> {
    const HELP: &str = "write `postgres://USER:PASSWORD@HOST/NAME`, the password by ${env:NAME} or ${file:PATH}";
    let said = |fault: &DatabaseFault| format!("the address of the database cannot be used: {fault}");
    let mut database = Database::parse(text)
        .map_err(|fault| Complaint::new(said(&fault), HELP).or_without_the_value(said(&fault.hidden())))?;
    if let Tls::Authority(Roots::File(path)) | Tls::Full(Roots::File(path)) = &mut database.tls {
        *path = folder.join(&path);
    }
    Ok(StoreLocation::Postgres(Box::new(database)))
}

fn prefix(text: &str) -> Result<Box<str>, Complaint> {
    if is_prefix(text) {
        return Ok(text.into());
    }
    Err(Complaint::new(
        format!("{} cannot be the prefix of keys", quoted(text)),
        "write 1 to 16 ASCII letters and digits, with `_` between them at most",
    ))
}
