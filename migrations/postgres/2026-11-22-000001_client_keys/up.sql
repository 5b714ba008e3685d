-- How an app proves who it is: with a secret, or with a private key whose public half stands here or behind a URL.
ALTER TABLE apps ADD COLUMN auth_method TEXT NOT NULL DEFAULT 'client_secret' CHECK (auth_method IN ('client_secret', 'private_key_jwt'));
ALTER TABLE apps ADD COLUMN jwks TEXT;
ALTER TABLE apps ADD COLUMN jwks_uri TEXT;
ALTER TABLE apps ADD COLUMN dpop_required BIGINT NOT NULL DEFAULT 0 CHECK (dpop_required IN (0, 1));

-- What may be used only once, remembered until it would be refused anyway.
CREATE TABLE used_jti (
    issuer TEXT COLLATE "C" NOT NULL,
    purpose TEXT COLLATE "C" NOT NULL,
    jti TEXT COLLATE "C" NOT NULL,
    forget_at BIGINT NOT NULL,
    PRIMARY KEY (issuer, purpose, jti)
);

CREATE INDEX used_jti_forget ON used_jti (forget_at);
