-- The sender's ephemeral key, which travels with a proof whose lock has blinded keys (NUT-28).
ALTER TABLE proofs ADD COLUMN p2pk_e BLOB CHECK (length(p2pk_e) = 33);
