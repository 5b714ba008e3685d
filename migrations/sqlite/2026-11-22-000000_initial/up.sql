-- Ids are UUIDs and times are seconds since 1970, both made by the program.

CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE organisations (
    id TEXT NOT NULL PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    disabled_at INTEGER,
    not_before INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE developers (
    id TEXT NOT NULL PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    disabled_at INTEGER,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE memberships (
    organisation_id TEXT NOT NULL REFERENCES organisations (id) ON DELETE CASCADE,
    developer_id TEXT NOT NULL REFERENCES developers (id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'developer', 'viewer')),
    login TEXT,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (organisation_id, developer_id),
    UNIQUE (organisation_id, login)
) STRICT;

CREATE INDEX memberships_developer ON memberships (developer_id);

-- The API without an organisation is Brevet's own; the program gives it its identifier, which follows the issuer.
CREATE TABLE apis (
    id TEXT NOT NULL PRIMARY KEY,
    organisation_id TEXT REFERENCES organisations (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    identifier TEXT NOT NULL UNIQUE,
    profile TEXT NOT NULL CHECK (profile IN ('rfc9068', 'classic')),
    algorithm TEXT NOT NULL CHECK (algorithm IN ('RS256', 'PS256', 'ES256', 'EdDSA')),
    lifetime INTEGER CHECK (lifetime > 0),
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX apis_organisation ON apis (organisation_id);

-- A scope's name says which API it belongs to, so it is unique within the organisation.
CREATE TABLE api_scopes (
    api_id TEXT NOT NULL REFERENCES apis (id) ON DELETE CASCADE,
    organisation_id TEXT REFERENCES organisations (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (api_id, name),
    UNIQUE (organisation_id, name)
) STRICT;

CREATE TABLE apps (
    id TEXT NOT NULL PRIMARY KEY,
    organisation_id TEXT NOT NULL REFERENCES organisations (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    lifetime INTEGER CHECK (lifetime > 0),
    claims TEXT,
    disabled_at INTEGER,
    not_before INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX apps_organisation ON apps (organisation_id, id);

CREATE TABLE app_scopes (
    app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    api_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    PRIMARY KEY (app_id, scope),
    FOREIGN KEY (api_id, scope) REFERENCES api_scopes (api_id, name) ON DELETE CASCADE
) STRICT;

CREATE INDEX app_scopes_scope ON app_scopes (api_id, scope);

CREATE TABLE app_keys (
    id TEXT NOT NULL PRIMARY KEY,
    app_id TEXT NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    hash TEXT NOT NULL,
    hint TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT;

CREATE INDEX app_keys_app ON app_keys (app_id);

CREATE TABLE signing_keys (
    kid TEXT NOT NULL PRIMARY KEY,
    algorithm TEXT NOT NULL CHECK (algorithm IN ('RS256', 'PS256', 'ES256', 'EdDSA')),
    sealed_private_key BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    signs_from INTEGER NOT NULL,
    token_lifetime INTEGER NOT NULL
) STRICT;

CREATE TABLE revocations (
    jti TEXT NOT NULL PRIMARY KEY,
    app_id TEXT NOT NULL,
    revoked_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX revocations_expiry ON revocations (expires_at);

CREATE TABLE audit (
    id TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    organisation_id TEXT,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;

CREATE INDEX audit_organisation ON audit (organisation_id, id);
CREATE INDEX audit_target ON audit (target, id);

-- Counted in memory and written in batches: without references, so that one deleted app does not spoil a batch.
CREATE TABLE usage (
    app_id TEXT NOT NULL,
    hour INTEGER NOT NULL,
    issued INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    PRIMARY KEY (app_id, hour)
) STRICT, WITHOUT ROWID;

CREATE TABLE app_key_uses (
    app_id TEXT NOT NULL,
    app_key_id TEXT NOT NULL,
    used_at INTEGER NOT NULL,
    used_from TEXT NOT NULL,
    PRIMARY KEY (app_id, app_key_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE changes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;

INSERT INTO apis (id, organisation_id, name, identifier, profile, algorithm, lifetime, created_at)
VALUES ('00000000-0000-7000-8000-000000000001', NULL, 'Brevet management API', 'urn:brevet:management-api', 'rfc9068', 'RS256', NULL, 0);

INSERT INTO api_scopes (api_id, organisation_id, name, description, position)
VALUES ('00000000-0000-7000-8000-000000000001', NULL, 'apps:read', 'See the apps of the organisation', 0);
