// Whole servers in a separate process, with a low bcrypt cost so that they start and sign in quickly. kill.test.ts kills it.
// Takes their data folders, and prints a line with their addresses when they serve.
import { enableCompileCache } from 'node:module';

enableCompileCache?.();
const { loadConfig } = await import('../../src/config/config.ts');
const { createLog } = await import('../../src/log.ts');
const { openServer } = await import('../../src/server.ts');

const log = createLog({ logLevel: 'silent', logFormat: 'json' });
const open = (dataDir: string) => {
  const config = loadConfig({ env: { PORT: '0', DATA_DIR: dataDir }, root: dataDir });
  const overrides = { bcryptCost: 4, sessionMaxLive: 100_000, loginMaxFailures: 1_000_000 };
  return openServer({ config: { ...config, ...overrides }, log });
};
const servers = await Promise.all(process.argv.slice(2).map(open));
console.log(servers.map(({ url }) => url).join(' '));
