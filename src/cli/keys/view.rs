//! Key records for a reader and for a program.

use comfy_table::{Table, presets};
use serde_json::{Value, json};

use crate::key::visible::escaped;
use crate::key::{GrantSpec, KeyRecord, KeyState, Timestamp};

/// Scopes that a line names before it counts the rest.
const SCOPES_IN_A_ROW: usize = 3;
/// Spaces between columns.
const GAP: usize = 2;
/// The most characters of a name in the table.
const LONGEST_NAME: usize = 20;
/// The fewest characters that a grant has.
const SHORTEST_GRANT: usize = 12;

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

/// The records as a table with a line each. What is the same in every row because nobody has it is left out. On a terminal
/// of so many columns long names are cut, and what can best be done without goes where there is no room; `keys show` has
/// all of a record, and so has the table in a pipe.
pub(super) fn table(records: &[KeyRecord], now: Timestamp, width: Option<usize>) -> String {
    let longest_name = if width.is_some() { LONGEST_NAME } else { usize::MAX };
    let mut columns: Vec<(&str, Vec<String>)> = vec![
        ("ID", column(records, |record| record.id.to_string())),
        ("NAME", column(records, |record| cut(&escaped(&record.name), longest_name))),
        ("KEY", column(records, shape)),
        ("GRANT", Vec::new()),
        ("ACCOUNT", column(records, |record| cut(record.account.as_deref().unwrap_or("-"), longest_name))),
        ("STATE", column(records, |record| state(record, now).to_owned())),
        ("CREATED", column(records, |record| day(Some(record.created), "-"))),
        ("EXPIRES", column(records, |record| day(record.expires, "never"))),
    ];
    columns.retain(|(name, cells)| *name == "GRANT" || cells.iter().any(|cell| cell != "-" && cell != "never"));
    let widest = |(name, cells): &(&str, Vec<String>)| {
        cells.iter().map(|cell| cell.chars().count()).chain([name.len()]).max().unwrap_or(0) + GAP
    };
    let taken = |columns: &[(&str, Vec<String>)]| -> usize {
        columns.iter().filter(|(name, _)| *name != "GRANT").map(widest).sum()
    };
    for least in ["CREATED", "KEY", "ACCOUNT"] {
        if width.is_some_and(|width| taken(&columns) + SHORTEST_GRANT > width) {
            columns.retain(|(name, _)| *name != least);
        }
    }
    // The grant has what the others leave.
    let others = taken(&columns);
    let left = width.map_or(usize::MAX, |width| width.saturating_sub(others).max(SHORTEST_GRANT));
    for (_, cells) in columns.iter_mut().filter(|(name, _)| *name == "GRANT") {
        *cells = column(records, |record| cut(&long_grant(record), left));
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(columns.iter().map(|(name, _)| *name));
    for row in 0..records.len() {
        table.add_row(columns.iter().filter_map(|(_, cells)| cells.get(row)));
    }
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 2));
    });
    table.trim_fmt()
}

fn column(records: &[KeyRecord], cell: impl Fn(&KeyRecord) -> String) -> Vec<String> {
    records.iter().map(cell).collect()
}

/// At most `most` characters of `text`.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
        None => text.to_owned(),
    }
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

/// The day of a date, in UTC; `none` where there is none.
fn day(date: Option<Timestamp>, none: &str) -> String {
    let text = date.map_or(none.to_owned(), |date| date.to_string());
    text.split_once('T').map_or(text.as_str(), |(day, _)| day).to_owned()
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
            table(std::slice::from_ref(&record), NOW, Some(80)),
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
        let shown =
            [table(std::slice::from_ref(&record), NOW, Some(80)), format!("{:?}", lines(&record, NOW))].concat();
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
    fn the_table_fits_80_columns_and_leaves_empty_ones_out() {
        let scopes = ["profiles:read", "profiles:write", "lists:read", "lists:write"];
        let (_, made) = record(GrantSpec::custom(scopes));
        let text = table(std::slice::from_ref(&made), NOW, Some(80));
        let header = text.lines().next().unwrap();
        assert_eq!(header.split_whitespace().collect::<Vec<_>>(), ["ID", "NAME", "KEY", "GRANT", "STATE", "CREATED"]);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.contains("…  active") && text.contains("2026-11-21"), "{text}");
        let (_, mut ending) = record(GrantSpec::Full);
        (ending.expires, ending.account) = (Some(NOW), Some("acme".into()));
        let text = table(&[made, ending], NOW, Some(80));
        assert!(text.contains("ACCOUNT") && text.contains("EXPIRES") && text.contains("never"), "{text}");
        assert!(!text.contains("CREATED") && text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn nothing_is_cut_in_a_pipe() {
        let scopes: Vec<String> = (0..20).map(|number| format!("resource{number}:read")).collect();
        let (_, mut long) = record(GrantSpec::custom(scopes.iter().map(String::as_str)));
        long.name = "a name that is longer than the column of a terminal".into();
        (long.account, long.expires) = (Some("an account of some length, too".into()), Some(NOW));
        let text = table(std::slice::from_ref(&long), NOW, None);
        for whole in scopes.iter().map(String::as_str).chain([&*long.name, "of some length, too", "CREATED", "KEY"]) {
            assert!(text.contains(whole), "{whole} in {text}");
        }
        assert_eq!(text.lines().count(), 2, "{text}");
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
    fn what_is_too_long_for_a_cell_is_cut() {
        assert_eq!(cut("12345", 5), "12345");
        assert_eq!(cut("123456", 5), "1234…");
        assert_eq!(day(Some(NOW), "-"), "2026-11-21");
        assert_eq!(day(None, "never"), "never");
    }
}
