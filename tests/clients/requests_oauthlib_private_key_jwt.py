"""requests-oauthlib sends assertions made by the function of docs/client-authentication.md, as it stands there."""

import json
import os
import pathlib

from oauthlib.oauth2 import BackendApplicationClient, InvalidClientError
from requests_oauthlib import OAuth2Session

ISSUER = os.environ["URL"]
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

page = (pathlib.Path(__file__).parents[2] / "docs" / "client-authentication.md").read_text()
block = next(block for block in page.split("```python\n")[1:] if "msal" in block).split("```")[0]
app = next(app for app in json.loads(os.environ["APPS"]) if app["alg"] == "RS256")
session = OAuth2Session(client=BackendApplicationClient(client_id=app["sid"], scope=["billing:read"]))


def fetch(key):
    names = {"APP_SID": app["sid"], "PRIVATE_KEY": key, "ISSUER": ISSUER}
    exec(block.split("app = ")[0], names)
    proven = {"client_assertion_type": JWT_BEARER, "client_assertion": names["assertion"]()}
    return session.fetch_token(f"{ISSUER}/connect/token", include_client_id=True, **proven)


# Twice, because an assertion is good once.
for _ in range(2):
    assert fetch(app["key"])["scope"] == ["billing:read"]
answer = session.get(f"{ISSUER}/api/v1/whoami")
assert answer.status_code == 200 and answer.json()["client_id"] == app["sid"], answer.text
try:
    fetch(app["wrong"])
except InvalidClientError:
    pass
else:
    raise AssertionError("another key got a token")
