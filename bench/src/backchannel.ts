// BackChannel as a service runs it: its real process, over HTTP, with its own data folder and its built-in
// password. Imports nothing of its code.
import { makeFolder, openServer, type ServerProcess } from './processes.ts';

export const PASSWORD = 'admin123';

/** Starts it in `folder`; the same folder again is a second start. */
export function openBackchannel(options: {
  core: number | null;
  folder?: string;
  env?: Readonly<Record<string, string>>;
}): Promise<ServerProcess> {
  const folder = options.folder ?? makeFolder('data');
  return openServer({
    script: 'packages/server/src/main.ts',
    args: ['--exit-with-parent'],
    env: {
      PORT: '0',
      DATA_DIR: `${folder}/data`,
      LOG_LEVEL: 'warn',
      ...options.env,
    },
    core: options.core,
  });
}

export interface SignedIn {
  headers: { cookie: string };
  sessionId: string;
  /** What GET /api/v1/auth/me answered, as it came. */
  meBody: string;
}

/** Signs in and asks who it is. */
export async function signIn(url: string): Promise<SignedIn> {
  const login = await fetch(`${url}/api/v1/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ password: PASSWORD }),
  });
  const cookie = login.headers
    .getSetCookie()
    .map((line) => line.slice(0, line.indexOf(';')))
    .join('; ');
  if (login.status !== 200) throw new Error(`Sign-in answered ${login.status}: ${await login.text()}`);
  const me = await fetch(`${url}/api/v1/auth/me`, { headers: { cookie } });
  const meBody = await me.text();
  const sessionId = /"session":\{"id":"([^"]+)"/.exec(meBody)?.[1];
  if (me.status !== 200 || !sessionId) throw new Error(`GET /api/v1/auth/me answered ${me.status}: ${meBody}`);
  return { headers: { cookie }, sessionId, meBody };
}
