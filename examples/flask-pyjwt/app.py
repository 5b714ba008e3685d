"""A Flask service that verifies access tokens offline with PyJWT."""

import os
from functools import wraps

import jwt
from flask import Flask, g, jsonify, request

ISSUER = os.environ.get("ISSUER", "http://127.0.0.1:8080")
AUDIENCE = os.environ.get("AUDIENCE", "https://reports.example.com")
PORT = int(os.environ.get("PORT", "5000"))

# Keeps the keys for five minutes. For a key it does not know it fetches them again, at most once a second.
KEYS = jwt.PyJWKClient(f"{ISSUER}/.well-known/jwks.json", lifespan=300, cooldown_duration=1, timeout=5)

app = Flask(__name__)


class Refused(Exception):
    """A request that does not get in, and the challenge that says why."""

    def __init__(self, status, error=None, description=None, scope=None):
        super().__init__(description)
        self.status = status
        self.body = {"error": error or "unauthorized", "error_description": description or "Send an access token."}
        named = {"error": error, "error_description": description, "scope": scope}
        self.challenge = 'Bearer realm="reports"' + "".join(f', {k}="{v}"' for k, v in named.items() if v)


@app.errorhandler(Refused)
def refused(why):
    return jsonify(why.body), why.status, {"WWW-Authenticate": why.challenge}


def verified_claims():
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Refused(401)
    try:
        key = KEYS.get_signing_key_from_jwt(token)
        decoded = jwt.decode_complete(
            token,
            key,
            algorithms=["RS256"],
            issuer=ISSUER,
            audience=AUDIENCE,
            options={"require": ["iss", "aud", "exp", "iat", "sub", "client_id", "jti"]},
        )
    except jwt.PyJWKClientConnectionError:
        # The keys cannot be had: that is not the client's fault.
        raise Refused(503, "temporarily_unavailable", "The keys cannot be fetched at the moment.")
    except jwt.ExpiredSignatureError:
        raise Refused(401, "invalid_token", "The access token is expired.")
    except jwt.PyJWTError as why:
        app.logger.info("token refused: %s", why)
        raise Refused(401, "invalid_token", "The access token is not valid here.")
    # Other JWTs of the same issuer are no access tokens (RFC 9068 section 4).
    if decoded["header"].get("typ", "").lower() not in ("at+jwt", "application/at+jwt"):
        raise Refused(401, "invalid_token", "The token is not an access token.")
    # Whoever stole it could send it: only a proof of the key would tell (RFC 9449).
    if "cnf" in decoded["payload"]:
        raise Refused(401, "invalid_token", "The access token is bound to a key, and no proofs are checked here.")
    return decoded["payload"]


def requires(scope):
    """Lets a view run only for a good token with this scope; its claims are in g.claims."""

    def decorate(view):
        @wraps(view)
        def guarded(*args, **kwargs):
            g.claims = verified_claims()
            if scope not in g.claims.get("scope", "").split():
                raise Refused(403, "insufficient_scope", f"This needs the scope {scope}.", scope)
            return view(*args, **kwargs)

        return guarded

    return decorate


@app.get("/reports")
@requires("reports:read")
def reports():
    return {"reports": [], "client_id": g.claims["client_id"], "tenant": g.claims["tenant"]}


if __name__ == "__main__":
    app.run("127.0.0.1", PORT)
