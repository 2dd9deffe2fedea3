// The block for Traefik 2 and 3, as dynamic configuration in a file. Traefik can't take one cookie out of a request, nor look
// into Authorization: what follows from that is in the block, and in the advice beside it.
import type { Site } from './site.ts';
import { addressHeaders, identityHeaders, unsaidHeaders } from './stripped.ts';

export function traefikBlock(site: Site): string {
  const { url, upstream, publicUrl, words } = site;
  const what = upstream
    ? `${url.origin}: ${upstream.origin}, behind the sign-in of ${publicUrl.origin}.`
    : `${url.origin}: BackChannel itself.`;
  return `# ${what}
# For the folder of the file provider (providers.file.directory), as ${nameOf(url)}.yaml
# Printed by: backchannel proxy-config traefik${words && ` ${words}`}
${upstream ? application(site, upstream) : own(site)}`;
}

const own = (site: Site): string => `http:
  routers:
${router(site, [`${nameOf(site.url)}-clean`])}
  middlewares:
    # What only this proxy may say: a client's own is deleted.
    ${nameOf(site.url)}-clean:
      headers:
        customRequestHeaders:
${emptied([...forwarded, ...addressHeaders])}
${service(site, site.backchannel)}`;

function application(site: Site, upstream: URL): string {
  const name = nameOf(site.url);
  const { backchannel, basic } = site;
  return `#
# What Traefik can't do: take BackChannel's cookies, or a token in Authorization, out of what the application gets.
http:
  routers:
${router(site, [`${name}-clean`, `${name}-verify`, `${name}-strip`])}${openRouter(site)}
  middlewares:
    # What only this proxy may say: a client's own is deleted.
    ${name}-clean:
      headers:
        customRequestHeaders:
${emptied([...identityHeaders(site), ...unsaidHeaders(site), ...forwarded, ...addressHeaders])}
          # Without it no application changes to HTTP/2, in which requests would pass unasked (CVE-2026-88008).
          HTTP2-Settings: ""
    # BackChannel is asked about every request: 204 lets it pass, anything else does not.
    ${name}-verify:
      forwardAuth:
        address: "${backchannel.origin}/api/v1/auth/verify?redirect=1${basic ? '&basic=1' : ''}"
        trustForwardHeader: false
        authResponseHeaders:
${identityHeaders(site)
  .map((header) => `          - ${header}`)
  .join('\n')}
    # What the application is not to see.
    ${name}-strip:
      headers:
        customRequestHeaders:
${emptied(['X-Backchannel-Token'])}
${service(site, upstream)}`;
}

/** Set by whoever asks and by nobody else; Traefik sets X-Forwarded-For, -Proto, -Host and -Port itself. */
const forwarded = ['X-Forwarded-Method', 'X-Forwarded-Uri', 'X-Forwarded-Prefix'] as const;

const emptied = (names: readonly string[]): string => names.map((name) => `          ${name}: ""`).join('\n');

function openRouter(site: Site): string {
  if (site.open.length === 0) return '';
  const name = nameOf(site.url);
  const paths = site.open.map((path) => `${path.endsWith('/') ? 'PathPrefix' : 'Path'}(\`${path}\`)`);
  const rule = ` && (${paths.join(' || ')})`;
  return `\n    # Everybody may see this.\n${router(site, [`${name}-clean`, `${name}-strip`], { suffix: '-public', rule })}`;
}

function router({ url }: Site, middlewares: readonly string[], { suffix, rule } = { suffix: '', rule: '' }): string {
  const name = nameOf(url);
  const isSecure = url.protocol === 'https:';
  return `    ${name}${suffix}:
      rule: "Host(\`${url.hostname}\`)${rule}"
      # EDIT: the entry point that listens on port ${url.port || (isSecure ? '443' : '80')}${isSecure ? ', and who gets the certificate' : ''}
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
