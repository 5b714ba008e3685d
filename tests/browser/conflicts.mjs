// Two tabs, and a session that ends while a form is filled in.

import assert from 'node:assert/strict';
import { confirm, send, setUp, signIn } from './journeys.mjs';
import { story } from './scene.mjs';

await story(async (scene) => {
  const ana = await scene.person('ana');
  const main = ana.page.locator('main');
  await scene.step('sets the server up', () => setUp(scene, ana));
  const sid = await scene.step('makes an app', async () => {
    const slug = await scene.organisation();
    await scene.brevet('api', 'create', `--org=${slug}`, '--name=Billing', '--identifier=https://billing.example', '--scope=billing:read');
    return (await scene.json('app', 'create', `--org=${slug}`, '--name=robot', '--scope=billing:read')).client_id;
  });

  await scene.step('of two tabs the second to save is shown both versions', async () => {
    const tab = await ana.tab('second tab');
    const inTab = tab.page.locator('main');
    await ana.goto(`/apps/${sid}/settings`);
    await tab.goto(`/apps/${sid}/settings`);
    await ana.fill(/^name/i, 'first-to-save', main);
    await send(ana, ana.button(/save/i, main));
    assert.equal(ana.status, 200, await ana.text());
    await tab.fill(/^name/i, 'second-to-save', inTab);
    await send(tab, tab.button(/save/i, inTab));
    assert.equal(tab.status, 409, 'the second tab wrote over the first');
    await tab.sees(/first-to-save/);
    assert.match(await tab.words(), /second-to-save/, 'what was entered is lost');
    await tab.look('app-settings-conflict', { status: 409, summary: true });
    await send(tab, tab.button(/save/i, inTab));
    assert.equal(tab.status, 200, 'after both versions were seen, it cannot be saved');
    await tab.goto(`/apps/${sid}`);
    await tab.sees(/second-to-save/);
    await tab.context.pages().at(-1).close();
  });

  await scene.step('a form outlives its session', async () => {
    await ana.goto('/apps/new');
    await ana.fill(/^name/i, 'kept-name', main);
    await ana.tick(ana.page.getByRole('checkbox', { name: /billing:read/ }));
    await endSessions(scene, ana);
    await ana.follow(ana.button(/create/i, main));
    assert.equal(ana.path === '/login' || ana.status === 401, true, `at ${ana.path} with ${ana.status}`);
    await ana.look('login-again', { status: ana.status, signedIn: false });
    await signIn(ana, 'ana@example.com', undefined, { at: null });
    if (await ana.button(/go on/i, main).count()) {
      await ana.look('login-resume');
      await ana.follow(ana.button(/go on/i, main));
    }
    await confirm(ana);
    assert.match(await ana.words(), /kept-name/, 'what was entered is lost');
  });
  await scene.step('a form outlives an hour in which nobody came', async () => {
    await ana.goto(`/apps/${sid}/settings`);
    await ana.fill(/^name/i, 'entered-before-lunch', main);
    await ana.fill(/^description/i, 'What was thought out\nin two lines', main);
    await scene.age(3_601);
    await ana.follow(ana.button(/save settings/i, main));
    assert.equal(ana.path === '/login' || ana.status === 401, true, `at ${ana.path} with ${ana.status}`);
    await ana.sees(/your session has ended/i);
    await signIn(ana, 'ana@example.com', undefined, { at: null });
    if (await ana.button(/go on/i, main).count()) {
      await ana.follow(ana.button(/go on/i, main));
    }
    await confirm(ana);
    await ana.goto(`/apps/${sid}/settings`);
    assert.equal(await ana.field(/^name/i, main).first().inputValue(), 'entered-before-lunch', 'what was entered is lost');
    assert.match(await ana.field(/^description/i, main).first().inputValue(), /thought out\r?\nin two/);
  });
});

/** Ends all sessions of this person, from another browser. */
async function endSessions(scene, person) {
  const other = await scene.person('elsewhere');
  await signIn(other, person.email);
  await other.goto('/account');
  const main = other.page.locator('main');
  await send(other, other.button(/end all|sign out (everywhere|all|the others|other)|revoke all/i, main));
  assert.equal(other.status, 200, await other.text());
}
