//! Both ways to read a key file, for fuzz targets, which see this crate from outside. No other build has it.

use super::{Content, FileFault, Form, by_tree, swift};
use crate::key::{KeyRecord, Timestamp};

/// The keys of a text as they are read without a tree of it, and as they are read with one: nothing where the first way leaves
/// it to the second. A list of accounts, which the first way never reads, is an error without a fault.
#[must_use]
pub fn both_ways(text: &str, form: Form, written: Timestamp) -> Option<[Result<Vec<KeyRecord>, Vec<FileFault>>; 2]> {
    let swift = swift::content(text, form, written)?;
    let keys = |content: Content<'_>| {
        if content.accounts.is_none() { Ok(content.into_records().collect()) } else { Err(Vec::new()) }
    };
    Some([keys(swift), by_tree(text, form, written).and_then(keys)])
}
