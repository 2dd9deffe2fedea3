// What is printed at start: where it is, who can reach it, how a service would run it, and what is unsafe.
import { extname, join } from 'node:path';
import { checkRunning } from './checks/running.ts';
import { isLoopback } from './config/address.ts';
import type { Config } from './config.ts';
import type { Password } from './services/password.ts';
import { version } from './version.ts';

/** The short block for stdout; whatever is unsafe or makes no sense has its own line. */
export function startBlock(options: {
  config: Config;
  url: string;
  metricsUrl?: string | null;
  password: Pick<Password, 'origin' | 'generated'>;
}): string {
  const { config, url, metricsUrl, password } = options;
  // As this file: the source, or what was built of it.
  const main = join(import.meta.dirname, `main${extname(import.meta.filename)}`);
  const reach = isLoopback(config.host)
    ? 'only this machine; for others: HOST=0.0.0.0 PUBLIC_URL=http://nas:8000'
    : `whoever reaches ${config.host} port ${new URL(url).port || config.port}`;
  const rows: [string, string][] = [
    ['URL', url],
    ...(config.docs === 'off'
      ? []
      : ([['Docs', `${url}/docs  ${url}/redoc  ${url}/openapi.json`]] as [string, string][])),
    ...(metricsUrl ? ([['Metrics', metricsUrl]] as [string, string][]) : []),
    ['Data', config.database.engine === 'sqlite' ? config.dataDir : config.database.shown],
    ['Reach', reach],
    ['Service', `${process.execPath} ${main}`],
    ...(password.generated
      ? ([['Password', `${password.generated}  (made now, shown this once)`]] as [string, string][])
      : []),
    ...checkRunning({ ...config, publicUrl: url }, password.origin()).map(({ about, text }): [string, string] => [
      'WARNING',
      `${about}: ${text}`,
    ]),
  ];
  return [`BackChannel ${version}`, ...rows.map(([label, text]) => `  ${label.padEnd(8)} ${text}`)].join('\n');
}
