// Every kind of caller that the API tells apart, made over the API itself: what its requests carry in their headers.
import { BUILT_IN_PASSWORD } from '../../src/services/password/rules.ts';
import { startServer, type TestServer } from './harness.ts';

/** Of a server whose password may be changed, and of the document's examples. */
export const OWN_PASSWORD = BUILT_IN_PASSWORD;

const STALE_AFTER_MS = 16 * 60_000;

export type Headers = Record<string, string>;

/** A server whose password is stored in the database, so that the API can change it. */
export function startOwnServer(overrides: Parameters<typeof startServer>[0] = {}): Promise<TestServer> {
  return startServer({ password: { from: 'database', builtInAllowed: true }, ...overrides });
}

/** Opens a session. Each is opened a second after the one before, so that lists have one order. */
export async function openSession(server: TestServer): Promise<{ id: string; headers: Headers }> {
  server.advance(1000);
  const client = server.client();
  const { status } = await client.rest('POST', '/auth/login', { password: OWN_PASSWORD });
  if (status !== 200) throw new Error(`signing in answered ${status}`);
  const { cookie } = client;
  const me = await client.rest('GET', '/auth/me');
  return { id: me.body.session.id, headers: { cookie } };
}

/** Creates a token as the operator does: in a separate session, which it leaves open. */
export async function makeToken(
  server: TestServer,
  scope: 'read' | 'full' | 'proxy',
): Promise<{ id: string; headers: Headers }> {
  const { headers } = await openSession(server);
  const input = { name: `a ${scope} token`, scope };
  const { status, body } = await server.client().rest('POST', '/auth/tokens', input, headers);
  if (status !== 200) throw new Error(`making a token answered ${status}`);
  return { id: body.token.id, headers: { authorization: `Bearer ${body.secret}` } };
}

const freshCookie = async (server: TestServer) => (await openSession(server)).headers;

/** How the API classifies a caller. */
export type Standing = 'nobody' | 'stale session' | 'fresh session' | 'read token' | 'full token' | 'proxy token';

export interface Caller {
  caller: string;
  standing: Standing;
  /** Whether it comes with a session or a token that was good and is over. */
  isEnded?: true;
  /** Creates a new one; returns the headers that it calls with. */
  arrive(server: TestServer): Promise<Headers>;
}

export const callers: readonly Caller[] = [
  { caller: 'a stranger', standing: 'nobody', arrive: async () => ({}) },
  {
    caller: 'a session whose password was shown too long ago',
    standing: 'stale session',
    arrive: async (server) => {
      const headers = await freshCookie(server);
      server.advance(STALE_AFTER_MS);
      return headers;
    },
  },
  { caller: 'a fresh session', standing: 'fresh session', arrive: freshCookie },
  {
    caller: 'a read token',
    standing: 'read token',
    arrive: async (server) => (await makeToken(server, 'read')).headers,
  },
  {
    caller: 'a full token',
    standing: 'full token',
    arrive: async (server) => (await makeToken(server, 'full')).headers,
  },
  {
    caller: 'a proxy token',
    standing: 'proxy token',
    arrive: async (server) => (await makeToken(server, 'proxy')).headers,
  },
];

/** The same standings with something else in the request beside the credential. */
export const furtherCallers: readonly Caller[] = [
  {
    caller: 'a session that has signed out',
    standing: 'nobody',
    isEnded: true,
    arrive: async (server) => {
      const { headers } = await openSession(server);
      const { status } = await server.client().rest('POST', '/auth/logout', undefined, headers);
      if (status !== 200) throw new Error(`signing out answered ${status}`);
      return headers;
    },
  },
  {
    caller: 'a revoked token',
    standing: 'nobody',
    isEnded: true,
    arrive: async (server) => {
      const { id, headers } = await makeToken(server, 'full');
      const { status } = await server
        .client()
        .rest('DELETE', `/auth/tokens/${id}`, undefined, await freshCookie(server));
      if (status !== 200) throw new Error(`revoking a token answered ${status}`);
      return headers;
    },
  },
  {
    caller: 'a full token beside a fresh session',
    standing: 'full token',
    arrive: async (server) => ({ ...(await freshCookie(server)), ...(await makeToken(server, 'full')).headers }),
  },
  {
    caller: 'a bearer like ours that is none, beside a fresh session',
    standing: 'nobody',
    arrive: async (server) => ({ ...(await freshCookie(server)), authorization: 'Bearer bct_garbage' }),
  },
  {
    caller: 'a fresh session beside Basic credentials',
    standing: 'fresh session',
    arrive: async (server) => ({ ...(await freshCookie(server)), authorization: 'Basic b3BlcmF0b3I6eA==' }),
  },
  {
    caller: "a fresh session beside another server's bearer",
    standing: 'fresh session',
    arrive: async (server) => ({ ...(await freshCookie(server)), authorization: 'Bearer eyJhbGciOiJIUzI1NiJ9.e30.x' }),
  },
];
