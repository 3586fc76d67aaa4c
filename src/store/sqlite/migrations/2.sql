-- A key has more than one value when it was rotated. The one that it has now stands in its row, the others here: every one
-- of them, so that none is ever good again.
ALTER TABLE keys ADD COLUMN minted INTEGER;   -- when it was given the value that it has now; NULL: when it was made
ALTER TABLE keys ADD COLUMN deleted INTEGER;  -- when it was deleted; its state is `revoked` then

CREATE TABLE former_values (
    age       INTEGER NOT NULL PRIMARY KEY,  -- grows with each
    key       TEXT NOT NULL REFERENCES keys (id),
    digest    BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    prefix    TEXT NOT NULL,
    last_four TEXT NOT NULL,
    created   INTEGER NOT NULL,
    until     INTEGER NOT NULL               -- it works before this moment alone
) STRICT;

CREATE INDEX former_values_by_key ON former_values (key);

-- When a value was last used, by its digest.
CREATE TABLE value_uses (
    digest BLOB NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    last   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

DROP TRIGGER a_grant_never_changes;

-- A deletion alone may forget what a key might do. Nothing may change when it works.
CREATE TRIGGER a_grant_never_changes
BEFORE UPDATE OF id, kind, level, scopes, account, created, not_before, expires, attributes, networks ON keys
WHEN NOT (
    old.deleted IS NULL AND new.deleted IS NOT NULL
    AND new.id = old.id AND new.kind = old.kind AND new.created = old.created
    AND new.not_before IS old.not_before AND new.expires IS old.expires
    AND new.level = 'custom' AND new.scopes = ''
    AND new.account IS NULL AND new.attributes IS NULL AND new.networks IS NULL
)
BEGIN SELECT raise(ABORT, 'what a key may do never changes'); END;

CREATE TRIGGER a_deletion_is_final BEFORE UPDATE OF deleted, state ON keys
WHEN old.deleted IS NOT NULL AND new.deleted IS NOT old.deleted OR new.deleted IS NOT NULL AND new.state <> 'revoked'
BEGIN SELECT raise(ABORT, 'a deletion is final'); END;

CREATE TRIGGER a_key_is_never_forgotten BEFORE DELETE ON keys
BEGIN SELECT raise(ABORT, 'a key is never forgotten'); END;

CREATE TRIGGER a_new_key_has_a_new_value BEFORE INSERT ON keys
WHEN EXISTS (SELECT 1 FROM former_values WHERE digest = new.digest)
BEGIN SELECT raise(ABORT, 'a record has had this value'); END;

CREATE TRIGGER a_value_is_replaced_by_a_new_one BEFORE UPDATE OF digest ON keys
WHEN EXISTS (SELECT 1 FROM former_values WHERE digest = new.digest)
    OR new.digest <> old.digest AND NOT EXISTS (SELECT 1 FROM former_values WHERE digest = old.digest AND key = old.id)
BEGIN SELECT raise(ABORT, 'a value gives way to a new one, and is kept'); END;

CREATE TRIGGER a_former_value_was_its_keys BEFORE INSERT ON former_values
WHEN NOT EXISTS (SELECT 1 FROM keys WHERE id = new.key AND digest = new.digest)
BEGIN SELECT raise(ABORT, 'a former value is one that its key had'); END;

CREATE TRIGGER a_former_value_never_lives_longer BEFORE UPDATE ON former_values
WHEN new.until > old.until OR new.age <> old.age OR new.key <> old.key OR new.digest <> old.digest
BEGIN SELECT raise(ABORT, 'the end of a value only comes nearer'); END;

CREATE TRIGGER a_former_value_is_never_forgotten BEFORE DELETE ON former_values
BEGIN SELECT raise(ABORT, 'a value is never forgotten'); END;
