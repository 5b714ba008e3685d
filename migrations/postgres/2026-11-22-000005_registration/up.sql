-- Initial access tokens: whoever shows one may register so many apps of the organisation, with these scopes at most.
CREATE TABLE registration_tokens (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    organisation_id TEXT NOT NULL REFERENCES organisations (id) ON DELETE CASCADE,
    hash TEXT COLLATE "C" NOT NULL UNIQUE,
    hint TEXT NOT NULL,
    lifetime BIGINT CHECK (lifetime > 0),
    uses_left BIGINT NOT NULL CHECK (uses_left >= 0),
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    revoked_at BIGINT
);

CREATE INDEX registration_tokens_organisation ON registration_tokens (organisation_id, id);

CREATE TABLE registration_token_scopes (
    token_id TEXT NOT NULL REFERENCES registration_tokens (id) ON DELETE CASCADE,
    api_id TEXT NOT NULL,
    scope TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (token_id, scope),
    FOREIGN KEY (api_id, scope) REFERENCES api_scopes (api_id, name) ON DELETE CASCADE
);

CREATE INDEX registration_token_scopes_scope ON registration_token_scopes (api_id, scope);

-- Apps that registered themselves: the token with which each shows and changes itself, and what it may ask for.
CREATE TABLE registered_clients (
    app_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES apps (id) ON DELETE CASCADE,
    hash TEXT COLLATE "C" NOT NULL UNIQUE,
    auth_method TEXT NOT NULL
);

CREATE TABLE registered_client_scopes (
    app_id TEXT NOT NULL REFERENCES registered_clients (app_id) ON DELETE CASCADE,
    api_id TEXT NOT NULL,
    scope TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (app_id, scope),
    FOREIGN KEY (api_id, scope) REFERENCES api_scopes (api_id, name) ON DELETE CASCADE
);

CREATE INDEX registered_client_scopes_scope ON registered_client_scopes (api_id, scope);
