DELETE FROM api_scopes WHERE api_id = '00000000-0000-7000-8000-000000000001' AND name IN ('issuers:read', 'issuers:write');
ALTER TABLE apps DROP COLUMN token_exchange;
DROP TABLE trusted_issuer_uses;
DROP TABLE trusted_issuer_scopes;
DROP TABLE trusted_issuers;
