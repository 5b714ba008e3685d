// Somebody at a browser: finds controls by role and name, and uses them with a mouse or with the keyboard alone.

import assert from 'node:assert/strict';
import { look } from './look.mjs';
import { reach } from './keyboard.mjs';
import { eventually } from './waiting.mjs';

const isLocator = (target) => typeof target.fill === 'function';

export class Person {
  /** Complaints of the browser, and requests that left the origin. */
  reports = [];
  /** The latest document as it was served. */
  served = null;
  /** How many pages came to their end. */
  loaded = 0;
  /** How many fields were filled in and commands pasted. */
  effort = { fields: 0, commands: 0 };

  constructor(scene, name, context) {
    this.scene = scene;
    this.name = name;
    this.context = context;
  }

  /** Another tab of the same browser. */
  async tab(name) {
    const tab = new Person(this.scene, name, this.context);
    tab.email = this.email;
    await tab.open();
    this.scene.people.push(tab);
    return tab;
  }

  async arrive() {
    const { context, scene } = this;
    await context.route('**/*', (route) => {
      const url = route.request().url();
      const isKnown = url.startsWith(`${scene.url}/`) || (scene.provider && url.startsWith(`${scene.provider}/`));
      if (isKnown || url.startsWith('data:') || url.startsWith('blob:')) {
        return route.continue();
      }
      this.reports.push(`a request left the origin: ${url}`);
      return route.abort();
    });
    await context.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (event) => {
        console.error(`policy violated: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
      });
    });
    if (scene.script) {
      await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: scene.url });
    }
    await this.open();
  }

  async open() {
    const { context, scene } = this;
    this.page = await context.newPage();
    this.devtools = await context.newCDPSession(this.page);
    await this.allowScript(scene.script);
    this.page.on('load', () => {
      this.loaded += 1;
    });
    this.page.on('console', (message) => this.#heard(message));
    this.page.on('pageerror', (error) => this.reports.push(`script failed at ${this.page.url()}: ${error.message}`));
    this.page.on('response', (response) => {
      const request = response.request();
      if (request.isNavigationRequest() && request.frame() === this.page.mainFrame()) {
        const body = response.status() < 300 || response.status() >= 400 ? response.text().catch(() => '') : '';
        this.served = { response, body: Promise.resolve(body), headers: response.headers(), status: response.status() };
      }
    });
  }

  /** Scripts on or off from the next page on. axe needs them for a moment where the page has none. */
  async allowScript(allowed) {
    await this.devtools.send('Emulation.setScriptExecutionDisabled', { value: !allowed });
  }

  #heard(message) {
    if (message.type() !== 'error' && message.type() !== 'warning') {
      return;
    }
    const { url } = message.location();
    // A page that says what is wrong with a form comes with a status that says so too.
    const refused = /Failed to load resource: the server responded with a status of 4\d\d/.test(message.text());
    if (refused && url === this.served?.response.url()) {
      return;
    }
    this.reports.push(`console at ${this.page.url()}: ${message.text()} (${url})`);
  }

  get status() {
    return this.served.status;
  }

  async goto(path) {
    const url = path.startsWith('http') ? path : `${this.scene.url}${path}`;
    await this.page.goto(url);
    return this.status;
  }

  /** The path where this person is. */
  get path() {
    return new URL(this.page.url()).pathname;
  }

  /** What a reader sees. */
  text() {
    return this.page.locator('body').innerText();
  }

  /** That, and what stands in fields. */
  async words() {
    const fields = await this.page.evaluate(() => [...document.querySelectorAll('main input, main textarea')].map((field) => field.value));
    return [await this.text(), ...fields].join('\n');
  }

  async sees(pattern) {
    await eventually(`${this.name} sees ${pattern} at ${this.page.url()}`, async () => pattern.test(await this.words()));
  }

  async seesNot(pattern) {
    assert.doesNotMatch(await this.words(), pattern, `${this.name} sees it at ${this.page.url()}`);
  }

  button(name, within = this.page) {
    return within.getByRole('button', { name });
  }

  link(name, within = this.page) {
    return within.getByRole('link', { name });
  }

  /** A field by its label. */
  field(label, within = this.page) {
    return within.getByLabel(label);
  }

  /** What is pressed: the only one, or the first that is visible. */
  async press(target) {
    const found = target.first();
    await found.waitFor({ state: 'visible' });
    if (this.scene.hands === 'keyboard') {
      await reach(this, found);
      const key = await found.evaluate((element) => (element.matches('input[type=checkbox], input[type=radio]') ? 'Space' : 'Enter'));
      await this.page.keyboard.press(key);
    } else {
      await found.click();
    }
  }

  /** Presses what sends a form or leads on, and waits for the page that comes. */
  async follow(target) {
    const before = this.loaded;
    const at = this.page.url();
    await this.press(target);
    await eventually(`a page after pressing ${target} at ${at}`, () => this.loaded > before);
    return this.status;
  }

  async fill(label, text, within = this.page) {
    const field = (isLocator(label) ? label : this.field(label, within)).first();
    this.effort.fields += 1;
    if (this.scene.hands === 'keyboard') {
      await reach(this, field);
      await this.page.keyboard.press('Control+A');
      await this.page.keyboard.press('Delete');
      await this.page.keyboard.insertText(text);
    } else {
      await field.fill(text);
    }
  }

  async choose(label, option, within = this.page) {
    const field = (isLocator(label) ? label : this.field(label, within)).first();
    this.effort.fields += 1;
    const value = await field.evaluate((select, [source, flags]) => {
      const wanted = new RegExp(source, flags);
      return [...select.options].find((choice) => wanted.test(choice.label) || wanted.test(choice.value))?.value;
    }, [option.source ?? option, option.flags ?? '']);
    assert.notEqual(value, undefined, `${label} has no option ${option} at ${this.page.url()}`);
    if (this.scene.hands !== 'keyboard') {
      await field.selectOption(value);
      return;
    }
    await reach(this, field);
    await this.page.keyboard.press('Home');
    const count = await field.evaluate((select) => select.options.length);
    for (let turn = 0; turn < count && (await field.inputValue()) !== value; turn += 1) {
      await this.page.keyboard.press('ArrowDown');
    }
    assert.equal(await field.inputValue(), value, `${label} cannot be chosen with the keyboard`);
  }

  /** Ticks a box or picks a radio button, by its label or as found. */
  async tick(target, ticked = true) {
    const box = target.first();
    await box.waitFor({ state: 'attached' });
    if ((await box.isChecked()) === ticked) {
      return;
    }
    this.effort.fields += 1;
    if (this.scene.hands !== 'keyboard') {
      await box.setChecked(ticked);
      return;
    }
    await reach(this, box);
    if (await box.evaluate((element) => element.type === 'radio')) {
      const count = await box.evaluate((element) => document.getElementsByName(element.name).length);
      for (let turn = 0; turn < count && !(await box.isChecked()); turn += 1) {
        await this.page.keyboard.press('ArrowDown');
      }
    } else {
      await this.page.keyboard.press('Space');
    }
    assert.equal(await box.isChecked(), ticked, `cannot be ticked with the keyboard: ${target}`);
  }

  /** Everything about the page that must hold of every page. */
  look(name, expected = {}) {
    return look(this, name, expected);
  }
}
