-- People: what they are called, how they prove who they are, and whether they run the whole server.
ALTER TABLE developers ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE developers ADD COLUMN is_operator INTEGER NOT NULL DEFAULT 0 CHECK (is_operator IN (0, 1));
ALTER TABLE developers ADD COLUMN email_verified_at INTEGER;
-- The seed of one-time codes, sealed under the master key; it counts once it is confirmed. The last step used is never taken again.
ALTER TABLE developers ADD COLUMN sealed_totp BLOB;
ALTER TABLE developers ADD COLUMN totp_confirmed_at INTEGER;
ALTER TABLE developers ADD COLUMN totp_last_step INTEGER NOT NULL DEFAULT 0;
-- Until then: when it was made, and in which session, where alone it is shown and confirmed.
ALTER TABLE developers ADD COLUMN totp_begun_at INTEGER;
ALTER TABLE developers ADD COLUMN totp_begun_in TEXT;

CREATE TABLE recovery_codes (
    developer_id TEXT NOT NULL REFERENCES developers (id) ON DELETE CASCADE,
    hash TEXT NOT NULL,
    used_at INTEGER,
    PRIMARY KEY (developer_id, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE passkeys (
    id TEXT NOT NULL PRIMARY KEY,
    developer_id TEXT NOT NULL REFERENCES developers (id) ON DELETE CASCADE,
    credential_id TEXT NOT NULL UNIQUE,
    credential TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER
) STRICT;

CREATE INDEX passkeys_developer ON passkeys (developer_id);

-- From where a person signed in before: strangers who guess the password elsewhere do not shut the person out there.
CREATE TABLE sign_in_networks (
    developer_id TEXT NOT NULL REFERENCES developers (id) ON DELETE CASCADE,
    network TEXT NOT NULL,
    last_used_at INTEGER NOT NULL,
    PRIMARY KEY (developer_id, network)
) STRICT, WITHOUT ROWID;

-- Who a person is at an external sign-in provider.
CREATE TABLE identities (
    provider TEXT NOT NULL,
    subject TEXT NOT NULL,
    developer_id TEXT NOT NULL REFERENCES developers (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (provider, subject)
) STRICT, WITHOUT ROWID;

CREATE INDEX identities_developer ON identities (developer_id);

-- Who is signed in where. The cookie holds a secret; here is its keyed hash. A session that waits for a second factor
-- opens nothing yet.
CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    developer_id TEXT NOT NULL REFERENCES developers (id) ON DELETE CASCADE,
    organisation_id TEXT REFERENCES organisations (id) ON DELETE SET NULL,
    awaits_second_factor INTEGER NOT NULL CHECK (awaits_second_factor IN (0, 1)),
    created_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    confirmed_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    address TEXT NOT NULL,
    user_agent TEXT NOT NULL
) STRICT;

CREATE INDEX sessions_developer ON sessions (developer_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);

-- Forms that came when their session was over, or without a proof that must be got elsewhere: sealed for their person, and
-- kept for as long as it takes to sign in.
CREATE TABLE kept_forms (
    id TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    sealed BLOB NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX kept_forms_owner ON kept_forms (owner);

-- Links that work once: first set-up, invitation, proof of an address, another password. A sign-up waits in its link until
-- the address is proven.
CREATE TABLE links (
    id TEXT NOT NULL PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    purpose TEXT NOT NULL CHECK (purpose IN ('setup', 'invitation', 'verification', 'reset')),
    developer_id TEXT REFERENCES developers (id) ON DELETE CASCADE,
    organisation_id TEXT REFERENCES organisations (id) ON DELETE CASCADE,
    email TEXT,
    role TEXT CHECK (role IN ('owner', 'admin', 'developer', 'viewer')),
    is_mailed INTEGER NOT NULL CHECK (is_mailed IN (0, 1)),
    organisation_name TEXT,
    password_hash TEXT,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER
) STRICT;

CREATE INDEX links_developer ON links (developer_id);
CREATE INDEX links_organisation ON links (organisation_id);
CREATE INDEX links_email ON links (email);
CREATE INDEX links_expiry ON links (expires_at);

ALTER TABLE apps ADD COLUMN description TEXT NOT NULL DEFAULT '';
-- From where it may ask for tokens: CIDRs with commas between, or nothing for everywhere.
ALTER TABLE apps ADD COLUMN allowed_networks TEXT NOT NULL DEFAULT '';
-- Who looks after it: a member of the organisation, or nobody.
ALTER TABLE apps ADD COLUMN owner_id TEXT REFERENCES developers (id) ON DELETE SET NULL;
CREATE INDEX apps_owner ON apps (owner_id, organisation_id);
CREATE INDEX apps_organisation_name ON apps (organisation_id, lower(name), id);
CREATE INDEX apis_organisation_name ON apis (organisation_id, lower(name), id);
CREATE INDEX apps_organisation_age ON apps (organisation_id, created_at, id);
-- Whether an app has scopes of an API.
CREATE INDEX app_scopes_api ON app_scopes (api_id, app_id);
ALTER TABLE api_scopes ADD COLUMN sensitive INTEGER NOT NULL DEFAULT 0 CHECK (sensitive IN (0, 1));

-- What apps were refused, by error, and which scopes their tokens had. As `usage`: without references.
CREATE TABLE usage_refusals (
    app_id TEXT NOT NULL,
    hour INTEGER NOT NULL,
    error TEXT NOT NULL,
    refused INTEGER NOT NULL,
    PRIMARY KEY (app_id, hour, error)
) STRICT, WITHOUT ROWID;

CREATE TABLE usage_scopes (
    app_id TEXT NOT NULL,
    hour INTEGER NOT NULL,
    scope TEXT NOT NULL,
    issued INTEGER NOT NULL,
    PRIMARY KEY (app_id, hour, scope)
) STRICT, WITHOUT ROWID;

-- Where most tokens of an app went on a day: few addresses each.
CREATE TABLE usage_addresses (
    day INTEGER NOT NULL,
    app_id TEXT NOT NULL,
    address TEXT NOT NULL,
    issued INTEGER NOT NULL,
    PRIMARY KEY (day, app_id, address)
) STRICT, WITHOUT ROWID;

-- Under the id of an organisation stand the sums of its apps: a picture of ten thousand apps is not added up at each look.
INSERT INTO usage (app_id, hour, issued, refused)
SELECT apps.organisation_id, usage.hour, SUM(usage.issued), SUM(usage.refused)
FROM usage JOIN apps ON apps.id = usage.app_id
GROUP BY apps.organisation_id, usage.hour;

-- Keys that end soon, without a look at each app.
CREATE INDEX app_keys_expiry ON app_keys (expires_at) WHERE expires_at IS NOT NULL;
