-- Blanks of melts that got no change are few, and looked for when old ones are pruned.
CREATE INDEX blind_signatures_spare_blanks ON blind_signatures (operation_kind) WHERE c IS NULL AND operation_kind = 'melt';
