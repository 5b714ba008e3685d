// Somebody's own account: sign-up, one-time codes, recovery codes, sessions.

import assert from 'node:assert/strict';
import { PASSWORD, confirm, fillPasswords, send, signIn, signOut, signUp } from './journeys.mjs';
import { Authenticator } from './one_time_code.mjs';
import { story } from './scene.mjs';

const EMAIL = 'bo@example.com';

await story(async (scene) => {
  const bo = await scene.person('bo');
  const { page } = bo;
  const main = page.locator('main');

  await scene.step('the sign-up page says why a password is no good', async () => {
    await bo.goto('/signup');
    await bo.look('signup', { signedIn: false });
    await bo.fill(/e-mail/i, EMAIL);
    await bo.fill(/organisation/i, 'Bo Ltd');
    await fillPasswords(bo, 'password1234567');
    await bo.follow(bo.button(/sign up/i, main));
    assert.equal(bo.status, 422);
    await bo.sees(/common|guess|known|list/i);
    assert.equal(await bo.field(/e-mail/i, main).first().inputValue(), EMAIL, 'the address is not kept');
    assert.equal(await main.locator('input[type=password]').first().inputValue(), '', 'the password is put back');
    await bo.look('signup-refused', { status: 422, signedIn: false });
  });
  await scene.step('signs up', async () => {
    await signUp(bo, EMAIL, 'Bo Ltd');
    assert.equal(bo.status, 200, await bo.text());
    await bo.look('signup-done', { signedIn: false });
  });
  await scene.step('signs in, if signing up did not', async () => {
    await bo.goto('/account');
    if (bo.path === '/login') {
      await signIn(bo, EMAIL, PASSWORD, { at: null });
    }
    await bo.goto('/account');
    assert.equal(bo.path, '/account');
    await bo.look('account-first');
  });

  let authenticator;
  let recovery;
  await scene.step('turns one-time codes on', async () => {
    const open = main.getByRole('link', { name: /authenticator/i })
      .or(main.getByRole('button', { name: /authenticator/i }));
    await send(bo, open);
    await bo.look('totp-enrol');
    const secret = (await bo.words()).match(/\b(?:[A-Z2-7]{4} ?){8}\b|\b[A-Z2-7]{32}\b/)?.[0];
    assert.ok(secret, `no secret for an authenticator app:\n${await bo.text()}`);
    authenticator = new Authenticator(secret);
    await bo.fill(bo.field(/^code/i, main), '000000');
    await bo.follow(bo.button(/confirm|turn on|verify/i, main));
    assert.equal(bo.status, 422, 'a wrong code turns it on');
    await bo.look('totp-refused', { status: 422 });
    await bo.fill(bo.field(/^code/i, main), await authenticator.code());
    await send(bo, bo.button(/confirm|turn on|verify/i, main));
    assert.equal(bo.status, 200, await bo.text());
  });
  await scene.step('recovery codes are shown once', async () => {
    recovery = (await bo.words()).match(/\b[a-z0-9]{4,5}(?:-[a-z0-9]{4,5}){1,3}\b/gi) ?? [];
    assert.ok(recovery.length >= 8, `no recovery codes:\n${await bo.text()}`);
    await bo.look('recovery-codes');
    await bo.goto('/account');
    await bo.seesNot(new RegExp(recovery[0]));
    await bo.look('account');
  });

  await scene.step('signs out, and Back shows nothing', async () => {
    await signOut(bo);
    await bo.look('signed-out', { signedIn: false });
    await bo.goto('/account');
    assert.equal(bo.path, '/login');
  });
  await scene.step('signs in with a code, never twice with the same', async () => {
    await signIn(bo, EMAIL);
    await bo.look('login-code', { signedIn: false });
    await enterCode(bo, '000000');
    assert.ok(bo.status >= 400, 'a wrong code signs in');
    const code = await authenticator.code();
    await enterCode(bo, code);
    await assertSignedIn(bo);
    await signOut(bo);
    await signIn(bo, EMAIL);
    await enterCode(bo, code);
    assert.ok(bo.status >= 400, 'the same code signs in twice');
    await enterCode(bo, await authenticator.code());
    await assertSignedIn(bo);
  });
  await scene.step('a recovery code signs in once', async () => {
    await signOut(bo);
    await signIn(bo, EMAIL);
    await enterCode(bo, recovery[0]);
    await assertSignedIn(bo);
    await signOut(bo);
    await signIn(bo, EMAIL);
    await enterCode(bo, recovery[0]);
    assert.ok(bo.status >= 400, 'a recovery code signs in twice');
    await enterCode(bo, recovery[1]);
    await assertSignedIn(bo);
  });
  await scene.step('ends a session in another browser', async () => {
    const phone = await scene.person('phone');
    await signIn(phone, EMAIL);
    await enterCode(phone, recovery[2]);
    await assertSignedIn(phone);
    await bo.goto('/account');
    await send(bo, bo.button(/end all|sign out everywhere/i, main));
    await phone.goto('/account');
    assert.equal(phone.path, '/login', 'a session that was ended lives on');
  });
  await scene.step('changes the password', async () => {
    await bo.goto('/account');
    const fields = main.locator('input[type=password]');
    if ((await fields.count()) === 0) {
      await bo.follow(main.getByRole('link', { name: /password/i }));
    }
    for (let at = 0; at < (await fields.count()); at += 1) {
      const label = await fields.nth(at).evaluate((field) => field.labels[0]?.textContent ?? '');
      await bo.fill(fields.nth(at), /current/i.test(label) ? PASSWORD : `${PASSWORD}, again`);
    }
    await send(bo, bo.button(/change (your |the )?password/i, main));
    await confirm(bo);
    assert.equal(bo.status, 200, await bo.text());
    const other = await scene.person('other');
    await signIn(other, EMAIL, PASSWORD);
    assert.equal(other.status, 422, 'the old password still signs in');
    await other.look('login-refused', { status: 422, signedIn: false });
  });
});

async function enterCode(person, code) {
  const main = person.page.locator('main');
  await person.fill(person.field(/^code/i, main), code);
  await person.follow(person.button(/sign in|go on|continue|confirm|verify/i, main));
}

async function assertSignedIn(person) {
  await person.goto('/account');
  assert.equal(person.path, '/account', `${person.name} is not signed in`);
}
