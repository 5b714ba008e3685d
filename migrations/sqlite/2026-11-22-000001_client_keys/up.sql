-- How an app proves who it is: with a secret, or with a private key whose public half stands here or behind a URL.
ALTER TABLE apps ADD COLUMN auth_method TEXT NOT NULL DEFAULT 'client_secret' CHECK (auth_method IN ('client_secret', 'private_key_jwt'));
ALTER TABLE apps ADD COLUMN jwks TEXT;
ALTER TABLE apps ADD COLUMN jwks_uri TEXT;
ALTER TABLE apps ADD COLUMN dpop_required INTEGER NOT NULL DEFAULT 0 CHECK (dpop_required IN (0, 1));

-- What may be used only once, remembered until it would be refused anyway.
CREATE TABLE used_jti (
    issuer TEXT NOT NULL,
    purpose TEXT NOT NULL,
    jti TEXT NOT NULL,
    forget_at INTEGER NOT NULL,
    PRIMARY KEY (issuer, purpose, jti)
) STRICT, WITHOUT ROWID;

CREATE INDEX used_jti_forget ON used_jti (forget_at);
