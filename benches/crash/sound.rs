//! What must hold of the file of a store, whoever was killed.

use std::path::Path;
use std::time::Duration;

use crate::support::Outcome;

/// How long a look may wait for somebody who writes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether the file is whole, and every record in it has its change in the log.
pub(crate) fn sound(path: &Path) -> Outcome<()> {
    let store = rusqlite::Connection::open(path)?;
    store.busy_timeout(PATIENCE)?;
    let found: String = store.query_row("PRAGMA integrity_check", (), |row| row.get(0))?;
    if found != "ok" {
        return Err(format!("the store is damaged: {found}").into());
    }
    for (what, query) in [
        ("refer to nothing", "SELECT count(*) FROM pragma_foreign_key_check"),
        (
            "stand at another change than the last of theirs",
            "SELECT count(*) FROM keys LEFT JOIN (SELECT key, max(revision) AS last FROM changes GROUP BY key) ON key = id
            WHERE revision IS NOT last",
        ),
        (
            "are named by a change and are not there",
            "SELECT count(*) FROM changes WHERE key IS NOT NULL AND key NOT IN (SELECT id FROM keys)
            OR account IS NOT NULL AND account NOT IN (SELECT id FROM accounts)",
        ),
        (
            "of accounts stand at another change than the last of theirs",
            "SELECT count(*) FROM accounts
            LEFT JOIN (SELECT account, max(revision) AS last FROM changes GROUP BY account) ON account = id
            WHERE revision IS NOT last",
        ),
    ] {
        let count: i64 = store.query_row(query, (), |row| row.get(0))?;
        if count > 0 {
            return Err(format!("{count} records {what}").into());
        }
    }
    Ok(())
}
