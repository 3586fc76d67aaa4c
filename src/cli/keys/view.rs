//! Key records for a reader and for a program.

use std::sync::Arc;

use serde_json::{Value, json};

use super::accounts::Suspensions;
use super::usage;
use crate::cli::Console;
use crate::config::RotateAfter;
use crate::key::visible::escaped;
use crate::key::{GrantSpec, KeyKind, KeyRecord, KeyState, KeyValue, Timestamp};
use crate::store::uses::{Count, KeyUse};

/// Scopes that a line names before it counts the rest.
const SCOPES_IN_A_ROW: usize = 3;

/// The record as JSON. It has no digest, and there is no key in it to show but a public one.
pub(in crate::cli) fn to_json(record: &KeyRecord, now: Timestamp) -> Value {
    let (grant, scopes) = grant(record);
    let attributes: Vec<Value> =
        record.attributes.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    let allow_from: Vec<String> = record.allow_from.iter().map(ToString::to_string).collect();
    let mut object = json!({
        "id": record.id.as_str(),
        "name": record.name,
        "kind": record.kind.as_str(),
        "prefix": record.value.prefix,
        "last_four": record.value.last_four,
        "grant": grant,
        "scopes": scopes.iter().map(|scope| &**scope).collect::<Vec<_>>(),
        "account": record.account,
        "state": state(record, now),
        "created": record.created.to_string(),
        "not_before": record.not_before.map(|date| date.to_string()),
        "expires": record.expires.map(|date| date.to_string()),
        "last_used": record.last_used.map(|date| date.to_string()),
        "tripwire": record.is_tripwire,
        "attributes": attributes,
        "allow_from": allow_from,
        "note": record.note,
        "values": record.values().map(|value| value_to_json(record, value, now)).collect::<Vec<_>>(),
    });
    if let (Value::Object(fields), Some(site)) = (&mut object, &record.value.site) {
        fields.shift_insert(2, "key".to_owned(), site.as_str().into());
    }
    object
}

/// The same, with whether it is time for a new value.
pub(super) fn to_json_with_age(record: &KeyRecord, (now, rotate_after): (Timestamp, RotateAfter)) -> Value {
    let mut object = to_json(record, now);
    if let Value::Object(fields) = &mut object {
        fields.insert("rotate_due".to_owned(), rotate_after.is_due(record, now).into());
    }
    object
}

/// The same, with how it was used, as far as the store has taken that down.
pub(super) fn to_json_with_use(record: &KeyRecord, used: Option<&KeyUse>, ages: (Timestamp, RotateAfter)) -> Value {
    let mut object = to_json_with_age(record, ages);
    let values = object.get_mut("values").and_then(Value::as_array_mut);
    for (value, shown) in record.values().zip(values.into_iter().flatten()) {
        if let (Some(used), Value::Object(fields)) = (used, shown) {
            let count = used.of_value(&value.digest).unwrap_or(Count::NONE);
            fields.insert("requests".to_owned(), count.requests().into());
            fields.insert("denied".to_owned(), count.denied.into());
        }
    }
    if let Value::Object(fields) = &mut object {
        fields.insert("use".to_owned(), usage::to_json(record, used));
    }
    object
}

/// A value of a key: all but itself.
fn value_to_json(record: &KeyRecord, value: &KeyValue, now: Timestamp) -> Value {
    json!({
        "prefix": value.prefix,
        "last_four": value.last_four,
        "state": stage(record, value, now),
        "created": value.created.to_string(),
        "until": record.end_of(value).map(|date| date.to_string()),
        "last_used": value.last_used.map(|date| date.to_string()),
    })
}

/// What a value is to its key now.
fn stage(record: &KeyRecord, value: &KeyValue, now: Timestamp) -> &'static str {
    let is_over = value.is_ended || record.end_of(value).is_some_and(|end| end <= now);
    match (value.until, record.state) {
        (_, KeyState::Deleted | KeyState::Revoked) => "ended",
        _ if is_over => "ended",
        (None, _) => "current",
        (Some(_), _) => "retiring",
    }
}

/// Says when a new key begins and ends, where it does not begin now or does end.
pub(super) fn tell_dates(record: &KeyRecord, console: &mut Console) {
    if let Some(begin) = record.not_before.filter(|begin| *begin > record.created) {
        console.note(format_args!("It begins at {begin}."));
    }
    if let Some(end) = record.expires {
        console.note(format_args!("It ends at {end}."));
    }
}

/// The record as names and values, those that are not set left out.
pub(super) fn lines(
    (record, used): (&KeyRecord, Option<&KeyUse>),
    suspensions: &Suspensions,
    (now, rotate_after): (Timestamp, RotateAfter),
) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("id", record.id.to_string()),
        ("name", escaped(&record.name)),
        ("kind", record.kind.as_str().to_owned()),
        ("key", shape(&record.value)),
    ];
    lines.extend((record.state != KeyState::Deleted).then(|| ("grant", long_grant(record))));
    let mut add = |name, value: Option<String>| lines.extend(value.map(|value| (name, value)));
    add("account", record.account.as_deref().map(str::to_owned));
    add("state", Some(suspensions.state(record, now).to_owned()));
    add("created", Some(record.created.to_string()));
    add("changed", Some(record.changed).filter(|changed| *changed != record.created).map(|date| date.to_string()));
    add("not before", record.not_before.map(|date| date.to_string()));
    add("expires", Some(record.expires.map_or("never".to_owned(), |date| date.to_string())));
    lines.extend(usage::lines(record, used));
    let mut add = |name, value: Option<String>| lines.extend(value.map(|value| (name, value)));
    let of_value = |value: &KeyValue| used.and_then(|used| used.of_value(&value.digest));
    if !record.former.is_empty() {
        add("new value", Some(history(record, (&record.value, of_value(&record.value)), now)));
    }
    for value in &record.former {
        add("old value", Some(history(record, (value, of_value(value)), now)));
    }
    add("rotate", rotate_after.due_since(record, now).map(|since| format!("due since {since}")));
    for (name, value) in &record.attributes {
        add("attribute", Some(escaped(&format!("{name}={value}"))));
    }
    for network in &record.allow_from {
        add("from", Some(network.to_string()));
    }
    add("note", record.note.as_deref().map(escaped));
    lines
}

/// The whole grant in words.
pub(in crate::cli) fn long_grant(record: &KeyRecord) -> String {
    match grant(record) {
        ("custom", []) if record.kind == KeyKind::Public => "public routes".to_owned(),
        ("custom", []) if record.is_tripwire => "tripwire".to_owned(),
        ("custom", []) => "no scopes".to_owned(),
        ("custom", scopes) => scopes.join(", "),
        (level, _) => level.to_owned(),
    }
}

pub(in crate::cli) fn short_grant(record: &KeyRecord) -> String {
    match grant(record) {
        ("custom", scopes) if scopes.len() > SCOPES_IN_A_ROW => {
            let shown: Vec<&str> = scopes.iter().take(SCOPES_IN_A_ROW).map(|scope| &**scope).collect();
            format!("{} and {} more", shown.join(", "), scopes.len() - SCOPES_IN_A_ROW)
        }
        _ => long_grant(record),
    }
}

/// The word for the grant, and the scopes of a custom one.
fn grant(record: &KeyRecord) -> (&'static str, &[Arc<str>]) {
    match &record.grant {
        GrantSpec::Custom(scopes) => ("custom", scopes),
        GrantSpec::Full => ("full", &[]),
        GrantSpec::ReadOnly => ("read-only", &[]),
    }
}

/// The state as a caller meets it: an active key whose time is over is `expired`.
pub(in crate::cli) fn state(record: &KeyRecord, now: Timestamp) -> &'static str {
    match record.state {
        KeyState::Active if record.is_expired(now) => "expired",
        state => state.as_str(),
    }
}

/// What is left to recognise a value by: prefix and last four characters, or all of a public one.
pub(in crate::cli) fn shape(value: &KeyValue) -> String {
    if let Some(site) = &value.site {
        return site.to_string();
    }
    match (&*value.prefix, &*value.last_four) {
        ("", "") => "-".to_owned(),
        ("", last_four) => format!("…{last_four}"),
        (prefix, last_four) => format!("{prefix}_…{last_four}"),
    }
}

/// What is known of one value of a key that had several, and of its use.
fn history(record: &KeyRecord, (value, used): (&KeyValue, Option<Count>), now: Timestamp) -> String {
    let is_ended = matches!(record.state, KeyState::Deleted | KeyState::Revoked);
    let end = [record.end_of(value), is_ended.then_some(record.changed)].into_iter().flatten().min();
    let life = match (stage(record, value, now), end) {
        (_, None) => format!("since {}", value.created),
        ("ended", Some(end)) => format!("worked until {end}"),
        (_, Some(end)) => format!("works until {end}"),
    };
    let used = used.map(|count| format!(", last used {}, requests {}", count.last, usage::requests(count)));
    format!("{}, {life}{}", shape(value), used.unwrap_or_default())
}

/// The day of a date, in UTC; `none` where there is none.
pub(in crate::cli) fn day(date: Option<Timestamp>, none: &str) -> String {
    let text = date.map_or(none.to_owned(), |date| date.to_string());
    text.split_once('T').map_or(text.as_str(), |(day, _)| day).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::keys::table::{Shown, render};
    use crate::key::KeyId;
    use crate::key::digest::Hasher;
    use crate::key::lifecycle::{Imprint, NewKey, create};
    use crate::key::secret::Secret;

    const NOW: Timestamp = Timestamp::from_millis(1_795_300_000_000);
    const AGES: (Timestamp, RotateAfter) = (NOW, RotateAfter { pair: None, secret: None });

    fn table(record: &KeyRecord) -> String {
        let suspensions = Suspensions::of(&[]);
        render(
            std::slice::from_ref(record),
            &Shown { ages: AGES, suspensions: &suspensions, width: Some(80), hidden: None },
        )
    }

    fn record(grant: GrantSpec) -> (Secret, KeyRecord) {
        let secret = Secret::mint("sg").unwrap();
        let imprint = Imprint::of(&secret, "sg", &Hasher::new(None));
        let record =
            create(NewKey::new("exporter", grant), KeyId::mint(KeyKind::Secret).unwrap(), imprint, NOW).unwrap();
        (secret, record)
    }

    #[test]
    fn no_view_of_a_record_has_the_key_or_its_digest() {
        let (secret, record) = record(GrantSpec::custom(["profiles:read"]));
        let key = std::str::from_utf8(secret.expose()).unwrap().to_owned();
        let shown = [
            to_json(&record, NOW).to_string(),
            table(&record),
            format!("{:?}", lines((&record, None), &Suspensions::of(&[]), AGES)),
        ];
        for text in shown {
            assert!(text.contains(record.id.as_str()) && text.contains(&*record.value.last_four), "{text}");
            assert!(!text.contains(&key) && !text.contains(&record.value.digest.to_hex()), "{text}");
        }
    }

    #[test]
    fn a_store_that_was_edited_by_hand_cannot_play_tricks_on_a_terminal() {
        let (_, mut record) = record(GrantSpec::Full);
        record.name = "a\u{1b}[2J".into();
        record.note = Some("b\u{202e}".into());
        record.attributes = vec![("c".into(), "\u{200b}".into())];
        let shown = [table(&record), format!("{:?}", lines((&record, None), &Suspensions::of(&[]), AGES))].concat();
        assert!(shown.contains("\\u{1b}[2J") && !shown.contains(['\u{1b}', '\u{202e}', '\u{200b}']), "{shown}");
    }

    #[test]
    fn a_line_names_three_scopes_and_counts_the_rest() {
        let grant = |scopes: &[&str]| short_grant(&record(GrantSpec::custom(scopes.iter().copied())).1);
        assert_eq!(grant(&[]), "no scopes");
        assert_eq!(grant(&["a", "b", "c"]), "a, b, c");
        assert_eq!(grant(&["a", "b", "c", "d", "e"]), "a, b, c and 2 more");
        assert_eq!(short_grant(&record(GrantSpec::ReadOnly).1), "read-only");
    }

    #[test]
    fn an_active_key_past_its_end_is_shown_as_expired() {
        let (_, mut record) = record(GrantSpec::Full);
        record.expires = Some(NOW);
        assert_eq!(state(&record, NOW), "expired");
        record.state = KeyState::Revoked;
        assert_eq!(state(&record, NOW), "revoked");
    }

    #[test]
    fn a_date_is_shown_by_its_day() {
        assert_eq!(day(Some(NOW), "-"), "2026-11-21");
        assert_eq!(day(None, "never"), "never");
    }
}
