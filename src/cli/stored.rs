//! The keys of a store with what the policy is asked with, for commands that ask about many of them.

use std::fmt::Display;

use clap::Args;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};

use super::{ConfigArgs, Failure, source};
use crate::config::Loaded;
use crate::key::visible::escaped;
use crate::key::{KeyRecord, KeyState};
use crate::policy::Principal;
use crate::policy::scope::Vocabulary;
use crate::store::index::{Entry, Index};
use crate::store::{self, Location, OpenMode, Revision};

/// A policy and a store of keys.
#[derive(Debug, Args)]
pub(super) struct StoredArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// Key store, as in sqlite:scopegate.db or postgres://… [default: as configured]
    #[arg(long, value_name = "STORE")]
    pub(super) store: Option<String>,
    /// Policy file [default: as configured]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(super) policy: Option<String>,
}

/// A key with what the policy is asked with.
#[derive(Debug)]
pub(super) struct StoredKey {
    pub(super) record: KeyRecord,
    /// Its account stops it.
    pub(super) is_suspended: bool,
    pub(super) principal: Principal,
}

impl StoredArgs {
    /// The configuration, and every key of its store that is not deleted, ordered by name and id.
    pub(super) fn load(&self) -> Result<(Loaded, Vec<StoredKey>), Failure> {
        let vocabulary = Vocabulary::new();
        let loaded = self.config.load_with(&vocabulary, |overrides| {
            overrides.store.clone_from(&self.store);
            overrides.policy.clone_from(&self.policy);
        })?;
        let keys = read(&source::location(&loaded.config.keys), vocabulary)?;
        Ok((loaded, keys))
    }
}

/// Every key of a store but those that are deleted, ordered by name and id; its scopes have their ids from `vocabulary`.
pub(super) fn read(location: &Location, vocabulary: Vocabulary) -> Result<Vec<StoredKey>, Failure> {
    let mut store = store::open(location, OpenMode::Existing).map_err(Failure::failed)?;
    let index = Index::new(vocabulary);
    let mut records = Vec::new();
    let told = store.load(Revision::START, &mut |change| {
        index.apply(&change);
        records.push(change.record);
    });
    told.map_err(Failure::failed)?;
    let with_principal = |record: KeyRecord| {
        let look = |entry: &Entry| (entry.principal.clone(), entry.is_suspended());
        let (principal, is_suspended) = index.look_up(&record.value.digest, |entry| entry.map(look))?;
        Some(StoredKey { record, is_suspended, principal })
    };
    let there = records.into_iter().filter(|record| record.state != KeyState::Deleted);
    let mut keys: Vec<StoredKey> = there.filter_map(with_principal).collect();
    keys.sort_by(|one, other| (&one.record.name, &one.record.id).cmp(&(&other.record.name, &other.record.id)));
    Ok(keys)
}

/// A table with a line for each row; within `width` columns, where it has one, cells that are too long are folded.
pub(super) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    width: Option<usize>,
) -> impl Display {
    drawn(header, rows, width).trim_fmt()
}

/// The same with ids in the first column, which are not folded while there is any room: who sees one wants to copy it.
pub(super) fn table_of_ids<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    width: Option<usize>,
) -> impl Display {
    /// So much of an id has a line to itself.
    const LONGEST: usize = 40;
    const GAP: usize = 2;
    let rows: Vec<_> = rows.into_iter().collect();
    let longest = rows.iter().filter_map(|row| row.first()).map(|id| id.chars().count()).max().unwrap_or(0);
    let mut table = drawn(header, rows, width);
    // In a pipe nothing is folded.
    if let Some(column) = table.column_mut(0).filter(|_| width.is_some()) {
        let header = header.first().map_or(0, |name| name.len());
        let most = u16::try_from(longest.clamp(header, LONGEST) + GAP).unwrap_or(u16::MAX);
        column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(most)));
    }
    table.trim_fmt()
}

fn drawn<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    width: Option<usize>,
) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    }
    table.set_header(header);
    for row in rows {
        // What stands in a cell may have any form: a name of a store, a value of a key.
        table.add_row(row.map(|cell| escaped(&cell)));
    }
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 2));
    });
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(width: Option<usize>) -> String {
        let row = |route: &str| {
            [route.to_owned(), "policy.yaml:12".to_owned(), "include=lists,segments,tags,images".to_owned()]
        };
        let rows = [row("GET /api/profiles"), row("GET /api/profiles/{id}/relationships/subscriptions/{name}")];
        format!("{}", table(["ROUTE", "WRITTEN AT", "WITH"], rows, width))
    }

    #[test]
    fn an_id_is_whole_where_the_rest_can_be_folded() {
        let row = |id: &str| [id.to_owned(), "a name of many words that has to give way".to_owned(), "x".repeat(20)];
        let text = format!("{}", table_of_ids(["ID", "NAME", "REST"], [row("north-eastern-warehouse")], Some(60)));
        assert!(text.contains("north-eastern-warehouse"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
    }

    #[test]
    fn a_table_is_folded_to_its_terminal_and_never_in_a_pipe() {
        let narrow = shown(Some(80));
        assert!(narrow.lines().all(|line| line.chars().count() <= 80), "{narrow}");
        assert!(narrow.lines().count() > 3 && narrow.contains("policy.yaml:12"), "{narrow}");
        let whole = shown(None);
        assert_eq!(whole.lines().count(), 3, "{whole}");
        assert!(whole.contains("subscriptions/{name}") && whole.contains("tags,images"), "{whole}");
    }
}
