-- Names are looked up here and in functions where the server has them, and nowhere else: nobody's functions and operators in
-- another schema run as whoever makes this store or changes a key.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE SCHEMA scopegate;

-- The one row that every change takes first and holds until it commits: so there is one writer at a time, and the numbers of
-- changes become visible in their order. `store` tells a copy of this store from another one. Under the
-- secret `seal` entries of the log say which value a key has: whoever reads the log alone can try no guess.
CREATE TABLE scopegate.head (
    one      boolean NOT NULL PRIMARY KEY DEFAULT true CHECK (one),
    store    bytea NOT NULL CHECK (length(store) = 16),
    version  bigint NOT NULL,
    revision bigint NOT NULL CHECK (revision BETWEEN 0 AND 281474976710655),
    seal     bytea NOT NULL CHECK (length(seal) = 32)
);

INSERT INTO scopegate.head (store, version, revision, seal)
VALUES (
    decode(replace(gen_random_uuid()::text, '-', ''), 'hex'), 0, 0,
    sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8'))
);

-- Every change there ever was, in order: what gateways follow and what the audit tells. Only ever appended to.
CREATE TABLE scopegate.changes (
    revision bigint NOT NULL PRIMARY KEY CHECK (revision > 0),
    at       bigint NOT NULL,
    author   text NOT NULL,
    action   text NOT NULL,
    key      text CHECK (length(key) <= 128),
    account  text CHECK (length(account) <= 128),
    detail   text,
    hash     bytea NOT NULL CHECK (length(hash) = 32)
);

CREATE INDEX changes_of_accounts ON scopegate.changes (revision) WHERE account IS NOT NULL;

-- Accounts nest one level. `credential` names the upstream credential of the account. What is deleted is kept as its tombstone.
CREATE TABLE scopegate.accounts (
    id         text NOT NULL PRIMARY KEY COLLATE "C" CHECK (id ~ '^[!-~]{1,128}$'),
    revision   bigint NOT NULL CHECK (revision > 0),
    name       text NOT NULL CHECK (length(name) <= 1024 AND name !~ '[[:cntrl:]]'),
    parent     text COLLATE "C" REFERENCES scopegate.accounts (id),
    disabled   boolean NOT NULL DEFAULT false,
    credential text CHECK (length(credential) BETWEEN 1 AND 1024 AND credential !~ '[[:cntrl:]]'),
    created    bigint NOT NULL,
    changed    bigint NOT NULL,
    deleted    boolean NOT NULL DEFAULT false
);

-- Ids of accounts that differ by case alone are told apart by programs and by nobody else: no two of them are made.
CREATE UNIQUE INDEX accounts_in_any_case ON scopegate.accounts (lower(id));
CREATE INDEX accounts_by_parent ON scopegate.accounts (parent) WHERE parent IS NOT NULL;

-- Moments are milliseconds since 1970-01-01T00:00:00Z. `scopes` is separated by spaces and NULL for levels; `networks` is
-- separated by spaces; `attributes` is JSON, [["name","value"],…]. `minted`: when it was given the value that it has now;
-- NULL: when it was made. `deleted`: when it was; its state is `revoked` then. `place` grows with each.
-- What a gateway could not read is refused here as far as that is cheap: whoever writes one row does not close it, or more, for all.
CREATE TABLE scopegate.keys (
    id         text NOT NULL PRIMARY KEY COLLATE "C" CHECK (id ~ '^[0-9A-Za-z_.-]{1,64}$'),
    place      bigint NOT NULL GENERATED ALWAYS AS IDENTITY CHECK (place BETWEEN 1 AND 281474976710655),
    revision   bigint NOT NULL CHECK (revision > 0),
    kind       text NOT NULL CHECK (kind IN ('pair', 'public', 'secret')),
    state      text NOT NULL CHECK (state IN ('active', 'disabled', 'revoked')),
    level      text NOT NULL CHECK (level IN ('custom', 'full', 'read-only')),
    scopes     text CHECK (
        (scopes IS NULL) = (level <> 'custom') AND length(scopes) <= 1048576
        AND scopes COLLATE "C" !~ '[^ -~]' AND scopes = translate(scopes, '",*' || chr(92), '')
    ),
    name       text NOT NULL CHECK (length(name) <= 1024 AND name !~ '[[:cntrl:]]'),
    account    text COLLATE "C" CHECK (account ~ '^[!-~]{1,128}$'),
    created    bigint NOT NULL,
    changed    bigint NOT NULL,
    not_before bigint,
    expires    bigint,
    attributes text CHECK (
        length(attributes) <= 1048576 AND jsonb_typeof(attributes::jsonb) = 'array'
        AND NOT jsonb_path_exists(attributes::jsonb, 'strict $[*] ? (@.type() != "array" || @.size() != 2)')
        AND NOT jsonb_path_exists(attributes::jsonb, 'strict $[*][*] ? (@.type() != "string")')
    ),
    networks   text CHECK (length(networks) <= 1048576 AND cardinality(string_to_array(networks, ' ')::inet[]) >= 0),
    note       text CHECK (length(note) <= 8192 AND note !~ '[[:cntrl:]]'),
    prefix     text NOT NULL CHECK (length(prefix) <= 1024 AND prefix !~ '[[:cntrl:]]'),
    last_four  text NOT NULL CHECK (length(last_four) <= 1024 AND last_four !~ '[[:cntrl:]]'),
    digest     bytea NOT NULL UNIQUE CHECK (length(digest) = 32),
    minted     bigint,
    deleted    bigint CHECK (deleted IS NULL OR state = 'revoked'),
    tripwire   boolean NOT NULL CHECK (NOT tripwire OR level = 'custom' AND scopes = ''),
    site       text CHECK ((kind = 'public') = (site IS NOT NULL) AND site COLLATE "C" ~ '^[0-9A-Za-z]{6,12}$')
);

CREATE UNIQUE INDEX one_public_key_of_an_account ON scopegate.keys (account) WHERE kind = 'public' AND state <> 'revoked';
CREATE UNIQUE INDEX keys_by_place ON scopegate.keys (place);
CREATE INDEX keys_by_account ON scopegate.keys (account) WHERE account IS NOT NULL;

-- Every value that any key has or ever had: none comes a second time, whatever the transaction that brings it sees. Triggers
-- alone write here.
CREATE TABLE scopegate.digests (digest bytea NOT NULL PRIMARY KEY);

-- The values that keys had before: every one of them, so that none is ever good again. `age` grows with each; a value works
-- before `until` alone. `ended`: it was over when its key was changed, and so for good, whatever the clock of a gateway says.
CREATE TABLE scopegate.former_values (
    age       bigint NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY CHECK (age BETWEEN 1 AND 281474976710655),
    key       text NOT NULL COLLATE "C" REFERENCES scopegate.keys (id),
    digest    bytea NOT NULL UNIQUE CHECK (length(digest) = 32),
    prefix    text NOT NULL CHECK (length(prefix) <= 1024 AND prefix !~ '[[:cntrl:]]'),
    last_four text NOT NULL CHECK (length(last_four) <= 1024 AND last_four !~ '[[:cntrl:]]'),
    created   bigint NOT NULL,
    until     bigint NOT NULL,
    ended     boolean NOT NULL
);

CREATE INDEX former_values_by_key ON scopegate.former_values (key);

-- How often and when a key was used, for each scope; the empty scope stands for the key as a whole. `last` is kept to the second.
CREATE TABLE scopegate.uses (
    key     text NOT NULL COLLATE "C",
    scope   text NOT NULL COLLATE "C",
    allowed bigint NOT NULL CHECK (allowed >= 0),
    denied  bigint NOT NULL CHECK (denied >= 0),
    last    bigint NOT NULL,
    PRIMARY KEY (key, scope)
);

CREATE TABLE scopegate.value_uses (
    digest  bytea NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    allowed bigint NOT NULL CHECK (allowed >= 0),
    denied  bigint NOT NULL CHECK (denied >= 0),
    last    bigint NOT NULL
);

-- Which gateways follow, up to which change, and when they last said so. A gateway that ends takes its row away. `goes_on_for`:
-- for how many milliseconds it serves by what it knows while it cannot reach this; NULL: for as long as it runs. `refuses`: it does
-- not follow, for this reason, and holds none of the changes; NULL: it follows.
CREATE TABLE scopegate.gateways (
    id          text NOT NULL PRIMARY KEY CHECK (id ~ '^[0-9a-f]{16}$'),
    name        text NOT NULL CHECK (length(name) BETWEEN 1 AND 255 AND name !~ '[[:cntrl:]]'),
    revision    bigint NOT NULL CHECK (revision >= 0),
    goes_on_for bigint CHECK (goes_on_for >= 0),
    seen        timestamptz NOT NULL CHECK (isfinite(seen)),
    refuses     text CHECK (length(refuses) BETWEEN 1 AND 100 AND refuses !~ '[[:cntrl:]]')
);

CREATE FUNCTION scopegate.refuse() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation'; END $$;

-- Wakes those who listen. Whoever misses it finds the change by asking.
CREATE FUNCTION scopegate.wake() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN PERFORM pg_notify('scopegate', ''); RETURN NULL; END $$;

-- Every row bears a number that was given out: one from beyond would be stronger than all changes that come.
CREATE FUNCTION scopegate.follow_head() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM written WHERE revision > (SELECT revision FROM scopegate.head)) THEN
        RAISE EXCEPTION 'a number is given out by the head' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER changes_follow_the_head AFTER INSERT ON scopegate.changes
REFERENCING NEW TABLE AS written EXECUTE FUNCTION scopegate.follow_head();

CREATE TRIGGER new_keys_follow_the_head AFTER INSERT ON scopegate.keys
REFERENCING NEW TABLE AS written EXECUTE FUNCTION scopegate.follow_head();

CREATE TRIGGER keys_follow_the_head AFTER UPDATE ON scopegate.keys
REFERENCING NEW TABLE AS written EXECUTE FUNCTION scopegate.follow_head();

CREATE TRIGGER new_accounts_follow_the_head AFTER INSERT ON scopegate.accounts
REFERENCING NEW TABLE AS written EXECUTE FUNCTION scopegate.follow_head();

CREATE TRIGGER accounts_follow_the_head AFTER UPDATE ON scopegate.accounts
REFERENCING NEW TABLE AS written EXECUTE FUNCTION scopegate.follow_head();

CREATE TRIGGER the_number_of_a_key_only_grows BEFORE UPDATE ON scopegate.keys FOR EACH ROW
WHEN (new.revision < old.revision) EXECUTE FUNCTION scopegate.refuse('the number of a change only grows');

CREATE TRIGGER the_number_of_an_account_only_grows BEFORE UPDATE ON scopegate.accounts FOR EACH ROW
WHEN (new.revision < old.revision) EXECUTE FUNCTION scopegate.refuse('the number of a change only grows');

-- At the commit: each number that was given out is in the log, and no key is that the log tells of and that is not there. Looked
-- up one by one, whatever is known of the tables: it costs what was changed.
CREATE FUNCTION scopegate.hold_log() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
BEGIN
    IF (SELECT count(*) FROM scopegate.changes WHERE revision > old.revision AND revision <= new.revision)
        <> new.revision - old.revision THEN
        RAISE EXCEPTION 'each number that is given out is in the log' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF EXISTS (
        SELECT 1 FROM scopegate.changes c WHERE c.revision > old.revision AND c.revision <= new.revision
        AND c.key IS NOT NULL AND NOT EXISTS (SELECT 1 FROM scopegate.keys k WHERE k.id = c.key COLLATE "C")
    ) THEN
        RAISE EXCEPTION 'the log tells of no key that is not there' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER each_number_is_in_the_log AFTER UPDATE ON scopegate.head
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
WHEN (new.revision <> old.revision) EXECUTE FUNCTION scopegate.hold_log();

CREATE TRIGGER wake AFTER INSERT ON scopegate.changes EXECUTE FUNCTION scopegate.wake();

CREATE TRIGGER changes_are_never_rewritten BEFORE UPDATE ON scopegate.changes
FOR EACH ROW EXECUTE FUNCTION scopegate.refuse('the log of changes is only appended to');

CREATE TRIGGER changes_are_never_removed BEFORE DELETE ON scopegate.changes
FOR EACH ROW EXECUTE FUNCTION scopegate.refuse('the log of changes is only appended to');

CREATE TRIGGER changes_are_never_emptied BEFORE TRUNCATE ON scopegate.changes
EXECUTE FUNCTION scopegate.refuse('the log of changes is only appended to');

CREATE TRIGGER numbers_never_come_again BEFORE UPDATE ON scopegate.head FOR EACH ROW
WHEN (new.store <> old.store OR new.seal <> old.seal OR new.version < old.version OR new.revision < old.revision)
EXECUTE FUNCTION scopegate.refuse('no number is given out twice');

CREATE TRIGGER the_head_stays BEFORE DELETE ON scopegate.head
FOR EACH ROW EXECUTE FUNCTION scopegate.refuse('a store has a head');

CREATE TRIGGER the_head_is_never_emptied BEFORE TRUNCATE ON scopegate.head
EXECUTE FUNCTION scopegate.refuse('a store has a head');

-- A deletion alone may forget what a key might do. Nothing may change when it works.
CREATE TRIGGER a_grant_never_changes BEFORE UPDATE ON scopegate.keys FOR EACH ROW
WHEN (
    (new.id, new.kind, new.level, new.scopes, new.account, new.created, new.not_before, new.expires, new.attributes, new.networks)
    IS DISTINCT FROM
    (old.id, old.kind, old.level, old.scopes, old.account, old.created, old.not_before, old.expires, old.attributes, old.networks)
    AND NOT (
        old.deleted IS NULL AND new.deleted IS NOT NULL
        AND new.id = old.id AND new.kind = old.kind AND new.created = old.created
        AND new.not_before IS NOT DISTINCT FROM old.not_before AND new.expires IS NOT DISTINCT FROM old.expires
        AND new.level = 'custom' AND new.scopes = ''
        AND new.account IS NULL AND new.attributes IS NULL AND new.networks IS NULL
    )
)
EXECUTE FUNCTION scopegate.refuse('what a key may do never changes');

CREATE TRIGGER a_revoke_is_final BEFORE UPDATE ON scopegate.keys FOR EACH ROW
WHEN (old.state = 'revoked' AND new.state <> 'revoked')
EXECUTE FUNCTION scopegate.refuse('a revoke is final');

CREATE TRIGGER a_deletion_is_final BEFORE UPDATE ON scopegate.keys FOR EACH ROW
WHEN (
    old.deleted IS NOT NULL AND new.deleted IS DISTINCT FROM old.deleted
    OR new.deleted IS NOT NULL AND new.state <> 'revoked'
)
EXECUTE FUNCTION scopegate.refuse('a deletion is final');

CREATE TRIGGER a_tripwire_stays_one BEFORE UPDATE ON scopegate.keys FOR EACH ROW
WHEN (new.tripwire <> old.tripwire)
EXECUTE FUNCTION scopegate.refuse('a tripwire stays one, and no other key becomes one');

CREATE TRIGGER a_site_id_never_changes BEFORE UPDATE ON scopegate.keys FOR EACH ROW
WHEN (new.site IS DISTINCT FROM old.site)
EXECUTE FUNCTION scopegate.refuse('a site id never changes');

CREATE TRIGGER a_key_is_never_forgotten BEFORE DELETE ON scopegate.keys
FOR EACH ROW EXECUTE FUNCTION scopegate.refuse('a key is never forgotten');

CREATE TRIGGER keys_are_never_forgotten BEFORE TRUNCATE ON scopegate.keys
EXECUTE FUNCTION scopegate.refuse('a key is never forgotten');

CREATE FUNCTION scopegate.admit_key() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM scopegate.former_values WHERE digest = new.digest) THEN
        RAISE EXCEPTION 'a record has had this value' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF new.account IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM scopegate.accounts WHERE id = new.account AND NOT deleted) THEN
        RAISE EXCEPTION 'there is no such account' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN new;
END $$;

CREATE TRIGGER a_new_key_has_a_new_value BEFORE INSERT ON scopegate.keys
FOR EACH ROW EXECUTE FUNCTION scopegate.admit_key();

-- As the owner of this store, so that nobody else needs to write there. Two that bring one value wait for each other: one fails.
-- On a table of somebody else a column could have a type whose conversion, a function of theirs, would run as the owner, too.
CREATE FUNCTION scopegate.take_value() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_RELID <> 'scopegate.keys'::regclass THEN
        RAISE EXCEPTION 'values are those of keys' USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO scopegate.digests (digest) VALUES (new.digest);
    RETURN NULL;
END $$;

CREATE TRIGGER a_new_value_was_nobodys AFTER INSERT ON scopegate.keys
FOR EACH ROW EXECUTE FUNCTION scopegate.take_value();

CREATE TRIGGER another_value_was_nobodys AFTER UPDATE ON scopegate.keys FOR EACH ROW
WHEN (new.digest <> old.digest) EXECUTE FUNCTION scopegate.take_value();

CREATE TRIGGER no_value_is_changed BEFORE UPDATE OR DELETE ON scopegate.digests
FOR EACH ROW EXECUTE FUNCTION scopegate.refuse('a value is never forgotten');

CREATE TRIGGER no_value_is_forgotten BEFORE TRUNCATE ON scopegate.digests
EXECUTE FUNCTION scopegate.refuse('a value is never forgotten');

CREATE FUNCTION scopegate.replace_value() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM scopegate.former_values WHERE digest = new.digest)
        OR NOT EXISTS (SELECT 1 FROM scopegate.former_values WHERE digest = old.digest AND key = old.id) THEN
        RAISE EXCEPTION 'a value gives way to a new one, and is kept' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN new;
END $$;

CREATE TRIGGER a_value_is_replaced_by_a_new_one BEFORE UPDATE ON scopegate.keys FOR EACH ROW
WHEN (new.digest <> old.digest) EXECUTE FUNCTION scopegate.replace_value();

CREATE FUNCTION scopegate.keep_value() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM scopegate.keys WHERE id = new.key AND digest = new.digest) THEN
        RAISE EXCEPTION 'a former value is one that its key had' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN new;
END $$;

CREATE TRIGGER a_former_value_was_its_keys BEFORE INSERT ON scopegate.former_values
FOR EACH ROW EXECUTE FUNCTION scopegate.keep_value();

CREATE TRIGGER a_former_value_never_lives_longer BEFORE UPDATE ON scopegate.former_values FOR EACH ROW
WHEN (new.until > old.until OR new.ended < old.ended OR new.age <> old.age OR new.key <> old.key OR new.digest <> old.digest)
EXECUTE FUNCTION scopegate.refuse('the end of a value only comes nearer');

CREATE TRIGGER a_former_value_is_never_forgotten BEFORE DELETE ON scopegate.former_values
FOR EACH ROW EXECUTE FUNCTION scopegate.refuse('a value is never forgotten');

CREATE TRIGGER former_values_are_never_forgotten BEFORE TRUNCATE ON scopegate.former_values
EXECUTE FUNCTION scopegate.refuse('a value is never forgotten');

CREATE TRIGGER an_account_stays_what_it_is BEFORE UPDATE ON scopegate.accounts FOR EACH ROW
WHEN ((new.id, new.name, new.parent, new.credential, new.created)
    IS DISTINCT FROM (old.id, old.name, old.parent, old.credential, old.created))
EXECUTE FUNCTION scopegate.refuse('an account stays what it is');

CREATE FUNCTION scopegate.nest_account() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF new.parent IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM scopegate.accounts WHERE id = new.parent AND parent IS NULL AND NOT deleted
    ) THEN
        RAISE EXCEPTION 'accounts nest one level' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN new;
END $$;

CREATE TRIGGER accounts_nest_one_level BEFORE INSERT ON scopegate.accounts
FOR EACH ROW EXECUTE FUNCTION scopegate.nest_account();

CREATE FUNCTION scopegate.end_account() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF old.deleted OR EXISTS (SELECT 1 FROM scopegate.accounts WHERE parent = new.id AND NOT deleted)
        OR EXISTS (
            SELECT 1 FROM scopegate.keys
            WHERE account = new.id AND state <> 'revoked' AND (expires IS NULL OR expires > new.changed)
        ) THEN
        RAISE EXCEPTION 'an account with keys or sub-accounts stays' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN new;
END $$;

CREATE TRIGGER an_account_with_keys_or_children_stays BEFORE UPDATE ON scopegate.accounts FOR EACH ROW
WHEN (new.deleted <> old.deleted) EXECUTE FUNCTION scopegate.end_account();

CREATE TRIGGER an_account_is_never_forgotten BEFORE DELETE ON scopegate.accounts
FOR EACH ROW EXECUTE FUNCTION scopegate.refuse('an account is never forgotten');

CREATE TRIGGER accounts_are_never_forgotten BEFORE TRUNCATE ON scopegate.accounts
EXECUTE FUNCTION scopegate.refuse('an account is never forgotten');

-- They are called by the triggers above, and nobody hangs them on a table of their own.
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA scopegate FROM PUBLIC;
