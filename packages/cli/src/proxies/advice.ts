// Advice for the person who pastes a block: the settings that BackChannel needs for it, and what the block can't do.
import { isLoopbackOrigin } from '@backchannel/server/address';
import { createTrust } from '@backchannel/server/client-address';
import type { Config } from '@backchannel/server/config';
import { commonDomain } from '@backchannel/server/public-suffix';
import { isCovered, type Site } from './site.ts';

export type ProxyName = 'nginx' | 'caddy' | 'traefik';

export function adviceFor(site: Site, config: Config, proxy: ProxyName): string[] {
  if (site.upstream === null) return adviseTrust(site, config);
  return [
    ...adviseTrust(site, config),
    ...adviseCookies(site, config),
    ...adviseName(site, proxy),
    ...adviseTraefik(proxy),
  ];
}

/** BackChannel ignores the forwarding headers of a proxy that it doesn't trust. */
function adviseTrust({ backchannel, upstream }: Site, { trustedProxies }: Config): string[] {
  const isTrusted = createTrust(trustedProxies);
  const isHere = isLoopbackOrigin(backchannel.origin);
  if (isHere ? isTrusted('127.0.0.1') || isTrusted('::1') : trustedProxies.length > 0) return [];
  const because = upstream
    ? 'you are not sent back to the application after signing in, and every visitor appears to come from the proxy'
    : 'every visitor appears to come from the proxy, and one who guesses passwords makes everyone wait';
  const line = [...trustedProxies, isHere ? '127.0.0.1' : 'ADDRESS'].join(',');
  const whose = isHere ? '' : ', with the address from which the proxy calls BackChannel';
  return [`Set TRUSTED_PROXIES=${line}${whose}. Without it, ${because}.`];
}

/** A browser that doesn't send the session cookie to the application is asked to sign in again and again. */
function adviseCookies(site: Site, config: Config): string[] {
  if (isCovered(site, config)) return [];
  const { url, publicUrl } = site;
  const where = `Browsers send no cookies of ${publicUrl.origin} to ${url.hostname}, so only tokens open it`;
  const parent = url.protocol === 'https:' ? commonDomain(url.hostname, publicUrl.hostname) : null;
  if (parent) return [`${where}. Set COOKIE_DOMAIN=${parent} and sign in again.`];
  if (url.protocol === 'https:') {
    return [
      `${where}: the two hosts share no domain of your own. Use names under one domain of yours, and set COOKIE_DOMAIN to it.`,
    ];
  }
  return [
    `${where}. Over http, use the same host name at another port: ${publicUrl.hostname}:PORT. For separate names, such as ` +
      'auth.example.com and app.example.com, set PUBLIC_URL to an https address and COOKIE_DOMAIN=example.com.',
  ];
}

function adviseName({ url, publicUrl }: Site, proxy: ProxyName): string[] {
  if (url.hostname !== publicUrl.hostname) return [];
  const what = `${url.hostname} is also BackChannel's host name, and browsers share cookies between ports`;
  if (proxy === 'traefik') {
    return [
      `${what}. The application receives the session cookie and can do everything that you can. Use another host name, or ` +
        'nginx or Caddy, whose blocks remove the cookie.',
    ];
  }
  return [
    `${what}. This block removes the session cookie, but anything else that listens on the host receives it. A separate ` +
      'host name is safer.',
  ];
}

function adviseTraefik(proxy: ProxyName): string[] {
  if (proxy !== 'traefik') return [];
  return [
    'Traefik passes the pass cookie and a token in Authorization on to the application. Neither opens BackChannel, but both ' +
      'open applications behind forward-auth. Create tokens with --host, and send them in X-Backchannel-Token, which the ' +
      'block removes.',
  ];
}
