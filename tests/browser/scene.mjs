// A story: a server of its own, the people who use it, and a transcript that says where it went wrong.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { Person } from './person.mjs';
import { SETTLED, eventually, within } from './waiting.mjs';

/** Tells one story. What fails is shown with its step, a picture and the text of the page. */
export async function story(tell) {
  const scene = new Scene();
  try {
    await scene.open();
    await tell(scene);
  } catch (error) {
    await scene.fail(error);
  } finally {
    await scene.close();
  }
}

class Scene {
  name = path.basename(process.argv[1], '.mjs');
  /** `mouse`, `plain` (a mouse, and no JavaScript) or `keyboard`. */
  hands = process.env.HANDS ?? 'mouse';
  url = process.env.URL;
  /** Where people sign in elsewhere, in the story that has such a place. */
  provider = process.env.PROVIDER ?? '';
  /** The directory of what was mailed, in the story that has mail. */
  mail = process.env.MAIL ?? '';
  log = process.env.LOG;
  data = process.env.DATA;
  shots = process.env.SHOTS;
  banner = process.env.BANNER ?? '';
  browsers = [];
  people = [];
  /** What is wrong without keeping the story from going on. */
  findings = [];
  now = 'the beginning';

  get script() {
    return this.hands !== 'plain';
  }

  async open() {
    fs.mkdirSync(this.shots, { recursive: true });
    this.browser = await this.#launch([]);
  }

  async #launch(ignoreDefaultArgs) {
    const browser = await chromium.launch({
      executablePath: process.env.CHROMIUM,
      // Root has no sandbox. Nothing but loopback has a name or is a proxy.
      args: ['--no-sandbox', '--no-proxy-server', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost'],
      ignoreDefaultArgs,
      timeout: 3 * SETTLED,
    });
    this.browsers.push(browser);
    return browser;
  }

  /** Somebody with a browser of their own. A `remembering` one keeps pages in memory for the way back, as most do. */
  async person(name, { remembering = false } = {}) {
    const browser = remembering ? await this.#launch(['--disable-back-forward-cache']) : this.browser;
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-GB' });
    context.setDefaultTimeout(SETTLED);
    const person = new Person(this, name, context);
    await person.arrive();
    this.people.push(person);
    return person;
  }

  /** A part of the story, named so that a failure says where. */
  async step(name, act) {
    this.now = name;
    const began = performance.now();
    const answer = await act();
    console.log(`  ${name} (${Math.round(performance.now() - began)} ms)`);
    return answer;
  }

  /** Notes what is wrong and goes on. */
  find(where, what) {
    const finding = `${where}: ${what}`;
    if (!this.findings.includes(finding)) {
      this.findings.push(finding);
    }
  }

  /** The command line on the same data, while the server runs. */
  brevet(...args) {
    return this.brevetReading('', ...args);
  }

  /** The same with something on its standard input. */
  brevetReading(input, ...args) {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('BREVET_')));
    return run(process.env.PROGRAM, ['--data-dir', this.data, ...args], { env, input, cwd: os.tmpdir() });
  }

  async json(...args) {
    return JSON.parse(await this.brevet('--json', ...args));
  }

  /** Makes all sessions older, as if everybody had been away from the keyboard for so long. */
  async age(seconds) {
    const older = `update sessions set seen_at = seen_at - ${seconds}, confirmed_at = confirmed_at - ${seconds}`;
    await this.sql(older);
  }

  /** Changes the database under the server, as time would. */
  sql(statements) {
    const program = 'import sqlite3, sys\nwith sqlite3.connect(sys.argv[1], timeout=10) as db: db.executescript(sys.stdin.read())';
    return run('python3', ['-c', program, path.join(this.data, 'brevet.db')], { input: statements });
  }

  /** The link in the mail with that number, once it has come to that address. */
  async mailedLink(number, address) {
    const text = await eventually(`mail ${number} to ${address}`, () => {
      const file = path.join(this.mail, `${number}-${address}`);
      return fs.existsSync(file) && fs.readFileSync(file, 'utf8');
    });
    const link = text.split(/\s+/).find((word) => word.startsWith(`${this.url}/`));
    assert.ok(link, `no link in the mail:\n${text}`);
    return link;
  }

  /** The slug of the organisation that there is. */
  async organisation() {
    const [{ slug }] = await this.json('org', 'list');
    return slug;
  }

  async fail(error) {
    console.log(`\nFAILED at: ${this.now}\n${error.stack ?? error}`);
    process.exitCode = 1;
    for (const person of this.people) {
      const shot = path.join(this.shots, `failed-${this.name}-${this.hands}-${person.name}.png`);
      const page = person.page;
      const text = await within(3_000, page.locator('body').innerText()).catch((why) => `(${why.message})`);
      await within(3_000, page.screenshot({ path: shot })).catch(() => {});
      console.log(`\n${person.name} is at ${page.url()}, picture: ${shot}\n${indented(text).slice(0, 4_000)}`);
    }
  }

  async close() {
    for (const person of this.people) {
      person.reports.forEach((report) => this.find(person.name, report));
    }
    if (this.findings.length) {
      console.log(`\n${this.findings.length} findings:\n${this.findings.map((finding) => `- ${finding}`).join('\n')}`);
      process.exitCode = 1;
    }
    await within(10_000, Promise.all(this.browsers.map((browser) => browser.close()))).catch(() => {});
    process.exit();
  }
}

function indented(text) {
  return text.split('\n').filter((line) => line.trim()).map((line) => `  | ${line}`).join('\n');
}

/** Runs a program to its end and gives what it printed. */
export function run(program, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = execFile(program, args, { timeout: 60_000, ...options }, (error, stdout, stderr) => {
      if (error) {
        reject(new Error(`${path.basename(program)} ${args.join(' ')}: ${stderr || error.message}`));
      } else {
        resolve(stdout);
      }
    });
    // A program that read nothing may be gone by now. How it ended says whether it should have read.
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
  });
}
