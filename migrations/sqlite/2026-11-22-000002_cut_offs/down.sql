DROP INDEX apps_not_before;
DROP INDEX apps_disabled;
DROP TABLE deleted_apps;
DELETE FROM meta WHERE name = 'not-before';
