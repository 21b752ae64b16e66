-- What one unit of a quote is worth in msat, as agreed when it was opened: a number or a fraction. Quotes from before were in bitcoin's own
-- units alone. The default is no rate, so that a row that was written without one is found out.
ALTER TABLE mint_quotes ADD COLUMN rate TEXT NOT NULL DEFAULT '';
UPDATE mint_quotes SET rate = CASE unit WHEN 'sat' THEN '1000' WHEN 'btc' THEN '1000' WHEN 'msat' THEN '1' ELSE '' END;
ALTER TABLE melt_quotes ADD COLUMN rate TEXT NOT NULL DEFAULT '';
UPDATE melt_quotes SET rate = CASE unit WHEN 'sat' THEN '1000' WHEN 'btc' THEN '1000' WHEN 'msat' THEN '1' ELSE '' END;

-- How far the stream of each payment method has been read. There was one method before.
CREATE TABLE streams (
    method TEXT NOT NULL PRIMARY KEY,
    cursor INTEGER NOT NULL CHECK (cursor >= 0)
) STRICT, WITHOUT ROWID;
INSERT INTO streams (method, cursor) SELECT 'bolt11', stream_cursor FROM meta WHERE stream_cursor > 0;
ALTER TABLE meta DROP COLUMN stream_cursor;
