ALTER TABLE api_scopes
    ALTER COLUMN api_id TYPE TEXT COLLATE "default",
    ALTER COLUMN organisation_id TYPE TEXT COLLATE "default",
    ALTER COLUMN description TYPE TEXT COLLATE "default";
ALTER TABLE apis
    ALTER COLUMN organisation_id TYPE TEXT COLLATE "default",
    ALTER COLUMN name TYPE TEXT COLLATE "default",
    ALTER COLUMN profile TYPE TEXT COLLATE "default",
    ALTER COLUMN algorithm TYPE TEXT COLLATE "default";
ALTER TABLE app_key_uses
    ALTER COLUMN app_id TYPE TEXT COLLATE "default",
    ALTER COLUMN app_key_id TYPE TEXT COLLATE "default",
    ALTER COLUMN used_from TYPE TEXT COLLATE "default";
ALTER TABLE app_keys
    ALTER COLUMN app_id TYPE TEXT COLLATE "default",
    ALTER COLUMN hash TYPE TEXT COLLATE "default",
    ALTER COLUMN hint TYPE TEXT COLLATE "default",
    ALTER COLUMN created_by TYPE TEXT COLLATE "default";
ALTER TABLE app_scopes
    ALTER COLUMN app_id TYPE TEXT COLLATE "default",
    ALTER COLUMN api_id TYPE TEXT COLLATE "default";
ALTER TABLE apps
    ALTER COLUMN organisation_id TYPE TEXT COLLATE "default",
    ALTER COLUMN claims TYPE TEXT COLLATE "default",
    ALTER COLUMN auth_method TYPE TEXT COLLATE "default",
    ALTER COLUMN jwks TYPE TEXT COLLATE "default",
    ALTER COLUMN jwks_uri TYPE TEXT COLLATE "default",
    ALTER COLUMN description TYPE TEXT COLLATE "default",
    ALTER COLUMN allowed_networks TYPE TEXT COLLATE "default",
    ALTER COLUMN owner_id TYPE TEXT COLLATE "default";
ALTER TABLE audit
    ALTER COLUMN organisation_id TYPE TEXT COLLATE "default",
    ALTER COLUMN actor TYPE TEXT COLLATE "default",
    ALTER COLUMN action TYPE TEXT COLLATE "default",
    ALTER COLUMN target TYPE TEXT COLLATE "default",
    ALTER COLUMN detail TYPE TEXT COLLATE "default",
    ALTER COLUMN address TYPE TEXT COLLATE "default";
ALTER TABLE changes
    ALTER COLUMN kind TYPE TEXT COLLATE "default",
    ALTER COLUMN id TYPE TEXT COLLATE "default";
ALTER TABLE developers
    ALTER COLUMN password_hash TYPE TEXT COLLATE "default",
    ALTER COLUMN name TYPE TEXT COLLATE "default",
    ALTER COLUMN totp_begun_in TYPE TEXT COLLATE "default";
ALTER TABLE idempotency
    ALTER COLUMN app_id TYPE TEXT COLLATE "default",
    ALTER COLUMN key_hash TYPE TEXT COLLATE "default",
    ALTER COLUMN request_hash TYPE TEXT COLLATE "default";
ALTER TABLE identities
    ALTER COLUMN developer_id TYPE TEXT COLLATE "default";
ALTER TABLE kept_forms
    ALTER COLUMN owner TYPE TEXT COLLATE "default";
ALTER TABLE links
    ALTER COLUMN purpose TYPE TEXT COLLATE "default",
    ALTER COLUMN developer_id TYPE TEXT COLLATE "default",
    ALTER COLUMN organisation_id TYPE TEXT COLLATE "default",
    ALTER COLUMN email TYPE TEXT COLLATE "default",
    ALTER COLUMN role TYPE TEXT COLLATE "default",
    ALTER COLUMN organisation_name TYPE TEXT COLLATE "default",
    ALTER COLUMN password_hash TYPE TEXT COLLATE "default",
    ALTER COLUMN created_by TYPE TEXT COLLATE "default";
ALTER TABLE memberships
    ALTER COLUMN organisation_id TYPE TEXT COLLATE "default",
    ALTER COLUMN developer_id TYPE TEXT COLLATE "default",
    ALTER COLUMN role TYPE TEXT COLLATE "default",
    ALTER COLUMN login TYPE TEXT COLLATE "default";
ALTER TABLE meta
    ALTER COLUMN name TYPE TEXT COLLATE "default",
    ALTER COLUMN value TYPE TEXT COLLATE "default";
ALTER TABLE organisations
    ALTER COLUMN name TYPE TEXT COLLATE "default";
ALTER TABLE passkeys
    ALTER COLUMN developer_id TYPE TEXT COLLATE "default",
    ALTER COLUMN credential TYPE TEXT COLLATE "default",
    ALTER COLUMN name TYPE TEXT COLLATE "default";
ALTER TABLE recovery_codes
    ALTER COLUMN developer_id TYPE TEXT COLLATE "default";
ALTER TABLE registered_client_scopes
    ALTER COLUMN app_id TYPE TEXT COLLATE "default",
    ALTER COLUMN api_id TYPE TEXT COLLATE "default";
ALTER TABLE registered_clients
    ALTER COLUMN auth_method TYPE TEXT COLLATE "default";
ALTER TABLE registration_token_scopes
    ALTER COLUMN token_id TYPE TEXT COLLATE "default",
    ALTER COLUMN api_id TYPE TEXT COLLATE "default";
ALTER TABLE registration_tokens
    ALTER COLUMN organisation_id TYPE TEXT COLLATE "default",
    ALTER COLUMN hint TYPE TEXT COLLATE "default",
    ALTER COLUMN created_by TYPE TEXT COLLATE "default";
ALTER TABLE revocations
    ALTER COLUMN jti TYPE TEXT COLLATE "default",
    ALTER COLUMN app_id TYPE TEXT COLLATE "default";
ALTER TABLE sessions
    ALTER COLUMN developer_id TYPE TEXT COLLATE "default",
    ALTER COLUMN organisation_id TYPE TEXT COLLATE "default",
    ALTER COLUMN address TYPE TEXT COLLATE "default",
    ALTER COLUMN user_agent TYPE TEXT COLLATE "default";
ALTER TABLE sign_in_networks
    ALTER COLUMN developer_id TYPE TEXT COLLATE "default";
ALTER TABLE signing_keys
    ALTER COLUMN algorithm TYPE TEXT COLLATE "default";
ALTER TABLE trusted_issuer_scopes
    ALTER COLUMN trusted_issuer_id TYPE TEXT COLLATE "default",
    ALTER COLUMN api_id TYPE TEXT COLLATE "default";
ALTER TABLE trusted_issuers
    ALTER COLUMN organisation_id TYPE TEXT COLLATE "default",
    ALTER COLUMN name TYPE TEXT COLLATE "default",
    ALTER COLUMN app_id TYPE TEXT COLLATE "default",
    ALTER COLUMN policy TYPE TEXT COLLATE "default";
ALTER TABLE usage
    ALTER COLUMN app_id TYPE TEXT COLLATE "default";
