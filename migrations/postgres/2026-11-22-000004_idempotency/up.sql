-- What creations with an idempotency key answered, sealed under the master key: it may hold an App Key.
CREATE TABLE idempotency (
    app_id TEXT NOT NULL,
    key_hash TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    sealed_answer BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (app_id, key_hash)
);

CREATE INDEX idempotency_age ON idempotency (created_at);
