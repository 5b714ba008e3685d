ALTER TABLE memberships DROP COLUMN login_since;
