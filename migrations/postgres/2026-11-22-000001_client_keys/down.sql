DROP TABLE used_jti;
ALTER TABLE apps DROP COLUMN dpop_required;
ALTER TABLE apps DROP COLUMN jwks_uri;
ALTER TABLE apps DROP COLUMN jwks;
ALTER TABLE apps DROP COLUMN auth_method;
