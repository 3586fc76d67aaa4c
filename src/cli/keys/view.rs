//! Key records for a reader and for a program.

use comfy_table::{Table, presets};
use serde_json::{Value, json};

use crate::key::visible::escaped;
use crate::key::{GrantSpec, KeyRecord, KeyState, Timestamp};

/// Scopes that a row of the table names before it counts the rest.
const SCOPES_IN_A_ROW: usize = 3;

/// The record as JSON. It has no digest, and there is no key in it to show.
pub(in crate::cli) fn to_json(record: &KeyRecord, now: Timestamp) -> Value {
    let (grant, scopes) = grant(record);
    let attributes: Vec<Value> =
        record.attributes.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    let allow_from: Vec<String> = record.allow_from.iter().map(ToString::to_string).collect();
    json!({
        "id": record.id.as_str(),
        "name": record.name,
        "kind": record.kind.as_str(),
        "prefix": record.prefix,
        "last_four": record.last_four,
        "grant": grant,
        "scopes": scopes,
        "account": record.account,
        "state": state(record, now),
        "created": record.created.to_string(),
        "not_before": record.not_before.map(|date| date.to_string()),
        "expires": record.expires.map(|date| date.to_string()),
        "last_used": record.last_used.map(|date| date.to_string()),
        "attributes": attributes,
        "allow_from": allow_from,
        "note": record.note,
    })
}

/// The records as a table with a line each.
pub(super) fn table(records: &[KeyRecord], now: Timestamp) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["ID", "NAME", "KEY", "GRANT", "ACCOUNT", "STATE", "CREATED", "EXPIRES"]);
    for record in records {
        table.add_row([
            record.id.to_string(),
            escaped(&record.name),
            shape(record),
            short_grant(record),
            record.account.as_deref().unwrap_or("-").to_owned(),
            state(record, now).to_owned(),
            minute(Some(record.created), "-"),
            minute(record.expires, "never"),
        ]);
    }
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 2));
    });
    table.trim_fmt()
}

/// The record as names and values, those that are not set left out.
pub(super) fn lines(record: &KeyRecord, now: Timestamp) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("id", record.id.to_string()),
        ("name", escaped(&record.name)),
        ("kind", record.kind.as_str().to_owned()),
        ("key", shape(record)),
        ("grant", long_grant(record)),
    ];
    let mut add = |name, value: Option<String>| lines.extend(value.map(|value| (name, value)));
    add("account", record.account.as_deref().map(str::to_owned));
    add("state", Some(state(record, now).to_owned()));
    add("created", Some(record.created.to_string()));
    add("changed", Some(record.changed).filter(|changed| *changed != record.created).map(|date| date.to_string()));
    add("not before", record.not_before.map(|date| date.to_string()));
    add("expires", Some(record.expires.map_or("never".to_owned(), |date| date.to_string())));
    add("last used", record.last_used.map(|date| date.to_string()));
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
        ("custom", []) => "no scopes".to_owned(),
        ("custom", scopes) => scopes.join(", "),
        (level, _) => level.to_owned(),
    }
}

pub(in crate::cli) fn short_grant(record: &KeyRecord) -> String {
    match grant(record) {
        ("custom", scopes) if scopes.len() > SCOPES_IN_A_ROW => {
            let shown: Vec<&str> = scopes.iter().take(SCOPES_IN_A_ROW).map(String::as_str).collect();
            format!("{} and {} more", shown.join(", "), scopes.len() - SCOPES_IN_A_ROW)
        }
        _ => long_grant(record),
    }
}

/// The word for the grant, and the scopes of a custom one.
fn grant(record: &KeyRecord) -> (&'static str, &[String]) {
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

/// What is left to recognise a key by: prefix and last four characters.
fn shape(record: &KeyRecord) -> String {
    match (&*record.prefix, &*record.last_four) {
        ("", "") => "-".to_owned(),
        ("", last_four) => format!("…{last_four}"),
        (prefix, last_four) => format!("{prefix}_…{last_four}"),
    }
}

/// A date to the minute, in UTC; `none` where there is none.
fn minute(date: Option<Timestamp>, none: &str) -> String {
    let Some(date) = date else {
        return none.to_owned();
    };
    let text = date.to_string();
    text.get(..16).map_or(text.clone(), |minute| minute.replace('T', " "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeyId;
    use crate::key::digest::Hasher;
    use crate::key::lifecycle::{Imprint, NewKey, create};
    use crate::key::secret::Secret;

    const NOW: Timestamp = Timestamp::from_millis(1_795_300_000_000);

    fn record(grant: GrantSpec) -> (Secret, KeyRecord) {
        let secret = Secret::mint("sg").unwrap();
        let imprint = Imprint::of(&secret, "sg", &Hasher::new(None));
        let record = create(NewKey::new("exporter", grant), KeyId::mint().unwrap(), imprint, NOW).unwrap();
        (secret, record)
    }

    #[test]
    fn no_view_of_a_record_has_the_key_or_its_digest() {
        let (secret, record) = record(GrantSpec::custom(["profiles:read"]));
        let key = std::str::from_utf8(secret.expose()).unwrap().to_owned();
        let shown = [
            to_json(&record, NOW).to_string(),
            table(std::slice::from_ref(&record), NOW),
            format!("{:?}", lines(&record, NOW)),
        ];
        for text in shown {
            assert!(text.contains(record.id.as_str()) && text.contains(&*record.last_four), "{text}");
            assert!(!text.contains(&key) && !text.contains(&record.digest.to_hex()), "{text}");
        }
    }

    #[test]
    fn a_store_that_was_edited_by_hand_cannot_play_tricks_on_a_terminal() {
        let (_, mut record) = record(GrantSpec::Full);
        record.name = "a\u{1b}[2J".into();
        record.note = Some("b\u{202e}".into());
        record.attributes = vec![("c".into(), "\u{200b}".into())];
        let shown = [table(std::slice::from_ref(&record), NOW), format!("{:?}", lines(&record, NOW))].concat();
        assert!(shown.contains("\\u{1b}[2J") && !shown.contains(['\u{1b}', '\u{202e}', '\u{200b}']), "{shown}");
    }

    #[test]
    fn a_row_names_three_scopes_and_counts_the_rest() {
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
    fn the_table_has_no_column_for_what_nothing_records() {
        let (_, record) = record(GrantSpec::Full);
        assert!(!table(std::slice::from_ref(&record), NOW).contains("USED"));
        assert!(to_json(&record, NOW)["last_used"].is_null(), "programs find the field");
    }

    #[test]
    fn dates_are_to_the_minute() {
        assert_eq!(minute(Some(NOW), "-"), "2026-11-21 22:26");
        assert_eq!(minute(None, "never"), "never");
    }
}
