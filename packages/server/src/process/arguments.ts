// The arguments of `backchannel-server`. Settings are not among them: every user of the machine can read arguments in the
// list of processes.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { findRoot, settings } from '../config/config.ts';
import { isInstalled } from '../config/installation.ts';
import { version } from '../version.ts';

/** Whether to serve, or a text for stdout or stderr instead. */
export type Asked = { exitWithParent: boolean } | { answer: string } | { refusal: string };

export function readArguments(args: readonly string[]): Asked {
  if (args.some((arg) => arg === '--help' || arg === '-h')) return { answer: help() };
  if (args.some((arg) => arg === '--version' || arg === '-v')) return { answer: version };
  // For the package script `start`: pnpm sends its child no signal when it ends.
  const unknown = args.find((arg) => arg !== '--exit-with-parent');
  if (unknown === undefined) return { exitWithParent: args.length > 0 };
  const [, name = ''] = /^-*([A-Za-z_-]+)/.exec(unknown) ?? [];
  const setting = settings.find((each) => each.name === name.replaceAll('-', '_').toUpperCase());
  const hint = setting
    ? `${setting.name} is set as an environment variable or a line of .env`
    : 'it takes none but --help and --version';
  // The value is left out: it may be a password.
  const [given = ''] = unknown.split('=');
  return { refusal: `backchannel-server: unknown argument ${inspect(given)}; ${hint}` };
}

function help(): string {
  // The container image has no such file.
  const example = isInstalled ? join(import.meta.dirname, '../env.example') : join(findRoot(), '.env.example');
  const width = Math.max(...settings.map(({ name }) => name.length));
  return [
    'Usage: backchannel-server',
    'Serves BackChannel until it is told to stop. Settings are environment variables or lines of a file named .env, as in\n' +
      `PORT=8001. That file, and DATA_DIR where it is relative, are looked for in ${findRoot()}.`,
    `Settings, and what holds without them:\n${settings
      .map((setting) => `  ${setting.name.padEnd(width)}  ${setting.default}`.trimEnd())
      .join('\n')}`,
    ...(existsSync(example) ? [`What they mean is in ${example}`] : []),
  ].join('\n\n');
}
