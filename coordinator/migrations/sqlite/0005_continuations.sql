-- What an attempt goes on from, as its worker was told with the offer. Null: from nothing.
ALTER TABLE attempts ADD COLUMN continues TEXT CHECK (json_valid(continues));
