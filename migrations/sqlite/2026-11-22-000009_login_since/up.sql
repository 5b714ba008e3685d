-- Since when a login is this member's, in seconds: what was issued before it, to whoever had the login then, is dead.
ALTER TABLE memberships ADD COLUMN login_since INTEGER NOT NULL DEFAULT 0;
UPDATE memberships SET login_since = created_at WHERE login IS NOT NULL;
