// Forward-auth: for each request to another application, a reverse proxy asks here whether to allow it. It runs before
// Express, CORS and tRPC, because a page causes one such request for each of its assets. It does little, because a mistake
// here opens every application.
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Config } from '../../config/config.ts';
import { commandLine } from '../../config/installation.ts';
import { logOnce } from '../../log-once.ts';
import { messages } from '../../messages.ts';
import type { RequestLog } from '../../repeated-lines.ts';
import { tokenOpensHost } from '../../services/access/policy.ts';
import type { Principal } from '../../services/access/principal.ts';
import type { Services } from '../../services/services.ts';
import { sendError, sendJson } from '../answer.ts';
import { readProxyToken } from '../bearer.ts';
import { type ClientAddress, createPeerTrust, peerOf } from '../client-address.ts';
import type { Cookies } from '../cookies.ts';
import { setSecurityHeaders } from '../headers.ts';
import { refuseInvalidHost } from '../host.ts';
import type { Loops } from '../loops.ts';
import { isForPerson, isNavigation } from '../navigation.ts';
import { LOGIN_PATH, VERIFY_PATH } from '../paths.ts';
import { type IdentifyRequest, requestIdOf } from '../request-id.ts';
import { MAX_LOGIN_ADDRESS_BYTES, type NoReturn, type ReturnAddress } from '../return-address.ts';
import { type OriginalRequest, readOriginalRequest } from './original-request.ts';
import { refusedPage } from './refused-page.ts';

/** Why a request is refused, for the log. */
type Reason =
  | 'no credential'
  | 'the session or token has ended, or is not valid here'
  | 'the token is not for this host'
  | 'its headers contradict each other';

type Reported = ReturnType<typeof readOriginalRequest> | null;

/**
 * Responds to every method alike: 204 with the identity headers, 401, or 503 when the database is unavailable.
 * `?redirect=1` turns a 401 that has a Location into a 302, and `?basic=1` also offers HTTP Basic. The rest of the query is
 * ignored, because some proxies put the original query there.
 */
export function createVerify(options: {
  config: Config;
  cookies: Cookies;
  clientAddress: ClientAddress;
  returnAddress: ReturnAddress;
  loops: Loops;
  services: Services;
  log: RequestLog;
  identify: IdentifyRequest;
}): RequestListener {
  const { config, cookies, clientAddress, returnAddress, loops, services, log, identify } = options;
  const { gate, activity } = services;
  const isFromTrustedProxy = createPeerTrust(config);
  const login = new URL(LOGIN_PATH, config.publicUrl);
  const operator = [
    ...['Cache-Control', 'no-store', 'Remote-User', config.operatorName],
    ...(config.operatorEmail === null ? [] : ['Remote-Email', config.operatorEmail]),
  ];

  /** The original request as the proxy reports it; null if the proxy is not trusted. */
  const originalOf = (req: IncomingMessage): Reported =>
    isFromTrustedProxy(req) ? readOriginalRequest(req.headers) : null;

  const hostnameOf = (reported: Reported) => (reported === 'contradiction' ? null : (reported?.hostname ?? null));

  const warnOfContradiction = logOnce((req: IncomingMessage) => {
    const advice = `let the proxy set one and delete the other, as ${commandLine} proxy-config prints it`;
    log.warn({ peer: peerOf(req) }, `forward-auth: X-Forwarded-* and X-Original-* contradict each other; ${advice}`);
  });

  const pass = (req: IncomingMessage, res: ServerResponse, principal: Principal) => {
    const isSession = principal.kind === 'session';
    activity.record(principal, isSession ? null : clientAddress(req));
    if (isSession) loops.letIn(principal.session.id, () => hostnameOf(originalOf(req)));
    const method = ['X-Auth-Method', principal.kind, 'X-Auth-Session', isSession ? principal.session.id : '-'];
    res.writeHead(204, [...operator, ...method]).end();
  };

  const refuse = (req: IncomingMessage, res: ServerResponse, reason: Reason, reported: Reported) => {
    const query = new URLSearchParams(req.url?.slice(VERIFY_PATH.length));
    const original = reported === 'contradiction' ? null : reported;
    const isBrowsing = reported !== 'contradiction' && isNavigation(req.headers, original?.method ?? req.method);
    const back = isBrowsing ? findWayBack(original) : null;
    if (isBrowsing && original?.hostname) loops.refused(original.hostname);
    // Only refusals get a request id and security headers: the response to an allowed request goes only to the proxy.
    identify(req, res);
    log.repeated({
      level: 'info',
      message: 'forward-auth: refused',
      kind: { reason, ...(back?.missing && { noReturn: back.missing }), host: original?.hostname ?? null },
      details: { requestId: requestIdOf(res), ip: clientAddress(req) },
    });
    setSecurityHeaders(res);
    res.setHeader('Cache-Control', 'no-store');
    if (back) res.setHeader('Location', back.location);
    if (back && query.get('redirect') === '1') {
      res.writeHead(302, { 'Content-Length': '0' }).end();
      return;
    }
    // Basic comes first, and both are in one line: some clients read only the first challenge, and some proxies pass on only the
    // first line.
    const basic = query.get('basic') === '1' ? 'Basic realm="backchannel", charset="UTF-8", ' : '';
    res.setHeader('WWW-Authenticate', `${basic}Bearer realm="backchannel"`);
    if (original && !back && isForPerson(req.headers)) {
      const front = returnAddress.accept(URL.parse('/', original.address ?? '')?.href);
      const page = refusedPage({ signIn: signInAddress(front ? { next: front.href } : {}), host: original.hostname });
      res.writeHead(401, { 'Content-Type': 'text/html; charset=utf-8' }).end(page);
      return;
    }
    sendJson(res, 401, { message: messages.signInFirst, code: 'UNAUTHORIZED' });
  };

  const signInAddress = (parameters: Record<string, string>): string => {
    const location = new URL(login);
    for (const [name, value] of Object.entries(parameters)) location.searchParams.set(name, value);
    return location.href;
  };

  /** Where the browser signs in, with the address to return to, or with the reason why there is none. */
  const findWayBack = (original: OriginalRequest | null): { location: string; missing: NoReturn | null } => {
    if (original === null) return giveUp('proxy-not-trusted');
    if (original.address === null) return giveUp('address-not-told');
    const address = returnAddress.accept(original.address);
    const location = address && signInAddress({ next: address.href });
    if (location && location.length <= MAX_LOGIN_ADDRESS_BYTES) return { location, missing: null };
    // If the host's front page could be followed, the problem is the rest of the address.
    if (!returnAddress.accept(URL.parse('/', original.address)?.href)) return giveUp('host-not-allowed');
    const isLong = signInAddress({ next: original.address }).length > MAX_LOGIN_ADDRESS_BYTES;
    if (!location && !isLong) return giveUp('address-not-usable');
    return { location: signInAddress({ dropped: 'long' }), missing: 'address-too-long' };
  };

  const giveUp = (missing: NoReturn) => ({ location: signInAddress({ reason: missing }), missing });

  const answer = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    refuseInvalidHost(req);
    const { headers } = req;
    if (headers['x-original-url'] !== undefined || headers['x-original-method'] !== undefined) {
      const reported = originalOf(req);
      if (reported === 'contradiction') {
        warnOfContradiction(req);
        return refuse(req, res, 'its headers contradict each other', reported);
      }
    }
    const bearer = readProxyToken(headers);
    const cookie = bearer === null ? headers.cookie : undefined;
    const sessionCookies = cookies.session.read(cookie);
    const passCookies = cookies.pass?.read(cookie) ?? [];
    const principal = await gate.authenticate({ bearer, sessionCookies, passCookies }, 'forward-auth');
    if (principal?.kind === 'session') return pass(req, res, principal);
    const reported = originalOf(req);
    const host = reported === 'contradiction' ? null : reported?.hostname;
    if (principal) {
      if (tokenOpensHost(principal.token, host ?? null)) return pass(req, res, principal);
      return refuse(req, res, 'the token is not for this host', reported);
    }
    const isPresented = bearer !== null || sessionCookies.length + passCookies.length > 0;
    refuse(req, res, isPresented ? 'the session or token has ended, or is not valid here' : 'no credential', reported);
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
 * nginx sends a GET with the Content-Length of the original request but without its body, unless it is configured not to.
 * The next request on the connection, with the headers that nginx sets, would then be read as that body.
 */
const promisesBody = ({ method, headers }: IncomingMessage) =>
  (method === 'GET' || method === 'HEAD') &&
  (headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0');
