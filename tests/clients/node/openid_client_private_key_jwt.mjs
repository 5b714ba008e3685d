// openid-client signs its requests with every kind of key.
import assert from 'node:assert/strict'
import { importPKCS8 } from 'jose'
import * as client from 'openid-client'

const { URL: url, APPS: apps } = process.env

for (const { alg, sid, key: right, wrong } of JSON.parse(apps)) {
  // The library calls Ed25519 by a newer name.
  const options = alg === 'EdDSA' ? { [client.modifyAssertion]: (header) => (header.alg = alg) } : {}
  const discover = async (pem, kid) => {
    const authentication = client.PrivateKeyJwt({ key: await importPKCS8(pem, alg), kid }, options)
    const settings = { execute: [client.allowInsecureRequests], algorithm: 'oauth2' }
    return client.discovery(new URL(url), sid, undefined, authentication, settings)
  }
  for (const kid of ['k', undefined]) {
    const config = await discover(right, kid)
    assert.ok(config.serverMetadata().token_endpoint_auth_signing_alg_values_supported.includes(alg))
    // Twice, because an assertion is good once.
    await client.clientCredentialsGrant(config)
    const token = await client.clientCredentialsGrant(config, { scope: 'billing:read' })
    assert.equal(token.scope, 'billing:read')
    const whoami = await client.fetchProtectedResource(config, token.access_token, new URL(`${url}/api/v1/whoami`), 'GET')
    assert.equal((await whoami.json()).client_id, sid)
    await assert.rejects(client.clientCredentialsGrant(config, { scope: 'billing:write' }), { error: 'invalid_scope' })
    await assert.rejects(client.clientCredentialsGrant(await discover(wrong, kid)), { error: 'invalid_client' })
  }
}
