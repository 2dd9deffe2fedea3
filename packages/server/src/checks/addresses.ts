// Whether HOST, PORT and PUBLIC_URL fit together: who can connect, at what address, and whether over TLS.
import { bracketed, isLoopback, isLoopbackOrigin } from '../config/address.ts';
import type { Config } from '../config/config.ts';
import { advice, type Finding, ok } from './finding.ts';

export function checkAddresses(config: Config): Finding[] {
  return [checkReach(config), ...checkPublicUrl(config), checkCookie(config)];
}

function checkReach({ host, port, publicUrl, secureCookies }: Config): Finding {
  const listensHere = isLoopback(host);
  const isMeantForHere = isLoopbackOrigin(publicUrl);
  if (listensHere && isMeantForHere) {
    return ok('HOST', `only this machine can connect; for others: HOST=0.0.0.0 PUBLIC_URL=http://nas:${port}`);
  }
  if (listensHere) {
    const proxy = `a proxy on this machine must forward ${publicUrl} to http://${bracketed(host)}:${port}`;
    if (secureCookies) return ok('HOST', `only this machine can connect: ${proxy}`);
    return advice('HOST', `only this machine can connect: ${proxy}; without one, set HOST=0.0.0.0`);
  }
  if (isMeantForHere) {
    return advice(
      'PUBLIC_URL',
      `is ${publicUrl}, while HOST=${host} lets others connect: set it to the address that they use, or their browsers ` +
        "are refused. It is right if a container's port is published to this machine only",
    );
  }
  return ok('HOST', `everyone who can reach ${host} port ${port} can connect`);
}

function checkPublicUrl({ host, port, publicUrl, secureCookies }: Config): Finding[] {
  const url = new URL(publicUrl);
  const publicPort = Number(url.port || (secureCookies ? 443 : 80));
  const findings: Finding[] = [];
  const add = (text: string) => findings.push(advice('PUBLIC_URL', text));
  if (url.hostname === '0.0.0.0' || url.hostname === '[::]')
    add(`${publicUrl} is not an address that a browser can open`);
  if (port !== 0 && secureCookies && publicPort === port) {
    add(
      `is https at port ${port}, where BackChannel itself listens without TLS: the TLS proxy needs that port, so give BackChannel another one`,
    );
  }
  if (port !== 0 && !secureCookies && publicPort !== port) {
    add(`has port ${publicPort}, and PORT is ${port}: right only with a proxy or a port mapping between them`);
  }
  if (!secureCookies && !(isLoopback(host) && isLoopbackOrigin(publicUrl))) {
    add('is http: passwords and cookies cross the network unencrypted; put TLS in front and set https');
  }
  return findings;
}

function checkCookie({ cookieName, publicUrl, secureCookies }: Config): Finding {
  if (secureCookies)
    return ok('cookie', `${cookieName} is Secure: people can sign in at ${publicUrl} and not over http`);
  return ok('cookie', `${cookieName} is not Secure, as PUBLIC_URL is http`);
}
