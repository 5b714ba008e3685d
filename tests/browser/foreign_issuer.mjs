// A third party that signs tokens: its keys, a certificate, and a place where its JWK set is fetched.

import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import fs from 'node:fs';
import { createServer } from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { run } from './scene.mjs';

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

export class ForeignIssuer {
  #keys = generateKeyPairSync('rsa', { modulusLength: 2048 });

  constructor(name, iss) {
    this.name = name;
    this.iss = iss;
  }

  jwks() {
    return JSON.stringify({ keys: [{ ...this.#keys.publicKey.export({ format: 'jwk' }), kid: 'one', use: 'sig', alg: 'RS256' }] }, null, 2);
  }

  /** A token about somebody; claims that are `undefined` are left out. */
  token(claims) {
    const now = Math.floor(Date.now() / 1000);
    const whole = { iss: this.iss, iat: now, nbf: now, exp: now + 300, jti: randomUUID(), ...claims };
    const signed = `${encode({ alg: 'RS256', typ: 'JWT' })}.${encode(whole)}`;
    return `${signed}.${sign('sha256', Buffer.from(signed), this.#keys.privateKey).toString('base64url')}`;
  }

  /** A certificate of its key that nobody else vouches for, valid from a month ago until so many days from now. */
  async certificate(days) {
    const home = fs.mkdtempSync(path.join(os.tmpdir(), 'foreign-issuer-'));
    const day = (ahead) => `${new Date(Date.now() + ahead * 86_400_000).toISOString().replaceAll(/[-:T]/g, '').slice(0, 14)}Z`;
    const files = {
      'key.pem': this.#keys.privateKey.export({ type: 'pkcs8', format: 'pem' }),
      'index.txt': '',
      'ca.cnf': `[ca]\ndefault_ca = it\n[it]\ndatabase = ${home}/index.txt\nnew_certs_dir = ${home}\nrand_serial = yes\npolicy = any\ndefault_md = sha256\n[any]\ncommonName = supplied\n[req]\ndistinguished_name = dn\n[dn]\n[ext]\nkeyUsage = digitalSignature\n`,
    };
    for (const [name, text] of Object.entries(files)) {
      fs.writeFileSync(path.join(home, name), text);
    }
    const config = ['-batch', '-config', 'ca.cnf'];
    await run('openssl', ['req', '-new', ...config, '-key', 'key.pem', '-subj', `/CN=${this.name}`, '-out', 'it.csr'], { cwd: home });
    const span = ['-startdate', day(-30), '-enddate', day(days)];
    await run('openssl', ['ca', ...config, '-notext', '-in', 'it.csr', '-out', 'it.pem', ...span, '-extensions', 'ext', '-selfsign', '-keyfile', 'key.pem'], { cwd: home });
    const pem = fs.readFileSync(path.join(home, 'it.pem'), 'latin1');
    fs.rmSync(home, { recursive: true });
    return pem;
  }

  /** Puts the JWK set behind a URL, and gives the URL. Elsewhere there is nothing. */
  async publish() {
    const server = createServer((request, response) => {
      const found = request.url === '/jwks';
      response.writeHead(found ? 200 : 404, { 'content-type': 'application/json' }).end(found ? this.jwks() : '{}');
    });
    await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
    return `http://127.0.0.1:${server.address().port}/jwks`;
  }
}
