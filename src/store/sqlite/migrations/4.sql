-- Each change is bound to the one before it by its hash: see the module `store::audit`. The entries of older stores are bound
-- here, by the program, right behind this; their `detail`, the key that a clone was made of, becomes JSON like that of all others.
DROP TRIGGER changes_are_never_rewritten;
UPDATE changes SET detail = json_object('of', detail) WHERE detail IS NOT NULL;

CREATE TRIGGER changes_are_never_rewritten BEFORE UPDATE ON changes WHEN old.hash IS NOT NULL
BEGIN SELECT raise(ABORT, 'the log of changes is only appended to'); END;

-- Programs that do not know of the chain must not write.
CREATE TRIGGER changes_are_bound BEFORE INSERT ON changes WHEN new.hash IS NULL OR length(new.hash) <> 32
BEGIN SELECT raise(ABORT, 'a change is bound to the one before it: use a newer scopegate'); END;
