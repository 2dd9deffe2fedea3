// The block for nginx 1.18 and later, with the modules that Debian builds in. Directives that a location inherits are at the
// server level, so a location that you add inherits them too.
import { createHash } from 'node:crypto';
import { commandLine } from '@backchannel/server/installation';
import { basicToken, bearerToken, ourCookies } from './credentials.ts';
import { ambiguousTarget, publicTarget } from './public-paths.ts';
import { portOf, type Site } from './site.ts';
import { deletedHeaders, identityHeaders, methodOverrides, verifyReads } from './stripped.ts';

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
    `# Printed by: ${commandLine} proxy-config nginx${words && ` ${words}`}`,
  ].join('\n');
}

const own = (site: Site): string => `${redirectToHttps(site)}server {
${listen(site)}

${largeHeaders}    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host ${site.url.host};
${forwarded(site)}
${deleted([])}
    location / {
        proxy_pass ${site.backchannel.origin};
    }
}`;

function application(site: Site, upstream: URL): string {
  const { url, backchannel, basic } = site;
  const variables = namesFor(site);
  const identity = identityHeaders(site);
  const group = `backchannel_${url.host.replace(/[^\w.-]+/g, '_')}`;
  return `upstream ${group} {
    server ${backchannel.host};
    keepalive 16;
}

# Removes BackChannel's cookies, and only those, from the Cookie header: \`ours\` is one of them, \`other\` any other cookie.
# A header that doesn't match the pattern is not passed on at all.
map "; $http_cookie" ${variables.cookies} {
    default "";
    "~${cookiePattern(site)}" "${keptRuns.map((run) => `$${run}`).join('')}";
}

# Removes BackChannel's tokens: as a bearer token, and as the password of HTTP Basic (the base64 of ":bct_").
map $http_authorization $bc_authorization {
    default $http_authorization;
    "~^${bearerToken}" "";
    "~^${basicToken}" "";
}

# Only WebSockets may switch protocols. In a protocol that nginx doesn't read, requests would pass unchecked.
map $http_upgrade $bc_upgrade {
    default "";
    "~*^websocket$" websocket;
}
map $bc_upgrade $bc_connection {
    default "";
    websocket upgrade;
}

${publicMap(site, variables)}${preflightMap(site)}${redirectToHttps(site)}server {
${listen(site)}

    # BackChannel checks every request. Only the response 204 lets it pass.
    auth_request /backchannel-verify;
${identity.map((name) => `    auth_request_set ${variable(name)} $upstream_http_${lowered(name)};`).join('\n')}
    auth_request_set $bc_sign_in $upstream_http_location;
    auth_request_set $bc_refusal $upstream_http_content_type;
    error_page 401 = @backchannel_sign_in;

    # These headers tell the application who the caller is, and from where. They replace the client's.
${identity.map((name) => `    proxy_set_header ${name} ${variable(name)};`).join('\n')}
    proxy_set_header Host ${url.host};
${forwarded(site)}
    # Credentials that the application must not see.
    proxy_set_header Cookie ${variables.cookies};
    proxy_set_header Authorization $bc_authorization;
    proxy_set_header X-Backchannel-Token "";
${overrides(site)}${deleted(identity)}
    # No buffering and no size limit, for large uploads and downloads, events and WebSockets. Large headers, for many cookies.
${largeHeaders}    proxy_http_version 1.1;
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

    location = /backchannel-verify {
        internal;
${site.open.length > 0 ? allowed(variables.isPublic) : ''}${site.preflight ? allowed('$bc_preflight') : ''}        proxy_pass http://${group}/api/v1/auth/verify${basic ? '?basic=1' : ''};
        proxy_pass_request_body off;
        proxy_pass_request_headers off;
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
${verifyReads.map((name) => `        proxy_set_header ${name} $http_${lowered(name)};`).join('\n')}
    }

    # A browser that loads a page is sent to sign in. A person who sent a form gets words and a link. Programs get the 401.
    location @backchannel_sign_in {
        default_type text/html;
        add_header Cache-Control no-store always;
        if ($bc_sign_in) {
            return 302 $bc_sign_in;
        }
        if ($bc_refusal !~ "^text/html") {
            return 401;
        }
        return 401 '${refusedPage(site)}';
    }
}`;
}

/** The words of BackChannel's own page: nginx passes on no body of a check. It contains no apostrophe and no dollar sign. */
function refusedPage({ url, publicUrl }: Site): string {
  const signIn = `${publicUrl.origin}/login?next=${encodeURIComponent(`${url.origin}/`)}`;
  return (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark">' +
    '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Sign in first</title><h1>Sign in first</h1>' +
    '<p>You are not signed in, or your browser did not say so because another site sent this request. ' +
    `It has not reached ${url.host}.</p><p><a href="${signIn}" target="_top">Sign in</a>. ` +
    'If you sent a form, go back to it afterwards and send it again.</p></html>'
  );
}

/**
 * nginx compares locations with the path that it decoded and tidied up. The application gets the path as the client sent it,
 * so that is compared here.
 */
const publicMap = ({ open }: Site, { isPublic }: Names): string =>
  open.length === 0
    ? ''
    : `# Public: no sign-in needed. It is needed for any spelling that the application may read as another path, such as /a/..;/b.
map $request_uri ${isPublic} {
    default "";
    "~*${ambiguousTarget}" "";
${open.map((path) => `    "~${publicTarget(path)}" 1;`).join('\n')}
}

`;

/** In the check itself, so that everything else is the same for a request that nobody has to sign in for. */
const allowed = (condition: string): string => `        if (${condition}) {
            return 204;
        }
`;

/** For applications with many cookies. BackChannel accepts 48 KiB of headers, and sends less than 16 KiB. */
const largeHeaders = `    large_client_header_buffers 2 23k;
    proxy_buffer_size 16k;
    proxy_buffers 4 16k;
`;

const lowered = (name: string): string => name.toLowerCase().replaceAll('-', '_');
const variable = (name: string): string => `$bc_${lowered(name)}`;

function listen({ url, certificate }: Site): string {
  const { hostname } = url;
  const isSecure = url.protocol === 'https:';
  const folder = `/etc/letsencrypt/live/${hostname}`;
  const { file, key } = certificate ?? { file: `${folder}/fullchain.pem`, key: `${folder}/privkey.pem` };
  return [
    `    listen ${ownNetwork(url)}${portOf(url)}${isSecure ? ' ssl' : ''};`,
    `    server_name ${hostname};`,
    ...(isSecure && !certificate
      ? ['    # EDIT: where the certificate is (or print it with --cert FILE --key FILE)']
      : []),
    ...(isSecure ? [`    ssl_certificate ${file};`, `    ssl_certificate_key ${key};`] : []),
  ].join('\n');
}

/** A port alone is one of IPv4, where nobody reaches a site whose name is an IPv6 address. */
const ownNetwork = ({ hostname }: URL): string => (hostname.startsWith('[') ? '[::]:' : '');

function redirectToHttps({ url }: Site): string {
  if (url.protocol !== 'https:' || portOf(url) !== 443) return '';
  return `server {
    listen ${ownNetwork(url)}80;
    server_name ${url.hostname};
    return 301 ${url.origin}$request_uri;
}

`;
}

const forwarded = ({ url }: Site): string =>
  [
    ['X-Real-IP', '$remote_addr'],
    ['X-Forwarded-For', '$remote_addr'],
    ['X-Forwarded-Proto', url.protocol.slice(0, -1)],
    ['X-Forwarded-Host', url.host],
    ['X-Forwarded-Port', String(portOf(url))],
  ]
    .map(([name, value]) => `    proxy_set_header ${name} ${value};`)
    .join('\n');

const overrides = ({ preflight }: Site): string =>
  preflight ? methodOverrides.map((name) => `    proxy_set_header ${name} ${variable(name)};\n`).join('') : '';

/** nginx knows no wildcards. It drops names with _ or . by default. */
const deleted = (identity: readonly string[]): string => `
    # Other proxies set these headers, and applications take people, addresses or paths from them. The client's are deleted.
    proxy_headers_hash_max_size 2048;
    proxy_headers_hash_bucket_size 128;
${deletedHeaders([...identity, 'X-Real-IP'])
  .map((name) => `    proxy_set_header ${name} "";`)
  .join('\n')}
`;

const upstreamTls = `    proxy_ssl_server_name on;
    proxy_ssl_verify on;
    proxy_ssl_trusted_certificate /etc/ssl/certs/ca-certificates.crt;
`;

/** BackChannel's cookies form five runs at most. There are more only if someone else sets cookies of the same names. */
const keptRuns = ['bc_1', 'bc_2', 'bc_3', 'bc_4', 'bc_5', 'bc_6', 'bc_7'] as const;

/** Matches a whole Cookie header and captures what is between runs of our cookies. The pattern never backtracks. */
function cookiePattern(site: Site): string {
  const [first, ...more] = keptRuns;
  const define = `(?(DEFINE)(?<ours>;\\s*(?:${ourCookies(site)})\\s*=[^;]*+)(?<other>(?!(?&ours));[^;]*+))`;
  const kept = [`(?<${first}>[^;]*+(?&other)*+)`, ...more.map((run) => `(?<${run}>(?&other)*+)`)];
  return `${define}^(?&ours)*+(?:;\\s*+|$)${kept.join('(?&ours)*+')}(?&ours)*+$`;
}

/** A browser sends a preflight without cookies (Fetch, 4.8), so nobody could sign in for it. */
const preflightMap = ({ preflight }: Site): string =>
  preflight
    ? `# CORS preflights: no sign-in needed. They are passed on without a header that would make another method out of OPTIONS.
map "$request_method $http_access_control_request_method $http_origin" $bc_preflight {
    default "";
    "~^OPTIONS [^ ]+ [^ ]+$" 1;
}
${methodOverrides
  .map(
    (name) => `map $bc_preflight $bc_${lowered(name)} {
    default "";
    "" $http_${lowered(name)};
}
`,
  )
  .join('')}
`
    : '';

interface Names {
  readonly cookies: string;
  readonly isPublic: string;
}

/**
 * If several maps have the same name, nginx uses the last one, whichever file it is in. So maps with different content have
 * different names, also those of blocks that were printed by another version or before a change of COOKIE_NAME.
 */
const namesFor = (site: Site): Names => ({
  cookies: `$bc_cookies_${digest(cookiePattern(site))}`,
  isPublic: `$bc_public_${digest(JSON.stringify([site.url.origin, site.open, ambiguousTarget]))}`,
});

const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 8);

const fileName = ({ host }: URL): string => host.replace(/[^\w.-]+/g, '_');
