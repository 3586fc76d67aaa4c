-- A public key is kept as it is: it is an identifier, which everybody may read.
ALTER TABLE keys ADD COLUMN site TEXT CHECK ((kind = 'public') = (site IS NOT NULL));

-- An account has one public key that can work.
CREATE UNIQUE INDEX one_public_key_of_an_account ON keys (account) WHERE kind = 'public' AND state <> 'revoked';

-- What becomes of an account becomes of its keys.
CREATE INDEX keys_by_account ON keys (account) WHERE account IS NOT NULL;

CREATE TRIGGER a_site_id_never_changes BEFORE UPDATE OF site ON keys WHEN new.site IS NOT old.site
BEGIN SELECT raise(ABORT, 'a site id never changes'); END;

-- Accounts nest one level. `credential` names the upstream credential of the account. What is deleted is kept as its tombstone.
ALTER TABLE accounts ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN deleted INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1));

CREATE INDEX accounts_by_parent ON accounts (parent) WHERE parent IS NOT NULL;
CREATE INDEX changes_of_accounts ON changes (revision) WHERE account IS NOT NULL;

-- Until now a key could name any account. Those that keys name are there from now on.
INSERT INTO accounts (id, revision, name, created, changed)
SELECT account, 0, account, min(created), min(created) FROM keys WHERE account IS NOT NULL GROUP BY account;

CREATE TRIGGER a_key_has_an_account_that_is_there BEFORE INSERT ON keys
WHEN new.account IS NOT NULL AND NOT EXISTS (SELECT 1 FROM accounts WHERE id = new.account AND deleted = 0)
BEGIN SELECT raise(ABORT, 'there is no such account'); END;

CREATE TRIGGER an_account_stays_what_it_is BEFORE UPDATE OF id, name, parent, credential, created ON accounts
BEGIN SELECT raise(ABORT, 'an account stays what it is'); END;

CREATE TRIGGER accounts_nest_one_level BEFORE INSERT ON accounts
WHEN new.parent IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM accounts WHERE id = new.parent AND parent IS NULL AND deleted = 0)
BEGIN SELECT raise(ABORT, 'accounts nest one level'); END;

CREATE TRIGGER an_account_with_keys_or_children_stays BEFORE UPDATE OF deleted ON accounts
WHEN old.deleted = 1 OR new.deleted = 1 AND (
    EXISTS (SELECT 1 FROM accounts WHERE parent = new.id AND deleted = 0)
    OR EXISTS (SELECT 1 FROM keys WHERE account = new.id AND state <> 'revoked' AND (expires IS NULL OR expires > new.changed))
)
BEGIN SELECT raise(ABORT, 'an account with keys or sub-accounts stays'); END;

CREATE TRIGGER an_account_is_never_forgotten BEFORE DELETE ON accounts
BEGIN SELECT raise(ABORT, 'an account is never forgotten'); END;
