"""Authlib signs its requests with the class of docs/client-authentication.md, as it stands there."""

import json
import os
import pathlib

from authlib.integrations.base_client.errors import OAuthError
from joserfc.jwk import ECKey, OKPKey, RSAKey

ISSUER = os.environ["URL"]
TOKEN_URL = f"{ISSUER}/connect/token"
KINDS = {"RS256": RSAKey, "PS256": RSAKey, "ES256": ECKey, "EdDSA": OKPKey}
APPS = json.loads(os.environ["APPS"])

page = (pathlib.Path(__file__).parents[2] / "docs" / "client-authentication.md").read_text()
block = next(block for block in page.split("```python\n")[1:] if "authlib" in block).split("```")[0]
APP_SID, PRIVATE_KEY = next((app["sid"], RSAKey.import_key(app["key"])) for app in APPS if app["alg"] == "RS256")
exec(block)
assert token["token_type"] == "Bearer", token


def signing(app, key, method, scope=None):
    key = KINDS[app["alg"]].import_key(key)
    made = OAuth2Session(app["sid"], key, scope=scope, token_endpoint_auth_method="private_key_jwt")
    made.register_client_auth_method(method(alg=app["alg"]))
    return made


def refused(error, session):
    try:
        session.fetch_token(TOKEN_URL, grant_type="client_credentials")
    except OAuthError as caught:
        assert caught.error == error, caught
    else:
        raise AssertionError(f"no {error}")


assert {app["alg"] for app in APPS} == set(KINDS)
for app in APPS:
    session = signing(app, app["key"], IssuerPrivateKeyJWT, "billing:read")
    # Twice, because an assertion is good once.
    for _ in range(2):
        token = session.fetch_token(TOKEN_URL, grant_type="client_credentials")
        assert token["scope"] == "billing:read", token
    answer = session.get(f"{ISSUER}/api/v1/whoami")
    assert answer.status_code == 200 and answer.json()["client_id"] == app["sid"], answer.text

    refused("invalid_client", signing(app, app["wrong"], IssuerPrivateKeyJWT))
    refused("invalid_scope", signing(app, app["key"], IssuerPrivateKeyJWT, "billing:write"))
    # What it makes by itself is for the token endpoint.
    refused("invalid_client", signing(app, app["key"], PrivateKeyJWT))
