// What somebody enters is text and stays text, however it looks.

import assert from 'node:assert/strict';
import { setUp } from './journeys.mjs';
import { story } from './scene.mjs';
import { everyPage } from './secrecy.mjs';

const PROBES = [
  '<script data-probe>document.title = "owned"</script>',
  '<img src=x data-probe onerror=alert(1)>',
  '"><b data-probe>bold</b>',
  '" data-probe="1" x="',
  "' onx=1 data-probe='",
  '{{7*7}}${7*7}<%= 7*7 %>',
  '</textarea><b data-probe>',
  '</title><b data-probe>',
  'javascript:alert(1)',
  '\u202eevil\u202c \u200b\u2066x\u2069',
  '=cmd|calc!A1',
  '😀 👩🏽‍💻 ﷽',
  'W'.repeat(256),
  'ж'.repeat(128),
];

await story(async (scene) => {
  const ana = await scene.person('ana');
  const main = ana.page.locator('main');
  await scene.step('sets the server up', () => setUp(scene, ana));
  await scene.step('makes things with such names by the command line', async () => {
    const slug = await scene.organisation();
    let taken = 0;
    for (const [at, probe] of PROBES.entries()) {
      const made = await scene.brevet('api', 'create', `--org=${slug}`, `--name=${probe}`, `--identifier=https://probe-${at}.example`, `--scope=probe${at}:read=${probe}`).catch(() => null);
      await scene.brevet('app', 'create', `--org=${slug}`, `--name=${probe}`, ...(made ? [`--scope=probe${at}:read`] : [])).then(() => { taken += 1; }, () => {});
    }
    assert.ok(taken >= 8, `only ${taken} of such names are taken, so nothing is tried`);
  });

  // Every field that takes text, on every page with a form, gets every probe.
  const forms = ['/apps/new', '/apis/new', '/team', '/account', '/organisations/new', '/inspect', '/try', '/apps', '/audit', '/issuers/new?from=github'];
  for (const path of forms) {
    await scene.step(`enters them at ${path}`, async () => {
      for (const probe of PROBES) {
        await ana.goto(path);
        if (ana.status !== 200) {
          scene.find(path, `status ${ana.status}`);
          return;
        }
        await enterEverywhere(ana, main, probe);
        await assertInert(scene, ana, path);
      }
    });
  }
  await scene.step('in addresses too', async () => {
    for (const probe of PROBES.map(encodeURIComponent)) {
      for (const path of [`/apps?q=${probe}`, `/audit?actor=${probe}&action=${probe}`, `/login?return_to=${probe}`, `/?done=${probe}`, `/apps/${probe}`, `/${probe}`]) {
        await ana.goto(path);
        await assertInert(scene, ana, path);
      }
    }
  });
  await scene.step('every page shows them as text', async () => {
    const pages = await everyPage(scene, ana, ['/', '/apps', '/apis', '/audit', '/team', '/account', '/try']);
    for (const { path } of pages.filter((page) => page.status === 200).slice(0, 60)) {
      await ana.page.goto(`${scene.url}${path}`).catch(() => {});
      await assertInert(scene, ana, path);
    }
  });
  await scene.step('and they do not break the layout', async () => {
    for (const [name, path] of Object.entries({ 'apps-probes': '/apps', 'apis-probes': '/apis', 'app-new-probes': '/apps/new', 'audit-probes': '/audit', 'home-probes': '/' })) {
      await ana.goto(path);
      await ana.look(name);
    }
  });
});

/** Fills in the first form of the page that takes text, and sends it. */
async function enterEverywhere(person, main, probe) {
  const fields = main.locator('form:has(input[type=text], input[type=search], textarea)').first().locator('input[type=text], input[type=search], input:not([type]), textarea');
  const count = await fields.count();
  for (let at = 0; at < count; at += 1) {
    const field = fields.nth(at);
    if (await field.isVisible()) {
      await field.fill(probe);
    }
  }
  if (count) {
    const form = main.locator('form:has(input[type=text], input[type=search], textarea)').first();
    // What sends it, not what ticks a group of boxes.
    const first = form.locator('button.primary:visible');
    const button = (await first.count() ? first : form.locator('button:not([type=button], .unseen):visible')).first();
    await person.follow(button).catch((error) => person.scene.find(person.path, `a form cannot be sent with ${probe.slice(0, 20)}: ${error.message.split('\n')[0]}`));
  }
}

async function assertInert(scene, person, path) {
  const found = await person.page.evaluate(() => ({
    elements: document.querySelectorAll('[data-probe]').length,
    title: document.title,
    text: document.body?.innerText ?? '',
    sideways: document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth,
  }));
  assert.equal(found.elements, 0, `a probe became an element at ${path}`);
  assert.notEqual(found.title, 'owned', `a probe ran at ${path}`);
  assert.doesNotMatch(found.text, /\b49\b.*<%|\$49/, `a probe was computed at ${path}`);
  if (found.sideways > 0) {
    scene.find(path, `scrolls sideways by ${found.sideways} px with a probe in it`);
  }
  if (person.status >= 500) {
    scene.find(path, `status ${person.status}`);
  }
}
