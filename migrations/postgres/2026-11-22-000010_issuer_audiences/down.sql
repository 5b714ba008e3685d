DROP TABLE trusted_issuer_audiences;
