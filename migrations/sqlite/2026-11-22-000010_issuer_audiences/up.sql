-- The audiences of trusted issuers, as their policies say: very many organisations may trust one issuer, and a JWT names by
-- its audience the few whom it is for.
CREATE TABLE trusted_issuer_audiences (
    trusted_issuer_id TEXT NOT NULL REFERENCES trusted_issuers (id) ON DELETE CASCADE,
    audience TEXT NOT NULL,
    PRIMARY KEY (trusted_issuer_id, audience)
) STRICT, WITHOUT ROWID;

CREATE INDEX trusted_issuer_audiences_audience ON trusted_issuer_audiences (audience, trusted_issuer_id);

INSERT INTO trusted_issuer_audiences (trusted_issuer_id, audience)
SELECT DISTINCT trusted_issuers.id, named.value
FROM trusted_issuers, json_each(trusted_issuers.policy, '$.audiences') AS named;
