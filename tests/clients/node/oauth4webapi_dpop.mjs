// oauth4webapi binds tokens to its key, is told when the server wants a nonce, and checks proofs as a service would.
import assert from 'node:assert/strict'
import * as oauth from 'oauth4webapi'

const { URL: url, SID: sid, KEY: key, AUDIENCE: audience, NONCES: nonces } = process.env
const overHttp = { [oauth.allowInsecureRequests]: true }
const issuer = new URL(url)
const client = { client_id: sid }
const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, overHttp))
const whoami = new URL(`${url}/api/v1/whoami`)

const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256', { extractable: false }))
const withProof = { DPoP, ...overHttp }
const ask = async () => {
  const form = { scope: 'billing:read' }
  const response = await oauth.clientCredentialsGrantRequest(server, client, oauth.ClientSecretBasic(key), form, withProof)
  return oauth.processClientCredentialsResponse(server, client, response)
}

if (nonces === 'true') await assert.rejects(ask(), oauth.isDPoPNonceError)
const token = await ask()
assert.equal(token.token_type, 'dpop')
const answer = await oauth.protectedResourceRequest(token.access_token, 'GET', whoami, undefined, null, withProof)
assert.equal((await answer.json()).client_id, sid)
const asBearer = oauth.protectedResourceRequest(token.access_token, 'GET', whoami, undefined, null, overHttp)
await assert.rejects(asBearer, (error) => error.status === 401 && error.cause[0].parameters.error === 'invalid_token')

// A service that verifies offline: the request it would get, and one with the token alone.
let reached
const service = { ...withProof, [oauth.customFetch]: (...request) => ((reached = new Request(...request)), new Response()) }
await oauth.protectedResourceRequest(token.access_token, 'GET', new URL(`${audience}/invoices`), undefined, null, service)
const claims = await oauth.validateJwtAccessToken(server, reached, audience, overHttp)
assert.equal(claims.cnf.jkt, await DPoP.calculateThumbprint())
reached.headers.delete('dpop')
await assert.rejects(oauth.validateJwtAccessToken(server, reached, audience, overHttp))
