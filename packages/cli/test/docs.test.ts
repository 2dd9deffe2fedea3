// docs/cli.md and docs/rest.md: every command and option is there, and what can be copied from them runs as it stands.
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, type TestContext, test } from 'vitest';
import { errorStatuses } from '../../server/src/errors.ts';
import type { Command } from '../src/command.ts';
import { loadCommands } from '../src/commands.ts';
import { TOKEN_VARIABLE, URL_VARIABLE } from '../src/remote/server.ts';
import { type LiveServer, serverEnv, startServer } from './live-server.ts';
import { type Checkout, checkout, environment, repository } from './run.ts';

const run = promisify(execFile);
const read = (name: string) => readFileSync(join(repository, 'docs', name), 'utf8');
const [cliPage, restPage] = [read('cli.md'), read('rest.md')];

interface Block {
  language: string;
  code: string;
}
const blocksOf = (page: string): Block[] =>
  [...page.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language = '', code = '']) => ({ language, code }));

/** Every command that takes arguments of its own, by its whole name. */
function leaves(commands: Readonly<Record<string, Command>>, path: string[] = []): [name: string, options: string[]][] {
  return Object.entries(commands).flatMap(([name, { shape }]) => {
    const words = [...path, name];
    if ('commands' in shape) return leaves(shape.commands, words);
    return [[words.join(' '), Object.keys(shape.options).map((option) => `--${option}`)]] satisfies [
      string,
      string[],
    ][];
  });
}

test('docs/cli.md has every command under a heading of its own, with every option that it takes and no other', async () => {
  const prose = cliPage.replace(/^```.*?^```$/gms, '');
  const sections = [...`${prose}\n##`.matchAll(/^### `([^`]+)`\n(.*?)(?=^##)/gms)].map(([, name = '', text = '']) => {
    const options = new Set(text.match(/--[a-z][a-z0-9-]*/g));
    // What all take is said once for all of them.
    for (const common of ['--json', '--help']) options.delete(common);
    return [name, [...options].sort()];
  });
  const there = leaves(await loadCommands()).map(([name, options]) => [
    name,
    options.filter((option) => option !== '--json' && option !== '--help').sort(),
  ]);
  expect(sections.toSorted()).toEqual(there.toSorted());
});

test('docs/cli.md names the variables that are read, and docs/rest.md every code with its status', () => {
  const variables = [...cliPage.matchAll(/^\| `(BACKCHANNEL_\w+)` \|/gm)].map(([, name]) => name);
  expect(variables).toEqual([URL_VARIABLE, TOKEN_VARIABLE]);
  const codes = [...restPage.matchAll(/^\| `([A-Z_]+)` \| (\d+) \|/gm)].map(([, code, status]) => [
    code,
    Number(status),
  ]);
  expect(codes).toEqual(Object.entries(errorStatuses));
});

// As many processes as there are commands, one after the other.
describe('what can be copied', { timeout: 240_000 }, () => {
  test('from docs/cli.md does what it says, in the order of the page', async (context) => {
    using home = checkout({ '.env': serverEnv });
    await using server = await startServer(home);
    await server.signIn();
    const made = await home.run(['tokens', 'create', '--name', 'x', '--scope', 'read', '--json']);
    const { token } = JSON.parse(made.stdout);
    const shell = await openShell(context, home, server);
    const said: string[] = [];
    for (const { code } of blocksOf(cliPage).filter(({ language }) => language === 'sh')) {
      if (code.includes('restore')) await server.stop();
      if (code.includes('throttle list')) await server.tryPassword('not this one');
      const id = code.includes('sessions revoke') ? (await server.signIn('correct horse battery')).id : token.id;
      said.push(await shell(code.replace(/(?<= revoke )ID$/m, id)));
    }
    const [set, verify, hash, master, secret, config, list, , tokens, listed, revoked, , waiting, cleared] = said;
    expect(set).toMatch(/^The password is set: 1 session ended, 1 token kept/);
    expect(verify).toBe('right\n');
    expect(hash).toMatch(/^\$2b\$12\$\S{53}\nMASTER_PASSWORD_HASH=[A-Za-z0-9+/]{80}\n$/);
    expect(master).toMatch(/^MASTER_PASSWORD_HASH='\$2b\$10\$/);
    expect(secret).toMatch(/^SECRET_KEY=\S{43}\n$/);
    expect(config).toMatch(/^ok /m);
    expect(list).toBe('');
    expect(tokens).toMatch(/^bct_\S+\nbct_\S+\n$/);
    expect(JSON.parse(listed ?? '').tokens.map(({ name }: { name: string }) => name)).toEqual([
      ...['podcast app', 'backup script', 'x'],
    ]);
    expect(revoked).toBe('1 token ended\n');
    expect(waiting).toMatch(/^ip:127\.0\.0\.1 +1 /m);
    expect(cleared).toMatch(/^1 source cleared\n/);
    const [procedures, called, inputs, created, nginx, caddy, traefik, backup, restored] = said.slice(14);
    expect(procedures).toMatch(/^PROCEDURE .*\nauth\.events\.list \(query\): /s);
    expect(called).toMatch(/"activeTokens": 3,.*"type": "login\.succeeded"/s);
    expect(inputs).toMatch(/"events": .*"hash": "\$2b\$/s);
    expect(created).toMatch(/"name": "another laptop".*"secret": "bct_/s);
    expect(nginx).toMatch(/server_name app\.example\.com;.*auth_request .*server_name auth\.example\.com;/s);
    expect(caddy).toMatch(/app\.example\.com.*forward_auth.*basic=1/s);
    expect(traefik).toMatch(/app\.example\.com.*forwardAuth:.*http:\/\/backchannel:8000\/api\/v1\/auth\/verify/s);
    expect([backup, restored]).toEqual([
      expect.stringMatching(/backup\.db: /),
      expect.stringMatching(/backchannel\.db/),
    ]);
    expect(said).toHaveLength(23);
  });

  test('from docs/rest.md does what it says: one call gives one answer, whichever way it goes', async (context) => {
    using home = checkout({ '.env': serverEnv });
    await using server = await startServer(home);
    const makeToken = await home.run(['tokens', 'create', '--name', 'x', '--scope', 'full']);
    for (const _ of [1, 2, 3]) await server.signIn();
    const shell = await openShell(context, home, server);
    const answers: string[] = [];
    const shown: [said: string, shown: string][] = [];
    const blocks = blocksOf(restPage).filter(({ code }) => !code.includes('openapi-'));
    for (const { language, code } of blocks) {
      if (language === 'json') shown.push([answers.at(-1) ?? '', code]);
      if (language === 'sh') answers.push(await shell(code.replace('bct_…', makeToken.stdout.trim())));
      if (language === 'ts') answers.push(await shell(`node ${writeProgram(home, code)}`));
    }
    const [, curl, cli, sdk, trpc, writes, write, session, , , profile, events] = answers;
    const expected = JSON.parse(curl ?? '');
    expect(expected.events).toHaveLength(3);
    expect([cli, sdk].map((text) => JSON.parse(text ?? ''))).toEqual([expected, expected]);
    expect(JSON.parse(trpc ?? '')).toEqual({ result: { data: expected } });
    // The first of them found the three, and left nothing for the others.
    const revoked = [...`${writes}${write}`.matchAll(/"revoked": ?(\d)/g)].map(([, count]) => Number(count));
    expect(revoked).toEqual([3, 0, 0, 0]);
    expect(session).toMatch(/"authenticated":true.*"scope":"read".*"authenticated":false/s);
    expect(JSON.parse(profile ?? '')).toMatchObject({ method: 'token' });
    for (const [answer, text] of shown) expect(JSON.parse(answer)).toEqual(JSON.parse(text));
    expect(shown).toHaveLength(2);

    const { stdout } = await home.run(['events', '--json']);
    const all = JSON.parse(stdout).events.map(({ at, type, ip }: Record<string, string>) => `${at} ${type} ${ip}`);
    expect((events ?? '').trimEnd().split('\n')).toEqual(all);
    // Of several pages.
    const paging = writeProgram(home, blocks.at(-1)?.code.replace("'100'", "'2'") ?? '');
    expect((await shell(`node ${paging}`)).trimEnd().split('\n')).toEqual(all);
    expect(all.length).toBeGreaterThan(6);
    expect(answers).toHaveLength(12);
  });
});

/** A configuration that a block can be made for. */
const behindProxy = {
  PORT: '8000',
  PUBLIC_URL: 'https://auth.example.com',
  COOKIE_DOMAIN: 'example.com',
  TRUSTED_PROXIES: '127.0.0.1',
};

let programs = 0;
/** Where the packages are found that it imports. */
function writeProgram({ root }: Checkout, code: string): string {
  programs += 1;
  const file = join(root, `packages/cli/program-${programs}.ts`);
  writeFileSync(file, code);
  return file;
}

/**
 * Runs code as a shell would that goes on and on: variables live on. Whatever asks for a password gets one. The calling
 * test is skipped where there is no bash with curl.
 */
async function openShell(test: TestContext, { root, bin }: Checkout, server: LiveServer) {
  const isThere = await run('bash', ['-c', 'command -v curl'], { env: environment }).catch(() => null);
  if (!isThere) return test.skip('skipped: no bash with curl here');
  let exported = '';
  let password = 'admin123';
  return async (code: string): Promise<string> => {
    const script = [
      exported,
      // Without a pipe before it, it is somebody at a keyboard who knows the password.
      `backchannel() {
         if [ -p /dev/stdin ]; then node ${bin} "$@"; else echo "$PASSWORD" | node ${bin} "$@"; fi
       }
       curl() { command curl --silent --show-error "$@"; echo; }`,
      code.replaceAll('http://localhost:8000', server.url),
      `export -p | grep BACKCHANNEL_ > ${root}/exported || true`,
    ].join('\n');
    if (code.includes('password set')) password = 'correct horse battery';
    const isOfProxy = code.includes('proxy-config');
    const env = { ...environment, HOME: root, PASSWORD: password, ...(isOfProxy ? behindProxy : {}) };
    const { stdout } = await run('bash', ['--norc', '-euo', 'pipefail', '-c', script], { cwd: root, env }).catch(
      (error) => {
        throw new Error(`${code}\n${error.stdout}${error.stderr}`);
      },
    );
    exported = readFileSync(join(root, 'exported'), 'utf8');
    return stdout;
  };
}
