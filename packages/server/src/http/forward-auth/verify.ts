// Forward-auth: a reverse proxy asks here, for every request to any other application, whether its caller may pass. It
// stands before Express, CORS and tRPC, for a page asks once for each of its parts; and it is built narrow, for what gets
// past it gets everywhere.
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Config } from '../../config/config.ts';
import type { Log } from '../../log.ts';
import { logOnce } from '../../log-once.ts';
import { messages } from '../../messages.ts';
import { tokenOpensHost } from '../../services/access/policy.ts';
import type { Principal } from '../../services/access/principal.ts';
import type { Services } from '../../services/services.ts';
import { sendError, sendJson } from '../answer.ts';
import { readProxyToken } from '../bearer.ts';
import { type ClientAddress, createPeerTrust, peerOf } from '../client-address.ts';
import type { Cookies } from '../cookies.ts';
import { setSecurityHeaders } from '../headers.ts';
import { isNavigation } from '../navigation.ts';
import { LOGIN_PATH, VERIFY_PATH } from '../paths.ts';
import { type IdentifyRequest, requestIdOf } from '../request-id.ts';
import type { NoReturn, ReturnAddress } from '../return-address.ts';
import { type OriginalRequest, readOriginalRequest } from './original-request.ts';

/** Why somebody may not pass, as the log says it. */
type Reason =
  | 'no credential'
  | 'the session or token has ended, or is not good here'
  | 'the token is not for this host'
  | 'its headers contradict each other';

type Said = ReturnType<typeof readOriginalRequest> | null;

/**
 * Answers any method alike: 204 with the identity headers, 401, or 503 when the database cannot be asked. `?redirect=1`
 * turns a 401 that has a Location into a 302, `?basic=1` asks for HTTP Basic too. What else is in the query is not ours to
 * judge: some proxies put the original one there.
 */
export function createVerify(options: {
  config: Config;
  cookies: Cookies;
  clientAddress: ClientAddress;
  returnAddress: ReturnAddress;
  services: Services;
  log: Log;
  identify: IdentifyRequest;
}): RequestListener {
  const { config, cookies, clientAddress, returnAddress, services, log, identify } = options;
  const { gate, activity } = services;
  const isBelieved = createPeerTrust(config);
  const login = new URL(LOGIN_PATH, config.publicUrl);
  const operator = [
    ...['Cache-Control', 'no-store', 'Remote-User', config.operatorName],
    ...(config.operatorEmail === null ? [] : ['Remote-Email', config.operatorEmail]),
  ];

  /** What the proxy says of the original request, or null where nobody believes it. */
  const originalOf = (req: IncomingMessage): Said => (isBelieved(req) ? readOriginalRequest(req.headers) : null);

  const warnOfContradiction = logOnce((req: IncomingMessage) => {
    const advice = 'have the proxy set one and delete the other, as backchannel proxy-config prints it';
    log.warn({ peer: peerOf(req) }, `forward-auth: X-Forwarded-* and X-Original-* contradict each other; ${advice}`);
  });

  const pass = (req: IncomingMessage, res: ServerResponse, principal: Principal) => {
    const isSession = principal.kind === 'session';
    activity.record(principal, isSession ? null : clientAddress(req));
    const method = ['X-Auth-Method', principal.kind, 'X-Auth-Session', isSession ? principal.session.id : '-'];
    res.writeHead(204, [...operator, ...method]).end();
  };

  const refuse = (req: IncomingMessage, res: ServerResponse, reason: Reason, said: Said) => {
    const query = new URLSearchParams(req.url?.slice(VERIFY_PATH.length));
    const original = said === 'contradiction' ? null : said;
    const isBrowsing = said !== 'contradiction' && isNavigation(req.headers, original?.method ?? req.method);
    const back = isBrowsing ? findWayBack(original) : null;
    // Whom it lets pass is answered with as little as it takes: nobody sees that answer but the proxy.
    identify(req, res);
    const noReturn = back?.missing ? { noReturn: back.missing } : {};
    const refused = {
      requestId: requestIdOf(res),
      reason,
      ...noReturn,
      host: original?.hostname ?? null,
      ip: clientAddress(req),
    };
    log.info(refused, 'forward-auth: refused');
    setSecurityHeaders(res);
    res.setHeader('Cache-Control', 'no-store');
    if (back) res.setHeader('Location', back.location);
    if (back && query.get('redirect') === '1') {
      res.writeHead(302, { 'Content-Length': '0' }).end();
      return;
    }
    const basic = query.get('basic') === '1' ? ', Basic realm="backchannel", charset="UTF-8"' : '';
    res.setHeader('WWW-Authenticate', `Bearer realm="backchannel"${basic}`);
    sendJson(res, 401, { message: messages.signInFirst, code: 'UNAUTHORIZED' });
  };

  /** Where a browser signs in, and what it will be sent back to, or why to nothing. */
  const findWayBack = (original: OriginalRequest | null): { location: string; missing: NoReturn | null } => {
    const address = returnAddress.accept(original?.address);
    const missing = ((): NoReturn | null => {
      if (address) return null;
      if (original === null) return 'proxy-not-trusted';
      if (original.address === null) return 'address-not-told';
      // Where the front page could be followed, it is not the host that is amiss.
      return returnAddress.accept(URL.parse('/', original.address)?.href) ? 'address-not-usable' : 'host-not-allowed';
    })();
    const location = new URL(login);
    if (address) location.searchParams.set('next', address.href);
    if (missing) location.searchParams.set('reason', missing);
    return { location: location.href, missing };
  };

  const answer = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const { headers } = req;
    if (headers['x-original-url'] !== undefined || headers['x-original-method'] !== undefined) {
      const said = originalOf(req);
      if (said === 'contradiction') {
        warnOfContradiction(req);
        return refuse(req, res, 'its headers contradict each other', said);
      }
    }
    const bearer = readProxyToken(headers);
    const cookie = bearer === null ? headers.cookie : undefined;
    const sessionCookies = cookies.session.read(cookie);
    const passCookies = cookies.pass?.read(cookie) ?? [];
    const principal = await gate.authenticate({ bearer, sessionCookies, passCookies }, 'forward-auth');
    if (principal?.kind === 'session') return pass(req, res, principal);
    const said = originalOf(req);
    const host = said === 'contradiction' ? null : said?.hostname;
    if (principal) {
      if (tokenOpensHost(principal.token, host ?? null)) return pass(req, res, principal);
      return refuse(req, res, 'the token is not for this host', said);
    }
    const isPresented = bearer !== null || sessionCookies.length + passCookies.length > 0;
    refuse(req, res, isPresented ? 'the session or token has ended, or is not good here' : 'no credential', said);
  };

  return (req, res) => {
    if (promisesBody(req)) res.shouldKeepAlive = false;
    answer(req, res).catch((error: unknown) => {
      identify(req, res);
      setSecurityHeaders(res);
      sendError(res, error, log);
    });
  };
}

/**
 * nginx asks by GET and hands on how long the original request's body is, unless it is told not to, but not the body: what
 * it sends next on the connection would be read as that body, and the headers that it sets with it.
 */
const promisesBody = ({ method, headers }: IncomingMessage) =>
  (method === 'GET' || method === 'HEAD') &&
  (headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0');
