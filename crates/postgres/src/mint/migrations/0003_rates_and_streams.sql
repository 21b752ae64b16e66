-- What one unit of a quote is worth in msat, as agreed when it was opened: a number or a fraction. Quotes from before were in bitcoin's own
-- units alone.
ALTER TABLE mint_quotes ADD COLUMN rate TEXT;
UPDATE mint_quotes SET rate = CASE unit WHEN 'sat' THEN '1000' WHEN 'btc' THEN '1000' WHEN 'msat' THEN '1' ELSE '' END;
ALTER TABLE mint_quotes ALTER COLUMN rate SET NOT NULL;
ALTER TABLE melt_quotes ADD COLUMN rate TEXT;
UPDATE melt_quotes SET rate = CASE unit WHEN 'sat' THEN '1000' WHEN 'btc' THEN '1000' WHEN 'msat' THEN '1' ELSE '' END;
ALTER TABLE melt_quotes ALTER COLUMN rate SET NOT NULL;

-- How far the stream of each payment method has been read. There was one method before.
CREATE TABLE streams (
    method TEXT PRIMARY KEY,
    cursor BIGINT NOT NULL CHECK (cursor >= 0)
);
INSERT INTO streams (method, cursor) SELECT 'bolt11', stream_cursor FROM meta WHERE stream_cursor > 0;
ALTER TABLE meta DROP COLUMN stream_cursor;
