ALTER TABLE audit DROP COLUMN address;

DELETE FROM api_scopes
WHERE api_id = '00000000-0000-7000-8000-000000000001' AND name IN ('apps:write', 'apis:read', 'apis:write', 'keys:read', 'audit:read', 'usage:read');
