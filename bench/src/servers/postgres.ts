// PostgreSQL in the folder that is its argument, as safe as it is by default: what it has answered outlasts a power failure.
import { openPostgres } from '../../../e2e/postgres.ts';

const [folder = ''] = process.argv.slice(2);
let isEnding = false;
const opening = openPostgres({ durableIn: folder });
// It ends with this process, whose stdin closes with the run's end.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, end);
process.stdin.on('end', end).resume();
const { url } = await opening;
console.log(url.replace('127.0.0.1', 'localhost'));

async function end(): Promise<void> {
  if (isEnding) return;
  isEnding = true;
  const postgres = await opening;
  await postgres[Symbol.asyncDispose]();
  process.exit();
}
