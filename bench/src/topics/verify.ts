// What forward-auth costs for each request that a proxy asks about, beside the same check on the API's faces, bare servers
// that check nothing, and what others do to check a session that can be revoked.
import { openBackchannel, signIn } from '../backchannel.ts';
import { findCores } from '../machine.ts';
import { compare, type Target } from '../measure.ts';
import { makeFolder, openServer, type ServerProcess } from '../processes.ts';

export async function verify({ rounds }: { rounds: number }): Promise<void> {
  const cores = findCores();
  const core = cores?.server ?? null;
  await using opened = new AsyncDisposableStack();
  const backchannel = opened.use(await openBackchannel({ core }));
  const { headers, sessionId, meBody } = await signIn(backchannel.url);
  const open = async (name: string, ...args: string[]) =>
    opened.use(
      await openServer({ script: `bench/src/servers/${name}.ts`, args, env: { NODE_ENV: 'production' }, core }),
    );
  const whole = ['"authenticated":true', `"id":"${sessionId}"`];
  const bare = (name: string, { url, pid }: ServerProcess, path: string): Target => {
    return { name, url: url + path, headers, includes: whole, pid };
  };
  /** A peer checks its own cookie, and must respond with its session. */
  const peer = async (name: string, script: string, path: string): Promise<Target> => {
    const { url, pid } = await open(script, makeFolder(script));
    const cookie = await readCookie(`${url}/login`);
    return { name, url: url + path, headers: { cookie }, includes: ['"id":"'], pid };
  };
  const backchannelAt = (path: string): Target => bare(`BackChannel GET ${path}`, backchannel, path);

  const verified = { ...backchannelAt('/api/v1/auth/verify'), status: 204, includes: [] };
  const identity = await readIdentity(verified, sessionId);
  const floor = bare('node:http, bare (the floor)', await open('floor', meBody), '/api/v1/auth/me');
  await compare(
    [
      floor,
      { ...floor, name: 'node:http, bare, 204', ...(await at('floor', JSON.stringify(identity))) },
      { ...(await peer('node:http, HMAC and row: the practical limit', 'limit', '/')), status: 204, includes: [] },
      verified,
      backchannelAt('/api/v1/auth/me'),
      backchannelAt('/trpc/auth.me'),
      bare('Express, bare', await open('express', meBody), '/api/v1/auth/me'),
      await peer('Fastify, HMAC and row', 'fastify', '/me'),
      await peer('Hono, HMAC and row', 'hono', '/me'),
      await peer('oRPC, HMAC and row', 'orpc', '/me'),
      await peer('trpc-to-openapi, HMAC and findOne', 'trpc-to-openapi', '/me'),
      await peer('better-auth get-session', 'better-auth', '/api/auth/get-session'),
    ],
    { rounds, cores },
  );
  console.log('All but the bare ones check the session of each request, and would refuse it if it was revoked.');

  async function at(script: string, arg: string): Promise<Pick<Target, 'url' | 'pid' | 'status' | 'includes'>> {
    const { url, pid } = await open(script, arg);
    return { url, pid, status: 204, includes: [] };
  }
}

/** What forward-auth says of the session, as a list of header names and values. */
async function readIdentity({ url, headers }: Target, sessionId: string): Promise<string[]> {
  const answer = await fetch(url, { headers });
  const said = answer.headers.get('x-auth-session');
  if (answer.status !== 204 || said !== sessionId) throw new Error(`${url} answered ${answer.status} for ${said}`);
  const names = ['Cache-Control', 'Remote-User', 'X-Auth-Method', 'X-Auth-Session'];
  return names.flatMap((name) => [name, answer.headers.get(name) ?? '']);
}

async function readCookie(url: string): Promise<string> {
  const answer = await fetch(url);
  return answer.headers.getSetCookie().join('; ');
}
