// Third parties whose tokens are good: trusted, looked at, tried, changed, switched off and deleted; an app without App Key,
// and a person by the login that a portal names.

import assert from 'node:assert/strict';
import { ForeignIssuer } from './foreign_issuer.mjs';
import { PASSWORD, ask, send, setUp, signIn } from './journeys.mjs';
import { run, story } from './scene.mjs';
import { eventually } from './waiting.mjs';

const AUDIENCE = 'https://id.acme.example';

await story(async (scene) => {
  const ana = await scene.person('ana');
  const { page } = ana;
  const main = page.locator('main');
  const radio = (name) => page.getByRole('radio', { name });
  const id = () => ana.path.split('/').at(-1);
  const trust = ana.button(/^trust this issuer/i, main);

  await scene.step('sets the server up', async () => {
    await setUp(scene, ana);
    const org = `--org=${await scene.organisation()}`;
    await scene.brevet('api', 'create', org, '--name=Billing', '--identifier=https://billing.example', '--scope=billing:read=Read invoices', '--scope=billing:write');
    await scene.brevetReading(PASSWORD, 'user', 'create', org, '--email=bo@example.com', '--role=viewer', '--password-file=-');
  });
  await scene.step('there are none yet', async () => {
    await ana.goto('/issuers');
    await ana.sees(/no issuer is trusted yet/i);
    await ana.look('issuers-none');
  });
  const kinds = await scene.step('each kind of issuer has a form that is filled with what is usual', async () => {
    await ana.follow(ana.link(/trust an issuer/i, main).first());
    await ana.look('issuer-starts');
    const links = await main.locator('dl a').evaluateAll((all) => all.map((link) => link.getAttribute('href')));
    assert.equal(links.length, 8);
    for (const link of links) {
      await ana.goto(link);
      await ana.look(`issuer-new-${link.split('from=')[1]}`, { status: ana.status });
    }
    return links.map((link) => link.split('from=')[1]);
  });
  assert.deepEqual(kinds.slice(-3), ['url', 'certificate', 'jwks']);

  await scene.step('shows the fields of what is chosen, and loses nothing of what is not', async () => {
    await ana.goto('/issuers/new?from=jwks');
    const shown = async (...wanted) => {
      const fields = ['jwks-uri', 'jwks', 'certificates', 'certificate-names', 'app', 'limits-scopes', 'scope-0-0'];
      const seen = await Promise.all(fields.map((field) => page.locator(`main #${field}`).isVisible()));
      assert.deepEqual(fields.filter((_, at) => seen[at]), wanted);
    };
    await shown('jwks', 'app', 'limits-scopes');
    await ana.fill(/^jwk set/i, '{"keys": []}', main);
    await ana.tick(radio(/behind a url/i));
    await shown('jwks-uri', 'app', 'limits-scopes');
    await ana.tick(radio(/its certificates, which i paste/i));
    await shown('certificates', 'app', 'limits-scopes');
    await ana.tick(radio(/an authority of mine/i));
    await shown('certificates', 'certificate-names', 'app', 'limits-scopes');
    await ana.fill(/names in its certificate/i, 'signer.example', main);
    await ana.tick(radio(/at its own address/i));
    await shown('app', 'limits-scopes');
    assert.equal(await radio(/the operator of this server named/i).isDisabled(), true);
    await ana.sees(/the operator named none/i);
    await ana.tick(page.getByRole('checkbox', { name: /only the scopes ticked below/i }));
    await shown('app', 'limits-scopes', 'scope-0-0');
    await ana.tick(page.getByRole('checkbox', { name: /billing:write/ }));
    await ana.tick(radio(/people of this organisation/i));
    await shown('scope-0-0');
    // What is not shown was sent all the same, and came back.
    await page.locator('#name').evaluate((field) => field.form.setAttribute('novalidate', ''));
    await ana.follow(trust);
    await ana.look('issuer-new-refused', { status: 422 });
    await ana.tick(radio(/a jwk set that i paste/i));
    await shown('jwks', 'scope-0-0');
    assert.equal(await page.locator('#jwks').inputValue(), '{"keys": []}');
    assert.equal(await page.locator('#certificate-names').inputValue(), 'signer.example');
    assert.equal(await page.getByRole('checkbox', { name: /billing:write/ }).isChecked(), true);
  });

  const builds = new ForeignIssuer('Builds', 'https://builds.example');
  const app = await scene.step('makes an app without App Key, and trusts an issuer for it', async () => {
    await ana.goto('/apps/new');
    await ana.fill(/^name/i, 'deployer', main);
    await ana.tick(page.getByRole('checkbox', { name: /billing:read/ }));
    await ana.tick(page.locator('#key-ends-none'));
    await send(ana, ana.button(/^create app/i, main));
    await ana.sees(/no trusted issuer's tokens stand for it/i);
    await ana.look('app-keyless-alone');
    const sid = id();
    await ana.goto(`/apps/${sid}/start`);
    await ana.sees(/no token can be issued/i);
    await ana.look('app-start-keyless-alone');
    await ana.goto(`/apps/${sid}`);
    await ana.follow(ana.link(/trust an issuer for this app/i, main));
    await ana.follow(ana.link(/an issuer whose keys i have/i, main));
    await ana.fill(/^name/i, builds.name, main);
    await ana.fill(/^issuer/i, builds.iss, main);
    await ana.fill(/^jwk set/i, builds.jwks(), main);
    await ana.fill(/^audiences/i, AUDIENCE, main);
    await send(ana, trust);
    await ana.look('issuer-new-no-rule', { status: 422 });
    await ana.fill(/^rules/i, 'sub = deploy\nrepository = octo/app, octo/web', main);
    await send(ana, trust);
    assert.equal(ana.status, 200, await ana.text());
    await ana.sees(/is trusted/i);
    await ana.look('issuer-trusted');
    await ana.goto(`/apps/${sid}`);
    await ana.sees(/builds\.example/);
    await ana.look('app-keyless');
    await ana.goto(`/apps/${sid}/keys`);
    await ana.look('app-keyless-keys');
    await ana.goto(`/apps/${sid}/start`);
    await ana.sees(/builds[^]*client_assertion="\$JWT"/i);
    await ana.seesNot(/APP_KEY/);
    await ana.look('app-start-keyless');
    return sid;
  });

  await scene.step('an app that signs has commands that sign', async () => {
    const org = `--org=${await scene.organisation()}`;
    const { client_id: sid } = await scene.json('app', 'create', org, '--name=Signer', '--scope=billing:read', '--auth-method=private_key_jwt', '--jwks-uri=https://keys.example/jwks');
    await ana.goto(`/apps/${sid}/start`);
    await ana.sees(/openssl dgst/);
    await ana.look('app-start-signs');
  });

  await scene.step('what only the person knows is put in before anything is saved', async () => {
    await ana.goto(`/issuers/new?from=github&app=${app}`);
    for (const _press of ['first', 'second']) {
      await send(ana, trust);
      await ana.sees(/put your own in place of OWNER\/REPOSITORY/i);
    }
    await ana.look('issuer-new-blank', { status: 422 });
  });
  await scene.step('a private key is not sent back', async () => {
    await ana.goto(`/issuers/new?from=jwks&app=${app}`);
    await ana.fill(/^jwk set/i, '{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "eA", "d": "c2VjcmV0"}]}', main);
    await page.locator('#name').evaluate((field) => field.form.setAttribute('novalidate', ''));
    await send(ana, trust);
    await ana.sees(/that is a private key/i);
    assert.equal(await page.locator('#jwks').inputValue(), '');
    await ana.look('issuer-new-private', { status: 422 });
  });

  await scene.step('what is behind a URL is shown before anything is saved', async () => {
    const url = await new ForeignIssuer('Cluster', 'https://cluster.example').publish();
    await ana.goto(`/issuers/new?from=url&app=${app}`);
    await ana.fill(/^name/i, 'Cluster of the northern region', main);
    await ana.fill(/^issuer/i, 'https://cluster.example', main);
    await ana.tick(radio(/behind a url/i));
    await ana.fill(/^jwks url/i, url.replace('/jwks', '/nothing'), main);
    await ana.fill(/^rules/i, 'sub = system:serviceaccount:billing:deployer', main);
    await send(ana, trust);
    await ana.sees(/its keys cannot be fetched/i);
    await ana.look('issuer-nothing-found');
    await ana.fill(/^jwks url/i, url, main);
    await send(ana, trust);
    await ana.sees(/what was found[^]*nothing is saved yet/i);
    await ana.look('issuer-found');
    await send(ana, trust);
    await ana.sees(/is trusted/i);
    await ana.look('issuer-url');
  });

  const portal = new ForeignIssuer('Portal', 'urn:acme:portal');
  const portalId = await scene.step('trusts a portal for people by its certificate, which ends soon', async () => {
    await ana.goto('/issuers/new?from=certificate');
    await ana.fill(/^name/i, 'Sign-in portal', main);
    await ana.fill(/^issuer/i, portal.iss, main);
    await ana.fill(/^certificates/i, await portal.certificate(12), main);
    await ana.fill(/^audiences/i, AUDIENCE, main);
    await ana.tick(page.getByRole('checkbox', { name: /billing:read/ }));
    await send(ana, trust);
    await ana.sees(/a certificate of this issuer ends within 30 days/i);
    const made = id();
    await ana.goto('/');
    await ana.sees(/certificates of trusted issuers end[^]*sign-in portal/i);
    await ana.look('home-issuer-ends');
    return made;
  });
  await scene.step('says by which login the portal knows a member', async () => {
    await ana.goto('/team');
    const row = page.getByRole('row', { name: /bo@example\.com/ });
    await ana.press(row.locator('summary', { hasText: /login/i }));
    await ana.look('team-login');
    await ana.fill(/^login of/i, 'bo.smith', row);
    await send(ana, ana.button(/save login/i, row));
    await ana.sees(/bo\.smith/);
    await ana.look('team-login-saved', { status: ana.status });
  });

  const post = async (path, body) => Number(await run('curl', ['-s', '-o', '/dev/null', '-w', '%{http_code}', ...body.flatMap(([name, value]) => ['--data-urlencode', `${name}=${value}`]), `${scene.url}${path}`]));
  const ticket = (claims) => post('/server/jwt', [['JwtToken', portal.token({ aud: AUDIENCE, nameid: 'bo.smith', ...claims })]]);
  await scene.step('tokens come, and are counted', async () => {
    for (let at = 0; at < 3; at += 1) {
      assert.equal(await ticket({}), 200);
    }
    assert.equal(await ticket({ aud: 'https://else.example' }), 401);
    assert.equal(await ticket({ nameid: 'nobody' }), 401);
    await eventually('the counts are there', async () => {
      await ana.goto(`/issuers/${portalId}`);
      return /3\s+tokens accepted/.test(await ana.text());
    });
    await ana.sees(/aud has none of the audiences/i);
    await ana.look('issuer-counted');
    await ana.goto('/issuers');
    await ana.sees(/expires in 1[12] days/i);
    await ana.look('issuers');
    await page.setViewportSize({ width: 1200, height: 800 });
    const state = await page.getByText(/expires in 1[12] days/i).boundingBox();
    assert.ok(state.x + state.width < 1200, 'the state is out of sight');
  });

  await scene.step('a pasted token is told check by check', async () => {
    const paste = async (claims) => {
      await ana.goto(`/issuers/${portalId}/test`);
      await ana.tick(radio(/for a ticket/i));
      await ana.fill(/^token/i, portal.token({ aud: AUDIENCE, nameid: 'bo.smith', ...claims }), main);
      await ana.follow(ana.button(/test token/i, main));
    };
    await ana.goto(`/issuers/${portalId}/test`);
    await ana.look('issuer-test');
    await ana.follow(ana.button(/test token/i, main));
    await ana.look('issuer-test-refused', { status: 422 });
    await paste({});
    await ana.sees(/it would be accepted now/i);
    await ana.look('issuer-test-holds');
    await paste({ aud: 'https://else.example' });
    await ana.sees(/fails/i);
    await ana.look('issuer-test-fails');
  });

  await scene.step('changes it', async () => {
    await ana.goto(`/issuers/${portalId}`);
    await ana.follow(ana.link(/^change/i, main));
    await ana.look('issuer-edit');
    await ana.fill(/^name/i, 'Portal of the staff', main);
    await send(ana, ana.button(/^save changes/i, main));
    assert.equal(await main.locator('h1').innerText(), 'Portal of the staff');
  });
  await scene.step('who looks on sees the same, and changes nothing', async () => {
    const bo = await scene.person('bo');
    await signIn(bo, 'bo@example.com');
    await bo.goto(`/issuers/${portalId}`);
    await bo.look('issuer-viewer');
    assert.equal(await bo.page.locator('main form').count(), 0);
  });
  await scene.step('its certificate is over', async () => {
    const pem = await portal.certificate(-2);
    await scene.sql(`update trusted_issuers set policy = json_set(policy, '$.keys.certificates', '${pem}') where id = '${portalId}'`);
    await ana.goto(`/issuers/${portalId}`);
    await ana.sees(/none of its certificates is valid any more/i);
    await ana.look('issuer-over');
    await ana.goto('/issuers');
    await ana.sees(/expired\s+its certificate/i);
    await ana.look('issuers-over');
    await ana.goto('/');
    await ana.sees(/portal of the staff: ended/i);
    await ana.look('home-issuer-over');
  });
  await scene.step('disables it and enables it', async () => {
    await ana.goto(`/issuers/${portalId}`);
    await send(ana, ana.button(/disable issuer/i, main));
    await ana.sees(/this issuer is disabled/i);
    await ana.look('issuer-disabled');
    await ana.goto('/issuers');
    await ana.look('issuers-disabled');
    await ana.goto(`/issuers/${portalId}`);
    await send(ana, ana.button(/enable issuer/i, main));
    await ana.seesNot(/this issuer is disabled/i);
  });
  await scene.step('the audit log calls it by its name', async () => {
    await ana.follow(ana.link(/see all of them in the audit log/i, main));
    await ana.sees(/issuer portal of the staff/i);
    await ana.look('audit-issuer');
    await ana.follow(main.locator('tr', { hasText: 'trusted-issuer.update' }).getByRole('link').first());
    await ana.look('audit-issuer-event');
    await ana.follow(ana.link(/everything by this actor/i, main));
    await ana.sees(/organisation\.create|api\.create|user\.sign-in/);
  });
  await scene.step('deletes it', async () => {
    await ana.goto(`/issuers/${portalId}`);
    await ask(ana, ana.link(/delete issuer/i, main));
    await ana.look('issuer-delete');
    await ana.fill(/type the name/i, 'Portal', main);
    await send(ana, ana.button(/delete issuer/i, main));
    await ana.look('issuer-delete-refused', { status: 422 });
    await ana.goto(`/issuers/${portalId}`);
    const link = ana.link(/delete issuer/i, main);
    if (scene.script) {
      await ana.press(link);
      await ana.fill(/type the name/i, 'Portal of the staff', page.locator('dialog[open]'));
      await send(ana, ana.button(/delete issuer/i, page.locator('dialog[open]')));
    } else {
      await ana.follow(link);
      await ana.fill(/type the name/i, 'Portal of the staff', main);
      await send(ana, ana.button(/delete issuer/i, main));
    }
    await ana.sees(/the issuer is deleted/i);
    assert.equal(await ticket({}), 401);
  });
});
