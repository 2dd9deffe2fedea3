// The block for Caddy 2.6 and later. Everything is in one `route`, so the directives run in the order written.
import { commandLine } from '@backchannel/server/installation';
import { basicToken, bearerToken, ourCookies } from './credentials.ts';
import { ambiguousTarget, publicTarget } from './public-paths.ts';
import type { Site } from './site.ts';
import { deletedPatterns, identityHeaders, methodOverrides, verifyIgnores } from './stripped.ts';

export function caddyBlock(site: Site): string {
  const { url, upstream, publicUrl, words } = site;
  const what = upstream
    ? `${url.origin}: ${upstream.origin}, behind the sign-in of ${publicUrl.origin}.`
    : `${url.origin}: BackChannel itself.`;
  return `# ${what}
# For the Caddyfile; then: caddy reload
# Printed by: ${commandLine} proxy-config caddy${words && ` ${words}`}

${address(url)} {
${tls(site)}${upstream ? application(site, upstream) : own(site)}
}`;
}

const own = ({ backchannel }: Site): string => `${deleted([], '	')}

	reverse_proxy ${backchannel.host}`;

function application(site: Site, upstream: URL): string {
  const { backchannel, basic } = site;
  const ours = ourCookies(site);
  return `	route {
${deleted(identityHeaders(site), '		')}

		# Only WebSockets may switch protocols. In a protocol that Caddy doesn't read, requests would pass unchecked. Connection
		# is set here, because a client could use it to make the proxy drop headers, such as those that identify the client.
		@backchannel_no_socket not {
			header_regexp Upgrade "^(?i:websocket)$"
			header_regexp Connection "(?i:upgrade)"
		}
		request_header @backchannel_no_socket -Upgrade
		request_header @backchannel_no_socket -Connection
		@backchannel_socket header Upgrade *
		request_header @backchannel_socket Upgrade websocket
		request_header @backchannel_socket Connection Upgrade

${guarded(site)}		# BackChannel checks every request. Only the response 204 lets it pass.
		forward_auth ${site.open.length > 0 || site.preflight ? '@backchannel_guarded ' : ''}${backchannel.host} {
			uri /api/v1/auth/verify?redirect=1${basic ? '&basic=1' : ''}
			copy_headers ${identityHeaders(site).join(' ')}
${verifyIgnores.map((name) => `			header_up -${name}`).join('\n')}
		}

		# Credentials that the application must not see: BackChannel's cookies and tokens. A token can be a bearer token, or the
		# password of HTTP Basic (the base64 of ":bct_").
		@backchannel_cookies header_regexp Cookie "^(?:;?\\s*(?:${ours})\\s*=[^;]*)+$"
		request_header @backchannel_cookies -Cookie
		@backchannel_token header_regexp Authorization "^(?:${bearerToken}|${basicToken})"
		request_header @backchannel_token -Authorization
		request_header -X-Backchannel-Token

		reverse_proxy ${upstream.origin} {
			header_up X-Real-IP {remote_host}
			header_up Cookie "()(?:^|;)\\s*(?:${ours})\\s*=[^;]*" "$1"
			header_up Cookie "^()[;\\s]+" "$1"
		}
	}`;
}

/** What a header's name may contain besides letters, digits and `-` (RFC 9110, 5.6.2). */
const punctuation = [..."_.!#$%&'*+^`|~"].map((character) => `*${character}*`);

const deleted = (identity: readonly string[], indent: string): string =>
  [
    "# Proxies set these headers, and applications take people, addresses or paths from them. The client's are deleted, and so",
    '# are names with other punctuation than -, which CGI and PHP read as -.',
    ...[...punctuation, ...new Set([...identity, ...deletedPatterns()])].map((name) => `request_header -${name}`),
  ]
    .map((line) => indent + line)
    .join('\n');

/**
 * Matches everything except the public paths. It compares the raw URI, because the application receives it as it is; Caddy's
 * own `path` compares it decoded and tidied up.
 */
function guarded({ open, preflight }: Site): string {
  if (open.length === 0 && !preflight) return '';
  const uri = '{http.request.uri}';
  const isOpen = open.map((path) => `${uri}.matches(r"${publicTarget(path)}")`).join(' || ');
  const lines = [
    ...(open.length === 0
      ? []
      : [
          '# Public: no sign-in needed. It is needed for any spelling that the application may read as another path, such as',
          '# /a/..;/b.',
        ]),
    ...(preflight
      ? [
          '# CORS preflights: no sign-in needed. They are passed on without a header that would make another method out of OPTIONS.',
          '@backchannel_preflight {',
          ...isPreflight,
          '}',
          ...methodOverrides.map((name) => `request_header @backchannel_preflight -${name}`),
        ]
      : []),
    '@backchannel_guarded {',
    ...(open.length === 0 ? [] : [`	not expression \`(${isOpen}) && !${uri}.matches(r"(?i)${ambiguousTarget}")\``]),
    ...(preflight ? ['	not {', ...isPreflight.map((line) => `	${line}`), '	}'] : []),
    '}',
  ];
  return lines.map((line) => `		${line}\n`).join('');
}

/** A browser sends a preflight without cookies (Fetch, 4.8), so nobody could sign in for it. */
const isPreflight = [
  '	method OPTIONS',
  '	header_regexp Origin "^[^ ]+$"',
  '	header_regexp Access-Control-Request-Method "^[^ ]+$"',
];

/** Caddy serves a name without a scheme over https, at the default port. */
const address = ({ origin, protocol, port, host }: URL): string =>
  protocol === 'https:' && port === '' ? host : origin;

function tls({ url, certificate }: Site): string {
  if (url.protocol !== 'https:') return '';
  if (certificate) return `	tls ${certificate.file} ${certificate.key}\n\n`;
  return `	# Caddy gets a certificate automatically if it is reachable from the internet. Otherwise: tls internal, or tls FILE KEY.\n\n`;
}
