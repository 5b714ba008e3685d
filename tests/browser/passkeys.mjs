// Passkeys, with an authenticator that the browser makes up: what a person does with a finger happens by itself.

import assert from 'node:assert/strict';
import { confirm, setUp, signOut } from './journeys.mjs';
import { story } from './scene.mjs';

await story(async (scene) => {
  const ana = await scene.person('ana');
  const main = ana.page.locator('main');
  const { devtools } = ana;
  await devtools.send('WebAuthn.enable');
  const { authenticatorId } = await devtools.send('WebAuthn.addVirtualAuthenticator', {
    options: { protocol: 'ctap2', ctap2Version: 'ctap2_1', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
  });
  const finger = (isUserVerified) => devtools.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified });
  const held = async () => (await devtools.send('WebAuthn.getCredentials', { authenticatorId })).credentials;
  const add = async () => {
    await ana.goto('/account');
    await ana.follow(ana.button(/add a passkey/i, main));
    await confirm(ana);
    assert.equal(ana.path, '/account/passkeys');
  };

  await scene.step('sets the server up', () => setUp(scene, ana));
  await scene.step('adds a passkey', async () => {
    await ana.goto('/account');
    await ana.look('account-no-passkey');
    await add();
    await ana.look('passkey-add');
    // The finger of somebody else: nothing is added, and the page says so.
    await finger(false);
    await ana.fill(/^name/i, 'Telephone');
    await ana.press(ana.button(/add a passkey/i, main));
    await ana.sees(/cancelled, or it took too long/i);
    await finger(true);
    await ana.follow(ana.button(/add a passkey/i, main));
    assert.equal(ana.path, '/account');
    await ana.sees(/telephone/i);
    await ana.look('account-passkey');
    const [credential] = await held();
    assert.ok(credential.isResidentCredential, 'a name must be typed to sign in with it');
  });
  await scene.step('a device has one passkey for an account; the Enter key asks for it too', async () => {
    await add();
    await ana.fill(/^name/i, 'The same telephone');
    await ana.page.keyboard.press('Enter');
    await ana.sees(/that device has a passkey for your account already/i);
    assert.equal((await held()).length, 1);
  });
  await scene.step('signs in with it, to the page that she wanted', async () => {
    await signOut(ana);
    await ana.goto('/audit');
    assert.equal(ana.path, '/login');
    await ana.look('login-passkey', { signedIn: false });
    await finger(false);
    await ana.press(ana.button(/sign in with a passkey/i, main));
    await ana.sees(/cancelled, or it took too long/i);
    await finger(true);
    await ana.follow(ana.button(/sign in with a passkey/i, main));
    assert.equal(ana.path, '/audit');
  });
  await scene.step('proves with it once more who she is, and what she began is done', async () => {
    await scene.age(700);
    await ana.goto('/account');
    await ana.follow(ana.button(/set up an authenticator app/i, main));
    await ana.sees(/confirm that it is you/i);
    await ana.look('confirm-passkey', { status: ana.status });
    await ana.follow(ana.button(/confirm with a passkey/i, main));
    await ana.sees(/scan this code/i);
  });
  await scene.step('removes it, and it opens nothing any more', async () => {
    await scene.age(700);
    await ana.goto('/account');
    await ana.follow(ana.button(/remove the passkey telephone/i, main));
    await ana.follow(ana.button(/confirm with a passkey/i, main));
    assert.equal(ana.path, '/account');
    assert.equal(await ana.button(/remove the passkey/i, main).count(), 0);
    await signOut(ana);
    await ana.goto('/login');
    await ana.follow(ana.button(/sign in with a passkey/i, main));
    assert.equal(ana.status, 422);
    await ana.look('login-passkey-refused', { status: 422, signedIn: false });
  });
});
