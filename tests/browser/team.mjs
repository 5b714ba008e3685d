// An organisation: invitations, roles, and the owner who cannot leave.

import assert from 'node:assert/strict';
import { createApp, fillPasswords, send, setUp, signIn } from './journeys.mjs';
import { story } from './scene.mjs';

await story(async (scene) => {
  const ana = await scene.person('ana');
  const main = ana.page.locator('main');
  await scene.step('sets the server up', async () => {
    await setUp(scene, ana);
    const slug = await scene.organisation();
    await scene.brevet('api', 'create', `--org=${slug}`, '--name=Billing', '--identifier=https://billing.example', '--scope=billing:read');
  });

  const invite = (email, role) => scene.step(`invites ${email} as ${role}`, async () => {
    await ana.goto('/team');
    await ana.fill(/e-mail/i, email);
    await ana.choose(/^role$/i, role, main);
    await send(ana, ana.button(/invite/i, main));
    assert.equal(ana.status, 200, await ana.text());
    const shown = await ana.words();
    const link = shown.match(/http:\/\/\S+\/invite\/[\w-]+/)?.[0];
    assert.ok(link, `no link to invite with:\n${shown}`);
    await ana.look(`invited-${role}`);
    return link;
  });
  const accept = (name, email, link) => scene.step(`${name} accepts`, async () => {
    const person = await scene.person(name);
    person.email = email;
    await person.goto(link);
    await person.look(`invitation-${name}`, { signedIn: false });
    await fillPasswords(person);
    await person.follow(person.button(/accept|join|create/i, person.page.locator('main')));
    await person.goto('/apps');
    if (person.path === '/login') {
      await signIn(person, email, undefined, { at: null });
      await person.goto('/apps');
    }
    assert.equal(person.path, '/apps');
    return person;
  });

  const vera = await accept('vera', 'vera@example.com', await invite('vera@example.com', 'viewer'));
  const link = await invite('dan@example.com', 'developer');
  const dan = await accept('dan', 'dan@example.com', link);

  await scene.step('an invitation is good once', async () => {
    const other = await scene.person('other');
    await other.goto(link);
    assert.ok(other.status >= 400, 'a used invitation is taken again');
    await other.look('invitation-used', { status: other.status, signedIn: false });
  });
  await scene.step('a viewer looks and changes nothing', async () => {
    await vera.goto('/apps');
    assert.equal(await vera.link(/create/i, vera.page.locator('main')).or(vera.button(/create/i, vera.page.locator('main'))).count(), 0);
    await vera.look('apps-viewer');
    await vera.goto('/apps/new');
    assert.equal(vera.status, 403);
    await vera.look('forbidden', { status: 403 });
    await vera.goto('/team');
    await vera.look('team-viewer');
    await vera.goto('/admin/users');
    assert.equal(vera.status, 403);
  });
  const app = await scene.step('a developer makes an app', () => createApp(dan, { name: 'made-by-dan', scopes: ['billing:read'] }));
  await scene.step('looks at the team', async () => {
    await ana.goto('/team');
    await ana.look('team');
  });
  await scene.step('who becomes a viewer meanwhile cannot go on', async () => {
    await dan.goto(`/apps/${app.sid}/settings`);
    await setRole(ana, 'dan@example.com', 'viewer');
    await dan.follow(dan.button(/save|rename|disable/i, dan.page.locator('main')));
    assert.equal(dan.status, 401, 'a session with the power of before lives on');
  });
  await scene.step('who is removed comes nowhere', async () => {
    await ana.goto('/team');
    const row = ana.page.getByRole('row', { name: /vera@example\.com/ });
    await ana.press(row.locator('summary', { hasText: /remove/i }));
    await send(ana, ana.button(/remove/i, row));
    assert.equal(ana.status, 200);
    await vera.goto('/apps');
    assert.ok(vera.path !== '/apps' || vera.status >= 400, 'somebody who was removed sees the apps');
  });
  await scene.step('the last owner cannot leave', async () => {
    await ana.goto('/team');
    const row = ana.page.getByRole('row', { name: /ana@example\.com/ });
    await ana.press(row.locator('summary', { hasText: /leave/i }));
    await send(ana, ana.button(/leave/i, row));
    assert.ok(ana.status >= 400, 'the last owner left');
    await ana.look('last-owner', { status: ana.status });
    await ana.goto('/team');
    await ana.sees(/ana@example\.com/);
  });
});

async function setRole(person, email, role) {
  const { page } = person;
  await person.goto('/team');
  const row = page.getByRole('row', { name: new RegExp(email.replaceAll('.', '\\.')) });
  await person.choose(row.getByRole('combobox'), role);
  await send(person, row.getByRole('button', { name: /save/i }));
  assert.equal(person.status, 200, await person.text());
}
