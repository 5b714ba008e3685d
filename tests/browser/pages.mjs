// Every page, with much in it.

import assert from 'node:assert/strict';
import { PASSWORD, setUp, signIn, token } from './journeys.mjs';
import { run, story } from './scene.mjs';
import { everyPage } from './secrecy.mjs';

const APPS = 60;
const ISSUERS = 51;
const NAMES = [
  'invoice-sync',
  'nightly-etl',
  'Rapports d’activité',
  '請求書の同期',
  'a-name-without-any-space-that-goes-on-and-on-and-on-until-it-is-quite-long',
];

await story(async (scene) => {
  const ana = await scene.person('ana');
  await scene.step('sets the server up', () => setUp(scene, ana));

  const made = await scene.step(`makes ${APPS} apps, APIs, people and tokens`, async () => {
    const org = `--org=${await scene.organisation()}`;
    const apis = [];
    for (const [name, scopes] of Object.entries({ Billing: 30, Reports: 2, 'Warehouse of the northern region': 1 })) {
      const wanted = Array.from({ length: scopes }, (_, at) => `--scope=${name.slice(0, 4).toLowerCase()}:${at}=What number ${at} allows`);
      const identifier = `https://${name.split(' ')[0].toLowerCase()}.example`;
      apis.push(await scene.json('api', 'create', org, `--name=${name}`, `--identifier=${identifier}`, ...wanted));
    }
    const apps = [];
    for (let at = 0; at < APPS; at += 1) {
      const args = [org, `--name=${NAMES[at % NAMES.length]}${at < NAMES.length ? '' : ` ${at}`}`, '--scope=bill:0', '--scope=bill:1', '--scope=repo:1'];
      apps.push(await scene.json('app', 'create', ...args));
    }
    const busy = { sid: apps[0].client_id, key: apps[0].client_secret };
    for (let at = 0; at < 12; at += 1) {
      assert.equal((await token(scene, busy)).status, 200);
    }
    assert.equal((await token(scene, { ...busy, key: `${busy.key}x` })).status, 401);
    await refusedScope(scene, busy);
    await scene.brevet('app', 'disable', apps[1].client_id);
    await scene.brevet('app', 'key', 'rotate', busy.sid, '--overlap=24h');
    const { access_token: jwt } = (await token(scene, busy)).answer;
    for (const role of ['admin', 'developer', 'viewer']) {
      await scene.brevetReading(PASSWORD, 'user', 'create', org, `--email=${role}@example.com`, `--role=${role}`, '--password-file=-');
    }
    const rules = ['--match=repository=octo/app,octo/web', '--match=ref=refs/heads/release-*', `--match=environment=${'x'.repeat(200)}`];
    const issuers = [];
    for (let at = 0; at < ISSUERS; at += 1) {
      const args = [org, `--name=${NAMES[at % NAMES.length]} ${at}`, `--issuer=https://issuer-${at}.example/${'a-long-path/'.repeat(at % 3)}`, '--discover'];
      issuers.push(await scene.json('issuer', 'add', ...args, '--audience=https://one.example', '--audience=urn:another', `--app=${busy.sid}`, ...rules));
    }
    return { sid: busy.sid, disabled: apps[1].client_id, api: apis[0].id, jwt, issuer: issuers[2].id };
  });

  const app = `/apps/${made.sid}`;
  const issuer = `/issuers/${made.issuer}`;
  const pages = {
    home: '/',
    apps: '/apps',
    'apps-page-2': '/apps?page=2',
    'apps-no-match': '/apps?q=nothing-is-called-this',
    'app-new': '/apps/new',
    'app-overview': app,
    'app-keys': `${app}/keys`,
    'app-scopes': `${app}/scopes`,
    'app-start': `${app}/start`,
    'app-start-python': `${app}/start?lang=python`,
    'app-usage': `${app}/usage`,
    'app-usage-90d': `${app}/usage?range=90d`,
    'app-activity': `${app}/activity`,
    'app-settings': `${app}/settings`,
    'app-disabled': `/apps/${made.disabled}`,
    apis: '/apis',
    'api-new': '/apis/new',
    api: `/apis/${made.api}`,
    'api-verify': `/apis/${made.api}/verify`,
    try: '/try',
    inspect: '/inspect',
    audit: '/audit',
    'audit-no-match': '/audit?action=nothing.happened',
    team: '/team',
    account: '/account',
    'organisation-new': '/organisations/new',
    'admin-keys': '/admin/keys',
    'issuers-many': '/issuers',
    'issuers-page-2': '/issuers?page=2',
    'issuers-no-match': '/issuers?q=nothing-is-called-this',
    'issuer-many': issuer,
    'issuer-many-edit': `${issuer}/edit`,
    'issuer-many-test': `${issuer}/test`,
    'issuer-many-delete': `${issuer}/delete`,
    'issuer-starts-app': `/issuers/new?app=${made.sid}`,
    'issuer-new-app': `/issuers/new?from=github&app=${made.sid}`,
    'admin-users': '/admin/users',
    'admin-system': '/admin/system',
    'error-404': '/nothing-is-here',
  };
  for (const [name, path] of Object.entries(pages)) {
    await scene.step(`looks at ${path}`, async () => {
      await ana.goto(path);
      const nowhere = name === 'error-404';
      await ana.look(name, { status: nowhere ? 404 : 200, signedIn: !nowhere });
    });
  }
  await scene.step('looks at the verdict on a token', async () => {
    await ana.goto('/inspect');
    await ana.fill(ana.page.locator('main textarea'), made.jwt);
    await ana.follow(ana.button(/inspect|explain|check/i, ana.page.locator('main')));
    await ana.look('inspect-verdict', { status: ana.status });
  });
  await scene.step('a viewer sees the same pages without what would change something', async () => {
    const vera = await scene.person('vera');
    await signIn(vera, 'viewer@example.com');
    for (const name of ['issuers-many', 'issuer-many', 'issuer-many-test', 'apps', 'app-overview', 'app-keys', 'app-scopes', 'app-settings', 'apis', 'api', 'audit', 'team']) {
      await vera.goto(pages[name]);
      await vera.look(`${name}-viewer`, { status: vera.status });
    }
  });
  await scene.step('every link leads somewhere', async () => {
    for (const { path, status } of await everyPage(scene, ana)) {
      if (status >= 400) {
        scene.find(path.replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '…'), `a link leads there, and its status is ${status}`);
      }
    }
  });
});

async function refusedScope(scene, { sid, key }) {
  const args = ['-s', '-o', '/dev/null', '-w', '%{http_code}', '-u', `${sid}:${key}`, '-d', 'grant_type=client_credentials&scope=bill:29'];
  assert.equal(await run('curl', [...args, `${scene.url}/connect/token`]), '400');
}
