// The table of commands, and what is said about all of them. Each is loaded when it is asked for: `hash` must not wait
// for what the others need.
import { inspect } from 'node:util';
import { nearest } from '@backchannel/server/checks/nearest';
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
  'hash-master': { about: 'hash the configured master password', load: () => import('./commands/hash-master.ts') },
  verify: { about: 'tell whether a password is the master password', load: () => import('./commands/verify.ts') },
  secret: { about: 'make a new SECRET_KEY', load: () => import('./commands/secret.ts') },
  'check-config': {
    about: 'check the configuration and say what to do',
    load: () => import('./commands/check-config.ts'),
  },
  password: { about: 'set the master password', load: () => import('./commands/password.ts') },
  sessions: { about: 'list the sessions, and end them', load: () => import('./commands/sessions.ts') },
  tokens: { about: 'list, create and revoke API tokens', load: () => import('./commands/tokens.ts') },
  events: { about: 'list what happened: sign-ins, failures, changes', load: () => import('./commands/events.ts') },
  throttle: {
    about: 'list who waits after wrong passwords, and lift it',
    load: () => import('./commands/throttle.ts'),
  },
  'proxy-config': {
    about: 'print what nginx, Caddy or Traefik need to ask here first',
    load: () => import('./commands/proxy-config.ts'),
  },
  backup: { about: 'copy the database and its key to a file', load: () => import('./commands/backup.ts') },
  restore: { about: 'put a backup back in its place', load: () => import('./commands/restore.ts') },
  'migrate-to': { about: 'move everything to PostgreSQL', load: () => import('./commands/migrate-to.ts') },
  call: { about: 'call a procedure of a server, this one or another', load: () => import('./commands/call.ts') },
  completion: {
    about: "print a script that completes a shell's words",
    load: () => import('./commands/completion.ts'),
  },
};

/**
 * The package scripts end with this mark, so that what comes right after it is what somebody typed after `pnpm hash`.
 * pnpm hands a `--` on that npm's users are used to type there (`pnpm hash -- --base64`); only that one is dropped.
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
  if (name.startsWith('-')) throw badUsage(`unknown option ${inspect(name)}; a command comes first: backchannel help`);
  const meant = nearest(name, [...Object.keys(commands), 'help']);
  throw badUsage(`unknown command ${inspect(name)}; ${meant ? `did you mean ${meant}?` : 'see: backchannel help'}`);
}

function withoutScriptMark(argv: readonly string[]): readonly string[] {
  const at = argv.indexOf(SCRIPT_MARK);
  // After the script's own words, of which there is one at most; further on it is somebody's argument.
  if (at !== 0 && at !== 1) return argv;
  const [dashes, next] = argv.slice(at + 1);
  const isHabit = dashes === '--' && (at === 0 || next?.startsWith('--'));
  return [...argv.slice(0, at), ...argv.slice(at + (isHabit ? 2 : 1))];
}

function overview(): string {
  const rows = Object.entries(commands).map(([name, { about }]): [string, string] => [name, about]);
  return [
    'Usage: backchannel COMMAND [options]',
    `Commands:\n${indented([...rows, ['help', 'say more about a command: backchannel help COMMAND']])}`,
    'A password is asked for without an echo, or read from a pipe, where none is given.\n' +
      'stdout is the result, stderr advice. Exit codes: 0 done, 1 no (wrong password, a fault found), 2 bad usage.',
  ].join('\n\n');
}

const show = (text: string): Outcome => ({ stdout: text, stderr: [], exitCode: 0 });
