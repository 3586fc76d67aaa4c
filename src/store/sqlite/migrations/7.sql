-- Under this secret entries of the log say which value a key has: whoever reads the log alone can try no guess.
INSERT INTO meta (name, value) VALUES ('seal', randomblob(32));

CREATE TRIGGER facts_never_change BEFORE UPDATE ON meta
BEGIN SELECT raise(ABORT, 'what is said of the store itself never changes'); END;

CREATE TRIGGER facts_are_never_forgotten BEFORE DELETE ON meta
BEGIN SELECT raise(ABORT, 'what is said of the store itself never changes'); END;

CREATE TRIGGER facts_are_never_replaced BEFORE INSERT ON meta WHEN EXISTS (SELECT 1 FROM meta WHERE name = new.name)
BEGIN SELECT raise(ABORT, 'what is said of the store itself never changes'); END;

-- A value that was over when its key was changed is over for good, whatever the clock of a gateway says.
ALTER TABLE former_values ADD COLUMN ended INTEGER NOT NULL DEFAULT 0 CHECK (ended IN (0, 1));

UPDATE former_values SET ended = 1
WHERE until <= (SELECT minted FROM keys WHERE id = former_values.key)
    OR EXISTS (SELECT 1 FROM former_values AS later
        WHERE later.key = former_values.key AND later.age > former_values.age AND later.created >= former_values.until);

DROP TRIGGER a_former_value_never_lives_longer;

CREATE TRIGGER a_former_value_never_lives_longer BEFORE UPDATE ON former_values
WHEN new.until > old.until OR new.ended < old.ended OR new.age <> old.age OR new.key <> old.key OR new.digest <> old.digest
BEGIN SELECT raise(ABORT, 'the end of a value only comes nearer'); END;

-- `OR REPLACE` takes the row away that stands in the way, and no trigger on DELETE is asked: so none may stand in the way.
CREATE TRIGGER a_change_is_never_replaced BEFORE INSERT ON changes
WHEN EXISTS (SELECT 1 FROM changes WHERE revision = new.revision)
BEGIN SELECT raise(ABORT, 'the log of changes is only appended to'); END;

CREATE TRIGGER a_key_is_never_replaced BEFORE INSERT ON keys
WHEN EXISTS (SELECT 1 FROM keys WHERE id = new.id OR rowid = new.rowid)
BEGIN SELECT raise(ABORT, 'its id is taken'); END;

CREATE TRIGGER a_value_is_never_given_twice BEFORE INSERT ON keys
WHEN EXISTS (SELECT 1 FROM keys WHERE digest = new.digest)
BEGIN SELECT raise(ABORT, 'a record has the same key'); END;

CREATE TRIGGER a_public_key_is_never_replaced BEFORE INSERT ON keys
WHEN new.kind = 'public' AND new.state <> 'revoked'
    AND EXISTS (SELECT 1 FROM keys WHERE account = new.account AND kind = 'public' AND state <> 'revoked')
BEGIN SELECT raise(ABORT, 'the account has a public key'); END;

CREATE TRIGGER a_key_is_never_put_over_another BEFORE UPDATE ON keys
WHEN EXISTS (SELECT 1 FROM keys WHERE rowid <> old.rowid AND (rowid = new.rowid OR id = new.id))
BEGIN SELECT raise(ABORT, 'a key is never put over another'); END;

CREATE TRIGGER a_value_is_never_taken_from_another BEFORE UPDATE OF digest ON keys
WHEN EXISTS (SELECT 1 FROM keys WHERE rowid <> old.rowid AND digest = new.digest)
BEGIN SELECT raise(ABORT, 'a record has the same key'); END;

CREATE TRIGGER a_former_value_is_never_replaced BEFORE INSERT ON former_values
WHEN EXISTS (SELECT 1 FROM former_values WHERE age = new.age OR digest = new.digest)
BEGIN SELECT raise(ABORT, 'a value is never forgotten'); END;

CREATE TRIGGER an_account_is_never_replaced BEFORE INSERT ON accounts
WHEN EXISTS (SELECT 1 FROM accounts WHERE id = new.id OR rowid = new.rowid)
BEGIN SELECT raise(ABORT, 'an account is never forgotten'); END;

CREATE TRIGGER an_account_is_never_put_over_another BEFORE UPDATE ON accounts
WHEN EXISTS (SELECT 1 FROM accounts WHERE rowid <> old.rowid AND rowid = new.rowid)
BEGIN SELECT raise(ABORT, 'an account is never forgotten'); END;

-- Ids of accounts that differ by case alone are told apart by programs and by nobody else: no more of them are made.
CREATE INDEX accounts_in_any_case ON accounts (id COLLATE NOCASE);
