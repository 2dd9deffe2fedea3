// What both transports hand to a procedure, made from the request's headers and nothing of the framework.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Config } from '../config.ts';
import { describeClient } from '../services/client.ts';
import type { Principal } from '../services/gate.ts';
import type { Services } from '../services/services.ts';
import type { Context } from '../trpc.ts';
import { createSessionCookie } from './cookies.ts';

export type CreateContext = (req: IncomingMessage, res: ServerResponse) => Context;

export function createContextFactory(options: { config: Config; services: Services }): CreateContext {
  const { config, services } = options;
  const cookie = createSessionCookie(config, services.clock);

  return (req, res) => {
    let caller: Promise<Principal | null> | undefined;
    let isUseRecorded = false;
    return {
      services,
      client: describeClient({ address: req.socket.remoteAddress, userAgent: req.headers['user-agent'] }),
      authenticate: () => {
        caller ??= services.gate.authenticate({ sessionTokens: cookie.read(req.headers.cookie) });
        return caller;
      },
      recordUse: ({ session }) => {
        if (!isUseRecorded) services.activity.record(session.id);
        isUseRecorded = true;
      },
      setSessionCookie: (token, expiresAt) => res.appendHeader('Set-Cookie', cookie.set(token, expiresAt)),
      clearSessionCookie: () => res.appendHeader('Set-Cookie', cookie.clear()),
    };
  };
}
