-- The audiences of trusted issuers, as their policies say: very many organisations may trust one issuer, and a JWT names by
-- its audience the few whom it is for.
CREATE TABLE trusted_issuer_audiences (
    trusted_issuer_id TEXT COLLATE "C" NOT NULL REFERENCES trusted_issuers (id) ON DELETE CASCADE,
    audience TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (trusted_issuer_id, audience)
);

CREATE INDEX trusted_issuer_audiences_audience ON trusted_issuer_audiences (audience, trusted_issuer_id);

INSERT INTO trusted_issuer_audiences (trusted_issuer_id, audience)
SELECT DISTINCT trusted_issuers.id, named.value
FROM trusted_issuers, jsonb_array_elements_text(trusted_issuers.policy::jsonb -> 'audiences') AS named (value);
