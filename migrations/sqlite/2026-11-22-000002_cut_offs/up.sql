-- Apps that are gone, while tokens of theirs may still be alive: services that verify offline must hear of them.
CREATE TABLE deleted_apps (
    id TEXT NOT NULL PRIMARY KEY,
    deleted_at BIGINT NOT NULL
);

CREATE INDEX deleted_apps_time ON deleted_apps (deleted_at);

-- The few apps that the revocation feed names are found among all without reading all.
CREATE INDEX apps_disabled ON apps (disabled_at);
CREATE INDEX apps_not_before ON apps (not_before);
