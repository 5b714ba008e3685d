-- Initial access tokens: whoever shows one may register so many apps of the organisation, with these scopes at most.
CREATE TABLE registration_tokens (
    id TEXT NOT NULL PRIMARY KEY,
    organisation_id TEXT NOT NULL REFERENCES organisations (id) ON DELETE CASCADE,
    hash TEXT NOT NULL UNIQUE,
    hint TEXT NOT NULL,
    lifetime INTEGER CHECK (lifetime > 0),
    uses_left INTEGER NOT NULL CHECK (uses_left >= 0),
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    revoked_at INTEGER
) STRICT;

CREATE INDEX registration_tokens_organisation ON registration_tokens (organisation_id, id);

CREATE TABLE registration_token_scopes (
    token_id TEXT NOT NULL REFERENCES registration_tokens (id) ON DELETE CASCADE,
    api_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    PRIMARY KEY (token_id, scope),
    FOREIGN KEY (api_id, scope) REFERENCES api_scopes (api_id, name) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX registration_token_scopes_scope ON registration_token_scopes (api_id, scope);

-- Apps that registered themselves: the token with which each shows and changes itself, and what it may ask for.
CREATE TABLE registered_clients (
    app_id TEXT NOT NULL PRIMARY KEY REFERENCES apps (id) ON DELETE CASCADE,
    hash TEXT NOT NULL UNIQUE,
    auth_method TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE registered_client_scopes (
    app_id TEXT NOT NULL REFERENCES registered_clients (app_id) ON DELETE CASCADE,
    api_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    PRIMARY KEY (app_id, scope),
    FOREIGN KEY (api_id, scope) REFERENCES api_scopes (api_id, name) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX registered_client_scopes_scope ON registered_client_scopes (api_id, scope);
