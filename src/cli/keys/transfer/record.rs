//! From a line to the record of a key: every fault of it.

use std::cell::Cell;
use std::time::Duration;

use super::row::{Field, Row};
use crate::config::Keys;
use crate::key::digest::{Digest, Hasher};
use crate::key::leak::holds_key;
use crate::key::lifecycle::{self, Imprint, NewKey};
use crate::key::secret::{self, Checked, Secret};
use crate::key::visible::short;
use crate::key::{GrantSpec, KeyId, KeyKind, KeyRecord, KeyState, SiteId, Timestamp, parse_network};
use crate::policy::Policy;

/// How many bytes a key from elsewhere has at least, unless shorter ones are asked for.
pub(super) const USUAL_LEAST: usize = 16;
/// How many bytes it has at least whatever is asked for.
pub(super) const LEAST: usize = 8;

/// The fields of a line: those of a key file, the key itself, and what `keys export` tells besides.
pub(super) const FIELDS: [&str; 20] = [
    "account",
    "allow_from",
    "attrs",
    "created",
    "disabled",
    "expires",
    "grant",
    "hmac_sha256",
    "id",
    "key",
    "kind",
    "last_four",
    "name",
    "not_before",
    "note",
    "prefix",
    "scopes",
    "sha256",
    "state",
    "tripwire",
];

/// So much the clock may be ahead that said when a key was made.
const CLOCKS_DIFFER: Duration = Duration::from_secs(3600);

/// Attributes as a record has them.
type Attributes = Vec<(Box<str>, Box<str>)>;

/// What lines are read under.
pub(super) struct Ground<'c> {
    pub(super) keys: &'c Keys,
    /// Which scopes there are, where a line names any.
    pub(super) policy: Option<Policy>,
    pub(super) hasher: Hasher,
    /// How many bytes a key that came from elsewhere has at least.
    pub(super) least: usize,
    /// How many keys were shorter than is usual.
    pub(super) short: Cell<usize>,
    pub(super) now: Timestamp,
}

/// Takes fields out of a line, and keeps what is wrong with them.
struct Reader {
    fields: Vec<(String, Field)>,
    faults: Vec<String>,
}

/// The record of a line, or all that is wrong with it.
pub(super) fn read(row: Row, ground: &Ground<'_>) -> Result<KeyRecord, Vec<String>> {
    let mut reader = Reader { fields: row.fields.map_err(|fault| vec![fault])?, faults: Vec::new() };
    reader.refuse_unknown();
    let kind = reader.parsed("kind", kind).unwrap_or(KeyKind::Secret);
    let imprint = if kind == KeyKind::Public { reader.site() } else { reader.imprint(ground) };
    let id = reader.id(kind, imprint.as_ref());
    let is_tripwire = reader.flag("tripwire");
    let opens_nothing = kind == KeyKind::Public || is_tripwire == Some(true);
    let grant = reader.grant(ground.policy.as_ref(), opens_nothing);
    let state = reader.state();
    let created = reader.parsed("created", |text| match moment(text) {
        // Clocks differ a little.
        Ok(created) if created > ground.now.after(CLOCKS_DIFFER) => {
            Err("is in the future: such a key would not be flagged when it is old".to_owned())
        }
        read => read,
    });
    let name = reader.text("name");
    if name.is_none() {
        reader.faults.push("`name` is missing: say what this key is called".to_owned());
    }
    let new = NewKey {
        kind,
        account: reader.text("account").map(Into::into),
        not_before: reader.parsed("not_before", moment),
        expires: reader.parsed("expires", moment),
        attributes: reader.attributes(),
        allow_from: reader.list("allow_from").iter().filter_map(|text| reader.noted(network(text))).collect(),
        note: reader.text("note").map(Into::into),
        is_tripwire: is_tripwire == Some(true),
        ..NewKey::new(name.unwrap_or_else(|| "?".to_owned()), grant.unwrap_or_else(GrantSpec::nothing))
    };
    if let Err(error) = lifecycle::check(&new) {
        reader.faults.push(error.to_string());
    }
    match (imprint, id) {
        (Some(imprint), Some(id)) if reader.faults.is_empty() => {
            let record = lifecycle::adopt(new, id, imprint, created.unwrap_or(ground.now));
            Ok(KeyRecord { state, ..record })
        }
        _ => Err(reader.faults),
    }
}

impl Reader {
    fn refuse_unknown(&mut self) {
        let unknown = self.fields.iter().filter(|(name, _)| !FIELDS.contains(&name.as_str()));
        let told = unknown.map(|(name, _)| {
            let shown = short(name);
            format!("unknown field `{shown}`: the fields of a key are {}", FIELDS.join(", "))
        });
        let told: Vec<String> = told.take(1).collect();
        self.faults.extend(told);
    }

    fn take(&mut self, name: &str) -> Option<Field> {
        let place = self.fields.iter().position(|(known, _)| known == name)?;
        Some(self.fields.swap_remove(place).1)
    }

    fn noted<T>(&mut self, read: Result<T, String>) -> Option<T> {
        read.map_err(|fault| self.faults.push(fault)).ok()
    }

    fn text(&mut self, name: &str) -> Option<String> {
        match self.take(name)? {
            Field::Text(text) => Some(text),
            Field::Flag(flag) => Some(flag.to_string()),
            Field::List(_) | Field::Map(_) => self.noted(Err(format!("`{name}` is no text"))),
        }
    }

    fn parsed<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(name)?;
        self.noted(parse(&text).map_err(|fault| format!("`{name}` {fault}")))
    }

    fn flag(&mut self, name: &str) -> Option<bool> {
        self.parsed(name, |text| text.parse().map_err(|_| "is neither true nor false".to_owned()))
    }

    fn list(&mut self, name: &str) -> Vec<String> {
        match self.take(name) {
            None => Vec::new(),
            Some(Field::List(items)) if !items.is_empty() || name == "scopes" => items,
            Some(_) => {
                self.noted(Err(format!("`{name}` is no list: name one, or leave the field out"))).unwrap_or_default()
            }
        }
    }

    fn attributes(&mut self) -> Attributes {
        match self.take("attrs") {
            None => Vec::new(),
            Some(Field::Map(entries)) => entries.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            Some(_) => self.noted(Err("`attrs` is no map: write {\"team\": \"blue\"}".to_owned())).unwrap_or_default(),
        }
    }

    /// The key's imprint: of the key itself, or a digest with what is known besides.
    fn imprint(&mut self, ground: &Ground<'_>) -> Option<Imprint> {
        let keys = ground.keys;
        let ours = if ground.hasher.is_peppered() { "hmac_sha256" } else { "sha256" };
        let other = if ground.hasher.is_peppered() { "sha256" } else { "hmac_sha256" };
        if self.take(other).is_some() {
            let why = if ground.hasher.is_peppered() { "keys.pepper is set" } else { "keys.pepper is not set" };
            return self.noted(Err(format!("`{other}` cannot be used here: {why}, so give `{ours}`, or the key")));
        }
        let (prefix, last_four) = (self.parsed("prefix", prefix), self.parsed("last_four", last_four));
        let (key, digest) = (self.text("key"), self.parsed(ours, digest));
        match (key, digest) {
            (Some(_), Some(_)) => self.noted(Err(format!("a key has `key` or `{ours}`, not both"))),
            (None, None) if self.faults.is_empty() => {
                self.noted(Err(format!("`key` is missing: give the key, or its digest as `{ours}`")))
            }
            (None, None) => None,
            (None, Some(digest)) => {
                let (prefix, last_four) = (prefix.unwrap_or_default(), last_four.unwrap_or_default());
                Some(Imprint { digest, prefix, last_four, site: None })
            }
            (Some(key), None) => {
                let key = Secret::new(key.into_bytes());
                self.noted(judge(ground, &key))?;
                Some(Imprint::of(&key, &keys.prefix, &ground.hasher))
            }
        }
    }

    /// The imprint of a public key, which is no secret: all of it.
    fn site(&mut self) -> Option<Imprint> {
        if ["hmac_sha256", "sha256"].into_iter().any(|name| self.take(name).is_some()) {
            return self.noted(Err("a public key has no digest: give the key itself as `key`".to_owned()));
        }
        let Some(key) = self.text("key") else {
            return self.noted(Err("`key` is missing: give the public key".to_owned()));
        };
        // It may be another sort of key in the wrong line, so it is not repeated.
        let site = SiteId::parse(key.as_bytes());
        self.noted(site.ok_or_else(|| "`key` is no public key: use 6 to 12 letters and digits".to_owned()))
            .map(SiteId::imprint)
    }

    fn id(&mut self, kind: KeyKind, imprint: Option<&Imprint>) -> Option<KeyId> {
        match self.parsed("id", id) {
            Some(id) => Some(id),
            None if kind == KeyKind::Pair => {
                self.noted(Err("`id` is missing: a pair has its visible id there".to_owned()))
            }
            None => imprint.map(|imprint| KeyId::derive(&imprint.digest)),
        }
    }

    fn grant(&mut self, policy: Option<&Policy>, opens_nothing: bool) -> Option<GrantSpec> {
        let level = self.parsed("grant", |text| match text {
            "full" => Ok(Some(GrantSpec::Full)),
            "read-only" => Ok(Some(GrantSpec::ReadOnly)),
            "custom" => Ok(None),
            _ => Err("is no level: write full or read-only, or give `scopes`".to_owned()),
        });
        let is_silent = level.is_none() && self.faults.iter().any(|fault| fault.starts_with("`grant`"));
        let has_scopes = self.fields.iter().any(|(name, _)| name == "scopes");
        match level.flatten() {
            Some(_) if has_scopes => self.noted(Err("a key has `scopes` or a `grant`, not both".to_owned())),
            Some(level) => Some(level),
            None if has_scopes => {
                let scopes = self.list("scopes");
                if let Some(policy) = policy {
                    let unknown = scopes.iter().filter(|scope| !policy.knows(scope));
                    self.faults.extend(unknown.map(|scope| unknown_scope(policy, scope)));
                }
                Some(GrantSpec::custom(scopes))
            }
            None if is_silent => None,
            None if opens_nothing => Some(GrantSpec::nothing()),
            None => self.noted(Err("`scopes` is missing: give some, or `grant` full or read-only".to_owned())),
        }
    }

    fn state(&mut self) -> KeyState {
        let state = self.parsed("state", |text| match KeyState::parse(text) {
            Some(KeyState::Deleted) | None => Err("is none of active, disabled, revoked".to_owned()),
            Some(state) => Ok(state),
        });
        let disabled = self.flag("disabled");
        match (state, disabled) {
            (Some(_), Some(_)) => {
                self.faults.push("a key has `state` or `disabled`, not both".to_owned());
                KeyState::Disabled
            }
            (None, Some(true)) => KeyState::Disabled,
            (None, _) => KeyState::Active,
            (Some(state), None) => state,
        }
    }
}

fn unknown_scope(policy: &Policy, scope: &str) -> String {
    let near = policy.nearest(scope).map(|near| format!("; did you mean `{near}`?"));
    format!("the policy does not know the scope `{}`{}", short(scope), near.unwrap_or_default())
}

/// Whether a key that came from elsewhere can be one here. It is not repeated.
fn judge(ground: &Ground<'_>, key: &Secret) -> Result<(), String> {
    let (keys, length) = (ground.keys, key.expose().len());
    match secret::check(&keys.prefix, key.expose()) {
        Checked::Malformed => {
            Err(format!("`key` cannot be one: use 1 to {} visible ASCII characters", secret::LONGEST))
        }
        Checked::BadChecksum => Err(format!(
            "`key` begins as our keys do ({}_) and has a wrong checksum: it is mistyped or cut off",
            keys.prefix
        )),
        Checked::Foreign | Checked::Ours if length < LEAST => Err(format!(
            "`key` has {length} bytes, and fewer than {LEAST} are soon guessed, so no such key is taken: make another for its holder"
        )),
        Checked::Foreign | Checked::Ours if length < ground.least => Err(format!(
            "`key` has {length} bytes, and fewer than {USUAL_LEAST} can be guessed: make another for its holder, or take it all the same with --allow-short"
        )),
        Checked::Foreign | Checked::Ours => {
            ground.short.set(ground.short.get() + usize::from(length < USUAL_LEAST));
            Ok(())
        }
    }
}

fn kind(text: &str) -> Result<KeyKind, String> {
    match KeyKind::parse(text) {
        Some(kind) => Ok(kind),
        None => Err("is no kind of key: write secret, pair or public".to_owned()),
    }
}

fn digest(text: &str) -> Result<Digest, String> {
    // What stands here may be a key that was pasted by mistake, so it is not repeated.
    Digest::from_hex(text).ok_or_else(|| "is not 64 hexadecimal digits: give the digest of the key".to_owned())
}

fn id(text: &str) -> Result<KeyId, String> {
    if holds_key(text) {
        return Err("is a key: give any other id, and the key as `key`".to_owned());
    }
    KeyId::parse(text).ok_or_else(|| "cannot be an id: use 1 to 64 ASCII letters, digits, `_`, `-` or `.`".to_owned())
}

fn moment(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_moment(text)
        .map_err(|_| "is neither a day (2027-01-31) nor a time (2027-01-31T12:00:00Z)".to_owned())
}

fn network(text: &str) -> Result<ipnet::IpNet, String> {
    parse_network(text).map_err(|error| format!("`allow_from`: {error}"))
}

fn prefix(text: &str) -> Result<Box<str>, String> {
    let right = text.is_empty() || secret::is_prefix(text);
    right.then(|| text.into()).ok_or_else(|| "cannot be the prefix of a key".to_owned())
}

fn last_four(text: &str) -> Result<Box<str>, String> {
    let right = text.is_empty() || text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_graphic());
    right.then(|| text.into()).ok_or_else(|| "is not four visible ASCII characters".to_owned())
}
