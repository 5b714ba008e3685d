// The keyboard alone: every stop of the Tab key shows that it is there, and everything is reached.

import assert from 'node:assert/strict';
import { eventually } from './waiting.mjs';

/** Presses Tab until this has the focus. */
export async function reach(person, target) {
  const { page } = person;
  await target.waitFor({ state: 'visible' });
  // Of radio buttons only one is a stop; the arrows lead to the others.
  const there = () => target.evaluate((element) => {
    const active = document.activeElement;
    return active === element || (element.type === 'radio' && active?.type === 'radio' && active.name === element.name && active.form === element.form);
  });
  for (let stops = 0; stops < 400; stops += 1) {
    if (await there()) {
      return;
    }
    await page.keyboard.press('Tab');
    await assertFocusShows(person);
  }
  assert.fail(`Tab does not lead to ${target} at ${page.url()}`);
}

/** Notes a stop that does not show, or that is covered. */
async function assertFocusShows(person) {
  const stop = await person.page.evaluate(() => {
    const element = document.activeElement;
    if (!element || element === document.body || element === document.documentElement) {
      return null;
    }
    const style = getComputedStyle(element);
    const opaque = !/transparent|, 0\)|\/ 0\)/.test(style.outlineColor);
    const outlined = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1 && opaque;
    const box = element.getClientRects()[0] ?? element.getBoundingClientRect();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    const top = document.elementFromPoint(x, y);
    const uncovered = top !== null && (element.contains(top) || top.contains(element) || [...(element.labels ?? [])].some((label) => label.contains(top)));
    const name = `<${element.localName}> ${element.id || element.textContent.trim().slice(0, 40) || element.name || ''}`;
    return { name, shows: outlined || style.boxShadow !== 'none', uncovered, seen: box.width > 0 && box.height > 0 };
  });
  if (stop && !stop.shows) {
    person.scene.find(person.path, `no visible focus on ${stop.name}`);
  }
  if (stop && !(stop.uncovered && stop.seen)) {
    person.scene.find(person.path, `the focused ${stop.name} is covered or has no size`);
  }
}

/** The first stop of a page is the link that skips to its content, and it does. */
export async function assertSkips(person) {
  const { page } = person;
  await page.keyboard.press('Tab');
  const first = await page.evaluate(() => document.activeElement.getAttribute('href'));
  assert.equal(first, '#main', `the first stop at ${page.url()} does not skip to the content`);
  await assertFocusShows(person);
  await page.keyboard.press('Enter');
  await eventually(`the content of ${page.url()}`, () => page.evaluate(() => window.location.hash === '#main'));
  await page.keyboard.press('Tab');
  const skipped = await page.evaluate(() => {
    const main = document.querySelector('main');
    const follows = (element) => main.contains(element) || Boolean(main.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_FOLLOWING);
    const stops = [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]')];
    return follows(document.activeElement) || document.activeElement === document.body || !stops.some(follows);
  });
  assert.ok(skipped, `after skipping, Tab goes on before the content of ${page.url()}`);
}

/** A dialog keeps the focus, closes with Escape, and gives the focus back to what opened it. */
export async function assertDialog(person, opener) {
  const { page } = person;
  await reach(person, opener);
  await page.keyboard.press('Enter');
  const dialog = page.locator('dialog[open]');
  await dialog.waitFor({ state: 'visible' });
  for (let stops = 0; stops < 12; stops += 1) {
    await page.keyboard.press('Tab');
    // Between its last and its first stop the focus may be on the browser itself, which is the body here.
    const kept = await dialog.evaluate((element) => element.contains(document.activeElement) || document.activeElement === document.body);
    assert.ok(kept, `Tab leaves the dialog at ${page.url()}`);
  }
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'hidden' });
  await eventually(`the focus is given back at ${page.url()}`, () => opener.evaluate((element) => element === document.activeElement));
}
