// The block for nginx 1.18 and later, with what Debian builds into it. Every directive that a location would inherit is on
// the server, so that a location of one's own has it too.
import { createHash } from 'node:crypto';
import { portOf, type Site } from './site.ts';
import { addressHeaders, basicToken, bearerToken, identityHeaders, ourCookies, unsaidHeaders } from './stripped.ts';

export function nginxBlock(site: Site): string {
  return `${head(site)}\n\n${site.upstream ? application(site, site.upstream) : own(site)}`;
}

function head({ url, upstream, publicUrl, words }: Site): string {
  const what = upstream
    ? `${url.origin}: ${upstream.origin}, behind the sign-in of ${publicUrl.origin}.`
    : `${url.origin}: BackChannel itself.`;
  return [
    `# ${what}`,
    `# For /etc/nginx/conf.d/${fileName(url)}.conf; then: nginx -t && nginx -s reload`,
    `# Printed by: backchannel proxy-config nginx${words && ` ${words}`}`,
  ].join('\n');
}

const own = (site: Site): string => `${redirectToHttps(site)}server {
${listen(site)}

    location / {
        proxy_pass ${site.backchannel.origin};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host ${site.url.host};
${forwarded(site, '        ')}
    }
}`;

function application(site: Site, upstream: URL): string {
  const { url, backchannel, basic } = site;
  const variables = namesFor(site);
  const identity = identityHeaders(site);
  const asked = `backchannel_${url.host.replace(/[^\w.-]+/g, '_')}`;
  return `upstream ${asked} {
    server ${backchannel.host};
    keepalive 16;
}

# Takes BackChannel's own cookies, and nothing else, out of what the application gets: \`ours\` is one of them, \`other\` any
# other. Whatever does not come apart like this is not handed on at all.
map "; $http_cookie" ${variables.cookies} {
    default "";
    "~${cookiePattern(site)}" "${keptRuns.map((run) => `$${run}`).join('')}";
}

# The same of its tokens: as a bearer, and as the password of HTTP Basic (the base64 of ":bct_").
map $http_authorization $bc_authorization {
    default $http_authorization;
    "~^${bearerToken}" "";
    "~^${basicToken}" "";
}

# WebSockets, and no other protocol: in one that nginx does not read, requests would pass unasked.
map $http_upgrade $bc_upgrade {
    default "";
    "~*^websocket$" websocket;
}
map $bc_upgrade $bc_connection {
    default "";
    websocket upgrade;
}

${redirectToHttps(site)}server {
${listen(site)}

    # BackChannel is asked about every request: 204 lets it pass, anything else does not.
    auth_request /backchannel-verify;
${identity.map((name) => `    auth_request_set ${variable(name)} $upstream_http_${lowered(name)};`).join('\n')}
    auth_request_set $bc_sign_in $upstream_http_location;
    error_page 401 = @backchannel_sign_in;

    # What the application is told, in place of what the client says of it.
${identity.map((name) => `    proxy_set_header ${name} ${variable(name)};`).join('\n')}
${unsaidHeaders(site).map(removed).join('\n')}
    proxy_set_header Host ${url.host};
${forwarded(site, '    ')}
    # What it is not to see.
    proxy_set_header Cookie ${variables.cookies};
    proxy_set_header Authorization $bc_authorization;
    proxy_set_header X-Backchannel-Token "";

    # Everything as it comes: large uploads and downloads, events, WebSockets.
    proxy_http_version 1.1;
    proxy_set_header Upgrade $bc_upgrade;
    proxy_set_header Connection $bc_connection;
    client_max_body_size 0;
    proxy_request_buffering off;
    proxy_buffering off;
    proxy_read_timeout 1h;
    proxy_send_timeout 1h;
${upstream.protocol === 'https:' ? upstreamTls : ''}
    location / {
        proxy_pass ${upstream.origin};
    }
${openPaths(site, upstream)}
    location = /backchannel-verify {
        internal;
        proxy_pass http://${asked}/api/v1/auth/verify${basic ? '?basic=1' : ''};
        proxy_pass_request_body off;
        proxy_http_version 1.1;
        proxy_connect_timeout 5s;
        proxy_read_timeout 15s;
        proxy_set_header Connection "";
        proxy_set_header Content-Length "";
        proxy_set_header Host ${backchannel.host};
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto ${url.protocol.slice(0, -1)};
        proxy_set_header X-Forwarded-Host ${url.host};
        proxy_set_header X-Forwarded-Method $request_method;
        proxy_set_header X-Forwarded-Uri $request_uri;
${addressHeaders.map((name) => `    ${removed(name)}`).join('\n')}
    }

    # Only a browser that a person looks at is sent to sign in; anything else gets the 401.
    location @backchannel_sign_in {
        if ($bc_sign_in = "") {
            return 401;
        }
        return 302 $bc_sign_in;
    }
}`;
}

/**
 * The path goes on as it was judged, not as it was spelt: /admin/../share/ is no way around. Nor is a backslash, which
 * Windows reads as a slash.
 */
const openPaths = ({ open }: Site, upstream: URL): string =>
  open
    .map(
      (path) => `
    # Everybody may see this.
    location ${path.endsWith('/') ? '^~' : '='} ${path} {
        auth_request off;
        if ($uri ~ "[\\x5c]") {
            return 400;
        }
        proxy_pass ${upstream.origin}${path};
    }
`,
    )
    .join('');

const lowered = (name: string): string => name.toLowerCase().replaceAll('-', '_');
const variable = (name: string): string => `$bc_${lowered(name)}`;
const removed = (name: string): string => `    proxy_set_header ${name} "";`;

function listen({ url, certificate }: Site): string {
  const { hostname } = url;
  const isSecure = url.protocol === 'https:';
  const folder = `/etc/letsencrypt/live/${hostname}`;
  const { file, key } = certificate ?? { file: `${folder}/fullchain.pem`, key: `${folder}/privkey.pem` };
  return [
    `    listen ${portOf(url)}${isSecure ? ' ssl' : ''};`,
    `    server_name ${hostname};`,
    ...(isSecure && !certificate
      ? ['    # EDIT: where the certificate is (or print it with --cert FILE --key FILE)']
      : []),
    ...(isSecure ? [`    ssl_certificate ${file};`, `    ssl_certificate_key ${key};`] : []),
  ].join('\n');
}

function redirectToHttps({ url }: Site): string {
  if (url.protocol !== 'https:' || portOf(url) !== 443) return '';
  return `server {
    listen 80;
    server_name ${url.hostname};
    return 301 ${url.origin}$request_uri;
}

`;
}

/** Of the rest of the family, what applications are known to read. */
const otherForwarded = ['Method', 'Uri', 'Prefix', 'Scheme', 'Ssl', 'Server'].map((name) => `X-Forwarded-${name}`);

const forwarded = ({ url }: Site, indent: string): string =>
  [
    ['X-Real-IP', '$remote_addr'],
    ['X-Forwarded-For', '$remote_addr'],
    ['X-Forwarded-Proto', url.protocol.slice(0, -1)],
    ['X-Forwarded-Host', url.host],
    ['X-Forwarded-Port', String(portOf(url))],
    ...[...otherForwarded, ...addressHeaders].map((name) => [name, '""']),
  ]
    .map(([name, value]) => `${indent}proxy_set_header ${name} ${value};`)
    .join('\n');

const upstreamTls = `    proxy_ssl_server_name on;
    proxy_ssl_verify on;
    proxy_ssl_trusted_certificate /etc/ssl/certs/ca-certificates.crt;
`;

/** Ours come in three runs at most; more of them only where somebody else has set cookies of these names, too. */
const keptRuns = ['bc_1', 'bc_2', 'bc_3', 'bc_4', 'bc_5'] as const;

/** A whole Cookie header, every pair behind a semicolon: what is between runs of ours is kept. Nothing is tried twice. */
function cookiePattern(site: Site): string {
  const [first, ...more] = keptRuns;
  const define = `(?(DEFINE)(?<ours>;\\s*(?:${ourCookies(site)})\\s*=[^;]*+)(?<other>(?!(?&ours));[^;]*+))`;
  const kept = [`(?<${first}>[^;]*+(?&other)*+)`, ...more.map((run) => `(?<${run}>(?&other)*+)`)];
  return `${define}^(?&ours)*+(?:;\\s*+|$)${kept.join('(?&ours)*+')}(?&ours)*+$`;
}

/**
 * nginx takes the last of several maps of one name, whichever file it is in: blocks that strip other names must not share
 * it, where some were printed before COOKIE_NAME was changed.
 */
function namesFor({ cookies }: Site): { cookies: string } {
  if (cookies.session === 'backchannel_session') return { cookies: '$bc_cookies' };
  return { cookies: `$bc_cookies_${createHash('sha256').update(cookies.session).digest('hex').slice(0, 8)}` };
}

const fileName = ({ host }: URL): string => host.replace(/[^\w.-]+/g, '_');
