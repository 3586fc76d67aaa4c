//! The keys of a store as a table.

use comfy_table::{Table, presets};

use super::accounts::Suspensions;
use super::view::{day, long_grant, shape};
use crate::config::RotateAfter;
use crate::key::visible::escaped;
use crate::key::{KeyRecord, KeyState, KeyValue, Timestamp};

/// Spaces between columns.
const GAP: usize = 2;
/// The most characters of a name.
const LONGEST_NAME: usize = 20;
/// So many characters of a name stay, whatever else has to go.
const SHORTEST_NAME: usize = 8;
/// The fewest characters that a grant has, where names can be cut for it.
const SHORTEST_GRANT: usize = 12;
/// The fewest characters that a grant has at all.
const LEAST_OF_A_GRANT: usize = 8;
/// What stands in the place of an id where a line tells of a value that its key had before.
const OLD_VALUE: &str = "\u{2514} old value";

/// What a line tells of.
#[derive(Clone, Copy)]
struct Line<'r> {
    record: &'r KeyRecord,
    /// One of its former values; `None` for the key with the value that it has now.
    former: Option<&'r KeyValue>,
}

/// How keys are shown.
#[derive(Clone, Copy)]
pub(in crate::cli) struct Shown<'s> {
    /// Now, and when keys ought to be given new values.
    pub(in crate::cli) ages: (Timestamp, RotateAfter),
    pub(in crate::cli) suspensions: &'s Suspensions,
    /// How many columns the terminal has.
    pub(in crate::cli) width: Option<usize>,
    /// A column that says nothing here.
    pub(in crate::cli) hidden: Option<&'static str>,
}

/// A column: its name and its cells.
type Column = (&'static str, Vec<String>);

/// The records as a table with a line each, and one more for each old value that still works. What is the same in every
/// row because nobody has it is left out. On a terminal of so many columns long names are cut, and what can best be done
/// without goes where there is no room, and moments that matter now are told by how far they are; `keys show` has all of a
/// record, and so has the table in a pipe.
pub(in crate::cli) fn render(records: &[KeyRecord], shown: &Shown<'_>) -> String {
    let Shown { ages: (now, rotate_after), suspensions, width, hidden } = *shown;
    let lines: Vec<Line<'_>> = records.iter().flat_map(|record| lines(record, now)).collect();
    let longest_name = if width.is_some() { LONGEST_NAME } else { usize::MAX };
    let of_key = |cell: &dyn Fn(&KeyRecord) -> String| -> Vec<String> {
        lines.iter().map(|line| line.former.map_or_else(|| cell(line.record), |_| String::new())).collect()
    };
    let of_value = |cell: &dyn Fn(&KeyRecord, &KeyValue) -> String| -> Vec<String> {
        lines.iter().map(|line| cell(line.record, line.former.unwrap_or(&line.record.value))).collect()
    };
    let id = |line: &Line<'_>| line.former.map_or_else(|| line.record.id.to_string(), |_| OLD_VALUE.to_owned());
    let due = |record: &KeyRecord| if rotate_after.is_due(record, now) { "due" } else { "-" };
    let last_used = |record: &KeyRecord, value: &KeyValue| {
        let of_key = record.last_used.filter(|_| record.former.is_empty());
        age(value.last_used.max(of_key), now, width)
    };
    let stands =
        |line: &Line<'_>| line.former.map_or_else(|| suspensions.state(line.record, now), |_| "retiring").to_owned();
    let mut columns: Vec<Column> = vec![
        ("ID", lines.iter().map(id).collect()),
        ("NAME", of_key(&|record| cut(&escaped(&record.name), longest_name))),
        ("KEY", of_value(&|_, value| shape(value))),
        ("GRANT", Vec::new()),
        ("ACCOUNT", of_key(&|record| cut(record.account.as_deref().unwrap_or("-"), longest_name))),
        ("STATE", lines.iter().map(stands).collect()),
        ("ROTATE", of_key(&|record| due(record).to_owned())),
        (
            "CREATED",
            of_value(&|record, value| {
                day(Some(if value.until.is_none() { record.created } else { value.created }), "-")
            }),
        ),
        ("LAST USED", of_value(&last_used)),
        ("EXPIRES", lines.iter().map(|line| expires(line, now, width)).collect()),
    ];
    columns.retain(|(name, _)| Some(*name) != hidden);
    columns.retain(|(name, cells)| *name == "GRANT" || cells.iter().any(|cell| !["", "-", "never"].contains(&&**cell)));
    if let Some(width) = width {
        fit(&mut columns, width);
    }
    // The grant has what the others leave.
    let left = width.map_or(usize::MAX, |width| width.saturating_sub(taken(&columns)).max(LEAST_OF_A_GRANT));
    for (_, cells) in columns.iter_mut().filter(|(name, _)| *name == "GRANT") {
        *cells = of_key(&|record| cut(&long_grant(record), left));
    }
    draw(&columns, lines.len())
}

fn lines(record: &KeyRecord, now: Timestamp) -> impl Iterator<Item = Line<'_>> {
    let works = record.state == KeyState::Active && !record.is_expired(now);
    let former = record.former.iter().filter(move |value| works && !value.is_over(now));
    std::iter::once(Line { record, former: None }).chain(former.map(|value| Line { record, former: Some(value) }))
}

fn expires(line: &Line<'_>, now: Timestamp, width: Option<usize>) -> String {
    match line.former.map(|value| line.record.end_of(value)) {
        Some(Some(end)) if width.is_some() => format!("in {}", span(now, end)),
        Some(end) => minute(end),
        None => day(line.record.expires, "never"),
    }
}

/// A moment that is past: how long ago on a terminal, where there is little room, and the moment itself elsewhere.
pub(in crate::cli) fn age(moment: Option<Timestamp>, now: Timestamp, width: Option<usize>) -> String {
    match moment.filter(|_| width.is_some()) {
        Some(moment) => format!("{} ago", span(moment, now)),
        None => minute(moment),
    }
}

/// How long it is from one moment to another, in the largest unit that says enough.
fn span(from: Timestamp, to: Timestamp) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    match to.as_seconds().saturating_sub(from.as_seconds()) {
        // A gateway's clock may be ahead of this one.
        ..MINUTE => "<1m".to_owned(),
        seconds @ ..HOUR => format!("{}m", seconds / MINUTE),
        seconds if seconds < 2 * DAY => format!("{}h", seconds / HOUR),
        seconds => format!("{}d", seconds / DAY),
    }
}

/// Takes out what can best be done without, until the rest has room beside the shortest grant; then cuts names.
fn fit(columns: &mut Vec<Column>, width: usize) {
    for least in ["CREATED", "KEY", "ACCOUNT"] {
        if taken(columns) + SHORTEST_GRANT > width {
            columns.retain(|(name, _)| *name != least);
        }
    }
    // Whether an old value is still in use is what the table is looked at for while a key is rotated: names are cut for it.
    let names = columns.iter().filter(|(name, _)| *name == "NAME").flat_map(|(_, cells)| cells);
    let spare = names.map(|cell| cell.chars().count().saturating_sub(SHORTEST_NAME)).max().unwrap_or(0);
    if taken(columns) + SHORTEST_GRANT > width + spare {
        columns.retain(|(name, _)| *name != "LAST USED");
    }
    let over = (taken(columns) + SHORTEST_GRANT).saturating_sub(width);
    for (_, cells) in columns.iter_mut().filter(|(name, _)| over > 0 && *name == "NAME") {
        let longest = cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
        let most = longest.saturating_sub(over).max(SHORTEST_NAME);
        cells.iter_mut().for_each(|cell| *cell = cut(cell, most));
    }
}

/// How wide the columns are without the grant.
fn taken(columns: &[Column]) -> usize {
    let widest = |(name, cells): &Column| {
        cells.iter().map(|cell| cell.chars().count()).chain([name.len()]).max().unwrap_or(0) + GAP
    };
    columns.iter().filter(|(name, _)| *name != "GRANT").map(widest).sum()
}

fn draw(columns: &[Column], rows: usize) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(columns.iter().map(|(name, _)| *name));
    for row in 0..rows {
        table.add_row(columns.iter().filter_map(|(_, cells)| cells.get(row)));
    }
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 2));
    });
    table.trim_fmt()
}

/// At most `most` characters of `text`.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

/// A moment to the minute, in UTC; `-` where there is none.
fn minute(moment: Option<Timestamp>) -> String {
    let Some(text) = moment.map(|moment| moment.to_string()) else { return "-".to_owned() };
    match text.split_once('T') {
        Some((day, time)) => format!("{day} {}", time.get(..5).unwrap_or(time)),
        None => text,
    }
}

#[cfg(test)]
mod tests;
