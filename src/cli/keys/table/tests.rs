use std::time::Duration;

use super::*;
use crate::key::digest::Hasher;
use crate::key::lifecycle::{Imprint, NewKey, Replacement, Transition, create};
use crate::key::secret::Secret;
use crate::key::{GrantSpec, KeyId, KeyKind};

const NOW: Timestamp = Timestamp::from_millis(1_795_300_000_000);
const AGES: (Timestamp, RotateAfter) = (NOW, RotateAfter { pair: None, secret: None });

fn imprint() -> Imprint {
    Imprint::of(&Secret::mint("sg").unwrap(), "sg", &Hasher::new(None))
}

fn record(grant: GrantSpec) -> KeyRecord {
    create(NewKey::new("exporter", grant), KeyId::mint(KeyKind::Secret).unwrap(), imprint(), NOW).unwrap()
}

fn rotated(record: KeyRecord, overlap: u64) -> KeyRecord {
    let replacement = Replacement { imprint: imprint(), overlap: Duration::from_secs(overlap) };
    Transition::Rotate(replacement).apply(record, NOW).unwrap()
}

fn shown(records: &[KeyRecord], width: Option<usize>) -> String {
    shown_at(records, AGES, width)
}

fn shown_at(records: &[KeyRecord], ages: (Timestamp, RotateAfter), width: Option<usize>) -> String {
    render(records, &Shown { ages, suspensions: &Suspensions::of(&[]), width, hidden: None })
}

#[test]
fn the_table_fits_80_columns_and_leaves_empty_ones_out() {
    let scopes = ["profiles:read", "profiles:write", "lists:read", "lists:write"];
    let made = record(GrantSpec::custom(scopes));
    let text = shown(std::slice::from_ref(&made), Some(80));
    let header = text.lines().next().unwrap();
    assert_eq!(header.split_whitespace().collect::<Vec<_>>(), ["ID", "NAME", "KEY", "GRANT", "STATE", "CREATED"]);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(text.contains("…  active") && text.contains("2026-11-21"), "{text}");
    let mut ending = record(GrantSpec::Full);
    (ending.expires, ending.account) = (Some(NOW), Some("acme".into()));
    let text = shown(&[made, ending], Some(80));
    assert!(text.contains("ACCOUNT") && text.contains("EXPIRES") && text.contains("never"), "{text}");
    assert!(!text.contains("CREATED") && text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[test]
fn nothing_is_cut_in_a_pipe() {
    let scopes: Vec<String> = (0..20).map(|number| format!("resource{number}:read")).collect();
    let mut long = record(GrantSpec::custom(scopes.iter().map(String::as_str)));
    long.name = "a name that is longer than the column of a terminal".into();
    (long.account, long.expires) = (Some("an account of some length, too".into()), Some(NOW));
    let text = shown(std::slice::from_ref(&long), None);
    for whole in scopes.iter().map(String::as_str).chain([&*long.name, "of some length, too", "CREATED", "KEY"]) {
        assert!(text.contains(whole), "{whole} in {text}");
    }
    assert_eq!(text.lines().count(), 2, "{text}");
}

#[test]
fn an_old_value_that_still_works_has_a_line_of_its_own() {
    let made = record(GrantSpec::Full);
    let (old, new) = (made.value.last_four.clone(), rotated(rotated(made, 3600), 600));
    for width in [None, Some(80)] {
        let text = shown(std::slice::from_ref(&new), width);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[1].contains("active") && lines[1].contains("never"), "{text}");
        assert!(lines[3].contains("old value") && lines[3].contains("retiring"), "{text}");
        let end = if width.is_none() { "2026-11-21 22:36" } else { "in 10m" };
        assert!(lines[3].contains(end), "{text}");
        assert!(lines[3].contains(&*old), "{text}");
        assert!(width.is_none() || lines.iter().all(|line| line.chars().count() <= 80), "{text}");
    }
    let over = rotated(new, 0);
    assert_eq!(shown(std::slice::from_ref(&over), None).lines().count(), 2);
}

#[test]
fn whether_an_old_value_is_still_in_use_is_seen_on_80_columns() {
    let mut new = rotated(record(GrantSpec::custom(["profiles:read", "profiles:write"])), 86_400);
    new.name = "a rather long name".into();
    new.former[0].last_used = Some(Timestamp::from_millis(NOW.as_millis() - 3 * 3_600_000));
    let text = shown(std::slice::from_ref(&new), Some(80));
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].contains("LAST USED") && lines.iter().all(|line| line.chars().count() <= 80), "{text}");
    assert!(lines[1].contains("  -  ") && lines[2].contains("3h ago") && lines[2].contains("in 24h"), "{text}");
    assert!(lines[1].contains("a rather long…") && lines[1].contains("profiles:re"), "{text}");
    let text = shown(std::slice::from_ref(&new), None);
    assert!(text.contains("2026-11-21 19:26") && text.contains("2026-11-22 22:26"), "{text}");
}

#[test]
fn a_span_is_told_in_the_unit_that_says_enough() {
    let after = |seconds: u64| span(NOW, NOW.after(Duration::from_secs(seconds)));
    let told = [0, 59, 60, 3599, 3600, 172_799, 172_800, 8_640_000].map(after);
    assert_eq!(told, ["<1m", "<1m", "1m", "59m", "1h", "47h", "2d", "100d"]);
    assert_eq!(span(NOW.after(Duration::from_secs(9)), NOW), "<1m", "a clock that is ahead");
}

#[test]
fn a_key_whose_value_has_grown_old_is_flagged() {
    let [young, old] = [record(GrantSpec::Full), record(GrantSpec::Full)];
    let later = NOW.after(Duration::from_secs(100));
    let ages = |most| (later, RotateAfter { pair: None, secret: Some(Duration::from_secs(most)) });
    let young = rotated(KeyRecord { value: KeyValue { created: NOW, ..young.value.clone() }, ..young }, 0);
    let records = [old, young];
    assert!(!shown_at(&records, ages(101), None).contains("ROTATE"));
    assert!(shown_at(&records, ages(100), None).contains("ROTATE"));
}

#[test]
fn the_long_id_of_a_pair_leaves_room_for_the_rest() {
    let mut pair = record(GrantSpec::custom(["profiles:read", "lists:read"]));
    pair.id = KeyId::mint(KeyKind::Pair).unwrap();
    (pair.kind, pair.expires, pair.name) =
        (KeyKind::Pair, Some(NOW.after(Duration::from_secs(9))), "a rather long name".into());
    let text = shown(&[rotated(pair, 5)], Some(80));
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[test]
fn what_is_too_long_for_a_cell_is_cut() {
    assert_eq!(cut("12345", 5), "12345");
    assert_eq!(cut("123456", 5), "1234…");
    assert_eq!(minute(Some(NOW)), "2026-11-21 22:26");
}
