// oauth4webapi signs its requests with every kind of key.
import assert from 'node:assert/strict'
import { importPKCS8 } from 'jose'
import * as oauth from 'oauth4webapi'

const { URL: url, APPS: apps } = process.env
const overHttp = { [oauth.allowInsecureRequests]: true }
const issuer = new URL(url)
const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, overHttp))

for (const { alg, sid, key: right, wrong } of JSON.parse(apps)) {
  // The library calls Ed25519 by a newer name.
  const options = alg === 'EdDSA' ? { [oauth.modifyAssertion]: (header) => (header.alg = alg) } : {}
  const client = { client_id: sid }
  const ask = async (pem, scope) => {
    const authentication = oauth.PrivateKeyJwt({ key: await importPKCS8(pem, alg), kid: 'k' }, options)
    const response = await oauth.clientCredentialsGrantRequest(server, client, authentication, { scope }, overHttp)
    return oauth.processClientCredentialsResponse(server, client, response)
  }
  assert.equal((await ask(right, 'billing:read')).scope, 'billing:read')
  await assert.rejects(ask(right, 'billing:write'), { error: 'invalid_scope' })
  await assert.rejects(ask(wrong, 'billing:read'), { error: 'invalid_client', status: 401 })
}
