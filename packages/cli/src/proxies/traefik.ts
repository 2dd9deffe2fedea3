// The block for Traefik 2 and 3, as dynamic configuration in a file. Traefik can't remove a single cookie from a request or
// inspect Authorization. The block and its advice explain the consequences.
import { commandLine } from '@backchannel/server/installation';
import { ambiguousPath } from './public-paths.ts';
import type { Site } from './site.ts';
import { deletedHeaders, identityHeaders, methodOverrides, verifyReads } from './stripped.ts';

export function traefikBlock(site: Site): string {
  const { url, upstream, publicUrl, words } = site;
  const what = upstream
    ? `${url.origin}: ${upstream.origin}, behind the sign-in of ${publicUrl.origin}.`
    : `${url.origin}: BackChannel itself.`;
  return `# ${what}
# For the folder of the file provider (providers.file.directory), as ${nameOf(url)}.yaml
# Printed by: ${commandLine} proxy-config traefik${words && ` ${words}`}
${upstream ? application(site, upstream) : own(site)}`;
}

const own = (site: Site): string => `http:
  routers:
${router(site, [`${nameOf(site.url)}-clean`])}
  middlewares:
    # ${why}
    ${nameOf(site.url)}-clean:
      headers:
        customRequestHeaders:
${emptied(deletedHeaders(['X-Real-IP']))}
${service(site, site.backchannel)}`;

function application(site: Site, upstream: URL): string {
  const name = nameOf(site.url);
  const { backchannel, basic } = site;
  return `#
# Traefik can't remove BackChannel's cookies, or a token in Authorization: the application receives them.
http:
  routers:
${router(site, [`${name}-clean`, `${name}-verify`, `${name}-strip`])}${openRouter(site)}${preflightRouter(site)}
  middlewares:
    # ${why}
    ${name}-clean:
      headers:
        customRequestHeaders:
${emptied([...new Set([...identityHeaders(site), ...deletedHeaders(['X-Real-IP'])])])}
          # Without this header no application switches to HTTP/2, in which requests would pass unchecked (CVE-2026-88008).
          HTTP2-Settings: ""
    # BackChannel checks every request. Only the response 204 lets it pass.
    ${name}-verify:
      forwardAuth:
        address: "${backchannel.origin}/api/v1/auth/verify?redirect=1${basic ? '&basic=1' : ''}"
        trustForwardHeader: false
        authRequestHeaders:
${verifyReads.map((header) => `          - ${header}`).join('\n')}
        authResponseHeaders:
${identityHeaders(site)
  .map((header) => `          - ${header}`)
  .join('\n')}
    # A credential that the application must not see.
    ${name}-strip:
      headers:
        customRequestHeaders:
${emptied(['X-Backchannel-Token'])}
${preflightMiddleware(site)}${service(site, upstream)}`;
}

/** Traefik sets X-Real-IP, X-Forwarded-For, -Proto, -Host and -Port itself. */
const why =
  "Proxies set these headers, and applications take people, addresses or paths from them. The client's are deleted.";

const emptied = (names: readonly string[]): string => names.map((name) => `          ${name}: ""`).join('\n');

function openRouter(site: Site): string {
  if (site.open.length === 0) return '';
  const name = nameOf(site.url);
  const paths = site.open.map((path) => `${path.endsWith('/') ? 'PathPrefix' : 'Path'}(\`${path}\`)`);
  const rule = ` && (${paths.join(' || ')}) && !PathRegexp(\`${ambiguousPath}\`)`;
  const note =
    '# Public: no sign-in needed. It is needed for any spelling that the application may read as another path.';
  return `\n    ${note}\n    # Traefik 2 does not know PathRegexp. It reports an error and asks for sign-in everywhere.\n${router(site, [`${name}-clean`, `${name}-strip`], { suffix: '-public', rule })}`;
}

/** A browser sends a preflight without cookies (Fetch, 4.8), so nobody could sign in for it. */
function preflightRouter(site: Site): string {
  if (!site.preflight) return '';
  const name = nameOf(site.url);
  const [origin, method] = ['Origin', 'Access-Control-Request-Method'].map(
    (each) => `HeaderRegexp(\`${each}\`, \`^[^ ]+$\`)`,
  );
  const rule = ` && Method(\`OPTIONS\`) && ${origin} && ${method}`;
  const middlewares = [`${name}-clean`, `${name}-strip`, `${name}-preflight`];
  return `\n    # CORS preflights: no sign-in needed.\n${router(site, middlewares, { suffix: '-preflight', rule })}`;
}

const preflightMiddleware = ({ url, preflight }: Site): string =>
  preflight
    ? `    # A preflight is passed on without a header that would make another method out of OPTIONS.
    ${nameOf(url)}-preflight:
      headers:
        customRequestHeaders:
${emptied(methodOverrides)}
`
    : '';

function router({ url }: Site, middlewares: readonly string[], { suffix, rule } = { suffix: '', rule: '' }): string {
  const name = nameOf(url);
  const isSecure = url.protocol === 'https:';
  // Traefik compares an IPv6 address without brackets, if the request names a port.
  const bare = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const host = bare === url.hostname ? `Host(\`${bare}\`)` : `(Host(\`${url.hostname}\`) || Host(\`${bare}\`))`;
  return `    ${name}${suffix}:
      rule: ${rule ? `'${host}${rule}'` : `"${host}"`}
      # EDIT: the entry point that listens on port ${url.port || (isSecure ? '443' : '80')}${isSecure ? ', and the certificate resolver' : ''}
      entryPoints:
        - ${isSecure ? 'websecure' : 'web'}
${isSecure ? '      tls:\n        certResolver: letsencrypt\n' : ''}      middlewares:
${middlewares.map((each) => `        - ${each}`).join('\n')}
      service: ${name}`;
}

const service = ({ url }: Site, { origin }: URL): string => `  services:
    ${nameOf(url)}:
      loadBalancer:
        servers:
          - url: "${origin}"`;

const nameOf = ({ host }: URL): string => host.replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '');
