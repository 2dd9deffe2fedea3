// What the block that a start prints says for one configuration or another; process.test.ts reads what is really printed.
// Runs on one engine: it opens no database.
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';
import { startBlock } from '../../src/process/start-block.ts';

test.each<[string, Record<string, string>, string]>([
  ['for this machine', {}, 'only this machine; for others: HOST=0.0.0.0 PUBLIC_URL=http://nas:8000'],
  ['at another port', { PORT: '8100' }, 'only this machine; for others: HOST=0.0.0.0 PUBLIC_URL=http://nas:8100'],
  [
    'behind a proxy',
    { PUBLIC_URL: 'https://auth.example.com' },
    'only this machine; for others a proxy on it forwards https://auth.example.com to http://127.0.0.1:8000',
  ],
  [
    'behind a proxy, over IPv6',
    { HOST: '::1', PUBLIC_URL: 'https://auth.example.com' },
    'only this machine; for others a proxy on it forwards https://auth.example.com to http://[::1]:8000',
  ],
  ['for all', { HOST: '0.0.0.0', PUBLIC_URL: 'http://nas:8000' }, 'everyone who can reach 0.0.0.0 port 8000'],
  [
    'behind a proxy at another port',
    { HOST: '0.0.0.0', PUBLIC_URL: 'https://auth.example.com:8443' },
    'everyone who can reach 0.0.0.0 port 8000',
  ],
])('who reaches a server %s', (_what, env, reach) => {
  const root = '/home/you/backchannel';
  const config = loadConfig({ env, root });
  const password = { origin: () => 'stored' as const, generated: null };
  const lines = startBlock({ config, root, url: config.publicUrl, password }).split('\n');
  expect(lines).toContain(`  Reach    ${reach}`);
});
