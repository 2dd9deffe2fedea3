// The table of commands and the overview of all of them. A command is loaded when it is used, so `hash` doesn't wait for
// the imports of the others.
import { inspect } from 'node:util';
import { nearest } from '@backchannel/server/checks/nearest';
import { commandLine } from '@backchannel/server/installation';
import { type Command, indented, type Outcome } from './command.ts';
import type { CommandContext } from './context.ts';
import { badUsage } from './failure.ts';
import { version } from './version.ts';

interface Entry {
  /** For the list of commands. */
  about: string;
  load(): Promise<{ command: Command }>;
}

const commands: Readonly<Record<string, Entry>> = {
  hash: { about: 'hash a password with bcrypt', load: () => import('./commands/hash.ts') },
  'hash-master': { about: 'hash the current master password', load: () => import('./commands/hash-master.ts') },
  verify: { about: 'check whether a password is the master password', load: () => import('./commands/verify.ts') },
  secret: { about: 'create a new SECRET_KEY', load: () => import('./commands/secret.ts') },
  'check-config': {
    about: 'check the configuration and suggest fixes',
    load: () => import('./commands/check-config.ts'),
  },
  password: { about: 'set the master password', load: () => import('./commands/password.ts') },
  sessions: { about: 'list and end sessions', load: () => import('./commands/sessions.ts') },
  tokens: { about: 'list, create and revoke API tokens', load: () => import('./commands/tokens.ts') },
  events: { about: 'list events: sign-ins, failures, changes', load: () => import('./commands/events.ts') },
  throttle: {
    about: 'list and clear failed sign-ins',
    load: () => import('./commands/throttle.ts'),
  },
  'proxy-config': {
    about: 'print the forward-auth configuration for nginx, Caddy or Traefik',
    load: () => import('./commands/proxy-config.ts'),
  },
  backup: { about: 'back up the database and its key to a file', load: () => import('./commands/backup.ts') },
  restore: { about: 'restore a backup', load: () => import('./commands/restore.ts') },
  'migrate-to': { about: 'move all data to PostgreSQL', load: () => import('./commands/migrate-to.ts') },
  call: { about: 'call an API procedure of a server', load: () => import('./commands/call.ts') },
  completion: {
    about: 'print a shell completion script',
    load: () => import('./commands/completion.ts'),
  },
};

/**
 * The package scripts end with this mark. The next word is the first one that you typed after `pnpm hash`. npm users type
 * a `--` there (`pnpm hash -- --base64`), and pnpm passes it on; only that one is dropped.
 */
const SCRIPT_MARK = '--via-pnpm';

/** Runs the command that the arguments name. @throws Failure */
export async function runCommand(argv: readonly string[], context: CommandContext): Promise<Outcome> {
  const [name, ...rest] = withoutScriptMark(argv);
  if (name === undefined || name === '--help' || name === '-h') return show(overview());
  if (name === '--version' || name === '-v') return show(version());
  if (name !== 'help') return (await load(name)).run(rest, context);
  const [topic, ...words] = rest;
  return topic === undefined ? show(overview()) : (await load(topic)).run([...words, '--help'], context);
}

/** Every command by its name. */
export async function loadCommands(): Promise<Record<string, Command>> {
  const loaded = Object.entries(commands).map(async ([name, entry]) => [name, (await entry.load()).command] as const);
  return Object.fromEntries(await Promise.all(loaded));
}

async function load(name: string): Promise<Command> {
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (entry) return (await entry.load()).command;
  if (name.startsWith('-'))
    throw badUsage(`unknown option ${inspect(name)}. Put the command first. See: ${commandLine} help`);
  const meant = nearest(name, [...Object.keys(commands), 'help']);
  throw badUsage(`unknown command ${inspect(name)}. ${meant ? `Did you mean ${meant}?` : `See: ${commandLine} help`}`);
}

function withoutScriptMark(argv: readonly string[]): readonly string[] {
  const at = argv.indexOf(SCRIPT_MARK);
  // A script itself has one word at most. Further on, the mark is an ordinary argument.
  if (at !== 0 && at !== 1) return argv;
  const [dashes, next] = argv.slice(at + 1);
  const isHabit = dashes === '--' && (at === 0 || next?.startsWith('--'));
  return [...argv.slice(0, at), ...argv.slice(at + (isHabit ? 2 : 1))];
}

function overview(): string {
  const rows = Object.entries(commands).map(([name, { about }]): [string, string] => [name, about]);
  return [
    `Usage: ${commandLine} COMMAND [options]`,
    `Commands:\n${indented([...rows, ['help', `show the help of a command: ${commandLine} help COMMAND`]])}`,
    'If you leave a password out, you are asked for it without an echo, or it is read from a pipe.\n' +
      'Results go to stdout, advice to stderr. Exit codes: 0 done, 1 no (wrong password, fault found), 2 bad usage.',
  ].join('\n\n');
}

const show = (text: string): Outcome => ({ stdout: text, stderr: [], exitCode: 0 });
