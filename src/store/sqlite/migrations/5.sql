-- How often a value was used, beside when it last was. `last` is kept to the second, here and in `uses`.
ALTER TABLE value_uses ADD COLUMN allowed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE value_uses ADD COLUMN denied INTEGER NOT NULL DEFAULT 0;
