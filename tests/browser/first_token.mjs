// From an empty directory to a token, with nothing but what the screen shows.

import assert from 'node:assert/strict';
import { pasteCurl, setUp, shownOnce, whoami } from './journeys.mjs';
import { story } from './scene.mjs';

await story(async (scene) => {
  const ana = await scene.person('ana');
  // The one that starts the server.
  ana.effort.commands += 1;
  await scene.step('the link that the server printed makes an account, a demo API and a demo app', () => setUp(scene, ana, { demo: true }));
  const { sid } = await scene.step('the App Key is shown', () => shownOnce(ana));
  const token = await scene.step('the command on the screen gets a token', () => pasteCurl(ana));
  const seconds = (Date.now() - Number(process.env.BEGAN_AT)) / 1000;
  const { status, answer } = await whoami(scene, token);
  assert.equal(status, 200);
  assert.equal(answer.client_id, sid);
  console.log(`  ${seconds} s, ${ana.effort.fields} fields, ${ana.effort.commands} commands`);
  // Not what a person does, so it takes none of their time.
  await scene.step('looks at what is shown once', () => ana.look('setup-done'));
  assert.ok(ana.effort.commands <= 2 && ana.effort.fields <= 5 && seconds <= 60, JSON.stringify({ ...ana.effort, seconds }));
});
