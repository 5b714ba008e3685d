// What comes by mail: the proof of an address, a way back in, an invitation.

import assert from 'node:assert/strict';
import { PASSWORD, fillPasswords, send, setUp, signIn, signOut, signUp } from './journeys.mjs';
import { story } from './scene.mjs';

const EMAIL = 'bo@example.com';
const LATER = 'seven otters under a bridge';

await story(async (scene) => {
  const ana = await scene.person('ana');
  const bo = await scene.person('bo');
  const main = bo.page.locator('main');
  const open = async (person, link, name) => {
    await person.goto(link);
    await person.look(name, { signedIn: false });
  };
  const isUsed = async (person, link, name) => {
    assert.equal(await person.goto(link), 410, 'a used link is taken again');
    await person.look(name, { status: 410, signedIn: false });
  };

  await scene.step('sets the server up', () => setUp(scene, ana));
  await scene.step('signs up, and there is no account yet', async () => {
    await signUp(bo, EMAIL, 'Bo Ltd');
    await bo.sees(/look into your mail/i);
    await bo.look('signup-mailed', { signedIn: false });
    await signIn(bo, EMAIL);
    assert.equal(bo.status, 422, 'who has not proven the address signs in');
  });
  await scene.step('proves the address with the link and the password', async () => {
    const link = await scene.mailedLink(1, EMAIL);
    await open(bo, link, 'verify');
    await bo.fill(/password/i, 'what a stranger chose', main);
    await bo.follow(bo.button(/confirm/i, main));
    await bo.look('verify-refused', { status: 422, signedIn: false });
    await bo.fill(/password/i, PASSWORD, main);
    assert.equal(await bo.follow(bo.button(/confirm/i, main)), 200);
    await bo.sees(/your account is ready/i);
    await bo.look('verified');
    await signOut(bo);
    await isUsed(bo, link, 'verify-used');
  });
  await scene.step('asks for a way back in', async () => {
    await bo.goto('/login');
    await bo.follow(bo.link(/forgotten/i, main));
    await bo.look('reset-ask-mail', { signedIn: false });
    await bo.fill(/e-mail/i, EMAIL, main);
    await bo.follow(bo.button(/send the link/i, main));
    await bo.sees(/look into your mail/i);
    await bo.look('reset-sent', { signedIn: false });
  });
  await scene.step('chooses another password', async () => {
    const link = await scene.mailedLink(2, EMAIL);
    await open(bo, link, 'reset-mailed');
    await fillPasswords(bo, LATER);
    assert.equal(await bo.follow(bo.button(/set the password/i, main)), 200);
    await isUsed(bo, link, 'reset-mailed-used');
    await signIn(bo, EMAIL, PASSWORD);
    assert.equal(bo.status, 422, 'the old password opens the account');
    await signIn(bo, EMAIL, LATER);
    assert.equal(bo.status, 200);
  });
  await scene.step('invites somebody, and sees no link', async () => {
    await ana.goto('/team');
    await ana.look('team-mail');
    await ana.fill(/e-mail/i, 'cy@example.com');
    await ana.choose(/^role$/i, 'developer', ana.page.locator('main'));
    await send(ana, ana.button(/invite/i, ana.page.locator('main')));
    await ana.sees(/cy@example\.com/);
    assert.doesNotMatch(await ana.words(), /\/invite\//);
    if (scene.script) {
      await ana.sees(/in 7 days/);
    }
    await ana.look('team-invited-by-mail');
  });
  await scene.step('who is invited comes in', async () => {
    const cy = await scene.person('cy');
    await open(cy, await scene.mailedLink(3, 'cy@example.com'), 'invitation-mailed');
    await fillPasswords(cy);
    await cy.follow(cy.button(/accept|join|create/i, cy.page.locator('main')));
    await cy.goto('/apps');
    assert.equal(cy.path, '/apps');
  });
});
