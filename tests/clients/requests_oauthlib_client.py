"""requests-oauthlib gets tokens by Basic and by body, and is told when the key is wrong."""

import os

from oauthlib.oauth2 import BackendApplicationClient, InvalidClientError, InvalidScopeError
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

URL, SID, KEY = os.environ["URL"], os.environ["SID"], os.environ["KEY"]
TOKEN_URL = f"{URL}/connect/token"


def by_basic(session, key):
    return session.fetch_token(TOKEN_URL, auth=HTTPBasicAuth(SID, key))


def by_body(session, key):
    return session.fetch_token(TOKEN_URL, include_client_id=True, client_secret=key)


def session(scope=None):
    return OAuth2Session(client=BackendApplicationClient(client_id=SID, scope=scope))


for fetch in (by_basic, by_body):
    # It raises by itself if the scope of the answer is another than it asked for.
    asked = session(["billing:read"])
    token = fetch(asked, KEY)
    assert token["expires_in"] == 86400, token
    answer = asked.get(f"{URL}/api/v1/whoami")
    assert answer.status_code == 200, answer.text
    assert answer.json()["scope"] == "billing:read", answer.text
    assert set(fetch(session(), KEY)["scope"]) == {"billing:read", "apps:read"}

    for expected, scope, key in (
        (InvalidClientError, None, KEY[:-1] + "_"),
        (InvalidScopeError, ["billing:write"], KEY),
    ):
        try:
            fetch(session(scope), key)
        except expected:
            continue
        raise AssertionError(f"{fetch.__name__}: no {expected.__name__}")
