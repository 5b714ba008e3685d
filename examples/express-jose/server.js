// An Express service that verifies access tokens offline with jose.

import express from "express";
import { createRemoteJWKSet, errors, jwtVerify } from "jose";

const ISSUER = process.env.ISSUER ?? "http://127.0.0.1:8080";
const AUDIENCE = process.env.AUDIENCE ?? "https://reports.example.com";
const PORT = Number(process.env.PORT ?? 3000);

// Keeps the keys for five minutes. For a key it does not know it fetches them again, at most once a second.
const keys = createRemoteJWKSet(new URL(`${ISSUER}/.well-known/jwks.json`), {
  cacheMaxAge: 300_000,
  cooldownDuration: 1_000,
  timeoutDuration: 5_000,
});

// Answers with the challenge that says why a request does not get in.
function refuse(response, status, error, description, scope) {
  const named = Object.entries({ error, error_description: description, scope }).filter(([, value]) => value);
  const challenge = ['Bearer realm="reports"', ...named.map(([name, value]) => `${name}="${value}"`)].join(", ");
  response.status(status).set("WWW-Authenticate", challenge);
  response.json({ error: error ?? "unauthorized", error_description: description ?? "Send an access token." });
}

// Lets a request on only with a good token that has this scope; its claims are in request.claims.
function requires(scope) {
  return async (request, response, next) => {
    const [, token] = /^bearer +(\S+)$/i.exec(request.get("Authorization") ?? "") ?? [];
    if (!token) return refuse(response, 401);
    try {
      const { payload } = await jwtVerify(token, keys, {
        algorithms: ["RS256"],
        issuer: ISSUER,
        audience: AUDIENCE,
        typ: "at+jwt", // other JWTs of the same issuer are no access tokens (RFC 9068 section 4)
        requiredClaims: ["exp", "iat", "sub", "client_id", "jti"],
      });
      request.claims = payload;
    } catch (error) {
      if (error instanceof errors.JWTExpired) {
        return refuse(response, 401, "invalid_token", "The access token is expired.");
      }
      if (isAboutTheToken(error)) return refuse(response, 401, "invalid_token", "The access token is not valid here.");
      // The keys cannot be had: that is not the client's fault.
      console.error("the keys cannot be fetched:", error.message);
      return response.status(503).json({ error: "temporarily_unavailable" });
    }
    // Whoever stole it could send it: only a proof of the key would tell (RFC 9449).
    if (request.claims.cnf) {
      return refuse(response, 401, "invalid_token", "The access token is bound to a key, and no proofs are checked here.");
    }
    const granted = (request.claims.scope ?? "").split(" ");
    if (!granted.includes(scope)) {
      return refuse(response, 403, "insufficient_scope", `This needs the scope ${scope}.`, scope);
    }
    next();
  };
}

// jose throws errors of its own for tokens and for key sets; a failed fetch is something else.
function isAboutTheToken(error) {
  const aboutKeys = [errors.JWKSTimeout, errors.JWKSInvalid];
  const isGeneric = error.code === "ERR_JOSE_GENERIC"; // the answer was not 200 or not JSON
  return error instanceof errors.JOSEError && !isGeneric && !aboutKeys.some((kind) => error instanceof kind);
}

const app = express();
app.disable("x-powered-by");

app.get("/reports", requires("reports:read"), (request, response) => {
  response.json({ reports: [], client_id: request.claims.client_id, tenant: request.claims.tenant });
});

app.listen(PORT, "127.0.0.1");
