// The life of an app: set-up, API, app, key, token, rotation, revocation, deletion.

import assert from 'node:assert/strict';
import { ask, createApi, createApp, pasteCurl, send, setUp, setupLink, shownOnce, signIn, sure, token, whoami } from './journeys.mjs';
import { story } from './scene.mjs';
import { assertGone, assertGoneAfterBack } from './secrecy.mjs';
import { SETTLED, eventually } from './waiting.mjs';

await story(async (scene) => {
  const ana = await scene.person('ana');
  const { page } = ana;
  const main = page.locator('main');

  await scene.step('the set-up page', async () => {
    await ana.goto(setupLink(scene));
    await ana.look('setup', { signedIn: false });
  });
  await scene.step('sets the server up', () => setUp(scene, ana));
  await scene.step('the link works once', async () => {
    const other = await scene.person('other');
    await other.goto(setupLink(scene));
    assert.ok(other.status >= 400, 'a used link is taken again');
    await other.sees(/brevet setup-link/);
    await other.look('setup-used', { status: other.status, signedIn: false });
  });

  await scene.step('looks at the empty lists', async () => {
    for (const [name, path] of Object.entries({ 'home-first': '/', 'apps-first': '/apps', 'apis-first': '/apis' })) {
      await ana.goto(path);
      await ana.look(name);
    }
  });
  await scene.step('creates an API', () => createApi(ana, {
    name: 'Billing',
    identifier: 'https://billing.example',
    scopes: ['billing:read', 'billing:write'],
  }));
  const app = await scene.step('creates an app', () => createApp(ana, { name: 'invoice-sync', scopes: ['billing:read'] }));
  await scene.step('looks at what is shown once', () => ana.look('app-created'));
  await scene.step('copies the key', () => copyKey(scene, ana, app.key));
  await scene.step('the command on the screen gets a token, and the token opens a door', async () => {
    const seen = await whoami(scene, await pasteCurl(ana));
    assert.equal(seen.status, 200);
    assert.equal(seen.answer.client_id, app.sid);
    assert.equal(seen.answer.app_name, 'invoice-sync');
  });
  await scene.step('sending the form again makes no second key', async () => {
    const again = await page.reload();
    assert.equal(again.status(), 409);
    await ana.sees(/cannot be shown again/i);
    await ana.look('app-created-twice', { status: 409 });
    await ana.goto('/apps');
    assert.equal(await page.getByRole('row', { name: /invoice-sync/ }).count(), 1);
  });
  await scene.step('after the page is left, the key is nowhere', async () => {
    await ana.goto(`/apps/${app.sid}`);
    await assertGone(scene, ana, app);
  });

  let second;
  await scene.step('rotates, the old key lives for a day', async () => {
    second = await rotate(scene, ana, app.sid, /24 h/i);
    await ana.look('key-rotated');
    assert.equal((await token(scene, { ...app })).status, 200, 'the old key is refused while it is retiring');
    assert.equal((await token(scene, second)).status, 200, 'the new key is refused');
    await ana.goto(`/apps/${app.sid}/keys`);
    await ana.sees(/retiring/i);
    await ana.sees(/2[34] ?h/i);
    await ana.look('keys-retiring');
    await assertGone(scene, ana, second);
  });
  let third;
  await scene.step('rotates at once, the old keys are refused', async () => {
    third = await rotate(scene, ana, app.sid, /not at all|at once|now|^no/i);
    await eventually('the old key is refused', async () => (await token(scene, second)).status === 401);
    assert.equal((await token(scene, third)).status, 200);
    await ana.goto(`/apps/${app.sid}/keys`);
  });
  await scene.step('shows when and from where a key was used', async () => {
    await eventually('the use of the key is shown', async () => {
      await ana.goto(`/apps/${app.sid}/keys`);
      return /127\.0\.0\.1/.test(await ana.text());
    }, 3 * SETTLED);
  });
  await scene.step('adds a key and revokes it', async () => {
    await ana.goto(`/apps/${app.sid}/keys`);
    await send(ana, ana.button(/add key/i, main));
    const fourth = await shownOnce(ana);
    assert.equal((await token(scene, fourth)).status, 200);
    await ana.goto(`/apps/${app.sid}/keys`);
    const row = page.getByRole('row', { name: new RegExp(fourth.key.slice(-4)) });
    await ask(ana, ana.link(/revoke/i, row));
    await ana.look('key-revoke');
    await ana.goto(`/apps/${app.sid}/keys`);
    await sure(ana, ana.link(/revoke/i, row), /revoke/i);
    await eventually('a revoked key is refused', async () => (await token(scene, fourth)).status === 401);
    assert.equal((await token(scene, third)).status, 200, 'another key was revoked');
  });
  await scene.step('the last key that lives cannot be revoked', async () => {
    const row = page.getByRole('row', { name: new RegExp(third.key.slice(-4)) });
    await ask(ana, ana.link(/revoke/i, row));
    await ana.sees(/last key/i);
    await ana.look('key-last');
    assert.equal(await ana.button(/revoke/i, main).count(), 0);
    assert.equal((await token(scene, third)).status, 200, 'the last key was revoked');
  });
  await scene.step('disables it', async () => {
    await ana.goto(`/apps/${app.sid}/settings`);
    await ana.look('app-settings-before');
    await ask(ana, ana.link(/^disable/i, main));
    await ana.look('app-disable');
    await ana.goto(`/apps/${app.sid}/settings`);
    await lookAtDialog(scene, ana, ana.link(/^disable/i, main), 'app-disable-dialog');
    await sure(ana, ana.link(/^disable/i, main), /disable/i);
    await eventually('a disabled app gets no token', async () => (await token(scene, third)).status === 401);
    await ana.goto(`/apps/${app.sid}`);
    await ana.sees(/disabled/i);
    await ana.look('app-disabled');
  });
  await scene.step('deletes it by its name', async () => {
    await ana.goto(`/apps/${app.sid}/settings`);
    await ask(ana, ana.link(/^delete/i, main));
    await ana.look('app-delete');
    await ana.fill(/type the name/i, 'invoice-sink');
    await send(ana, ana.button(/delete/i, main));
    assert.equal(ana.status, 422, 'another name is enough to delete it');
    await ana.look('app-delete-refused', { status: 422 });
    await ana.goto(`/apps/${app.sid}/settings`);
    await deleteByName(scene, ana, ana.link(/^delete/i, main), 'invoice-sync');
    await ana.goto('/apps');
    await ana.seesNot(/invoice-sync/);
    await ana.goto(`/apps/${app.sid}`);
    assert.equal(ana.status, 410);
    await ana.look('app-deleted', { status: 410 });
  });
  await scene.step('at the end no key is anywhere', async () => {
    await ana.goto('/');
    for (const shown of [app, second, third]) {
      await assertGone(scene, ana, shown);
    }
  });
  await scene.step('the back button does not bring a key back', async () => {
    const last = await createApp(ana, { name: 'last', scopes: ['billing:read'] });
    await ana.goto('/apps');
    await assertGoneAfterBack(ana, last.key);
    // Most browsers keep whole pages in memory for the way back.
    const bea = await scene.person('bea', { remembering: true });
    await signIn(bea, ana.email);
    const other = await createApp(bea, { name: 'other', scopes: ['billing:read'] });
    await bea.goto('/apps');
    await assertGoneAfterBack(bea, other.key);
  });
});

/** With scripts one press copies, and says so; without them the field gives itself to Ctrl+C. */
async function copyKey(scene, person, key) {
  const { page } = person;
  const field = page.locator(`input[value="${key}"], textarea:text-is("${key}")`).first();
  const copy = page.getByRole('button', { name: /copy/i });
  if (!scene.script) {
    assert.equal(await copy.filter({ visible: true }).count(), 0, 'a button that needs scripts is shown without them');
    await field.focus();
    await page.keyboard.press('Control+A');
    assert.equal(await field.evaluate((element) => element.value.slice(element.selectionStart, element.selectionEnd)), key);
    return;
  }
  const block = page.locator('.copy', { has: field });
  await person.press(person.button(/copy/i, block));
  await eventually('it says that it copied', async () => /copied/i.test(await block.innerText()));
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), key);
  await assertCopiesByHand(person, block, key);
}

/** Where the browser lets no script copy, the text is selected for the keyboard, and the page says which keys to press. */
async function assertCopiesByHand(person, block, text) {
  const { page } = person;
  await page.evaluate(() => { navigator.clipboard.writeText = () => Promise.reject(new DOMException('not allowed', 'NotAllowedError')); });
  const command = page.locator('main pre').last();
  for (const [copied, copy] of [[text, person.button(/copy/i, block)], [await command.textContent(), person.button(/copy the command/i)]]) {
    await person.press(copy);
    await eventually('it says which keys to press', async () => (await page.locator('[data-copied]', { hasText: /press ctrl\+c/i }).count()) > 0);
    // A page cannot see what is selected in a field by another way than its ends.
    const selected = () => page.evaluate(() => {
      const field = document.activeElement;
      return 'selectionStart' in field ? field.value.slice(field.selectionStart, field.selectionEnd) : getSelection().toString();
    });
    await eventually('it is selected', async () => (await selected()).trim() === copied.trim());
  }
}

/** The question in front of the page, as a picture and as machines see it. */
async function lookAtDialog(scene, person, opener, name) {
  if (!scene.script) {
    return;
  }
  await person.press(opener);
  await person.page.locator('dialog[open]').waitFor({ state: 'visible' });
  await person.look(name);
  await person.page.keyboard.press('Escape');
}

async function deleteByName(scene, person, opener, name) {
  const { page } = person;
  await (scene.script ? person.press(opener) : person.follow(opener));
  const asked = page.locator(scene.script ? 'dialog[open]' : 'main');
  await person.fill(/type the name/i, name, asked);
  await send(person, person.button(/delete/i, asked));
}

async function rotate(scene, person, sid, overlap) {
  const main = person.page.locator('main');
  await person.goto(`/apps/${sid}/keys`);
  await person.tick(main.getByRole('radio', { name: overlap }));
  await send(person, person.button(/rotate/i, main));
  assert.equal(person.status, 200, await person.text());
  const shown = await shownOnce(person);
  assert.equal(shown.sid, sid);
  return shown;
}
