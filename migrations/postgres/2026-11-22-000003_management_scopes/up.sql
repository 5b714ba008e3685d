INSERT INTO api_scopes (api_id, organisation_id, name, description, position)
VALUES
    ('00000000-0000-7000-8000-000000000001', NULL, 'apps:write', 'Register, change and delete apps, and make and revoke their App Keys', 1),
    ('00000000-0000-7000-8000-000000000001', NULL, 'apis:read', 'See the APIs of the organisation and their scopes', 2),
    ('00000000-0000-7000-8000-000000000001', NULL, 'apis:write', 'Register, change and delete APIs and their scopes', 3),
    ('00000000-0000-7000-8000-000000000001', NULL, 'keys:read', 'See the public state of the signing keys', 4),
    ('00000000-0000-7000-8000-000000000001', NULL, 'audit:read', 'See who did what in the organisation', 5),
    ('00000000-0000-7000-8000-000000000001', NULL, 'usage:read', 'See how many tokens the apps of the organisation got', 6);

-- From where a deed was done; nothing for deeds of the server and of commands.
ALTER TABLE audit ADD COLUMN address TEXT;
