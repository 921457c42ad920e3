-- By when the node deletes what a transfer brought; without a value there is nothing to delete.
ALTER TABLE process ADD COLUMN delete_by INTEGER;
CREATE INDEX process_delete_by ON process (delete_by) WHERE delete_by IS NOT NULL;
