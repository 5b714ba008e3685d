"""The usual guard of a Flask service: PyJWT with the published keys, no code of Brevet's."""

import json
import os
import sys
import time
import urllib.parse
import urllib.request

import jwt

URL, SID, KEY = os.environ["URL"], os.environ["SID"], os.environ["KEY"]
AUDIENCE = os.environ["AUDIENCE"]


def fetch_json(request):
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


discovery = fetch_json(f"{URL}/.well-known/openid-configuration")
assert discovery["issuer"] == URL, discovery
keys = jwt.PyJWKClient(discovery["jwks_uri"])


def new_token():
    form = {"grant_type": "client_credentials", "client_id": SID, "client_secret": KEY, "scope": "billing:read"}
    request = urllib.request.Request(discovery["token_endpoint"], urllib.parse.urlencode(form).encode())
    return fetch_json(request)["access_token"]


def verify(token, **others):
    expected = {"audience": AUDIENCE, "issuer": discovery["issuer"], "algorithms": ["RS256"]} | others
    required = ["iss", "aud", "exp", "iat", "nbf", "sub", "jti", "client_id"]
    key = keys.get_signing_key_from_jwt(token)
    return jwt.decode(token, key.key, options={"require": required}, **expected)


def refused(error, token, **others):
    try:
        verify(token, **others)
    except error:
        return
    raise AssertionError(f"no {error.__name__}")


token = new_token()
claims = verify(token)
assert claims["sub"] == claims["client_id"] == SID, claims
assert claims["scope"].split() == ["billing:read"], claims
assert jwt.get_unverified_header(token)["typ"] == "at+jwt"
refused(jwt.InvalidAudienceError, token, audience="https://other.example")
refused(jwt.InvalidIssuerError, token, issuer="https://other.example")
head, body, signature = token.split(".")
changed = signature[:-9] + ("A" if signature[-9] != "A" else "B") + signature[-8:]
refused(jwt.InvalidSignatureError, f"{head}.{body}.{changed}")



def rotated(old):
    """A token signed by the key that takes over."""
    print("rotate", flush=True)
    sys.stdin.readline()
    kid = jwt.get_unverified_header(old)["kid"]
    for _ in range(600):
        fresh = new_token()
        if jwt.get_unverified_header(fresh)["kid"] != kid:
            return fresh
        time.sleep(0.1)
    raise AssertionError("the new key never signed")


# The next key was published before the guard fetched the keys, so it knows it already: PyJWT fetches again at most every
# 30 seconds, and old and new tokens hold in between.
second = rotated(token)
assert verify(second)["sub"] == SID
assert verify(token)["sub"] == SID

# A key that signs without having been published long before is found by guards that fetch for every unknown one.
keys = jwt.PyJWKClient(discovery["jwks_uri"], cooldown_duration=0)
assert verify(second)["sub"] == SID
third = rotated(second)
assert verify(third)["sub"] == SID
assert verify(token)["sub"] == SID

# An app whose tokens live ten seconds.
print("shorten", flush=True)
SID, KEY = sys.stdin.readline().split()
short = new_token()
ends_at = verify(short)["exp"]
time.sleep(max(0, ends_at - time.time()) + 0.5)
refused(jwt.ExpiredSignatureError, short)
print("done", flush=True)
