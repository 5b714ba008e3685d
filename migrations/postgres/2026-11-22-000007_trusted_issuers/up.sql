-- Third parties whose JWTs are good in an organisation. What they must say is one JSON text: it is read as a whole or not at all.
CREATE TABLE trusted_issuers (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    organisation_id TEXT NOT NULL REFERENCES organisations (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    issuer TEXT COLLATE "C" NOT NULL,
    -- The app that its JWTs stand for; nothing if they name users.
    app_id TEXT REFERENCES apps (id) ON DELETE CASCADE,
    policy TEXT NOT NULL,
    disabled_at BIGINT,
    not_before BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    -- As the policy says: such entries are looked for among those of all organisations.
    accept_directly BIGINT NOT NULL CHECK (accept_directly IN (0, 1))
);

-- A JWT names its issuer.
CREATE INDEX trusted_issuers_issuer ON trusted_issuers (issuer);
CREATE INDEX trusted_issuers_organisation ON trusted_issuers (organisation_id, id);
CREATE INDEX trusted_issuers_app ON trusted_issuers (app_id);
-- The few that the revocation feed names.
CREATE INDEX trusted_issuers_disabled ON trusted_issuers (disabled_at);
CREATE INDEX trusted_issuers_not_before ON trusted_issuers (not_before);

CREATE TABLE trusted_issuer_scopes (
    trusted_issuer_id TEXT NOT NULL REFERENCES trusted_issuers (id) ON DELETE CASCADE,
    api_id TEXT NOT NULL,
    scope TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (trusted_issuer_id, scope),
    FOREIGN KEY (api_id, scope) REFERENCES api_scopes (api_id, name) ON DELETE CASCADE
);

CREATE INDEX trusted_issuer_scopes_scope ON trusted_issuer_scopes (api_id, scope);

-- How many of its JWTs were accepted, and refused for which reason. Counts may come a little after the issuer is gone.
CREATE TABLE trusted_issuer_uses (
    trusted_issuer_id TEXT COLLATE "C" NOT NULL,
    hour BIGINT NOT NULL,
    outcome TEXT COLLATE "C" NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (trusted_issuer_id, hour, outcome)
);

-- Whether an app may exchange somebody's token for one of its own.
ALTER TABLE apps ADD COLUMN token_exchange BIGINT NOT NULL DEFAULT 0 CHECK (token_exchange IN (0, 1));

INSERT INTO api_scopes (api_id, organisation_id, name, description, position)
VALUES
    ('00000000-0000-7000-8000-000000000001', NULL, 'issuers:read', 'See the trusted issuers of the organisation', 7),
    ('00000000-0000-7000-8000-000000000001', NULL, 'issuers:write', 'Register, change and delete trusted issuers', 8);
