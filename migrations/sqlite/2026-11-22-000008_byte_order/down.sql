-- SQLite compares bytes already.
SELECT 1;
