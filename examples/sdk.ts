// Signs in, says who is signed in and for how long, and signs out:
//
//   node examples/sdk.ts [URL] [PASSWORD]
//
// Without them it takes the variables URL and PASSWORD, and without those what a fresh server has. In a project of your
// own, `npm install @backchannel/client-sdk` and import from '@backchannel/client-sdk'.
import { BackchannelError, createBackchannelClient } from '../packages/client-sdk/src/index.ts';

const url = process.argv[2] ?? process.env.URL ?? 'http://localhost:8000';
const password = process.argv[3] ?? process.env.PASSWORD ?? 'admin123';

try {
  const bc = createBackchannelClient({ url });
  await bc.auth.login.mutate({ password });

  const { session } = await bc.auth.me.query();
  console.log(`Signed in at ${url}: session ${session?.id} on ${session?.device}.`);

  const { requestCount, idleSecondsLeft } = await bc.client.stats.query();
  console.log(
    `It has made ${requestCount} requests, and ends after ${Math.ceil((idleSecondsLeft ?? 0) / 60)} idle minutes.`,
  );

  await bc.auth.logout.mutate();
  const { authenticated } = await bc.auth.status.query();
  console.log(authenticated ? 'Still signed in?' : 'Signed out.');
} catch (error) {
  if (!(error instanceof BackchannelError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  if (error.retryAfterSeconds !== null) console.error(`Try again in ${error.retryAfterSeconds} seconds.`);
  process.exitCode = 1;
}
