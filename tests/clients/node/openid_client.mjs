// openid-client finds the server by discovery, gets tokens by Basic and by body, and is told what was wrong; jose
// verifies what it got.
import assert from 'node:assert/strict'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import * as client from 'openid-client'

const { URL: url, SID: sid, KEY: key, AUDIENCE: audience } = process.env
const overHttp = { execute: [client.allowInsecureRequests] }
const verifies = createRemoteJWKSet(new URL(`${url}/.well-known/jwks.json`))

const refusal = async (asked) => {
  const error = await asked.then(() => assert.fail('a token was given'), (error) => error)
  return error.error ?? error.cause?.error ?? error.cause?.[0]?.parameters ?? error
}

for (const algorithm of ['oidc', 'oauth2']) {
  for (const method of [client.ClientSecretBasic, client.ClientSecretPost]) {
    const discover = (secret) =>
      client.discovery(new URL(url), sid, undefined, method(secret), { algorithm, ...overHttp })
    const config = await discover(key)
    assert.equal(config.serverMetadata().issuer, url)

    const token = await client.clientCredentialsGrant(config, { scope: 'billing:read' })
    assert.equal(token.token_type, 'bearer')
    assert.equal(token.expires_in, 86400)
    assert.equal(token.scope, 'billing:read')
    const { payload, protectedHeader } = await jwtVerify(token.access_token, verifies, {
      issuer: url,
      audience,
      typ: 'at+jwt',
      algorithms: ['RS256'],
    })
    assert.equal(payload.client_id, sid)
    const elsewhere = { issuer: url, audience: 'https://other.example' }
    await assert.rejects(jwtVerify(token.access_token, verifies, elsewhere), { claim: 'aud' })
    const later = { issuer: url, audience, currentDate: new Date((payload.exp + 1) * 1000) }
    await assert.rejects(jwtVerify(token.access_token, verifies, later), { code: 'ERR_JWT_EXPIRED' })
    const everything = await client.clientCredentialsGrant(config)
    assert.deepEqual(everything.scope.split(' ').sort(), ['apps:read', 'billing:read'])
    assert.ok(protectedHeader.kid)

    const whoami = await client.fetchProtectedResource(config, token.access_token, new URL(`${url}/api/v1/whoami`), 'GET')
    assert.equal((await whoami.json()).client_id, sid)

    assert.equal(await refusal(client.clientCredentialsGrant(config, { scope: 'billing:write' })), 'invalid_scope')
    const target = { scope: 'billing:read', resource: 'https://other.example' }
    assert.equal(await refusal(client.clientCredentialsGrant(config, target)), 'invalid_target')
    const wrong = await discover(`${key.slice(0, -1)}_`)
    const told = await refusal(client.clientCredentialsGrant(wrong, { scope: 'billing:read' }))
    // By Basic the library hands on the challenge instead of the error.
    if (method === client.ClientSecretBasic) assert.equal(told.realm, 'brevet')
    else assert.equal(told, 'invalid_client')
  }
}
