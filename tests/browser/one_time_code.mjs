// What an authenticator app does (RFC 6238), with the secret that the page shows.

import { createHmac } from 'node:crypto';

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const STEP = 30;

export class Authenticator {
  #secret;
  #used = 0;

  constructor(base32) {
    const bits = [...base32.replaceAll(/[\s=]/g, '').toUpperCase()].map((letter) => LETTERS.indexOf(letter).toString(2).padStart(5, '0')).join('');
    this.#secret = Buffer.from(bits.match(/.{8}/g).map((octet) => parseInt(octet, 2)));
  }

  #at(step) {
    const counter = Buffer.alloc(8);
    counter.writeBigUInt64BE(BigInt(step));
    const digest = createHmac('sha1', this.#secret).update(counter).digest();
    const offset = digest.at(-1) & 15;
    return String((digest.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, '0');
  }

  /** A code that was not given before: servers take none twice, so this may wait for the next. */
  async code() {
    const now = () => Math.floor(Date.now() / 1000 / STEP);
    while (now() <= this.#used) {
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    this.#used = now();
    return this.#at(this.#used);
  }

  /** The latest code once more. */
  again() {
    return this.#at(this.#used);
  }
}
