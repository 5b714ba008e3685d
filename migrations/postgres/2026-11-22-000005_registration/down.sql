DROP TABLE registered_client_scopes;
DROP TABLE registered_clients;
DROP TABLE registration_token_scopes;
DROP TABLE registration_tokens;
