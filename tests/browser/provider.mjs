// A place where people sign in elsewhere: as much of OpenID Connect as a browser and this server see of it.

import { createServer } from 'node:http';
import { generateKeyPairSync, sign } from 'node:crypto';

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

export class Provider {
  /** Whoever signs in here, as claims; nobody refuses. */
  visitor = null;
  #keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  #asked = new Map();

  constructor(url) {
    this.url = url;
  }

  start() {
    this.server = createServer((request, response) => {
      const url = new URL(request.url, this.url);
      const answers = {
        '/.well-known/openid-configuration': () => this.#configuration(),
        '/jwks': () => ({ keys: [{ ...this.#keys.publicKey.export({ format: 'jwk' }), kid: 'one', use: 'sig', alg: 'ES256' }] }),
      };
      if (url.pathname === '/authorize') {
        response.writeHead(302, { location: this.#wayBack(url.searchParams) }).end();
      } else if (url.pathname === '/token') {
        let body = '';
        request.on('data', (part) => { body += part; }).on('end', () => this.#answer(response, this.#token(new URLSearchParams(body))));
      } else {
        this.#answer(response, answers[url.pathname]?.());
      }
    });
    return new Promise((resolve) => { this.server.listen(new URL(this.url).port, '127.0.0.1', resolve); });
  }

  #answer(response, document) {
    response.writeHead(document ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify(document ?? {}));
  }

  #configuration() {
    const { url } = this;
    return { issuer: url, authorization_endpoint: `${url}/authorize`, token_endpoint: `${url}/token`, jwks_uri: `${url}/jwks` };
  }

  #wayBack(asked) {
    const back = new URL(asked.get('redirect_uri'));
    back.searchParams.set('state', asked.get('state'));
    if (this.visitor) {
      const code = `code-${this.#asked.size}`;
      this.#asked.set(code, { nonce: asked.get('nonce'), aud: asked.get('client_id'), ...this.visitor });
      back.searchParams.set('code', code);
    } else {
      back.searchParams.set('error', 'access_denied');
    }
    return back.href;
  }

  #token(form) {
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: this.url, iat: now, exp: now + 300, ...this.#asked.get(form.get('code')) };
    const signed = `${encode({ alg: 'ES256', kid: 'one' })}.${encode(claims)}`;
    const signature = sign('sha256', Buffer.from(signed), { key: this.#keys.privateKey, dsaEncoding: 'ieee-p1363' });
    return { token_type: 'Bearer', access_token: 'nothing is asked with it', id_token: `${signed}.${signature.toString('base64url')}` };
  }
}
