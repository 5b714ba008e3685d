// What must hold of every page: nobody is kept out, nothing scrolls sideways, nothing is loaded from elsewhere, nothing is
// inline, and it is light. And a picture of it.

import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { eventually } from './waiting.mjs';

const require = createRequire(import.meta.url);
const AXE = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const WIDTHS = [1280, 768, 320];
const SCHEMES = ['light', 'dark'];
/** In kilobytes after gzip. */
const HEAVIEST = { html: 25, css: 6, js: 4 };

/**
 * Looks at the page where a person is. `expected` says what is not as usual: `status`, `signedIn: false` for pages that may
 * be kept by a cache, and `summary` if it must begin with what is wrong, as the page of a refused form does.
 */
export async function look(person, name, expected = {}) {
  const find = (what) => person.scene.find(name, what);
  const { status = 200, signedIn = true, summary = status === 422 } = expected;
  if (person.status !== status) {
    find(`status ${person.status} instead of ${status}`);
  }
  checkHeaders(person.served.headers, signedIn, find);
  const html = await person.served.body;
  for (const wrong of await person.page.evaluate(wrongAsServed, html)) {
    find(wrong);
  }
  if (summary) {
    // The browser gives the focus with the first frame that it draws, which may come after the load. What is missing is found below.
    await eventually('a focus', () => person.page.evaluate(() => document.activeElement !== document.body)).catch(() => {});
  }
  for (const wrong of await person.page.evaluate(wrongAsShown, summary)) {
    find(wrong);
  }
  await weigh(person, html, find);
  await inEveryLight(person, name, find);
}

function checkHeaders(headers, signedIn, find) {
  const policy = headers['content-security-policy'] ?? '';
  const directives = new Map(policy.split(';').map((part) => part.trim().split(/ (.*)/)));
  const wanted = { 'default-src': /^'none'$/, 'base-uri': /^'none'$/, 'frame-ancestors': /^'none'$/, 'form-action': /^'(self|none)'$/ };
  for (const [directive, value] of Object.entries(wanted)) {
    if (!value.test(directives.get(directive) ?? '')) {
      find(`the policy says ${directive} ${directives.get(directive)}`);
    }
  }
  if (/unsafe-|\*|https?:/.test(policy)) {
    find(`the policy is too wide: ${policy}`);
  }
  const exact = { 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer', 'cross-origin-opener-policy': 'same-origin' };
  for (const [header, value] of Object.entries(exact)) {
    if (headers[header] !== value) {
      find(`${header} is ${headers[header]}`);
    }
  }
  if (signedIn && !(headers['cache-control'] ?? '').includes('no-store')) {
    find(`cache-control is ${headers['cache-control']}`);
  }
}

/** In the browser: what must not stand in the text that was served. */
function wrongAsServed(html) {
  const wrong = [];
  const page = new DOMParser().parseFromString(html, 'text/html');
  for (const element of page.querySelectorAll('*')) {
    for (const { name, value } of element.attributes) {
      if (name === 'style' || name.startsWith('on') || /^\s*(javascript|data):/i.test(value)) {
        wrong.push(`served with ${name}="${value.slice(0, 80)}" on <${element.localName}>`);
      }
    }
    if ((element.localName === 'script' && !element.src) || element.localName === 'style') {
      wrong.push(`an inline <${element.localName}>`);
    }
  }
  const ids = [...page.querySelectorAll('[id]')].map((element) => element.id);
  for (const id of new Set(ids.filter((id, index) => ids.indexOf(id) !== index))) {
    wrong.push(`the id ${id} twice`);
  }
  for (const field of page.querySelectorAll('input[type=password]')) {
    if (!field.autocomplete) {
      wrong.push(`the field ${field.name} does not say how it may be filled in (autocomplete)`);
    }
  }
  for (const form of page.querySelectorAll('form')) {
    // A field may be called like a property of the form.
    if (!['get', 'post'].includes(form.getAttribute('method') ?? 'get')) {
      wrong.push(`a form with the method ${form.getAttribute('method')}`);
    }
  }
  return wrong;
}

/** In the browser: what must hold of the page as it stands there. */
function wrongAsShown(summary) {
  const wrong = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  const one = (selector, what) => {
    if (all(selector).length !== 1) {
      wrong.push(`${all(selector).length} × ${what}`);
    }
  };
  one('h1', 'h1');
  one('main', 'main');
  one('body > header, [role=banner]', 'banner');
  one('body > footer, [role=contentinfo]', 'footer');
  if (!document.documentElement.lang) {
    wrong.push('no language');
  }
  if (!document.title.trim()) {
    wrong.push('no title');
  }
  const heading = document.querySelector('h1')?.textContent.trim();
  if (!heading) {
    wrong.push('an empty h1');
  }
  for (const table of all('table')) {
    const caption = table.caption?.textContent.trim();
    if (!caption) {
      wrong.push('a table without caption');
    }
    for (const cell of table.querySelectorAll('th')) {
      if (!cell.scope) {
        wrong.push(`a heading without scope in the table ${caption}: ${cell.textContent.trim()}`);
      }
    }
  }
  for (const picture of all('svg')) {
    const decorative = picture.closest('[aria-hidden=true]');
    const described = picture.ariaLabel || (picture.querySelector('title') && picture.querySelector('desc'));
    if (!decorative && !described) {
      wrong.push('a picture without title and description');
    }
  }
  for (const time of all('time')) {
    if (!/^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?Z)?$/.test(time.dateTime)) {
      wrong.push(`a time with datetime "${time.dateTime}"`);
    }
  }
  for (const form of all('form[method=post]')) {
    if (document.cookie !== '') {
      wrong.push('a cookie that scripts can read');
    }
    if (!form.querySelector('input[type=hidden]')) {
      wrong.push(`a form without a hidden token: ${form.action}`);
    }
  }
  // A page that refuses a form says so first: in its title, and in a summary that has the focus and links to the fields.
  if (summary) {
    if (!/^error/i.test(document.title)) {
      wrong.push(`the title of a refused form does not begin with Error: ${document.title}`);
    }
    const summary = document.querySelector('[role=alert], .error-summary, [data-error-summary]');
    if (!summary) {
      wrong.push('no summary of errors');
    } else if (!summary.contains(document.activeElement) && !document.activeElement.contains(summary)) {
      wrong.push('the summary of errors does not have the focus');
    }
    for (const link of summary?.querySelectorAll('a[href^="#"]') ?? []) {
      if (!document.getElementById(link.hash.slice(1))) {
        wrong.push(`the summary of errors links to ${link.hash}, which is not there`);
      }
    }
  }
  return wrong;
}

const weights = new Map();

async function weigh(person, html, find) {
  const links = await person.page.evaluate(() => ({
    css: [...document.querySelectorAll('link[rel=stylesheet]')].map((link) => link.href),
    js: [...document.querySelectorAll('script[src]')].map((script) => script.src),
  }));
  const weight = { html: gzipSync(html).length };
  for (const kind of ['css', 'js']) {
    weight[kind] = 0;
    for (const url of links[kind]) {
      if (!weights.has(url)) {
        const answer = await fetch(url);
        if (!/immutable/.test(answer.headers.get('cache-control') ?? '')) {
          find(`${url} may be asked for again`);
        }
        weights.set(url, gzipSync(Buffer.from(await answer.arrayBuffer())).length);
      }
      weight[kind] += weights.get(url);
    }
    if (links[kind].some((url) => !url.startsWith(person.scene.url))) {
      find(`${kind} of another origin`);
    }
  }
  for (const [kind, heaviest] of Object.entries(HEAVIEST)) {
    if (weight[kind] > heaviest * 1000) {
      find(`${kind} of ${weight[kind]} bytes after gzip`);
    }
  }
  person.scene.weights ??= {};
  person.scene.weights[person.path] = weight;
}

async function inEveryLight(person, name, find) {
  const { page, scene } = person;
  const picture = (kind) => path.join(scene.shots, `${name}-${kind}.png`);
  // The same everywhere is one finding.
  const noted = new Map();
  const note = (what, where) => noted.set(what, [...(noted.get(what) ?? []), where]);
  await person.allowScript(true);
  await page.evaluate(AXE);
  for (const colorScheme of SCHEMES) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: width === 320 ? 640 : 800 });
      const where = `${width} px ${colorScheme}`;
      const sideways = await page.evaluate(widest);
      if (sideways) {
        note(`scrolls sideways, ${sideways}`, where);
      }
      for (const violation of await page.evaluate(askAxe, TAGS)) {
        note(violation, where);
      }
      if (scene.hands === 'mouse' && width === 1280) {
        await page.screenshot({ path: picture(colorScheme), fullPage: true });
      }
      if (scene.hands === 'mouse' && width === 320 && colorScheme === 'light') {
        await page.screenshot({ path: picture('phone'), fullPage: true });
      }
    }
  }
  for (const [what, places] of noted) {
    find(`${what} (at ${places.join(', ')})`);
  }
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
  await page.setViewportSize({ width: 1280, height: 800 });
  await person.allowScript(scene.script);
}

/** In the browser, where axe has been put. */
async function askAxe(tags) {
  const result = await window.axe.run(document, { runOnly: tags, resultTypes: ['violations'] });
  return result.violations.map(({ id, help, nodes }) => {
    const shown = nodes.slice(0, 3).map((node) => `${node.target.join(' ')} ${node.html.slice(0, 120)}`);
    return `axe: ${id} (${help}): ${shown.join(' ; ')}${nodes.length > 3 ? ` and ${nodes.length - 3} more` : ''}`;
  });
}

/** In the browser: what sticks out to the right, if the page can be scrolled there. */
function widest() {
  const root = document.scrollingElement;
  if (root.scrollWidth <= root.clientWidth) {
    return '';
  }
  const elements = [...document.body.querySelectorAll('*')];
  const shown = elements.filter((element) => !element.closest('svg') && !element.parentElement.closest('.scroll, pre'));
  const wide = shown.filter((element) => element.getBoundingClientRect().right > root.clientWidth + 0.5);
  const names = wide.slice(-3).map((element) => `<${element.localName} class="${element.getAttribute('class') ?? ''}"> ${element.textContent.trim().slice(0, 30)}`);
  return `${root.scrollWidth} px: ${names.join(' ; ')}`;
}
