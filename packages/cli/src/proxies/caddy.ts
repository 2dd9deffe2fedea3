// The block for Caddy 2.6 and later. All of it is in one `route`, so that it runs in the order it is read.
import type { Site } from './site.ts';
import { addressHeaders, basicToken, bearerToken, identityHeaders, ourCookies, unsaidHeaders } from './stripped.ts';

export function caddyBlock(site: Site): string {
  const { url, upstream, publicUrl, words } = site;
  const what = upstream
    ? `${url.origin}: ${upstream.origin}, behind the sign-in of ${publicUrl.origin}.`
    : `${url.origin}: BackChannel itself.`;
  return `# ${what}
# For the Caddyfile; then: caddy reload
# Printed by: backchannel proxy-config caddy${words && ` ${words}`}

${address(url)} {
${tls(site)}${upstream ? application(site, upstream) : own(site)}
}`;
}

const own = ({ backchannel }: Site): string => `	# What only this proxy may say: a client's own is deleted.
	request_header -X-Forwarded-*
${addressHeaders.map((name) => `	request_header -${name}`).join('\n')}

	reverse_proxy ${backchannel.host}`;

function application(site: Site, upstream: URL): string {
  const { backchannel, basic } = site;
  const ours = ourCookies(site);
  return `	route {
		# What only this proxy may say: a client's own is deleted. So is a name with _ or . in it, which CGI and PHP read as -.
		request_header -*_*
		request_header -*.*
${[...identityHeaders(site), ...unsaidHeaders(site).filter((name) => !name.startsWith('X-Forwarded-'))]
  .map((name) => `		request_header -${name}`)
  .join('\n')}
		request_header -X-Forwarded-*
${addressHeaders.map((name) => `		request_header -${name}`).join('\n')}

		# WebSockets, and no other protocol: in one that Caddy does not read, requests would pass unasked. Nor may a client name
		# in Connection what is to be left out on the way: that could be who it is.
		@backchannel_no_socket not {
			header_regexp Upgrade "^(?i:websocket)$"
			header_regexp Connection "(?i:upgrade)"
		}
		request_header @backchannel_no_socket -Upgrade
		request_header @backchannel_no_socket -Connection
		@backchannel_socket header Upgrade *
		request_header @backchannel_socket Upgrade websocket
		request_header @backchannel_socket Connection Upgrade

${guarded(site)}		# BackChannel is asked about every request: 204 lets it pass, anything else does not.
		forward_auth ${site.open.length > 0 ? '@backchannel_guarded ' : ''}${backchannel.host} {
			uri /api/v1/auth/verify?redirect=1${basic ? '&basic=1' : ''}
			copy_headers ${identityHeaders(site).join(' ')}
		}

		# What the application is not to see: BackChannel's own cookies and tokens, a token as a bearer and as the password of
		# HTTP Basic (the base64 of ":bct_").
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

/**
 * All but what everybody may see: that has to be spelt so, too, for the application gets it as it was spelt. Windows reads a
 * backslash as a slash.
 */
function guarded({ open }: Site): string {
  if (open.length === 0) return '';
  const nots = open.map((path) => {
    const isBelow = path.endsWith('/');
    const uri = '{http.request.uri}';
    const spelt = isBelow ? `${uri}.startsWith("${path}")` : `${uri} == "${path}" || ${uri}.startsWith("${path}?")`;
    return `			not {
				path ${path}${isBelow ? '*' : ''}
				expression \`(${spelt}) && !${uri}.matches(r"(?i)^[^?]*(?:[.][.]|%2e|%2f|%5c|\\\\)")\`
			}`;
  });
  return `		# Everybody may see what is named here.
		@backchannel_guarded {
${nots.join('\n')}
		}
`;
}

/** Without its scheme, Caddy takes a name for https and its usual port. */
const address = ({ origin, protocol, port, host }: URL): string =>
  protocol === 'https:' && port === '' ? host : origin;

function tls({ url, certificate }: Site): string {
  if (url.protocol !== 'https:') return '';
  if (certificate) return `	tls ${certificate.file} ${certificate.key}\n\n`;
  return `	# Caddy gets a certificate by itself where the internet reaches it. Elsewhere: tls internal, or tls FILE KEY.\n\n`;
}
