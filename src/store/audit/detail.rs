//! What an entry says beside who, when, what and which key: never a key, a part of one, or a digest. Which value a key has, a
//! [`Seal`](super::Seal) adds.

use serde_json::{Map, Value, json};

use crate::key::account::AccountRecord;
use crate::key::lifecycle::{Shortened, Transition, shortened};
use crate::key::{GrantSpec, KeyId, KeyKind, KeyRecord, KeyState};

/// What a new key may do, and for how long; `of` is the key that it is a clone of.
pub fn of_new(record: &KeyRecord, of: Option<&KeyId>) -> Value {
    let mut detail = Detail::of(record);
    detail.put("of", of.map(KeyId::as_str));
    detail.put("kind", (record.kind != KeyKind::Secret).then_some(record.kind.as_str()));
    match &record.grant {
        // What a public key opens, the routes say.
        GrantSpec::Custom(_) if record.kind == KeyKind::Public => {}
        GrantSpec::Custom(scopes) => detail.put("scopes", Some(scopes.iter().map(|scope| &**scope).collect::<Value>())),
        GrantSpec::Full => detail.put("grant", Some("full")),
        GrantSpec::ReadOnly => detail.put("grant", Some("read-only")),
    }
    detail.put("tripwire", record.is_tripwire.then_some(true));
    detail.put("account", record.account.as_deref());
    let attributes = record.attributes.iter().map(|(name, value)| Value::from([&**name, &**value].as_slice()));
    detail.put_all("attributes", attributes);
    detail.put_all("allow_from", record.allow_from.iter().map(|network| network.to_string().into()));
    detail.put("not_before", record.not_before.map(|date| date.to_string()));
    detail.put("expires", record.expires.map(|date| date.to_string()));
    // One that was imported may have ended elsewhere.
    detail.put("state", (record.state != KeyState::Active).then_some(record.state.as_str()));
    detail.finish()
}

/// What an account is called, and what hangs on it.
pub fn of_account(account: &AccountRecord) -> Value {
    let mut detail = Detail(Map::new());
    detail.put("name", Some(&*account.name));
    detail.put("parent", account.parent.as_deref());
    detail.put("credential", account.credential.as_deref());
    detail.finish()
}

/// What a transition changed of a key.
pub fn of_transition(transition: &Transition, before: &KeyRecord, after: &KeyRecord) -> Value {
    let mut detail = Detail::of(after);
    match transition {
        Transition::EndOverlap => detail.put_shortened(before, after),
        Transition::Delete | Transition::Disable | Transition::Enable | Transition::Revoke => {
            detail.put("was", Some(before.state.as_str()));
        }
        Transition::ResetSecret(replacement) | Transition::Rotate(replacement) => {
            detail.put("overlap_seconds", Some(replacement.overlap.as_secs()));
            let until = after.former.first().and_then(|value| value.until);
            detail.put("old_value_until", until.map(|date| date.to_string()));
            detail.put_shortened(before, after);
        }
    }
    detail.finish()
}

struct Detail(Map<String, Value>);

impl Detail {
    /// With what the key is called: whoever reads of an id wants to know.
    fn of(record: &KeyRecord) -> Self {
        let mut detail = Self(Map::new());
        detail.put("name", Some(&*record.name));
        detail
    }

    fn put(&mut self, name: &str, value: Option<impl Into<Value>>) {
        self.0.extend(value.map(|value| (name.to_owned(), value.into())));
    }

    fn put_all(&mut self, name: &str, values: impl Iterator<Item = Value>) {
        let values: Vec<Value> = values.collect();
        self.put(name, (!values.is_empty()).then_some(values));
    }

    /// Every value of those before the one that a key had which ends earlier than it was to end, by the moment at which the
    /// key was given it.
    fn put_shortened(&mut self, before: &KeyRecord, after: &KeyRecord) {
        let is_older = |cut: &Shortened<'_>| cut.value.digest != before.value.digest;
        let cut = shortened(before, after, after.changed).into_iter().filter(is_older).map(|cut| {
            let before = cut.before.map(|date| date.to_string());
            json!({ "given": cut.value.created.to_string(), "before": before, "after": cut.after.to_string() })
        });
        self.put_all("older_values", cut);
    }

    fn finish(self) -> Value {
        Value::Object(self.0)
    }
}
