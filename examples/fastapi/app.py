"""A FastAPI service that verifies access tokens offline with PyJWT."""

import os
from typing import Annotated

import jwt
import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

ISSUER = os.environ.get("ISSUER", "http://127.0.0.1:8080")
AUDIENCE = os.environ.get("AUDIENCE", "https://reports.example.com")
PORT = int(os.environ.get("PORT", "8000"))

# Keeps the keys for five minutes. For a key it does not know it fetches them again, at most once a second.
KEYS = jwt.PyJWKClient(f"{ISSUER}/.well-known/jwks.json", lifespan=300, cooldown_duration=1, timeout=5)

app = FastAPI()
bearer = HTTPBearer(auto_error=False)


def refused(status, error=None, description="Send an access token.", scope=None):
    """The exception for a request that does not get in, with the challenge that says why."""
    named = {"error": error, "error_description": description if error else None, "scope": scope}
    challenge = 'Bearer realm="reports"' + "".join(f', {k}="{v}"' for k, v in named.items() if v)
    return HTTPException(status, description, {"WWW-Authenticate": challenge})


# Not `async`: fetching the keys blocks, so FastAPI runs this on a thread.
def verified(
    needed: SecurityScopes, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> dict:
    """The claims of a good token that has all needed scopes."""
    if credentials is None:
        raise refused(401)
    token = credentials.credentials
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
        raise HTTPException(503, "The keys cannot be fetched at the moment.")
    except jwt.ExpiredSignatureError:
        raise refused(401, "invalid_token", "The access token is expired.")
    except jwt.PyJWTError:
        raise refused(401, "invalid_token", "The access token is not valid here.")
    # Other JWTs of the same issuer are no access tokens (RFC 9068 section 4).
    if decoded["header"].get("typ", "").lower() not in ("at+jwt", "application/at+jwt"):
        raise refused(401, "invalid_token", "The token is not an access token.")
    claims = decoded["payload"]
    # Whoever stole it could send it: only a proof of the key would tell (RFC 9449).
    if "cnf" in claims:
        raise refused(401, "invalid_token", "The access token is bound to a key, and no proofs are checked here.")
    if not set(needed.scopes) <= set(claims.get("scope", "").split()):
        raise refused(403, "insufficient_scope", f"This needs the scope {needed.scope_str}.", needed.scope_str)
    return claims


@app.get("/reports")
def reports(claims: Annotated[dict, Security(verified, scopes=["reports:read"])]):
    return {"reports": [], "client_id": claims["client_id"], "tenant": claims["tenant"]}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT)
