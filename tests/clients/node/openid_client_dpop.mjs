// openid-client binds tokens to its key, and repeats by itself what the server wants with a nonce.
import assert from 'node:assert/strict'
import * as client from 'openid-client'

const { URL: url, SID: sid, KEY: key, NONCES: nonces } = process.env
const execute = [client.allowInsecureRequests]
const config = await client.discovery(new URL(url), sid, key, undefined, { execute })
const whoami = new URL(`${url}/api/v1/whoami`)

let asked = 0
config[client.customFetch] = (...request) => {
  asked += 1
  return fetch(...request)
}

for (const alg of ['ES256', 'RS256', 'PS256', 'Ed25519']) {
  // The library calls Ed25519 by a newer name.
  const options = alg === 'Ed25519' ? { [client.modifyAssertion]: (header) => (header.alg = 'EdDSA') } : {}
  const handle = async () => client.getDPoPHandle(config, await client.randomDPoPKeyPair(alg), options)
  const DPoP = await handle()
  asked = 0
  const token = await client.clientCredentialsGrant(config, { scope: 'billing:read' }, { DPoP })
  assert.equal(asked, nonces === 'true' ? 2 : 1)
  assert.equal(token.token_type, 'dpop')
  const answer = await client.fetchProtectedResource(config, token.access_token, whoami, 'GET', null, null, { DPoP })
  assert.equal((await answer.json()).client_id, sid)

  // Whoever has the token alone has nothing.
  const stolen = { authorization: `Bearer ${token.access_token}` }
  assert.equal((await fetch(whoami, { headers: stolen })).status, 401)
  const asBearer = client.fetchProtectedResource(config, token.access_token, whoami, 'GET')
  await assert.rejects(asBearer, (error) => error.cause[0].parameters.error === 'invalid_token')
  const otherKey = { DPoP: await handle() }
  const forged = client.fetchProtectedResource(config, token.access_token, whoami, 'GET', null, null, otherKey)
  await assert.rejects(forged, (error) => error.cause[0].parameters.error === 'invalid_token')
}
