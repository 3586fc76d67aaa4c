-- A tripwire is a key that opens nothing and is there to be found: its use is an alarm.
ALTER TABLE keys ADD COLUMN tripwire INTEGER NOT NULL DEFAULT 0
    CHECK (tripwire = 0 OR tripwire = 1 AND level = 'custom' AND scopes = '');

CREATE TRIGGER a_tripwire_stays_one BEFORE UPDATE OF tripwire ON keys
BEGIN SELECT raise(ABORT, 'a tripwire stays one, and no other key becomes one'); END;
