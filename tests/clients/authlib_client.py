"""Authlib finds the server by discovery, gets tokens by Basic and by body, and is told when the key is wrong."""

import os

import requests
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url

URL, SID, KEY = os.environ["URL"], os.environ["SID"], os.environ["KEY"]

metadata = AuthorizationServerMetadata(requests.get(get_well_known_url(URL, external=True)).json())
assert metadata["response_types_supported"] == [], metadata
# The library takes the empty list for a missing one.
metadata["response_types_supported"] = ["none"]
metadata.validate()
assert metadata.issuer == URL, metadata
TOKEN_URL = metadata.token_endpoint

for method in ("client_secret_basic", "client_secret_post"):
    assert method in metadata.token_endpoint_auth_methods_supported
    session = OAuth2Session(SID, KEY, scope="billing:read", token_endpoint_auth_method=method)
    token = session.fetch_token(TOKEN_URL, grant_type="client_credentials")
    assert token["token_type"] == "Bearer", token
    assert token["expires_in"] == 86400, token
    assert token["scope"] == "billing:read", token
    assert "refresh_token" not in token, token
    answer = session.get(f"{URL}/api/v1/whoami")
    assert answer.status_code == 200, answer.text
    assert answer.json()["client_id"] == SID, answer.text
    assert answer.json()["scope"] == "billing:read", answer.text

    everything = OAuth2Session(SID, KEY, token_endpoint_auth_method=method)
    token = everything.fetch_token(TOKEN_URL, grant_type="client_credentials")
    assert set(token["scope"].split()) == {"billing:read", "apps:read"}, token

    wrong = OAuth2Session(SID, KEY[:-1] + "_", token_endpoint_auth_method=method)
    try:
        wrong.fetch_token(TOKEN_URL, grant_type="client_credentials")
    except OAuthError as error:
        assert error.error == "invalid_client", error
    else:
        raise AssertionError(f"{method}: a wrong key got a token")

    greedy = OAuth2Session(SID, KEY, scope="billing:write", token_endpoint_auth_method=method)
    try:
        greedy.fetch_token(TOKEN_URL, grant_type="client_credentials")
    except OAuthError as error:
        assert error.error == "invalid_scope", error
    else:
        raise AssertionError(f"{method}: a scope that was not granted was given")
