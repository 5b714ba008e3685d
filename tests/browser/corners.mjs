// The pages that people come to now and then: changing an API, a token under the glass, an event, somebody else's account.

import assert from 'node:assert/strict';
import { fillPasswords, send, setUp } from './journeys.mjs';
import { story } from './scene.mjs';

await story(async (scene) => {
  const ana = await scene.person('ana');
  const main = ana.page.locator('main');
  const made = await scene.step('sets the server up, with an API, an app and somebody else', async () => {
    await setUp(scene, ana);
    const org = `--org=${await scene.organisation()}`;
    const api = await scene.json('api', 'create', org, '--name=Billing', '--identifier=https://billing.example', '--scope=billing:read=Read invoices', '--scope=billing:write');
    const empty = await scene.json('api', 'create', org, '--name=Empty', '--identifier=https://empty.example');
    const app = await scene.json('app', 'create', org, '--name=robot', '--scope=billing:read');
    await scene.brevetReading('a violet tram under the rain', 'user', 'create', org, '--email=bo@example.com', '--role=developer', '--password-file=-');
    return { api: api.id, empty: empty.id, sid: app.client_id, key: app.client_secret };
  });

  const pages = {
    'api-edit': `/apis/${made.api}/edit`,
    'api-scope': `/apis/${made.api}/scopes/edit?scope=billing:read`,
    'api-delete-refused': `/apis/${made.api}/delete`,
    'api-delete': `/apis/${made.empty}/delete`,
    'api-empty': `/apis/${made.empty}`,
    'app-usage-none': `/apps/${made.sid}/usage`,
    'app-revoke-tokens': `/apps/${made.sid}/revoke-tokens`,
    'app-delete-enabled': `/apps/${made.sid}/delete`,
    'audit-server': '/audit?log=server',
    'admin-organisations': '/admin/organisations',
    'admin-users-no-match': '/admin/users?q=nobody-is-called-this',
    'try-no-match': '/try?q=nothing-is-called-this',
  };
  for (const [name, path] of Object.entries(pages)) {
    await scene.step(`looks at ${path}`, async () => {
      await ana.goto(path);
      await ana.look(name);
    });
  }

  await scene.step('looks at a change of scopes before it is saved', async () => {
    await ana.goto(`/apps/${made.sid}/scopes`);
    await ana.tick(ana.page.getByRole('checkbox', { name: /billing:write/ }));
    await ana.tick(ana.page.getByRole('checkbox', { name: /billing:read/ }), false);
    await send(ana, ana.button(/review/i, main));
    await ana.sees(/will be taken away/i);
    await ana.look('app-scopes-review');
    await send(ana, ana.button(/save scopes/i, main));
    assert.equal(ana.status, 200);
    await ana.goto(`/apps/${made.sid}/scopes`);
    assert.equal(await ana.page.getByRole('checkbox', { name: /billing:write/ }).isChecked(), true);
  });
  await scene.step('an app that is created can be looked at first', async () => {
    await ana.goto('/apps/new');
    await ana.fill(/^name/i, 'nightly');
    await ana.tick(ana.page.getByRole('checkbox', { name: /billing:write/ }));
    await ana.follow(ana.button(/show a summary first/i, main));
    await ana.look('app-new-summary');
    await ana.goto('/apps/new');
    await ana.page.getByLabel(/^name/i).first().evaluate((field) => field.form.setAttribute('novalidate', ''));
    await send(ana, ana.button(/^create app/i, main));
    await ana.look('app-new-refused', { status: 422 });
  });
  await scene.step('tries a wrong key, then the right one, and calls with the token', async () => {
    await ana.goto(`/try?app=${made.sid}`);
    await ana.fill(/app key/i, `${made.key.slice(0, -6)}000000`, main);
    await ana.follow(ana.button(/send request/i, main));
    await ana.sees(/invalid_client/);
    await ana.look('try-refused', { status: ana.status });
    await ana.fill(/app key/i, made.key, main);
    await ana.follow(ana.button(/send request/i, main));
    await ana.sees(/a token came back/i);
    await ana.look('try-token', { status: ana.status });
    await ana.follow(ana.button(/call the sample route/i, main));
    await ana.look('try-call', { status: ana.status });
    await ana.follow(ana.button(/inspect the token/i, main));
    await ana.sees(/this token is good/i);
  });
  await scene.step('says what was pasted instead of a token', async () => {
    await ana.goto('/inspect');
    await ana.fill(main.locator('textarea'), made.key);
    await ana.follow(ana.button(/inspect/i, main));
    await ana.sees(/that is a secret/i);
    await ana.look('inspect-secret', { status: ana.status });
  });
  await scene.step('looks at an event', async () => {
    await ana.goto('/audit');
    await ana.follow(main.locator('tbody a').first());
    await ana.look('audit-event');
  });
  await scene.step('an app that has no App Keys', async () => {
    await ana.goto(`/apps/${made.sid}/settings`);
    await ana.tick(ana.page.getByRole('radio', { name: /its own private key/i }));
    await ana.follow(ana.button(/save how it proves/i, main));
    await ana.look('app-settings-refused', { status: 422 });
  });
  await scene.step('looks at a signing key before it is revoked', async () => {
    await ana.goto('/admin/keys');
    await ana.follow(ana.link(/revoke/i, main));
    await ana.look('admin-key-revoke');
  });
  await scene.step('somebody else has lost the password', async () => {
    await ana.goto('/admin/users');
    await ana.follow(ana.link(/bo@example\.com/, main));
    await ana.look('admin-user');
    await send(ana, ana.button(/make a reset link/i, main));
    const link = (await ana.words()).match(/http:\/\/\S+\/reset\/[\w-]+/)?.[0];
    assert.ok(link, `no link:\n${await ana.words()}`);
    await ana.look('reset-link');
    const bo = await scene.person('bo');
    await bo.goto('/reset');
    await bo.look('reset-ask', { signedIn: false });
    await bo.goto('/signup');
    await bo.look('signup-closed', { status: bo.status, signedIn: false });
    await bo.goto(link);
    await bo.look('reset', { signedIn: false });
    await fillPasswords(bo, 'another tram, another rain');
    await bo.follow(bo.button(/set the password/i, bo.page.locator('main')));
    assert.equal(bo.status, 200);
    await bo.goto(link);
    assert.ok(bo.status >= 400);
    await bo.look('reset-used', { status: bo.status, signedIn: false });
  });
});
