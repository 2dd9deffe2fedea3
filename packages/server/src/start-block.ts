// What is printed at start: where it is, who can reach it, how a service would run it, and what is unsafe.
import { fileURLToPath } from 'node:url';
import { isLoopback } from './config/address.ts';
import type { Config } from './config.ts';
import type { Password } from './services/password.ts';
import { version } from './version.ts';

/** The short block for stdout; every unsafe default in use has its own line. */
export function startBlock(options: {
  config: Config;
  url: string;
  password: Pick<Password, 'origin' | 'generated'>;
}): string {
  const { config, url, password } = options;
  const main = fileURLToPath(new URL('./main.ts', import.meta.url));
  const reach = isLoopback(config.host)
    ? 'only this machine; for others: HOST=0.0.0.0 PUBLIC_URL=http://nas:8000'
    : `whoever reaches ${config.host} port ${new URL(url).port || config.port}`;
  const rows: [string, string][] = [
    ['URL', url],
    ...(config.docs === 'off'
      ? []
      : ([['Docs', `${url}/docs  ${url}/redoc  ${url}/openapi.json`]] as [string, string][])),
    ['Data', config.dataDir],
    ['Reach', reach],
    ['Service', `${process.execPath} ${main}`],
    ...(password.generated
      ? ([['Password', `${password.generated}  (made now, shown this once)`]] as [string, string][])
      : []),
    ...warnings(config, password).map((text): [string, string] => ['WARNING', text]),
  ];
  return [`BackChannel ${version}`, ...rows.map(([label, text]) => `  ${label.padEnd(8)} ${text}`)].join('\n');
}

function warnings(config: Config, password: Pick<Password, 'origin'>): string[] {
  const found: string[] = [];
  if (password.origin() === 'built-in') {
    found.push(
      'the password is the built-in admin123: set your own with MASTER_PASSWORD_HASH (make one: npx pnpm@12 hash)',
    );
  }
  if (!isLoopback(config.host) && !config.secureCookies) {
    found.push(
      'PUBLIC_URL is http: passwords and cookies cross the network unencrypted; put TLS in front and set https',
    );
  }
  return found;
}
