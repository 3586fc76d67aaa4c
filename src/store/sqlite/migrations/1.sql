-- Facts about the store itself. `store`: 16 random bytes that tell a copy of this store from another one.
CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO meta (name, value) VALUES ('store', randomblob(16));

-- Every change there ever was, in order: what gateways follow and what the audit tells. Only ever appended to.
-- AUTOINCREMENT: a revision is never given out twice.
CREATE TABLE changes (
    revision INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at       INTEGER NOT NULL,
    author   TEXT NOT NULL,
    action   TEXT NOT NULL,
    key      TEXT,
    account  TEXT,
    detail   TEXT,
    hash     BLOB
) STRICT;

-- Accounts nest one level. `credential` names the upstream credential of the account.
CREATE TABLE accounts (
    id         TEXT NOT NULL PRIMARY KEY,
    revision   INTEGER NOT NULL,
    name       TEXT NOT NULL,
    parent     TEXT REFERENCES accounts (id),
    disabled   INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    credential TEXT,
    created    INTEGER NOT NULL
) STRICT;

-- Moments are milliseconds since 1970-01-01T00:00:00Z. `scopes` is separated by spaces and NULL for levels;
-- `networks` is separated by spaces; `attributes` is JSON, [["name","value"],…].
CREATE TABLE keys (
    id         TEXT NOT NULL PRIMARY KEY,
    revision   INTEGER NOT NULL,
    kind       TEXT NOT NULL CHECK (kind IN ('pair', 'public', 'secret')),
    state      TEXT NOT NULL CHECK (state IN ('active', 'disabled', 'revoked')),
    level      TEXT NOT NULL CHECK (level IN ('custom', 'full', 'read-only')),
    scopes     TEXT CHECK ((scopes IS NULL) = (level <> 'custom')),
    name       TEXT NOT NULL,
    account    TEXT,
    created    INTEGER NOT NULL,
    changed    INTEGER NOT NULL,
    not_before INTEGER,
    expires    INTEGER,
    attributes TEXT,
    networks   TEXT,
    note       TEXT,
    prefix     TEXT NOT NULL,
    last_four  TEXT NOT NULL,
    digest     BLOB NOT NULL UNIQUE CHECK (length(digest) = 32)
) STRICT;

-- How often and when a key was used, for each scope; the empty scope stands for the key as a whole.
CREATE TABLE uses (
    key     TEXT NOT NULL,
    scope   TEXT NOT NULL,
    allowed INTEGER NOT NULL DEFAULT 0,
    denied  INTEGER NOT NULL DEFAULT 0,
    last    INTEGER NOT NULL,
    PRIMARY KEY (key, scope)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER changes_are_never_rewritten BEFORE UPDATE ON changes
BEGIN SELECT raise(ABORT, 'the log of changes is only appended to'); END;

CREATE TRIGGER changes_are_never_removed BEFORE DELETE ON changes
BEGIN SELECT raise(ABORT, 'the log of changes is only appended to'); END;

CREATE TRIGGER a_grant_never_changes
BEFORE UPDATE OF id, kind, level, scopes, account, created, not_before, expires, attributes, networks ON keys
BEGIN SELECT raise(ABORT, 'what a key may do never changes'); END;

CREATE TRIGGER a_revoke_is_final BEFORE UPDATE OF state ON keys
WHEN old.state = 'revoked' AND new.state <> 'revoked'
BEGIN SELECT raise(ABORT, 'a revoke is final'); END;
