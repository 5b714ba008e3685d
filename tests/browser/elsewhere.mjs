// Signing in elsewhere, at an OpenID Connect provider.

import assert from 'node:assert/strict';
import { confirm, send, setUp, signOut } from './journeys.mjs';
import { Provider } from './provider.mjs';
import { story } from './scene.mjs';

await story(async (scene) => {
  const corp = new Provider(scene.provider);
  await corp.start();
  const ana = await scene.person('ana');
  const main = ana.page.locator('main');
  const button = ana.link(/sign in with example corp/i, main);

  await scene.step('sets the server up', async () => {
    await setUp(scene, ana);
    await signOut(ana);
    await ana.goto('/login');
    await ana.look('login-providers', { signedIn: false });
  });
  await scene.step('whom nobody here knows finds no account', async () => {
    corp.visitor = { sub: 'ana-1', email: 'private@corp.example', email_verified: true };
    assert.equal(await ana.follow(button), 403);
    await ana.look('no-account', { status: 403, signedIn: false });
    await ana.follow(ana.link(/sign in another way/i, main));
    assert.equal(ana.path, '/login');
  });
  await scene.step('who does not go on there is told so', async () => {
    const visitor = corp.visitor;
    corp.visitor = null;
    assert.equal(await ana.follow(button), 422);
    await ana.look('login-elsewhere-refused', { status: 422, signedIn: false });
    corp.visitor = visitor;
  });
  await scene.step('connects the account there with hers', async () => {
    await ana.fill(/e-mail/i, ana.email);
    await ana.fill(/password/i, 'a violet tram under the rain');
    await ana.follow(ana.button(/^sign in$/i, main));
    await ana.goto('/account');
    await ana.look('account-not-connected');
    await ana.follow(ana.link(/connect example corp/i, main));
    await ana.sees(/private@corp\.example/);
    await ana.look('connect');
    await send(ana, ana.button(/connect example corp/i, main));
    assert.equal(ana.path, '/account');
    await ana.sees(/connected/i);
    await ana.look('account-connected');
  });
  await scene.step('and comes in that way, to the page that she wanted', async () => {
    await signOut(ana);
    await ana.goto('/audit');
    assert.equal(ana.path, '/login');
    await ana.follow(button);
    assert.equal(ana.path, '/audit');
    await ana.sees(/user\.identity-connect/);
  });
  await scene.step('what is disconnected opens nothing', async () => {
    await ana.goto('/account');
    await ana.follow(ana.button(/disconnect/i, main));
    await confirm(ana);
    assert.equal(ana.path, '/account');
    await signOut(ana);
    await ana.goto('/login');
    assert.equal(await ana.follow(button), 403);
  });
});
