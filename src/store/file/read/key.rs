//! One key of a key file.

use super::super::value;
use super::{Fields, Form, Reader};
use crate::key::digest::Digest;
use crate::key::lifecycle::{self, Imprint, NewKey, NewKeyError};
use crate::key::{GrantSpec, KeyId, KeyKind, KeyRecord, KeyState, SiteId};
use crate::yaml::{self, Node, Span, Value};

/// The fields of a key.
const FIELDS: [&str; 16] = [
    "account",
    "allow_from",
    "attrs",
    "disabled",
    "expires",
    "grant",
    "hmac_sha256",
    "id",
    "key",
    "kind",
    "name",
    "not_before",
    "note",
    "scopes",
    "sha256",
    "tripwire",
];

impl Reader {
    /// The record of a key; `None` where something of it is wrong, which is noted.
    pub(super) fn key(&mut self, item: &Node, text: &str) -> Option<KeyRecord> {
        let Value::Map(entries) = &item.value else {
            self.note(item.span, format!("a key is {}, not a map", item.kind()), "begin each key with `- name: …`");
            return None;
        };
        self.record(&Fields { item, entries, scopes: None }, text)
    }

    /// The same of its fields.
    pub(super) fn record(&mut self, fields: &Fields<'_>, text: &str) -> Option<KeyRecord> {
        let before = self.drafts.len();
        for entry in fields.entries.iter().filter(|entry| !FIELDS.contains(&&*entry.key)) {
            let help = format!("the fields of a key are {}", FIELDS.join(", "));
            self.note(entry.key_span, format!("unknown field `{}`", entry.key), help);
        }
        self.demand(fields, "name", "say what this key is called");
        let name = self.optional(fields, "name", value::string);
        let kind = self.optional(fields, "kind", value::kind).unwrap_or(KeyKind::Secret);
        let imprint = if kind == KeyKind::Public { self.site(fields) } else { self.digest(fields) };
        let is_tripwire = self.optional(fields, "tripwire", value::boolean).unwrap_or(false);
        let grant = match fields.scopes {
            // They come in behind the check, which they have passed.
            Some(_) => None,
            None if is_tripwire => self.bait(fields),
            None => self.grant(fields, kind),
        };
        let id = self.optional(fields, "id", value::id);
        let disabled = self.optional(fields, "disabled", value::boolean);
        if kind == KeyKind::Pair {
            self.demand(fields, "id", "a pair has its visible id there");
        }
        let new = NewKey {
            kind,
            account: self.optional(fields, "account", value::string),
            not_before: self.optional(fields, "not_before", value::moment),
            expires: self.optional(fields, "expires", value::moment),
            attributes: self.optional(fields, "attrs", value::attributes).unwrap_or_default(),
            allow_from: self.optional(fields, "allow_from", value::networks).unwrap_or_default(),
            note: self.optional(fields, "note", value::string),
            is_tripwire,
            ..NewKey::new(name.unwrap_or_else(|| "?".into()), grant.unwrap_or_else(GrantSpec::nothing))
        };
        if let Err(error) = lifecycle::check(&new) {
            let at =
                field_of(&error).and_then(|name| fields.find(name)).map_or(fields.item.span, |entry| entry.value.span);
            self.note(at, error.to_string(), "");
        }
        self.look_at_account(fields, &new, text);
        let imprint = imprint?;
        let id = id.unwrap_or_else(|| KeyId::derive(&imprint.digest));
        self.refuse_twins(fields, (&id, &imprint.digest), text);
        if self.drafts.len() > before {
            return None;
        }
        let mut record = lifecycle::adopt(new, id, imprint, self.written);
        if disabled == Some(true) {
            record.state = KeyState::Disabled;
        }
        if let Some(scopes) = fields.scopes {
            record.grant = scopes.clone();
        }
        Some(record)
    }

    /// The value of a public key, which is no secret.
    fn site(&mut self, fields: &Fields<'_>) -> Option<Imprint> {
        for name in ["hmac_sha256", "sha256"] {
            if let Some(entry) = fields.find(name) {
                let message = format!("`{name}` has no use for a public key");
                self.note(entry.key_span, message, "give the key itself as `key`: it is no secret");
            }
        }
        self.demand(fields, "key", "a public key is no secret, and stands there itself");
        self.optional(fields, "key", value::site).map(SiteId::imprint)
    }

    /// Sees that the account is one that the file lists, where it lists any, and has no other public key.
    fn look_at_account(&mut self, fields: &Fields<'_>, new: &NewKey, text: &str) {
        let Some(account) = &new.account else { return };
        let at = fields.find("account").map_or(fields.item.span, |entry| entry.value.span);
        if let Some((message, help)) = self.accounts.as_ref().and_then(|accounts| accounts.objection(account)) {
            self.note(at, message, help);
        }
        if new.kind == KeyKind::Public
            && let Some(first) = self.sites.insert(account.clone(), at)
        {
            let line = yaml::line_and_column(text, first.start).0;
            let message = format!("the key on line {line} is the public key of this account");
            self.note(at, message, "an account has one public key");
        }
    }

    fn digest(&mut self, fields: &Fields<'_>) -> Option<Imprint> {
        if let Some(entry) = fields.find("key") {
            let help =
                "give its digest: only a public key stands here itself; if others could read the file, revoke the key";
            self.note(entry.key_span, "`key` is the key itself, which must not stand here", help);
        }
        let (ours, other, why) = match self.form {
            Form::HmacSha256 => {
                ("hmac_sha256", "sha256", "`keys.pepper` is set: give the HMAC-SHA-256 of the key under it")
            }
            Form::Sha256 => ("sha256", "hmac_sha256", "`keys.pepper` is not set: give the SHA-256 of the key"),
        };
        if let Some(entry) = fields.find(other) {
            self.note(entry.key_span, format!("`{other}` cannot be used here"), format!("{why} as `{ours}`"));
            return None;
        }
        self.demand(fields, ours, why);
        self.optional(fields, ours, value::digest).map(imprint)
    }

    fn grant(&mut self, fields: &Fields<'_>, kind: KeyKind) -> Option<GrantSpec> {
        match (fields.find("scopes"), fields.find("grant")) {
            (Some(_), Some(level)) => {
                self.note(level.key_span, "a key has `scopes` or a `grant`, not both", "leave one of them out");
                None
            }
            (Some(_), None) => self.optional(fields, "scopes", value::scopes),
            (None, None) if kind == KeyKind::Public => Some(GrantSpec::nothing()),
            (None, _) => {
                self.demand(fields, "grant", "give `scopes: […]`, or `grant: full` or `grant: read-only`");
                self.optional(fields, "grant", value::level)
            }
        }
    }

    /// What a tripwire holds: nothing, and that need not be said.
    fn bait(&mut self, fields: &Fields<'_>) -> Option<GrantSpec> {
        let nothing = GrantSpec::nothing();
        let held = self.optional(fields, "scopes", value::scopes);
        let named = held.filter(|held| *held != nothing).and(fields.find("scopes"));
        if let Some(entry) = fields.find("grant").or(named) {
            let message = format!("`{}` cannot stand beside `tripwire: true`", entry.key);
            self.note(entry.key_span, message, "a tripwire opens nothing: leave one of the two out");
            return None;
        }
        Some(nothing)
    }

    fn refuse_twins(&mut self, fields: &Fields<'_>, (id, digest): (&KeyId, &Digest), text: &str) {
        let at = |name: &str| fields.find(name).map_or(fields.item.span, |entry| entry.value.span);
        let digest_at = ["key", "sha256", "hmac_sha256"]
            .into_iter()
            .find(|name| fields.find(name).is_some())
            .map_or(fields.item.span, at);
        let id_at = at("id");
        let line = |span: Span| yaml::line_and_column(text, span.start).0;
        if let Some(first) = self.digests.insert(*digest, digest_at) {
            let what = if fields.find("key").is_some() { "value" } else { "digest" };
            let message = format!("the key on line {} has the same {what}", line(first));
            self.note(digest_at, message, "each key is listed once");
        } else if let Some(first) = self.ids.insert(id.clone(), id_at) {
            let message = format!("the key on line {} has the same id", line(first));
            self.note(id_at, message, "give each key an id of its own, or none");
        }
    }
}

/// What a digest tells of a key.
pub(super) fn imprint(digest: Digest) -> Imprint {
    Imprint { digest, prefix: Box::default(), last_four: Box::default(), site: None }
}

/// The field that a fault of the record is about.
fn field_of(error: &NewKeyError) -> Option<&'static str> {
    match error {
        NewKeyError::Account(_) => Some("account"),
        NewKeyError::AccountAttribute | NewKeyError::Attribute(_) | NewKeyError::Key("attributes") => Some("attrs"),
        NewKeyError::Key(what) => Some(what),
        NewKeyError::Expired(_) | NewKeyError::NeverValid { .. } => Some("expires"),
        NewKeyError::NoAccount | NewKeyError::Public(_) => Some("kind"),
        NewKeyError::Name(_) => Some("name"),
        NewKeyError::Note => Some("note"),
        NewKeyError::Scope(_) => Some("scopes"),
        NewKeyError::TooMany(_) | NewKeyError::Tripwire => None,
    }
}
