// `backchannel call` against real servers: what it sends, what it prints, and what it rejects before anything is sent.
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { afterAll, describe, expect, test } from 'vitest';
import { listProcedures } from '../../server/src/http/operations.ts';
import { appRouter } from '../../server/src/router.ts';
import { makeToken, OWN_PASSWORD, openSession, startOwnServer } from '../../server/test/support/callers.ts';
import type { TestServer } from '../../server/test/support/harness.ts';
import { type HereOptions, makeHome } from './run.ts';

const home = makeHome({
  'input.json': '{"limit": 1}',
  'windows.json': '\uFEFF{"limit": 1}',
  'broken.json': '{"password": "correct horse',
  'change.json': JSON.stringify({ current: OWN_PASSWORD, new: 'correct horse battery' }),
});
afterAll(() => home[Symbol.dispose]());

const server = await startOwnServer();
afterAll(() => server[Symbol.asyncDispose]());
const secretOf = async (on: TestServer, scope: 'read' | 'full') =>
  ((await makeToken(on, scope)).headers.authorization ?? '').replace('Bearer ', '');
const full = await secretOf(server, 'full');

/** Calls with a token, unless the environment or the arguments say otherwise. */
const call = (args: string[], { env = {}, ...options }: HereOptions = {}) =>
  home.run(['call', ...args], { ...options, env: { BACKCHANNEL_URL: server.url, BACKCHANNEL_TOKEN: full, ...env } });

/** Calls with these arguments and an empty environment. */
const callWith = (args: string[], { url, token }: { url?: string; token?: string }) =>
  home.run(['call', ...args, ...(url ? ['--url', url] : []), ...(token ? ['--token', token] : [])]);

describe('every procedure', () => {
  /** The input of each procedure that needs one. */
  const inputs: Record<string, (on: TestServer) => Promise<object>> = {
    'auth.login': async () => ({ password: OWN_PASSWORD }),
    'auth.hashPassword': async () => ({ password: 'correct horse battery' }),
    'auth.stepUp': async () => ({ password: OWN_PASSWORD }),
    'auth.changePassword': async () => ({ current: OWN_PASSWORD, new: 'another one' }),
    'auth.sessions.revoke': async (on) => ({ id: (await openSession(on)).id }),
    'auth.tokens.create': async () => ({ name: 'script', scope: 'read' }),
    'auth.tokens.revoke': async (on) => ({ id: (await makeToken(on, 'read')).id }),
  };

  test('can be called with a token, or with a sign-in for this call if it accepts no token', async () => {
    await using shared = await startOwnServer();
    const token = await secretOf(shared, 'full');
    const procedures = listProcedures(appRouter);
    expect(procedures.length).toBeGreaterThan(15);
    for (const { name, meta, output } of procedures.map((each) => ({ ...each, output: outputOf(each.name) }))) {
      // The next call signs in with the old password.
      await using other = name === 'auth.changePassword' ? await startOwnServer() : null;
      const own = other ?? shared;
      const input = inputs[name] ? [JSON.stringify(await inputs[name](own))] : [];
      const needsSession = meta.access === 'session' || meta.access === 'fresh';
      const done = needsSession
        ? await call([name, ...input, '--password'], { env: { BACKCHANNEL_URL: own.url }, input: `${OWN_PASSWORD}\n` })
        : await callWith([name, ...input], { url: own.url, token });
      const stderr = done.stderr.replace(/^A (?:token|password) as an argument .*\n?/gm, '');
      expect([name, done.exitCode, stderr]).toEqual([name, 0, '']);
      expect(output.safeParse(JSON.parse(done.stdout)).success, done.stdout).toBe(true);
    }
  });

  test('is listed with who may call it, and described with its input', async () => {
    const listed = await callWith(['--list'], {});
    const [heading, ...lines] = listed.stdout.trimEnd().split('\n');
    expect(heading).toMatch(/^PROCEDURE +TYPE +WHO +DOES$/);
    expect(lines.map((line) => line.split(' ')[0])).toEqual(listProcedures(appRouter).map(({ name }) => name));
    expect(lines).toContainEqual(expect.stringMatching(/^auth\.sessions\.revoke +mutation +full +End a session$/));
    expect(lines).toContainEqual(expect.stringMatching(/^auth\.tokens\.create +mutation +fresh +Create an API token$/));

    const one = await callWith(['auth.tokens.create', '--list'], {});
    expect(one.stdout).toMatch(/^ {2}scope +read\|full\|proxy +What it opens\.$/m);
    expect(one.stdout).toMatch(/^ {2}expiresInDays\? +integer +Days until it ends; absent: never\.$/m);
    expect(one.stdout).toContain('For a session, not a token (use --password). Over REST: POST /api/v1/auth/tokens\n');
    expect((await callWith(['--list', 'auth.me'], {})).stdout).toContain('It takes no input.');

    const { procedures } = JSON.parse((await callWith(['--list', '--json'], {})).stdout);
    expect(procedures).toContainEqual(
      expect.objectContaining({ name: 'auth.events.list', type: 'query', who: 'read', path: '/auth/events' }),
    );
  });
});

describe('the response', () => {
  test('is all of stdout: as formatted JSON, or on one line with --json', async () => {
    const read = await call(['auth.me']);
    expect(read.stdout).toMatch(/^\{\n {2}"authenticated": true,\n/);
    expect(JSON.parse(read.stdout)).toMatchObject({ method: 'token', token: { scope: 'full' } });
    const line = await call(['auth.me', '--json']);
    expect(line.stdout.split('\n')).toEqual([expect.stringMatching(/^\{"authenticated":true,.*\}$/), '']);
    expect([read.stderr, line.stderr]).toEqual(['', '']);
  });

  test('of another server cannot drive the terminal, not even in an error', async () => {
    const said = '\u001b[2J\u009b2J';
    await using other = await serveEnvelopes({
      'auth.me': { result: { data: { text: said } } },
      'auth.status': {
        error: {
          message: said,
          code: -32600,
          data: { code: 'BAD_REQUEST', httpStatus: 400, issues: [{ path: said, message: said }] },
        },
      },
    });
    const runs = [['auth.me'], ['auth.me', '--json'], ['auth.status'], ['auth.status', '--json']];
    for (const args of runs) {
      const { stdout, stderr } = await callWith(args, { url: other.url, token: full });
      expect(`${stdout}${stderr}`, args.join(' ')).toContain('\\u001b[2J\\u009b2J');
      expect(`${stdout}${stderr}`, args.join(' ')).not.toMatch(/(?!\n)\p{Cc}/u);
    }
  });
});

describe('the server and the token', () => {
  test('come from the options, or else from the environment', async () => {
    await using other = await startOwnServer();
    const token = await secretOf(other, 'read');
    const { stdout } = await call(['auth.me', '--url', other.url, '--token', token]);
    expect(JSON.parse(stdout)).toMatchObject({ token: { scope: 'read' } });
  });

  test('a token as an argument gets a warning, and one in a file does not', async () => {
    const asArgument = await call(['auth.me', '--token', full], { env: { BACKCHANNEL_TOKEN: '' } });
    expect(asArgument.stderr).toMatch(
      /^A token as an argument stays in the shell history .*BACKCHANNEL_TOKEN instead\.\n$/,
    );
    using files = makeHome({ 'token.txt': `${full}\n` });
    const env = { BACKCHANNEL_URL: server.url };
    const fromFile = await files.run(['call', 'auth.me', '--token-file', 'token.txt'], { env });
    expect(fromFile).toMatchObject({ stderr: '', exitCode: 0 });
  });

  const url = 'http://localhost:8000';
  test.each([
    [['auth.me'], { token: 'x' }, 'no server given. Add --url http://localhost:8000, or set BACKCHANNEL_URL in the'],
    [['auth.me'], { url: 'localhost:1', token: 'x' }, '--url must be http:// or https:// and a host, without a path'],
    [['auth.me'], { url, token: 'ü' }, '--token is empty or has invalid characters'],
    [
      ['auth.me', '--token-file', 'x'],
      { url, token: 'x' },
      '--token and --token-file cannot be combined. Leave one of them out',
    ],
    [['auth.me', '--token-file', '/nowhere'], { url }, '--token-file: cannot read "/nowhere" (ENOENT)'],
    [['auth.me', '--token-file', '/dev/null'], { url }, '--token-file: "/dev/null" is empty'],
    [['auth.me'], { url }, 'auth.me needs a token. Set BACKCHANNEL_TOKEN, or add --token-file FILE, or'],
    [
      ['auth.me', '--password'],
      { url, token: 'x' },
      '--password cannot be combined with a token. Leave one of them out',
    ],
    [['auth.stepUp', '{"password":"x"}'], { url, token: 'x' }, 'auth.stepUp needs a session and accepts no token. Add'],
    [['auth.tokens.revoke', '{"id":"x"}'], { url }, 'auth.tokens.revoke needs a session and accepts no token. Add'],
  ])('%j with %j is bad usage', async (args, options, message) => {
    const { stdout, stderr, exitCode } = await callWith(args, options);
    expect({ stdout, stderr: stderr.slice(0, 13 + message.length), exitCode }).toEqual({
      stdout: '',
      stderr: `backchannel: ${message}`,
      exitCode: 2,
    });
  });
});

describe('the input', () => {
  test.each([
    ['as an argument', ['{"limit": 1}'], {}],
    ['from a file', ['@input.json'], {}],
    ['from a pipe', ['-'], { input: '\ufeff{"limit": 1}\n' }],
  ])('comes %s', async (_, args, options) => {
    const { stdout, stderr } = await call(['auth.events.list', ...args], options);
    expect(stderr).toBe('');
    expect(JSON.parse(stdout).events).toHaveLength(1);
  });

  test.each([
    [['auth.events.list', '{"limit": "5", "verbose": true}'], /^ {2}limit: .*number.*\n {2}verbose: Unknown field\.$/m],
    [['auth.events.list', '{"type": "login.fialed"}'], /^ {2}type: .*"login\.failed"/m],
    [['auth.events.list', '[]'], /^ {2}Invalid input: expected object/m],
    [['auth.me', '{"verbose": true}'], /^ {2}verbose: Unknown field\.$/m],
    [['auth.hashPassword'], /^ {2}Invalid input: expected object/m],
    [['auth.hashPassword', '{"password": ""}'], /^ {2}password: /m],
    [['auth.events.list', '{limit: 5}'], /: the input is not JSON, such as '\{"limit": 5\}' \(in single quotes/],
    [['auth.events.list', '@nowhere'], /: cannot read the input "nowhere" \(ENOENT\)$/m],
    [['auth.evnts.list'], /: unknown procedure "auth\.evnts\.list"\. Did you mean auth\.events\.list\?$/m],
    [['client'], /: unknown procedure "client"\. Did you mean client\.profile\?$/m],
    [['constructor'], /: unknown procedure "constructor"\. See: \.\/backchannel call --list$/m],
    [['\u001b[2J'], /: unknown procedure "\\u001b\[2J"\. See/],
    [
      ['auth.changePassword', '-', '--password'],
      /: the password is read from standard input\. Give the input as @FILE$/m,
    ],
  ])('%j is rejected before anything is sent', async (args, message) => {
    await using nobody = await countConnections();
    const hasToken = !args.includes('--password');
    const options = { url: nobody.url, ...(hasToken ? { token: full } : {}) };
    const { stdout, stderr, exitCode } = await callWith(args, options);
    expect({ stdout, stderr, exitCode }).toEqual({ stdout: '', stderr: expect.stringMatching(message), exitCode: 2 });
    expect(nobody.count()).toBe(0);
  });

  test('from a pipe is validated, too', async () => {
    const { stderr, exitCode } = await call(['auth.events.list', '-'], { input: '{"limit": "5"}' });
    expect({ stderr, exitCode }).toEqual({ stderr: expect.stringMatching(/^ {2}limit: .*number/m), exitCode: 2 });
    const none = await call(['auth.events.list', '-']);
    expect(none).toMatchObject({ stderr: expect.stringContaining('the input is not JSON'), exitCode: 2 });
  });

  test('is not repeated when it is not JSON, because it may contain a password', async () => {
    const { stderr } = await call(['auth.hashPassword', '@broken.json']);
    expect(stderr).toContain('the input is not JSON');
    expect(stderr).not.toContain('horse');
  });

  test('with a password in it gets a warning as an argument, and not in a pipe', async () => {
    const input = '{"password": "correct horse battery"}';
    const asArgument = await call(['auth.hashPassword', input]);
    expect(asArgument).toMatchObject({
      stderr: expect.stringMatching(/^A password as an argument stays/),
      exitCode: 0,
    });
    expect(await call(['auth.hashPassword', '-'], { input })).toMatchObject({ stderr: '', exitCode: 0 });
  });
});

describe('an error of the server is on stderr, with exit code 1 and an empty stdout', () => {
  test.each([
    ['an unknown token', ['auth.me'], 'bct_nothing', 'The token is unknown, revoked or expired. (UNAUTHORIZED, 401)'],
    [
      'an unknown id',
      ['auth.sessions.revoke', '{"id":"x"}'],
      full,
      'There is no live session with this id. (NOT_FOUND, 404)',
    ],
  ])('%s', async (_, args, token, message) => {
    const { stdout, stderr, exitCode } = await callWith(args, { url: server.url, token });
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 1 });
    expect(stderr.slice(0, message.length)).toBe(message);
  });

  test('an insufficient scope, as an object with --json', async () => {
    const env = { BACKCHANNEL_TOKEN: await secretOf(server, 'read') };
    const { stdout, stderr, exitCode } = await call(['auth.sessions.revokeOthers', '--json'], { env });
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 1 });
    expect(JSON.parse(stderr)).toEqual({
      code: 'FORBIDDEN',
      status: 403,
      message: "This token's scope is read, which does not allow this.",
      issues: [],
      retryAfterSeconds: null,
    });
  });

  test('too many wrong passwords, with the time to wait', async () => {
    await using own = await startOwnServer({ loginMaxFailures: 1 });
    const wrong = () =>
      call(['auth.login', '-'], { env: { BACKCHANNEL_URL: own.url }, input: '{"password":"not this one"}' });
    expect(await wrong()).toMatchObject({ stderr: 'Wrong password. (UNAUTHORIZED, 401)\n', exitCode: 1 });
    expect((await wrong()).stderr).toMatch(/^Too many .* \(TOO_MANY_REQUESTS, 429\)\nTry again in \d+ s\.\n$/);
  });

  test('an address without a server', async () => {
    const closed = await countConnections();
    await closed[Symbol.asyncDispose]();
    const { url } = closed;
    const { stderr, exitCode } = await callWith(['auth.status'], { url });
    expect({ stderr, exitCode }).toEqual({
      stderr: `${url} cannot be reached: ECONNREFUSED. (UNREACHABLE)\n`,
      exitCode: 1,
    });
  });
});

describe('--password', () => {
  const sessionsAndEvents = async (on: TestServer) => {
    const live = await on.services.sessions.list();
    const { events } = await on.services.events.list({ limit: 10 });
    return { sessions: live.length, events: events.map(({ type }) => type).reverse() };
  };

  test('signs in for the call, and out again even when the call fails', async () => {
    await using own = await startOwnServer();
    const env = { BACKCHANNEL_URL: own.url };
    const input = `${OWN_PASSWORD}\n`;
    const made = await call(['auth.tokens.create', '{"name":"x","scope":"read"}', '--password'], { env, input });
    expect(JSON.parse(made.stdout)).toMatchObject({ secret: expect.stringMatching(/^bct_/) });
    const failed = await call(['auth.tokens.revoke', '{"id":"x"}', '--password'], { env, input });
    expect(failed).toMatchObject({ stderr: 'There is no live token with this id. (NOT_FOUND, 404)\n', exitCode: 1 });
    const wrong = await call(['auth.me', '--password'], { env, input: 'not this one' });
    expect(wrong).toMatchObject({ stdout: '', stderr: 'Wrong password. (UNAUTHORIZED, 401)\n', exitCode: 1 });
    expect(await sessionsAndEvents(own)).toEqual({
      sessions: 0,
      events: expect.arrayContaining([
        'login.succeeded',
        'token.created',
        'logout',
        'login.succeeded',
        'logout',
        'login.failed',
      ]),
    });
  });

  test('explains that a session is lost if its cookie is Secure and the address is http', async () => {
    await using own = await startOwnServer({ publicUrl: 'https://auth.example.com:0', secureCookies: true });
    // Another name for this machine that is not loopback.
    const env = { BACKCHANNEL_URL: `http://0.0.0.0:${new URL(own.url).port}` };
    const { stderr, exitCode } = await call(['auth.me', '--password'], { env, input: OWN_PASSWORD });
    expect(stderr).toMatch(/^Sign in first\. \(UNAUTHORIZED, 401\)\nThe password was correct, .* https address,? /);
    expect(exitCode).toBe(1);
  });

  test('a session that auth.login opens is ended, too', async () => {
    await using own = await startOwnServer();
    const input = JSON.stringify({ password: OWN_PASSWORD });
    const { exitCode } = await call(['auth.login', '-'], { env: { BACKCHANNEL_URL: own.url }, input });
    expect(exitCode).toBe(0);
    expect(await sessionsAndEvents(own)).toMatchObject({ sessions: 0 });
  });

  test('changes the password: the pipe has the password for the sign-in, a file has both', async () => {
    await using own = await startOwnServer();
    const env = { BACKCHANNEL_URL: own.url };
    const { stdout } = await call(['auth.changePassword', '@change.json', '--password'], { env, input: OWN_PASSWORD });
    expect(JSON.parse(stdout)).toMatchObject({ message: 'The password is changed.' });
    const again = await call(['auth.me', '--password'], { env, input: 'correct horse battery' });
    expect(JSON.parse(again.stdout)).toMatchObject({ session: { device: 'backchannel-cli', current: true } });
  });

  test('reads a file with a byte order mark, as editors on Windows write it', async () => {
    const { stdout, exitCode } = await call(['auth.events.list', '@windows.json']);
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout).events).toHaveLength(1);
  });

  test('asks for the password at a terminal', async () => {
    const args = ['call', 'auth.status', '--password', '--url', server.url];
    const { stdout, stderr, exitCode } = await home.run(args, { typed: [`${OWN_PASSWORD}\r`] });
    expect(JSON.parse(stdout)).toMatchObject({ authenticated: true });
    expect({ stderr, exitCode }).toEqual({ stderr: 'Password: \n', exitCode: 0 });
  });
});

/** The schema of a procedure's output. */
function outputOf(name: string): { safeParse(value: unknown): { success: boolean } } {
  const procedure: unknown = Reflect.get(appRouter._def.procedures, name);
  const def: unknown = Reflect.get(Object(procedure), '_def');
  return Reflect.get(Object(def), 'output');
}

/** A server that is not BackChannel, with the given response for each procedure. */
async function serveEnvelopes(bodies: Record<string, object>) {
  const other = createServer((req, res) => {
    const name = new URL(req.url ?? '', 'http://localhost').pathname.replace('/trpc/', '');
    const body = bodies[name];
    res.writeHead(body && 'error' in body ? 400 : 200, { 'content-type': 'application/json' });
    res.end(JSON.stringify(body));
  });
  await new Promise<void>((done) => other.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${(other.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: () => new Promise<void>((done) => other.close(() => done())),
  };
}

/** An address without a server, which counts connections. */
async function countConnections() {
  let count = 0;
  const listener = createTcpServer((socket) => {
    count += 1;
    socket.destroy();
  });
  await new Promise<void>((done) => listener.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    count: () => count,
    [Symbol.asyncDispose]: () => new Promise<void>((done) => listener.close(() => done())),
  };
}
