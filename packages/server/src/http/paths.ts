// The paths of this server.

export const API_PATH = '/api/v1';
export const TRPC_PATH = '/trpc';
export const VERIFY_PATH = `${API_PATH}/auth/verify`;

/** Pages for people. */
export const HOME_PATH = '/';
export const LOGIN_PATH = '/login';
export const LOGOUT_PATH = '/logout';
export const SESSIONS_PATH = '/sessions';

/** The documentation of the API. */
export const SWAGGER_UI_PATH = '/docs';
export const REDOC_PATH = '/redoc';
export const DOCUMENT_PATH = '/openapi.json';

/** Probes. */
export const HEALTH_PATH = '/healthz';
export const READY_PATH = '/readyz';

/** Whether a request target is the forward-auth endpoint. */
export const isVerify = (url: string): boolean =>
  url.startsWith(VERIFY_PATH) && (url.length === VERIFY_PATH.length || url[VERIFY_PATH.length] === '?');

/**
 * The path and query of a request target. Some clients send an absolute URI (RFC 9112, 3.2.2), of which only the path
 * matters. A # is not allowed in a target (RFC 3986, 3.5). It is encoded because Express would cut the path there.
 */
export function pathOf(target: string): string {
  const path = target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '').replaceAll('#', '%23');
  return path === '' || path.startsWith('?') ? `/${path}` : path;
}
