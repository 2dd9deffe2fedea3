// docs/cli.md and docs/rest.md: they describe every command and option, and their examples run unchanged.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { errorStatuses } from '../../server/src/errors.ts';
import type { Command } from '../src/command.ts';
import { loadCommands } from '../src/commands.ts';
import { TOKEN_VARIABLE, URL_VARIABLE } from '../src/remote/server.ts';
import { serverEnv, startServer } from './live-server.ts';
import { type Checkout, checkout, makeHome, repository } from './run.ts';
import { hasShell, openShell } from './shell.ts';

const read = (name: string) => readFileSync(join(repository, 'docs', name), 'utf8');
const [cliPage, restPage] = [read('cli.md'), read('rest.md')];

interface Block {
  language: string;
  code: string;
}
const blocksOf = (page: string): Block[] =>
  [...page.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language = '', code = '']) => ({ language, code }));

/** Every command without subcommands, by its full name. */
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

test('docs/cli.md has a heading for every command, with exactly its options', async () => {
  const prose = cliPage.replace(/^```.*?^```$/gms, '');
  const sections = [...`${prose}\n##`.matchAll(/^### `([^`]+)`\n(.*?)(?=^##)/gms)].map(([, name = '', text = '']) => {
    const options = new Set(text.match(/--[a-z][a-z0-9-]*/g));
    // The common options are described once for all commands.
    for (const common of ['--json', '--help']) options.delete(common);
    return [name, [...options].sort()];
  });
  const there = leaves(await loadCommands()).map(([name, options]) => [
    name,
    options.filter((option) => option !== '--json' && option !== '--help').sort(),
  ]);
  expect(sections.toSorted()).toEqual(there.toSorted());
});

test('docs/cli.md names the environment variables, and docs/rest.md every error code with its status', () => {
  const variables = [...cliPage.matchAll(/^\| `(BACKCHANNEL_\w+)` \|/gm)].map(([, name]) => name);
  expect(variables).toEqual([URL_VARIABLE, TOKEN_VARIABLE]);
  const codes = [...restPage.matchAll(/^\| `([A-Z_]+)` \| (\d+) \|/gm)].map(([, code, status]) => [
    code,
    Number(status),
  ]);
  expect(codes).toEqual(Object.entries(errorStatuses));
});

describe.skipIf(!hasShell)('the examples (skipped without bash and curl)', () => {
  test('in docs/cli.md work in the order of the page', async () => {
    using home = makeHome({ '.env': serverEnv });
    await using server = await startServer(home);
    await server.signIn();
    const made = await home.run(['tokens', 'create', '--name', 'x', '--scope', 'read', '--json']);
    const { token } = JSON.parse(made.stdout);
    await using shell = await openShell(home);
    const next = 'correct horse battery';
    /** The output of each block, by its first line. */
    const printed: Record<string, string> = {};
    for (const { code } of blocksOf(cliPage).filter(({ language }) => language === 'sh')) {
      const [first = ''] = code.split('\n');
      if (code.includes('restore')) await server.stop();
      if (code.includes('throttle list')) await server.tryPassword('not this one');
      const id = code.includes('sessions revoke') ? (await server.signIn(next)).id : token.id;
      const lines = code.replace(/(?<= revoke )ID$/m, id).replaceAll('http://localhost:8000', server.url);
      const env = code.includes('proxy-config') ? behindProxy : {};
      printed[first] = await shell.run(lines, { ...env, PASSWORD: next });
    }
    const names = JSON.parse(printed['./backchannel tokens list --json'] ?? '').tokens.map(
      ({ name }: { name: string }) => name,
    );
    expect(names).toEqual(['podcast app', 'backup script', 'x']);
    expect(printed).toEqual({
      './backchannel password set': expect.stringMatching(/^The password is set: 1 session ended, 1 token kept/),
      './backchannel verify': 'right\n',
      './backchannel hash': expect.stringMatching(/^\$2b\$12\$\S{53}\nMASTER_PASSWORD_HASH=[A-Za-z0-9+/]{80}\n$/),
      './backchannel hash-master --env': expect.stringMatching(/^MASTER_PASSWORD_HASH='\$2b\$10\$/),
      './backchannel secret --env': expect.stringMatching(/^SECRET_KEY=\S{43}\n$/),
      './backchannel check-config': expect.stringMatching(/^ok /m),
      './backchannel sessions list': '',
      './backchannel sessions revoke ID': '1 session ended\n0 sessions ended\n',
      './backchannel tokens create --name "backup script" --scope read --expires-in-days 90':
        expect.stringMatching(/^bct_\S+\nbct_\S+\n$/),
      './backchannel tokens list --json': expect.any(String),
      './backchannel tokens revoke ID': '1 token revoked\n',
      './backchannel events --type login.failed --limit 20': '',
      './backchannel throttle list': expect.stringMatching(/^ip:127\.0\.0\.1 +1 /m),
      './backchannel throttle clear 127.0.0.1': expect.stringMatching(/^1 source cleared\n/),
      './backchannel call --list': expect.stringMatching(/^PROCEDURE .*\nauth\.events\.list \(query\): /s),
      'export BACKCHANNEL_URL=http://localhost:8000': expect.stringMatching(
        /"activeTokens": 3,.*"type": "login\.succeeded"/s,
      ),
      'echo \'{"limit": 5}\' > input.json': expect.stringMatching(/"events": .*"hash": "\$2b\$/s),
      './backchannel call auth.tokens.create \'{"name": "another laptop", "scope": "read"}\' --password':
        expect.stringMatching(/"name": "another laptop".*"secret": "bct_/s),
      './backchannel proxy-config nginx app.example.com http://127.0.0.1:3000': expect.stringMatching(
        /server_name app\.example\.com;.*auth_request .*server_name auth\.example\.com;/s,
      ),
      './backchannel proxy-config caddy app.example.com http://127.0.0.1:3000 --basic --public /share/':
        expect.stringMatching(/app\.example\.com.*forward_auth.*basic=1/s),
      './backchannel proxy-config traefik app.example.com http://app:3000 --backchannel http://backchannel:8000':
        expect.stringMatching(/app\.example\.com.*forwardAuth:.*http:\/\/backchannel:8000\/api\/v1\/auth\/verify/s),
      './backchannel backup backup.db': expect.stringMatching(/backup\.db: /),
      './backchannel restore backup.db': expect.stringMatching(/backchannel\.db/),
    });
  });

  test('in docs/rest.md work, and every way to make a call gives the same response', async () => {
    using home = checkout({ '.env': serverEnv });
    await using server = await startServer(home);
    const makeToken = await home.run(['tokens', 'create', '--name', 'x', '--scope', 'full']);
    for (const _ of [1, 2, 3]) await server.signIn();
    await using shell = await openShell(home);
    const withServer = (code: string) =>
      code.replace('bct_…', makeToken.stdout.trim()).replaceAll('http://localhost:8000', server.url);
    const answers: { code: string; answer: string }[] = [];
    /** The response of the only block that contains these words. */
    const answerOf = (words: string) => {
      const [found, ...others] = answers.filter(({ code }) => code.includes(words));
      expect([found?.code, others], words).toEqual([expect.any(String), []]);
      return found?.answer ?? '';
    };
    const examples: [answer: string, code: string][] = [];
    const blocks = blocksOf(restPage).filter(({ code }) => !code.includes('openapi-'));
    for (const { language, code } of blocks) {
      if (language === 'json') examples.push([answers.at(-1)?.answer ?? '', code]);
      else
        answers.push({
          code,
          answer: await shell.run(language === 'ts' ? `node ${writeProgram(home, code)}` : withServer(code)),
        });
    }
    const expected = JSON.parse(answerOf('auth/events?type='));
    expect(expected.events).toHaveLength(3);
    expect(JSON.parse(answerOf('./backchannel call auth.events.list'))).toEqual(expected);
    expect(JSON.parse(answerOf('bc.auth.events.list.query'))).toEqual(expected);
    expect(JSON.parse(answerOf('trpc/auth.events.list'))).toEqual({ result: { data: expected } });
    // The first call revokes the three sessions, and the others find none.
    const revocations = answerOf('./backchannel call auth.sessions.revokeOthers') + answerOf('revokeOthers.mutate');
    const revoked = [...revocations.matchAll(/"revoked": ?(\d)/g)].map(([, count]) => Number(count));
    expect(revoked).toEqual([3, 0, 0, 0]);
    expect(answerOf('cookies.txt')).toMatch(/"authenticated":true.*"scope":"read".*"authenticated":false/s);
    expect(JSON.parse(answerOf('client/profile'))).toMatchObject({ method: 'token' });
    for (const [answer, text] of examples) expect(JSON.parse(answer)).toEqual(JSON.parse(text));
    expect(examples).toHaveLength(2);

    const { stdout } = await home.run(['events', '--json']);
    const all = JSON.parse(stdout).events.map(({ at, type, ip }: Record<string, string>) => `${at} ${type} ${ip}`);
    expect(answerOf('nextCursor').trimEnd().split('\n')).toEqual(all);
    // With several pages.
    const paging = writeProgram(home, blocks.at(-1)?.code.replace("'100'", "'2'") ?? '');
    expect((await shell.run(`node ${paging}`)).trimEnd().split('\n')).toEqual(all);
    expect(all.length).toBeGreaterThan(6);
    expect(answers).toHaveLength(12);
  });
});

/** A configuration for which a block can be printed. */
const behindProxy = {
  PORT: '8000',
  PUBLIC_URL: 'https://auth.example.com',
  COOKIE_DOMAIN: 'example.com',
  TRUSTED_PROXIES: '127.0.0.1',
};

let programs = 0;
/** Writes the program where its imports resolve. */
function writeProgram({ root }: Checkout, code: string): string {
  programs += 1;
  const file = join(root, `packages/cli/program-${programs}.ts`);
  writeFileSync(file, code);
  return file;
}
