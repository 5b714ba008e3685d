// The pages that everybody sees.

import { assertSkips } from './keyboard.mjs';
import { story } from './scene.mjs';

await story(async (scene) => {
  const visitor = await scene.person('visitor');
  const pages = { welcome: '/', 'docs-errors': '/docs/errors', authorize: '/connect/authorize', login: '/login' };
  for (const [name, path] of Object.entries(pages)) {
    await scene.step(`looks at ${path}`, async () => {
      await visitor.goto(path);
      await visitor.look(name, { signedIn: false, status: path === '/connect/authorize' ? 400 : 200 });
      await visitor.goto(path);
      await assertSkips(visitor);
    });
  }
});
