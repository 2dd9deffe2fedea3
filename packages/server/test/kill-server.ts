// A whole server as a process of its own, with a bcrypt cost that lets it start and sign in fast: kill.test.ts kills it.
// Takes a data folder, and prints its address when it serves.
import { enableCompileCache } from 'node:module';

enableCompileCache?.();
const { loadConfig } = await import('../src/config.ts');
const { createLog } = await import('../src/log.ts');
const { openServer } = await import('../src/server.ts');

const [dataDir = ''] = process.argv.slice(2);
const config = {
  ...loadConfig({ env: { PORT: '0', DATA_DIR: dataDir }, root: dataDir }),
  bcryptCost: 4,
  sessionMaxLive: 100_000,
  loginMaxFailures: 1_000_000,
};
const server = await openServer({ config, log: createLog({ logLevel: 'silent', logFormat: 'json' }) });
console.log(server.url);
