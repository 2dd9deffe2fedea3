// A proxy and an application may read the same path differently. Then a public folder must not lead to anything that isn't
// public: nginx and Caddy with printed blocks, in front of an application that resolves paths as Tomcat does.
import { afterAll, describe, expect, type TestContext, test } from 'vitest';
import { amountOf } from '../../packages/server/test/support/amount.ts';
import { PASSWORD, sendBytes } from '../../packages/server/test/support/harness.ts';
import { createRandom } from '../../packages/server/test/support/random.ts';
import { cookiesOf, createClient } from '../ask.ts';
import { findFreePorts } from '../free-ports.ts';
import { printBlock } from '../print-block.ts';
import { findProxy, openProxy, type ProxyName } from '../proxy.ts';
import { openServer } from '../server.ts';
import { ambiguousTargets, inAbsoluteForm, pieces, plainTargets, readingsOf } from '../spellings.ts';
import { openStandIn, openTomcat, resolveAsTomcat } from '../tomcat.ts';

const isLong = amountOf({ sample: 0, long: 1 }) === 1;
const isPublic = (path: string) => path === '/health' || path === '/share' || path.startsWith('/share/');

/** Some that nobody thought of. */
function randomTargets(count: number): string[] {
  const { pick, text } = createRandom(1);
  return Array.from(
    { length: count },
    () => pick('/share/', '/share/', '/health', '/share', '/') + text(8, () => pick(...pieces)),
  );
}

async function openPlace(name: ProxyName, scope: AsyncDisposableStack) {
  if ((await findProxy(name)) === null) return { missing: `no ${name} here` };
  const standIn = scope.use(await openStandIn());
  const found = isLong ? await openTomcat() : { missing: 'only in pnpm test:long' };
  const tomcat = 'missing' in found ? found : scope.use(found);
  const [port = 0, first = 0, second = 0] = await findFreePorts(3);
  const env = {
    PORT: String(port),
    PUBLIC_URL: `http://localhost:${port}`,
    MASTER_PASSWORD: PASSWORD,
    TRUSTED_PROXIES: '127.0.0.1',
    LOG_LEVEL: 'error',
  };
  const paths = ['--public', '/share/', '--public', '/health'];
  const [server, ...blocks] = await Promise.all([
    openServer(env),
    printBlock(env, name, `localhost:${first}`, standIn.url, ...paths),
    ...('missing' in tomcat ? [] : [printBlock(env, name, `localhost:${second}`, tomcat.url, ...paths)]),
  ]);
  scope.use(server);
  scope.use(await openProxy(name, blocks));
  const login = await createClient({ ca: '' }).ask(`${server.url}/api/v1/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ password: PASSWORD }),
  });
  const send = (url: string, target: string, headers = '') =>
    sendBytes(
      url,
      Buffer.from(
        `GET ${target} HTTP/1.1\r\nHost: ${new URL(url).host}\r\n${headers}Connection: close\r\n\r\n`,
        'latin1',
      ),
    );
  /** A few at a time. */
  const askAll = async (url: string, targets: readonly string[]) => {
    const answers: { target: string; status: number; text: string }[] = [];
    for (let at = 0; at < targets.length; at += 16) {
      const some = targets.slice(at, at + 16).map(async (target) => ({ target, ...(await send(url, target)) }));
      answers.push(...(await Promise.all(some)));
    }
    return answers;
  };
  return {
    askAll,
    standIn,
    tomcat,
    app: `http://localhost:${first}`,
    appOnTomcat: `http://localhost:${second}`,
    asStranger: send,
    signedIn: (url: string, target: string) => send(url, target, `Cookie: ${cookiesOf(login)}\r\n`),
  };
}

describe.each(['nginx', 'caddy'] as const)('%s', (name) => {
  const scope = new AsyncDisposableStack();
  let opened: ReturnType<typeof openPlace> | undefined;
  afterAll(() => scope.disposeAsync());
  const enter = async (context: TestContext) => {
    opened ??= openPlace(name, scope);
    const place = await opened;
    if (!('missing' in place)) return place;
    console.warn(`skipped: ${place.missing}`);
    return context.skip(`skipped: ${place.missing}`);
  };

  test('asks for sign-in at every ambiguous spelling of a public path', async (context) => {
    const { standIn, app, askAll } = await enter(context);
    expect(new Set(ambiguousTargets).size).toBeGreaterThan(150);
    standIn.targets.length = 0;
    for (const { target, status } of await askAll(app, [
      ...ambiguousTargets,
      ...inAbsoluteForm(ambiguousTargets, app),
    ])) {
      // nginx and Go reject some of them before they ask anybody.
      expect([400, 401], `${target} got ${status}`).toContain(status);
    }
    expect(standIn.targets).toEqual([]);
  });

  test('passes an ambiguous spelling on to the application for someone who is signed in', async (context) => {
    const { app, standIn, signedIn } = await enter(context);
    for (const target of [
      '/share/..;/admin',
      '/share/..%3b/admin',
      '/health;x',
      '/share/a%3bb',
      '/share/a//b',
      '/share/%2e/a%252e',
    ]) {
      standIn.targets.length = 0;
      await signedIn(app, target);
      expect(standIn.targets).toEqual([target]);
    }
  });

  test('asks nobody to sign in at a plain spelling, whatever the query', async (context) => {
    const { standIn, app, asStranger } = await enter(context);
    standIn.targets.length = 0;
    for (const target of plainTargets) expect((await asStranger(app, target)).status, target).not.toBe(401);
    for (const [index, target] of standIn.targets.entries())
      expect(target.replace(/\?$/, '')).toBe(plainTargets[index]?.replace(/\?$/, ''));
    expect(standIn.targets).toHaveLength(plainTargets.length);
  });

  test('lets no stranger reach anything that some server reads as another path', async (context) => {
    const { standIn, app, askAll } = await enter(context);
    standIn.targets.length = 0;
    await askAll(app, randomTargets(amountOf({ sample: 300, long: 20_000 })));
    expect(standIn.targets.length).toBeGreaterThan(5);
    for (const target of standIn.targets) {
      const elsewhere = readingsOf(target).filter((path) => !isPublic(path));
      expect(elsewhere, `${target} is read as`).toEqual([]);
    }
  });

  test('lets no stranger reach another path of a real Tomcat', async (context) => {
    const { tomcat, appOnTomcat, asStranger, askAll } = await enter(context);
    if ('missing' in tomcat) return context.skip(`skipped: ${tomcat.missing}`);
    const targets = [...ambiguousTargets, ...inAbsoluteForm(ambiguousTargets, appOnTomcat), ...randomTargets(2000)];
    for (const { target, status, text } of await askAll(appOnTomcat, [...targets, ...plainTargets])) {
      if (status === 200) expect(text, `Tomcat reads ${target} as`).toSatisfy(isPublic);
      else expect([400, 401], target).toContain(status);
    }
    expect((await asStranger(appOnTomcat, '/share/a')).text).toBe('/share/a');
  });
});

test('the stand-in resolves every spelling as a real Tomcat does', async (context) => {
  if (!isLong) return context.skip('skipped: only in pnpm test:long');
  const tomcat = await openTomcat();
  if ('missing' in tomcat) return context.skip(`skipped: ${tomcat.missing}`);
  await using _tomcat = tomcat;
  const differences: object[] = [];
  for (const target of [...ambiguousTargets, ...plainTargets, ...randomTargets(5000)]) {
    const bytes = `GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
    const { status, text } = await sendBytes(tomcat.url, Buffer.from(bytes, 'latin1'));
    const [real, standIn] = [status === 200 ? text : null, resolveAsTomcat(target)];
    if (real !== standIn) differences.push({ target, real, standIn });
  }
  expect(differences).toEqual([]);
});
