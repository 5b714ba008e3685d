// Where a key must not be, once the page that showed it has been left.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { eventually } from './waiting.mjs';

/** In the browser: all that a page holds, once it is there. */
const WHOLE_PAGE = `document.readyState === 'complete'
  && document.documentElement.outerHTML + [...document.querySelectorAll('input, textarea')].map((field) => field.value).join()`;

/** A key as it is, and as clients write it. */
function spellings(key, sid) {
  const half = key.slice('bvk_'.length, 47);
  const basic = Buffer.from(`${sid}:${key}`).toString('base64');
  return [key, half, [...half].reverse().join(''), Buffer.from(key).toString('base64').slice(0, -4), Buffer.from(key).toString('hex'), basic.slice(52, -4)];
}

/** Fails if the key is found anywhere but with the person who saw it. */
export async function assertGone(scene, person, { key, sid }) {
  const wanted = spellings(key, sid);
  const search = (where, text) => {
    for (const spelling of wanted) {
      assert.ok(!text.includes(spelling), `${where} holds ${spelling === key ? 'the key' : `a form of the key (${spelling.slice(0, 6)}…)`}`);
    }
  };
  await searchBrowser(person, search);
  const pages = await everyPage(scene, person);
  for (const page of pages) {
    search(page.path, page.body);
  }
  search('the log of the server', fs.readFileSync(scene.log, 'latin1'));
  // The database with what has not been written into its file yet, and whatever else is there.
  const files = fs.readdirSync(scene.data, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  assert.ok(files.some((file) => file.name.endsWith('.db')), 'there is no database to search');
  const contents = files.map((file) => contentOf(path.join(file.parentPath ?? file.path, file.name)));
  contents.forEach((content, at) => search(`the file ${files[at].name}`, content));
  // What is no secret is found with the same eyes, or they are blind.
  assert.ok(pages.filter((page) => page.status === 200).length > 5, 'hardly a page was searched');
  assert.ok(contents.some((content) => content.includes(sid)), 'not even the App SID is in the database');
}

/** The octets of a file, or nothing if it is gone since it was listed: a database has files that come and go. */
function contentOf(file) {
  try {
    return fs.readFileSync(file, 'latin1');
  } catch (error) {
    assert.equal(error.code, 'ENOENT', error.message);
    return '';
  }
}

async function searchBrowser(person, search) {
  search('the address', person.page.url());
  search('the page', await person.page.content());
  const { entries } = await person.devtools.send('Page.getNavigationHistory');
  search('the history', JSON.stringify(entries));
  search('what the browser stores', JSON.stringify(await person.context.storageState({ indexedDB: true })));
  const stored = await person.page.evaluate(() => JSON.stringify([{ ...sessionStorage }, { ...localStorage }, history.state, window.name]));
  search('what the page stores', stored);
}

/** Everything that links lead to, as somebody signed in gets it. */
export async function everyPage(scene, person, beginning = ['/', '/apps', '/audit', '/account']) {
  const pages = [];
  const waiting = [...beginning];
  const known = new Set(waiting);
  while (waiting.length && pages.length < 150) {
    const at = waiting.shift();
    const answer = await person.context.request.get(`${scene.url}${at}`, { maxRedirects: 0 });
    const body = await answer.text();
    pages.push({ path: at, status: answer.status(), body });
    if (answer.status() >= 500) {
      scene.find(at, `status ${answer.status()}`);
    }
    for (const [, href] of body.matchAll(/href="([^"#]+)/g)) {
      const url = new URL(href.replaceAll('&amp;', '&'), `${scene.url}${at}`);
      const next = url.pathname + url.search;
      // Of lists with many pages, orders and filters a few are enough.
      const alike = [...known].filter((other) => other.split('?')[0] === url.pathname).length;
      if (url.origin === scene.url && !known.has(next) && alike < 4 && !/^\/(static|connect|\.well-known)\b/.test(next)) {
        known.add(next);
        waiting.push(next);
      }
    }
  }
  return pages;
}

/**
 * Back to the page that showed it, as the back button does, with the memory for pages that browsers keep: nothing of it
 * must be there. Leaves the person on a page of the browser's own.
 */
export async function assertGoneAfterBack(person, key) {
  const { devtools } = person;
  const { entries, currentIndex } = await devtools.send('Page.getNavigationHistory');
  assert.ok(currentIndex > 0, 'there is no way back');
  await devtools.send('Page.navigateToHistoryEntry', { entryId: entries[currentIndex - 1].id });
  await eventually('the page before', async () => (await devtools.send('Page.getNavigationHistory')).currentIndex === currentIndex - 1);
  // Scripts of the page, if there are any, have a moment to bring something back.
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const shown = await eventually('all of the page before', () => devtools.send('Runtime.evaluate', { expression: WHOLE_PAGE }).then(({ result }) => result.value, () => ''));
  assert.ok(!shown.includes(key), `the back button shows the key again, at ${entries[currentIndex - 1].url}`);
}
