// oauth4webapi, which checks every answer to the letter, gets tokens by Basic and by body and validates them as a
// resource server would.
import assert from 'node:assert/strict'
import * as oauth from 'oauth4webapi'

const { URL: url, SID: sid, KEY: key, AUDIENCE: audience } = process.env
const overHttp = { [oauth.allowInsecureRequests]: true }
const issuer = new URL(url)
const client = { client_id: sid }

const server = await oauth.processDiscoveryResponse(
  issuer,
  await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...overHttp }),
)

const ask = async (method, secret, scope) => {
  const response = await oauth.clientCredentialsGrantRequest(server, client, method(secret), { scope }, overHttp)
  return oauth.processClientCredentialsResponse(server, client, response)
}

for (const method of [oauth.ClientSecretBasic, oauth.ClientSecretPost]) {
  const token = await ask(method, key, 'billing:read')
  assert.equal(token.token_type, 'bearer')
  assert.equal(token.scope, 'billing:read')

  const request = new Request(`${audience}/invoices`, { headers: { authorization: `Bearer ${token.access_token}` } })
  const claims = await oauth.validateJwtAccessToken(server, request, audience, overHttp)
  assert.equal(claims.client_id, sid)
  await assert.rejects(oauth.validateJwtAccessToken(server, request, 'https://other.example', overHttp))

  await assert.rejects(ask(method, key, 'billing:write'), { error: 'invalid_scope' })
  await assert.rejects(ask(method, `${key.slice(0, -1)}_`, 'billing:read'))
}
