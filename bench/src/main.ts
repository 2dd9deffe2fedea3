// Runs the topics named on the command line, all of them by default, one after the other. Ends with 1 when a single
// answer was not the right one: a number for wrong answers would be worth nothing.
import { parseArgs } from 'node:util';
import { describeMachine } from './machine.ts';
import { describeLastWritten, endParents } from './processes.ts';
import { copies } from './topics/copies.ts';
import { instances } from './topics/instances.ts';
import { loginFlood } from './topics/login-flood.ts';
import { logins } from './topics/logins.ts';
import { me } from './topics/me.ts';
import { million } from './topics/million.ts';
import { proxy } from './topics/proxy.ts';
import { start } from './topics/start.ts';
import { verify } from './topics/verify.ts';

/** The command line asks for what there is not. */
class UsageError extends Error {}

interface Topic {
  run(options: { rounds: number }): Promise<void>;
  /** Unless --rounds says otherwise; all topics together stay below ten minutes. */
  rounds: number;
}

const topics: Readonly<Record<string, Topic>> = {
  verify: { run: verify, rounds: 5 },
  me: { run: me, rounds: 5 },
  million: { run: million, rounds: 3 },
  instances: { run: instances, rounds: 3 },
  start: { run: start, rounds: 5 },
  logins: { run: logins, rounds: 3 },
  proxy: { run: proxy, rounds: 5 },
  copies: { run: copies, rounds: 2 },
  'login-flood': { run: loginFlood, rounds: 2 },
};

// After that process.exit is enough: processes.ts takes along whatever is still running. A second signal is not waited for.
let isInterrupted = false;
for (const [signal, code] of [['SIGINT', 130] as const, ['SIGTERM', 143] as const, ['SIGHUP', 129] as const]) {
  process.on(signal, async () => {
    if (!isInterrupted) {
      isInterrupted = true;
      await endParents();
    }
    process.exit(code);
  });
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  // What was measured has been ended below it.
  if (isInterrupted) await new Promise(() => {});
  console.error(error instanceof UsageError ? error.message : `\n${describeLastWritten()}The run failed: ${error}`);
  process.exit(error instanceof UsageError ? 2 : 1);
}

async function main(args: string[]): Promise<void> {
  const { names, rounds } = parse(args);
  console.log(describeMachine());
  console.log('Only ratios within one run count: another machine, or this one at another hour, has other numbers.');
  for (const name of names) {
    const topic = topics[name];
    console.log(`\n## ${name}\n`);
    await topic?.run({ rounds: rounds ?? topic.rounds });
  }
}

function parse(args: string[]): { names: string[]; rounds: number | null } {
  const { values, positionals } = parseOrRefuse(args);
  const all = Object.keys(topics);
  const unknown = positionals.find((name) => !all.includes(name));
  if (unknown !== undefined) throw new UsageError(`There is no topic ${unknown}; there are: ${all.join(', ')}.`);
  const rounds = values.rounds === undefined ? null : Number(values.rounds);
  if (rounds !== null && !(Number.isInteger(rounds) && rounds > 0)) {
    throw new UsageError('--rounds takes a whole number from 1 up, such as --rounds 9.');
  }
  return { names: positionals.length > 0 ? positionals : all, rounds };
}

function parseOrRefuse(args: string[]) {
  try {
    return parseArgs({ args, options: { rounds: { type: 'string' } }, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
