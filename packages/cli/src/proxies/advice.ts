// What has to be set in BackChannel for a block to work, and what it can't do. Sentences for whoever pastes the block.
import { commonDomain, isLoopbackOrigin } from '@backchannel/server/address';
import { createTrust } from '@backchannel/server/client-address';
import type { Config } from '@backchannel/server/config';
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

/** Without trust the proxy's word on where a browser wanted to go counts for nothing. */
function adviseTrust({ backchannel, upstream }: Site, { trustedProxies }: Config): string[] {
  const isTrusted = createTrust(trustedProxies);
  const isHere = isLoopbackOrigin(backchannel.origin);
  if (isHere ? isTrusted('127.0.0.1') || isTrusted('::1') : trustedProxies.length > 0) return [];
  const because = upstream
    ? 'else nobody is sent back to where they were going after signing in, and all callers have the address of the proxy'
    : 'else all callers have the address of the proxy, and one who guesses passwords makes everybody wait';
  const line = [...trustedProxies, isHere ? '127.0.0.1' : 'ADDRESS'].join(',');
  const whose = isHere ? '' : ', the address that the proxy calls BackChannel from';
  return [`Set TRUSTED_PROXIES=${line}${whose}: ${because}.`];
}

/** Where no cookie gets, nobody signs in, however often. */
function adviseCookies(site: Site, config: Config): string[] {
  if (isCovered(site, config)) return [];
  const { url, publicUrl } = site;
  const where = `Browsers bring no cookie of ${publicUrl.origin} to ${url.hostname}, so that only tokens open it`;
  const parent = url.protocol === 'https:' ? commonDomain(url.hostname, publicUrl.hostname) : null;
  if (parent) return [`${where}. Set COOKIE_DOMAIN=${parent}, and sign in anew.`];
  if (url.protocol === 'https:') {
    return [`${where}: the two share no domain. Give both names under one, and set COOKIE_DOMAIN to that.`];
  }
  return [
    `${where}. Over http that takes the same host name at another port: ${publicUrl.hostname}:PORT. For names of their own, ` +
      'such as auth.example.com and app.example.com, set PUBLIC_URL to https and COOKIE_DOMAIN=example.com.',
  ];
}

function adviseName({ url, publicUrl }: Site, proxy: ProxyName): string[] {
  if (url.hostname !== publicUrl.hostname) return [];
  const what = `${url.hostname} is BackChannel's own host name, too, and cookies know no ports`;
  if (proxy === 'traefik') {
    return [
      `${what}: the application gets the session's cookie, with which it can do all that you can. Give it another name, or ` +
        'use nginx or Caddy, whose blocks take the cookie out.',
    ];
  }
  return [
    `${what}: this block takes the session's cookie out, but whatever else listens there gets it. A name of its own is better.`,
  ];
}

function adviseTraefik(proxy: ProxyName): string[] {
  if (proxy !== 'traefik') return [];
  return [
    'Traefik hands the pass cookie on to the application, and a token in Authorization, too: neither opens BackChannel, but ' +
      'both open what is behind forward-auth. Make tokens with --host, and send them in X-Backchannel-Token, which is taken out.',
  ];
}
