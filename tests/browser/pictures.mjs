// The pictures of the README, made of a server as it is after some days. What is committed in docs/pictures is copied from
// target/screenshots, where this story leaves them: cp target/screenshots/readme-*.png docs/pictures/

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { createApp, setUp } from './journeys.mjs';
import { reduced } from './palette.mjs';
import { story } from './scene.mjs';

/** The most octets that a picture may have. */
const HEAVIEST = 60_000;

await story(async (scene) => {
  const ana = await scene.person('ana');
  await scene.step('sets the server up', () => setUp(scene, ana));
  await scene.step('gives apps a day of work', async () => {
    const [{ id, slug }] = await scene.json('org', 'list');
    const org = `--org=${slug}`;
    await scene.brevet('api', 'create', org, '--name=Billing', '--identifier=https://billing.example', '--scope=invoices:read', '--scope=invoices:write');
    const apps = [];
    for (const name of ['Invoice sync', 'Nightly export', 'Till in the shop']) {
      apps.push((await scene.json('app', 'create', org, `--name=${name}`, '--scope=invoices:read')).client_id);
    }
    await scene.sql(aDay(id, apps).join(';\n'));
  });
  await scene.step('takes a picture of what somebody sees first', async () => {
    await ana.goto('/');
    await ana.follow(ana.button(/check tokens offline/i));
    await ana.goto('/');
    await picture(ana, 'home', 1_020);
  });
  await scene.step('takes a picture of what is shown once', async () => {
    await createApp(ana, { name: 'Stock check', scopes: ['invoices:read'] });
    await picture(ana, 'key', 660);
  });
});

/** Counts of tokens hour by hour, as a working day has them, for the apps and for their organisation. */
function aDay(organisation, apps) {
  const now = Math.floor(Date.now() / 3_600_000) * 3_600;
  return Array.from({ length: 24 }, (_, ago) => now - ago * 3_600).flatMap((hour, ago) => {
    const issued = apps.map((_, at) => Math.round((3 - at) * (40 + 34 * Math.sin((ago + 4 * at) / 3.7))));
    const refused = apps.map((_, at) => ((ago * 7 + at) % 9 === 0 ? 12 : 0));
    const sum = (counts) => counts.reduce((one, other) => one + other, 0);
    const rows = [...apps, organisation].map((of, at) => `('${of}', ${hour}, ${issued[at] ?? sum(issued)}, ${refused[at] ?? sum(refused)})`);
    return [
      `insert into usage (app_id, hour, issued, refused) values ${rows.join()}`,
      `insert into usage_scopes (app_id, hour, scope, issued) values ('${organisation}', ${hour}, 'invoices:read', ${sum(issued)})`,
    ];
  });
}

/** A picture as high as that, with few colours. */
async function picture({ page, scene }, name, height) {
  const file = path.join(scene.shots, `readme-${name}.png`);
  await page.setViewportSize({ width: 1080, height });
  const png = reduced(await page.screenshot());
  assert.ok(png.length <= HEAVIEST, `${name} has ${png.length} octets`);
  fs.writeFileSync(file, png);
}
