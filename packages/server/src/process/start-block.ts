// The block that a start prints: the address, who can connect, the command for a service, and what is unsafe.
import { extname, join } from 'node:path';
import { checkRunning } from '../checks/all.ts';
import { bracketed, isLoopback, isLoopbackOrigin } from '../config/address.ts';
import type { Config } from '../config/config.ts';
import type { Password } from '../services/password/password.ts';
import { version } from '../version.ts';

/** The block for stdout. Each warning has its own line. */
export function startBlock(options: {
  config: Config;
  /** The folder of `.env`. */
  root: string;
  url: string;
  metricsUrl?: string | null;
  password: Pick<Password, 'origin' | 'generated'>;
}): string {
  const { config, root, url, metricsUrl, password } = options;
  // TypeScript in a checkout, JavaScript in an installed package, like this file.
  const main = join(import.meta.dirname, `../main${extname(import.meta.filename)}`);
  const rows: [string, string][] = [
    ['URL', url],
    ...(config.docs === 'off'
      ? []
      : ([['Docs', `${url}/docs  ${url}/redoc  ${url}/openapi.json`]] as [string, string][])),
    ...(metricsUrl ? ([['Metrics', metricsUrl]] as [string, string][]) : []),
    ['Data', config.database.engine === 'sqlite' ? config.dataDir : config.database.shown],
    ['Reach', describeReach(config, url)],
    ['Service', `${process.execPath} ${main}`],
    ...(password.generated
      ? ([['Password', `${password.generated}  (made now, shown this once)`]] as [string, string][])
      : []),
    ...checkRunning({ ...config, publicUrl: url }, { root, origin: password.origin() })
      .filter(({ level }) => level !== 'ok')
      .map(({ about, text }): [string, string] => ['WARNING', `${about}: ${text}`]),
  ];
  return [`BackChannel ${version}`, ...rows.map(([label, text]) => `  ${label.padEnd(8)} ${text}`)].join('\n');
}

function describeReach({ host, port: configured }: Config, url: string): string {
  // With PORT=0, only the address has the real port.
  const port = configured || new URL(url).port;
  if (!isLoopback(host)) return `everyone who can reach ${host} port ${port}`;
  if (isLoopbackOrigin(url)) return `only this machine; for others: HOST=0.0.0.0 PUBLIC_URL=http://nas:${port}`;
  return `only this machine; for others a proxy on it forwards ${url} to http://${bracketed(host)}:${port}`;
}
