// What people do again and again, by the names that they read on the screen.

import assert from 'node:assert/strict';
import { assertDialog } from './keyboard.mjs';
import { run } from './scene.mjs';

export const PASSWORD = 'a violet tram under the rain';

/** The one-time link that the server printed when it started. */
export function setupLink(scene) {
  const link = scene.banner.match(/http:\/\/\S+\/setup\/\S+/)?.[0];
  assert.ok(link, `the server printed no setup link:\n${scene.banner}`);
  return link;
}

/** Makes the first account, which runs the server. */
export async function setUp(scene, person, { demo = false, email = 'ana@example.com' } = {}) {
  person.email = email;
  await person.goto(setupLink(scene));
  await fillKnown(person, [[/your name/i, 'Ana'], [/organisation/i, 'Acme Ltd']]);
  await person.fill(/e-mail/i, email);
  await fillPasswords(person);
  const tick = person.page.getByRole('checkbox', { name: /demo|example/i });
  if (await tick.count()) {
    await person.tick(tick, demo);
  }
  await person.follow(person.button(/set up|create|finish|begin/i, person.page.locator('main')));
  assert.equal(person.status, 200, `set-up failed: ${await person.text()}`);
}

/** Fills in what there is of these fields; what is filled in already stays. */
async function fillKnown(person, known) {
  for (const [label, text] of known) {
    const field = person.page.locator('main').getByLabel(label);
    if ((await field.count()) && (await field.first().inputValue()) === '') {
      await person.fill(field, text);
    }
  }
}

/** Enters the password in every field that wants a new one. */
export async function fillPasswords(person, password = PASSWORD) {
  const fields = person.page.locator('main input[type=password]');
  for (let at = 0; at < (await fields.count()); at += 1) {
    await person.fill(fields.nth(at), password);
  }
}

/** Makes an account where everybody may. */
export async function signUp(person, email, organisation) {
  person.email = email;
  await person.goto('/signup');
  await fillKnown(person, [[/your name/i, email.split('@')[0]], [/organisation/i, organisation]]);
  await person.fill(/e-mail/i, email);
  await fillPasswords(person);
  await person.follow(person.button(/sign up|create/i, person.page.locator('main')));
}

export async function signIn(person, email, password = PASSWORD, { at = '/login' } = {}) {
  person.email = email;
  if (at) {
    await person.goto(at);
  }
  await person.fill(/e-mail/i, email);
  await person.fill(/password/i, password);
  await person.follow(person.button(/^sign in$/i, person.page.locator('main')));
}

export async function signOut(person) {
  await person.press(person.page.locator('header summary'));
  await person.follow(person.button(/sign out/i, person.page.locator('header')));
}

/** Proves once more who this is, if asked. */
export async function confirm(person, password = PASSWORD) {
  if (await person.page.getByRole('heading', { name: /confirm that it is you/i }).count()) {
    await person.fill(person.page.locator('main input[type=password]'), password);
    await person.follow(person.button(/confirm/i, person.page.locator('main')));
  }
}

/** Presses what sends a form, and proves who this is if that is asked for. */
export async function send(person, target) {
  await person.follow(target);
  await confirm(person);
  return person.status;
}

/** Goes to the page that asks whether to go on. With scripts the same question is asked in a dialog, which can be left. */
export async function ask(person, link) {
  const page = await link.getAttribute('href');
  if (person.scene.script) {
    await assertDialog(person, link);
  }
  await person.goto(page);
}

/** Does what a link leads to: on the page that asks or, with scripts, in the dialog. */
export async function sure(person, link, name) {
  if (person.scene.script) {
    await person.press(link);
    const dialog = person.page.locator('dialog[open]');
    await dialog.waitFor({ state: 'visible' });
    return send(person, person.button(name, dialog));
  }
  await person.follow(link);
  return send(person, person.button(name, person.page.locator('main')));
}

export async function createApi(person, { name, identifier, scopes }) {
  await person.goto('/apis/new');
  await person.fill(/^name/i, name);
  await person.fill(/identifier|audience/i, identifier);
  for (const [at, scope] of scopes.entries()) {
    await person.fill(new RegExp(`name of scope ${at + 1}$`, 'i'), scope);
  }
  await send(person, person.button(/create/i, person.page.locator('main')));
  assert.equal(person.status, 200, await person.text());
}

/** Creates an app by the form and gives what the page shows once. */
export async function createApp(person, { name, scopes }) {
  await person.goto('/apps/new');
  await person.fill(/^name/i, name);
  for (const scope of scopes) {
    await person.tick(person.page.getByRole('checkbox', { name: new RegExp(scope) }));
  }
  await send(person, person.button(/create/i, person.page.locator('main')));
  assert.equal(person.status, 200, await person.text());
  return shownOnce(person);
}

/** What the page with a new key shows. */
export async function shownOnce(person) {
  const all = await person.words();
  const key = all.match(/bvk_[0-9A-Za-z]{49}/)?.[0];
  const sid = all.match(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/)?.[0];
  assert.ok(key, `no App Key at ${person.page.url()}:\n${all}`);
  assert.ok(sid, `no App SID at ${person.page.url()}:\n${all}`);
  return { key, sid };
}

/** The command that the page shows with the key in it, run as it is by a shell. */
export async function pasteCurl(person) {
  const shown = await person.page.evaluate(() => [
    ...[...document.querySelectorAll('main input, main textarea')].map((field) => field.value),
    ...[...document.querySelectorAll('main pre')].map((block) => block.textContent),
  ]);
  const command = shown.find((text) => /^\s*curl\b/.test(text) && /\/connect\/token/.test(text));
  assert.ok(command, `no curl command at ${person.page.url()}`);
  person.effort.commands += 1;
  const answer = await run('bash', ['-c', command]);
  const token = answer.match(/"access_token"\s*:\s*"([^"]+)"/)?.[1];
  assert.ok(token, `no token from\n${command}\n${answer}`);
  return token;
}

/** Asks for a token with curl, as a client does, and gives status and answer. */
export async function token(scene, { sid, key }) {
  const args = ['-s', '-w', '\n%{http_code}', '-u', `${sid}:${key}`, '-d', 'grant_type=client_credentials', `${scene.url}/connect/token`];
  const lines = (await run('curl', args)).split('\n');
  return { status: Number(lines.at(-1)), answer: JSON.parse(lines.slice(0, -1).join('\n')) };
}

export async function whoami(scene, accessToken) {
  const answer = await fetch(`${scene.url}/api/v1/whoami`, { headers: { authorization: `Bearer ${accessToken}` } });
  return { status: answer.status, answer: await answer.json() };
}
